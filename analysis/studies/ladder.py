"""Whether the comparison holds along a ladder of sizes, each trained on as many tokens per parameter."""

from analysis.claims.generality import claim
from analysis.figures.ladder import LADDER_PLOT
from analysis.findings.comparison import generality_of as findings
from analysis.registries import Factor, Study
from analysis.tables.ladder import LADDER

FACTOR = Factor(column="parameters", label="size", setting="size")
STUDY = Study(
    name="ladder",
    question="What does the comparison do as models grow, at one number of tokens per parameter?",
    seeds="ladder_seeds",
    sweeps=("size", "steps_per_version", "warmup_steps"),
    factor=FACTOR,
    shows=(LADDER, LADDER_PLOT, findings("ladder", FACTOR)),
)
CLAIMS = (claim("G2", "ladder", "across parameter counts", FACTOR),)

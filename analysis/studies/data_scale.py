"""Whether the comparison holds across data sizes."""

from analysis.claims.generality import claim
from analysis.figures.comparison import generality
from analysis.findings.comparison import generality_of as findings
from analysis.registries import Factor, Study
from analysis.tables.comparison import generality_of as table

FACTOR = Factor(column="steps_per_version", label="T", setting="stream.steps_per_version")
STUDY = Study(
    name="data_scale",
    question="Does it hold for other data sizes?",
    sweeps=("steps_per_version", "warmup_steps"),
    factor=FACTOR,
    shows=(table("data_scale", FACTOR), generality("data_scale", FACTOR), findings("data_scale", FACTOR)),
)
CLAIMS = (claim("G3", "data_scale", "across data sizes", FACTOR),)

"""Whether the comparison holds across maximum learning rates."""

from analysis.claims.generality import claim
from analysis.figures.rates import rates_of
from analysis.findings.comparison import generality_of as findings
from analysis.registries import Factor, Study
from analysis.tables.comparison import generality_of as table

FACTOR = Factor(column="max_lr", label="maximum learning rate", setting="schedule.max_lr")
STUDY = Study(
    name="max_lr",
    question="Does it hold for other maximum learning rates?",
    title="Maximum learning rate",
    sweeps=("max_lr", "min_lr"),
    factor=FACTOR,
    shows=(table("max_lr", FACTOR), rates_of("max_lr"), findings("max_lr", FACTOR)),
)
CLAIMS = (claim("G4", "max_lr", "across maximum learning rates", FACTOR),)

"""Whether the comparison holds across parameter counts at one T; claim G2 is judged on the ladder."""

from analysis.figures.comparison import generality
from analysis.findings.comparison import generality_of as findings
from analysis.registries import Factor, Study
from analysis.tables.comparison import generality_of as table

FACTOR = Factor(column="parameters", label="size", setting="size")
STUDY = Study(
    name="model_size",
    question="Does it hold for other parameter counts?",
    sweeps=("size",),
    factor=FACTOR,
    shows=(table("model_size", FACTOR), generality("model_size", FACTOR), findings("model_size", FACTOR)),
)

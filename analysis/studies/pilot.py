"""PTFS against CPT, under three schedules."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.figures.costs import COST_GROWTH
from analysis.figures.curves import LEARNING_RATES, TRAINING_LOSS
from analysis.figures.slices import FORGETTING
from analysis.findings import comparison
from analysis.registries import Sentences, Study
from analysis.studies.shared import COST, SLICES
from analysis.tables.comparison import by_version_of

STUDY = Study(
    name="pilot",
    question="How far does CPT fall behind PTFS, and does the gap grow?",
    seeds="judged_seeds",
    pooled=True,
    part_of="main",
    shows=(by_version_of("pilot"), PPL_BY_VERSION, Sentences("pilot_findings", make=comparison.pilot)),
    also=(COST, SLICES, LEARNING_RATES, TRAINING_LOSS, COST_GROWTH, FORGETTING),
)

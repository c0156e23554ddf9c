"""The main comparison: three recipes, three schedules."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.figures.costs import COST_GROWTH, PARETO
from analysis.figures.curves import LEARNING_RATES, TRAINING_LOSS
from analysis.figures.downstream import DOWNSTREAM
from analysis.figures.slices import FORGETTING
from analysis.registries import Study
from analysis.studies.shared import COST, MAIN_FINDINGS, RECOVERY, SCORES, SLICES
from analysis.tables.comparison import by_version_of

STUDY = Study(
    name="main",
    question="Does path switching reach PTFS's PPL at its lower cost?",
    seeds="judged_seeds",
    pooled=True,
    shows=(by_version_of("main"), RECOVERY, SLICES, PARETO, FORGETTING, MAIN_FINDINGS),
    also=(COST, SCORES, LEARNING_RATES, TRAINING_LOSS, COST_GROWTH, PPL_BY_VERSION, DOWNSTREAM),
)

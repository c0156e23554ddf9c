"""The three recipes under a cosine."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.figures.costs import COST_GROWTH, PARETO
from analysis.figures.curves import LEARNING_RATES, TRAINING_LOSS
from analysis.figures.downstream import DOWNSTREAM
from analysis.figures.slices import FORGETTING
from analysis.findings import comparison
from analysis.registries import Sentences, Study
from analysis.studies.shared import COST, MAIN_FINDINGS, RECOVERY, SCORES, SLICES
from analysis.tables.comparison import by_version_of

STUDY = Study(
    name="headline",
    question="How do the three paradigms differ in learning rate, PPL and cost?",
    seeds="judged_seeds",
    pooled=True,
    part_of="main",
    shows=(
        by_version_of("headline"), COST, LEARNING_RATES, TRAINING_LOSS, COST_GROWTH,
        Sentences("headline_findings", make=comparison.headline),
    ),
    also=(RECOVERY, SLICES, SCORES, PPL_BY_VERSION, PARETO, FORGETTING, DOWNSTREAM, MAIN_FINDINGS),
)  # fmt: skip

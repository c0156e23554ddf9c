"""The comparison over releases of unequal length."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.registries import Study
from analysis.studies.shared import COST, MAIN_FINDINGS, RECOVERY
from analysis.tables.comparison import by_version_of

STUDY = Study(
    name="unequal",
    question="Does it hold where some releases are short and others long?",
    title="Unequal releases",
    pooled=True,
    shows=(by_version_of("unequal"),),
    also=(COST, RECOVERY, PPL_BY_VERSION, MAIN_FINDINGS),
)

"""The comparison over more versions than the others have."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.registries import Study
from analysis.studies.shared import MAIN_FINDINGS, RECOVERY
from analysis.tables.comparison import by_version_of

STUDY = Study(
    name="versions",
    question="How does the comparison go on after more versions?",
    pooled=True,
    shows=(by_version_of("versions"),),
    also=(RECOVERY, PPL_BY_VERSION, MAIN_FINDINGS),
)

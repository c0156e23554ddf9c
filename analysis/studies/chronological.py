"""The comparison over a stream in order of time, with and without replay."""

from analysis.figures.comparison import PPL_BY_VERSION
from analysis.figures.slices import FORGETTING
from analysis.registries import Study
from analysis.studies.shared import MAIN_FINDINGS, RECOVERY, SLICES, SLICES_PAIRED
from analysis.tables.comparison import by_version_of
from analysis.tables.frontier import regret_of

STUDY = Study(
    name="chronological",
    question="What is forgotten where versions differ, and what does replay save?",
    pooled=True,
    shows=(by_version_of("chronological"), SLICES, SLICES_PAIRED, regret_of("chronological"), FORGETTING),
    also=(RECOVERY, PPL_BY_VERSION, MAIN_FINDINGS),
)

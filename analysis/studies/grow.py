"""A model that grows between versions, which the paper's authors name as future work."""

from analysis.figures.grow import GROW as GROW_PLOT
from analysis.findings.grow import FINDINGS
from analysis.registries import Study
from analysis.tables.grow import GROW

STUDY = Study(
    name="grow",
    question="Does a small model that grows at a release reach the larger one, and at which cost in steps and FLOPs?",
    sweeps=("grow_at", "layers_before", "intermediate_before"),
    shows=(GROW, GROW_PLOT, FINDINGS),
)

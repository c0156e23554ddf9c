"""The branch: its shape, its floor and its length."""

from analysis.figures.branch import BRANCH as BRANCH_PLOT
from analysis.findings.branch import gaps
from analysis.registries import Study
from analysis.tables.branch import BRANCH
from analysis.tables.shapes import SAME_SHAPE

STUDY = Study(
    name="branch",
    question="Which shape, floor and length should a branch have?",
    sweeps=("min_lr", "alpha"),
    shows=(BRANCH, BRANCH_PLOT, SAME_SHAPE),
    gaps=gaps,
)

"""The next update's loss from each recipe's releases."""

from analysis.figures.frontier import UPDATES as UPDATES_PLOT
from analysis.registries import Study
from analysis.tables.frontier import UPDATES

STUDY = Study(
    name="plasticity",
    question="What stays possible: how well can each recipe's releases be updated?",
    sweeps=("of",),
    shows=(UPDATES, UPDATES_PLOT),
)

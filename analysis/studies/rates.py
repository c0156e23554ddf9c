"""Every recipe at its own best maximum learning rate."""

from analysis.figures.rates import RATES as RATES_PLOT
from analysis.registries import Study
from analysis.tables.best import BEST_RATES
from analysis.tables.rates import RATES
from analysis.tables.scale import SCALE

STUDY = Study(
    name="rates",
    question="What is each recipe's best maximum learning rate, and what does a rate off by two cost?",
    seeds="tuning_seeds",
    sweeps=("max_lr", "min_lr", "versions"),
    shows=(BEST_RATES, RATES, SCALE, RATES_PLOT),
)

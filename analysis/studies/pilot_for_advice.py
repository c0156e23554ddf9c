"""What repro.advise is fitted on at the least."""

from analysis.figures.own import plot
from analysis.registries import Study
from analysis.tables.own import table

STUDY = Study(
    name="pilot_for_advice",
    question="What do two branches, retraining and CPT reach at two rates: the least that advice needs?",
    sweeps=("max_lr", "min_lr"),
    optional=True,
    shows=(table("pilot_for_advice"), plot("pilot_for_advice")),
)

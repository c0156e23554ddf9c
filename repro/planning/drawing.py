"""The learning-rate curves of a plan, before anything is trained: python -m repro.plan study=alpha figure=plan.png"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro.common import style
from repro.planning.runs import Run
from repro.recipes.recipe import recipe

MOST_PANELS = 24
"""Runs of the lowest seed, at most."""


def draw(runs: Sequence[Run], path: Path) -> None:
    """One panel a run, one curve a version, to a file whose suffix (.png, .pdf, .svg) says its format."""
    first = min(run.settings.seed for run in runs)
    shown = [run for run in runs if run.settings.seed == first][:MOST_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    with style.context():
        figure = style.new(3.6 * columns, 1.9 * rows)
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for panel, run in zip(panels, shown, strict=False):
            colour = recipe(run.settings).colour
            for version, trajectory in reversed(list(enumerate(run.trajectories, start=1))):
                rates = trajectory.learning_rates
                steps = np.unique(np.linspace(0, len(rates) - 1, 1000).astype(int))
                panel.plot(steps + 1, rates[steps], color=style.tint(colour, 0.35 + 0.65 * version / run.versions))
            panel.set_title(run.name, fontsize=7)
            panel.set_ylim(bottom=0)
            panel.set_xlabel("training step")
        for panel in panels[len(shown) :]:
            panel.remove()
        for row in range(rows):
            panels[row * columns].set_ylabel("learning rate")
        figure.savefig(path, metadata={})

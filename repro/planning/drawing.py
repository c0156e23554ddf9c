"""Learning-rate curves, before anything is trained: of a plan (repro.plan figure=plan.png), a recipe, and schedules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro.common import style
from repro.planning.runs import Run
from repro.recipes.recipe import recipe
from repro.recipes.schedules import Schedule, rates
from repro.recipes.trajectory import Derived, Trajectory

MOST_PANELS = 24
"""Runs of the lowest seed, at most."""


def draw(runs: Sequence[Run], path: Path) -> None:
    """One panel per run, one curve per version, to a file whose suffix (.png, .pdf, .svg) says its format."""
    first = min((run.settings.seed, run.settings.order_seed) for run in runs)
    shown = [run for run in runs if (run.settings.seed, run.settings.order_seed) == first][:MOST_PANELS]
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
                shade = style.tint(colour, 0.35 + 0.65 * version / run.versions)
                panel.plot(trajectory.origin + steps + 1, rates[steps], color=shade)
            panel.set_title(run.name, fontsize=7)
            panel.set_ylim(bottom=0)
            panel.set_xlabel("training step")
        for panel in panels[len(shown) :]:
            panel.remove()
        for row in range(rows):
            panels[row * columns].set_ylabel("learning rate")
        style.spell_out(figure)
        figure.savefig(path, metadata={})


def draw_recipe(run: Run, unit: int, path: Path) -> None:
    """What each version adds to a run's path, relative to the maximum rate.

    Args:
        unit: steps of T, in which steps are counted.
    """
    chosen, high = recipe(run.settings), run.settings.schedule.max_lr
    phases = [trajectory.phases for trajectory in run.trajectories]
    with style.context():
        figure = style.new(5.6, 1.9)
        axes = figure.subplots()
        for version, product in enumerate(run.products, start=1):
            trajectory = product.training
            rates, origin = trajectory.learning_rates / high, trajectory.origin
            colour = style.tint(chosen.colour, 0.35 + 0.65 * version / run.versions)
            for kind, start, stop in chosen.segments(phases[:version], version):
                before = max(start - 1, 0)
                steps = (origin + 1 + np.arange(before, stop)) / unit
                axes.plot(steps, rates[before:stop], color=colour, linestyle="--" if kind == "branch" else "-")
            parents = product.parents if isinstance(product, Derived) else ()
            for parent in (parent for parent in parents if isinstance(parent, Trajectory)):
                axes.plot(parent.end / unit, parent.learning_rates[-1] / high, "o", color=colour, markersize=3.5)
        axes.set_ylim(0, 1.08)
        axes.set_xlim(left=0)
        axes.set_xlabel("training step (T)")
        axes.set_ylabel("rate / maximum")
        figure.savefig(path, dpi=110, metadata={"Software": None})


def draw_schedules(schedules: Sequence[Schedule], path: Path) -> None:
    """One cycle of each without warm-up, relative to the maximum rate."""
    steps = 1000
    with style.context():
        figure = style.new(5.6, 2.6)
        axes = figure.subplots()
        for number, one in enumerate(schedules):
            values = rates(one.cycle(steps, warm=False), 0, steps) / one.max_lr
            axes.plot((1 + np.arange(steps)) / steps, values, linestyle=one.line, color=f"C{number}", label=one.label)
        axes.set_ylim(0, 1.08)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the cycle")
        axes.set_ylabel("rate / maximum")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        figure.savefig(path, dpi=110, metadata={"Software": None})

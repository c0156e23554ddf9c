"""Every recipe under several maximum learning rates."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from analysis import names
from analysis.figures.drawing import legend_below, recipe_handles
from analysis.frames import View
from analysis.rates import STUDY, Tried, tried
from analysis.registries import Plot
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def rates(view: View) -> "Figure | None":
    every = tried(view)
    every = [one for one in every if one.schedule == every[0].schedule and len(one.loss.columns) > 1]
    versions = sorted({one.version for one in every})
    if not versions:
        return None
    columns = min(2, len(versions))
    rows = -(-len(versions) // columns)
    figure = style.new(6.4, 2.9 * rows + 0.8)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axes, version in zip(panels, versions, strict=False):
        _panel(axes, [one for one in every if one.version == version])
        axes.set_title(f"version {version}")
    for axes in panels[len(versions) :]:
        axes.remove()
    for axes in panels[max(0, len(versions) - columns) : len(versions)]:
        axes.set_xlabel("maximum learning rate")
    for row in range(rows):
        panels[row * columns].set_ylabel("PPL")
    recipes = names.recipes(one.recipe for one in every)
    star = Line2D([], [], marker="*", color=style.GREY, linestyle="none", markersize=11, label="best rate")
    legend_below(figure, [*recipe_handles(recipes), star])
    return figure


def _panel(axes: "Axes", shown: list[Tried]) -> None:
    lows = []
    for one in shown:
        mean = np.exp(one.loss.mean())
        colour = names.colour(one.recipe)
        axes.plot(mean.index, mean, color=colour, marker="o", markersize=3.5, linewidth=1.2)
        axes.plot(one.best, mean[one.best], marker="*", color=colour, markersize=11, markeredgecolor="white")
        lows.append(mean)
    ticks = sorted({float(rate) for mean in lows for rate in mean.index})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    # Far off the best, curves leave the panel: what matters is near the optima.
    low, best = min(float(mean.min()) for mean in lows), max(float(mean.min()) for mean in lows)
    top = min(max(float(mean.max()) for mean in lows), best + 1.5 * max(best - low, 0.03 * low))
    axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))


RATES = Plot(
    STUDY, make=rates,
    caption="PPL against the maximum learning rate, a curve for each recipe, a panel for each version, means over "
    "seeds; stars are the best of the rates tried. Rates far off run out of the panels; the table has their costs.",
)  # fmt: skip

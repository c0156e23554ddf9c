"""Every recipe under several maximum learning rates."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import names, stats
from analysis.contrasts import ppl
from analysis.figures import chart
from analysis.figures.drawing import WITHIN, legend_below, of_version, points, recipe_handles, within
from analysis.frames import View
from analysis.rates import STUDY, Tried, tried
from analysis.registries import Plot
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _rates(view: View, study: str) -> "Figure | None":
    every = tried(view, study)
    every = [one for one in every if len(one.loss.columns) > 1]
    schedules = list(dict.fromkeys(one.schedule for one in every))
    shown = sorted({(schedules.index(one.schedule), one.version) for one in every})
    if not shown:
        return None
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = chart.new(6.4, 2.9 * rows + 0.8)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axes, (place, version) in zip(panels, shown, strict=False):
        schedule = schedules[place]
        _panel(axes, [one for one in every if one.version == version and one.schedule == schedule])
        axes.set_title(of_version(version, schedule, schedules))
    for axes in panels[len(shown) :]:
        axes.remove()
    for axes in panels[max(0, len(shown) - columns) : len(shown)]:
        axes.set_xlabel("maximum learning rate")
    for row in range(rows):
        panels[row * columns].set_ylabel("PPL")
    recipes = names.recipes(one.recipe for one in every)
    stars = [_star(True, "best rate"), _star(False, "best so far, at an end")]
    kinds = {one.bracketed for one in every}
    legend = [star for star, kind in zip(stars, (True, False), strict=True) if kind in kinds]
    legend_below(figure, [*recipe_handles(recipes), *legend])
    return figure


def _star(bracketed: bool, label: str) -> Line2D:
    face = style.GREY if bracketed else "white"
    star = Line2D([], [], marker="*", color=style.GREY, linestyle="none", markersize=11, label=label)
    star.set_markerfacecolor(face)
    return star


def _panel(axes: "Axes", shown: list[Tried]) -> None:
    """PPL of one version; the table and the interactive twin have intervals, which are wider than a panel."""
    lows = []
    for place, one in enumerate(shown):
        levels = ppl(one.loss)
        table = within(levels)
        mean = table.mean()
        colour = names.colour(one.recipe)
        intervals = [stats.mean_interval(table[rate].to_numpy(dtype=np.float64)) for rate in table]
        shift = 1 + 0.02 * (place - (len(shown) - 1) / 2)  # of a logarithmic axis
        rates = np.array(one.rates)
        x = rates * shift
        axes.plot(x, mean, color=colour, marker="o", markersize=3.5, linewidth=1.2)
        if len(one.loss) > 1:
            axes.plot(x, levels.T, ".", color=style.tint(colour, 0.45), markersize=4, zorder=1.5)
        face = colour if one.bracketed else "white"
        axes.plot(
            one.best * shift, mean[one.best], marker="*", color=colour, markersize=11, markerfacecolor=face,
            markeredgecolor="white" if one.bracketed else colour, zorder=4,
        )  # fmt: skip
        notes = ["best" if rate == one.best else "" for rate in one.rates]
        rows = points(rates, table, intervals).assign(version=one.version, note=notes, shift=x - rates)
        chart.of(axes).mark(axes, "curve", rows, recipe=one.recipe, schedule=one.schedule)
        for seed, values in levels.iterrows() if len(table) > 1 else ():
            rows = pd.DataFrame({"seed": str(seed), "version": one.version, "x": one.rates, "y": values.to_numpy()})
            chart.of(axes).mark(axes, "curve", rows, recipe=one.recipe, schedule=one.schedule)
        lows.append(mean)
    ticks = sorted({rate for one in shown for rate in one.rates})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    # Far off the best, curves leave the panel: what matters is near the optima.
    low, best = min(float(mean.min()) for mean in lows), max(float(mean.min()) for mean in lows)
    top = min(max(float(mean.max()) for mean in lows), best + 1.5 * max(best - low, 0.03 * low))
    axes.set_ylim(low - 0.12 * (top - low), top + 0.08 * (top - low))


def rates_of(study: str) -> Plot:
    """PPL against the maximum rate, as a study that varies it shows it."""
    others = "" if study == STUDY else "What it leaves to others is theirs, of the same seeds, text and numerics. "
    return Plot(
        study, make=lambda view: _rates(view, study),
        caption=f"PPL {EVERY} against the maximum learning rate, a curve for each recipe, a panel for each version, "
        "means over seeds; stars are the best of the rates tried, hollow where a better one may lie beyond. Rates far "
        f"off run out of the panels; tables have their costs. {others}In the data: {WITHIN[0].lower()}{WITHIN[1:]}",
    )  # fmt: skip


RATES = rates_of(STUDY)

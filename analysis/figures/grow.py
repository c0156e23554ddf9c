"""A model that grows between versions: PPL against FLOPs, and version by version."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import PTFS
from analysis.figures import chart
from analysis.figures.drawing import apart, front
from analysis.frames import View
from analysis.registries import Plot
from analysis.tables.grow import STUDY, Way, behind, ways
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def grow(view: View) -> "Figure | None":
    shown = [(schedule, *ways(view, schedule)) for schedule in dict.fromkeys(view.runs(STUDY)["schedule"])]
    shown = [one for one in shown if len(one[1]) > 1]
    if not shown:
        return None
    figure = chart.new(5.2, 6.4 * len(shown))
    panels = figure.subplots(2 * len(shown), 1, squeeze=False)[:, 0]
    for place, (schedule, losses, costs) in enumerate(shown):
        above, below = panels[2 * place : 2 * place + 2]
        flops = np.array([100 * costs[way].flops for way in losses])
        last = np.array([float(np.exp(table[view.last]).mean()) for table in losses.values()])
        colours = _colours(list(losses))
        _points(above, flops, last, list(losses), list(colours.values()))
        above.set_xlabel(f"FLOPs of {view.last} versions (% of PTFS's)", fontsize=10.5)
        above.set_ylabel(f"PPL of version {view.last}", fontsize=10.5)
        above.set_title(f"{names.schedule_name(schedule)}, n = {min(map(len, losses.values()))}")
        _by_version(below, losses, colours, view.last)
    return figure


def _colours(every: list[Way]) -> dict[Way, str]:
    """A recipe's own; shades, all dark enough for letters, of what comes in several ways."""
    growing = [way for way in every if way.before]
    shades = dict(zip(growing, map(style.hexadecimal, style.gradient(2 * len(growing))), strict=False))
    return {way: shades.get(way, names.colour(way.recipe)) for way in every}


def _points(axes: "Axes", x: "np.ndarray", y: "np.ndarray", every: list[Way], colours: list[str]) -> None:
    best = front(x, y)
    axes.step(x[best], y[best], where="post", color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
    span, left, right = max(float(np.ptp(y)), 1e-9), float(x.min()), float(x.max())
    places = apart(list(y), 0.09 * span)
    end = right + 0.06 * (right - left or 1)
    for i, (way, place, colour) in enumerate(zip(every, places, colours, strict=True)):
        edge = "black" if i in best else "white"
        axes.plot(x[i], y[i], marker="o", color=colour, markersize=8, markeredgecolor=edge, linestyle="none")
        axes.plot([x[i], end], [y[i], place], color=style.tint(colour, 0.4), linewidth=0.7, zorder=0.5)
        axes.text(end, place, f" {way.label}", color=colour, va="center", fontsize=10)
        rows = pd.DataFrame([{"x": x[i], "y": y[i], "note": way.label, "seed": chart.MEAN}])
        chart.of(axes).mark(axes, "points", rows, recipe=way.recipe, colour=colour)
    axes.set_xlim(left - 0.06 * (right - left or 1), right + 0.6 * (right - left or 1))
    axes.set_ylim(float(y.min()) - 0.1 * span, max(max(places), float(y.max())) + 0.1 * span)
    axes.set_xticks([tick for tick in axes.get_xticks() if left - 5 <= tick <= right + 5])


def _by_version(axes: "Axes", losses: "dict[Way, pd.DataFrame]", colours: dict[Way, str], last: int) -> None:
    """PPL above PTFS's; dots where the model is still the smaller one are hollow."""
    for way, colour in colours.items():
        if way.recipe == PTFS:
            continue
        above = 100 * np.expm1(behind(losses, way).mean())
        axes.plot(above.index, above, color=colour)
        rows = pd.DataFrame({"x": above.index, "y": above.to_numpy(), "note": way.label, "seed": chart.MEAN})
        chart.of(axes).mark(axes, "curve", rows, recipe=way.recipe, colour=colour)
        for version, value in above.items():
            small = bool(way.before) and version < way.at
            axes.plot(version, value, "o", color=colour, markersize=6, markerfacecolor="white" if small else colour)
    axes.axhline(0, color=style.GREY, linewidth=1.0, linestyle="--")
    axes.set_xticks(range(1, last + 1))
    axes.set_xlabel("version", fontsize=10.5)
    axes.set_ylabel("PPL above PTFS's (%)", fontsize=10.5)


GROW = Plot(
    STUDY, make=grow,
    caption=f"Above: PPL of the last version {EVERY}, against the FLOPs of all, over PTFS's, which pre-trains the "
    "larger model from scratch each time; dashed, with black edges: beaten by none on both. Below: PPL of every "
    "version above PTFS's; hollow dots are versions of the smaller model. Means over seeds.",
)  # fmt: skip

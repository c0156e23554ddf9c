"""The gap and the share recovered against size."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from analysis import names, stats
from analysis.contrasts import CPT, SWITCH
from analysis.figures import chart
from analysis.figures.drawing import legend_below, of_version, recipe_handles
from analysis.formats import millions
from analysis.frames import View
from analysis.ladder import PAPER, STUDY, Rung, Trend, rungs, schedules, trend
from analysis.registries import Plot
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


EXTRAPOLATED = "extrapolated"
GAP, SHARE, FAR = "g", "s", "f"
"""The panels, by their letters in the mosaic."""


def ladder(view: View) -> "Figure | None":
    several = schedules(view)
    climbed = {schedule: found for schedule in several if len(found := rungs(view, schedule)) > 1}
    if not climbed:
        return None
    schedule, found = next(iter(climbed.items()))
    line = trend(found)
    figure = chart.new(7.0, 3.2 if line is None else 5.6)
    panels: dict[str, Axes] = figure.subplot_mosaic(GAP + SHARE if line is None else f"{GAP}{SHARE};{FAR}{FAR}")
    for recipe in (CPT, SWITCH):
        for name in (name for name in panels if name != SHARE):
            _above(figure, panels[name], found, recipe)
            if line is not None:
                _line(panels[name], found[0].parameters, PAPER if name == FAR else found[-1].parameters, line, recipe)
    _shares(figure, panels[SHARE], found)
    panels[GAP].set_title(f"{of_version(view.last, schedule, several)}, measured", fontsize="small")
    panels[SHARE].set_ylabel("gap recovered (%)")
    if line is not None:
        _far(figure, panels[FAR], found, line)
    for name, axes in panels.items():
        if name != SHARE:
            axes.axhline(0, color=style.GREY, linewidth=1.0)
            axes.set_ylabel("PPL above PTFS's (%)")
        axes.set_xscale("log")
        axes.set_xlabel("parameters")
        if name != FAR:
            axes.set_xlim(found[0].parameters / 1.5, found[-1].parameters * 1.5)
            axes.set_xticks([rung.parameters for rung in found], minor=False)
            axes.minorticks_off()
        axes.xaxis.set_major_formatter(_count)
        axes.xaxis.set_minor_formatter(NullFormatter())
    extrapolated = Line2D([], [], color=style.GREY, marker="o", markerfacecolor="white", linestyle=":")
    extrapolated.set_label(f"extrapolated to {PAPER / 1e9:g} B")
    legend_below(figure, [*recipe_handles((CPT, SWITCH)), *([extrapolated] if line is not None else [])])
    return figure


def _count(parameters: float, _: object) -> str:
    return millions(parameters)


def _above(figure: chart.Chart, axes: "Axes", found: list[Rung], recipe: str) -> None:
    colour = names.colour(recipe)
    for rung in found:
        values = rung.cpt if recipe == CPT else rung.switching
        axes.plot([rung.parameters] * len(values), 100 * np.expm1(values), ".", color=style.tint(colour, 0.45))
        at = stats.mean_interval(np.asarray(values, dtype=np.float64))
        _bar(figure, axes, rung.parameters, at, recipe, n=len(values))


def _line(axes: "Axes", first: float, last: float, line: Trend, recipe: str) -> None:
    end, slope = float(line.there[recipe].mean()), float(line.slope[recipe].mean())
    x = np.geomspace(first, last, 50)
    nats = end + slope * (np.log10(x) - np.log10(PAPER))
    axes.plot(x, 100 * np.expm1(nats), ":", color=names.colour(recipe), linewidth=1.0)


def _far(figure: chart.Chart, axes: "Axes", found: list[Rung], line: Trend) -> None:
    """Where the line would be at the paper's size."""
    for recipe in (CPT, SWITCH):
        there = np.asarray(line.there[recipe], dtype=np.float64)
        _bar(figure, axes, PAPER, stats.mean_interval(there), recipe, n=len(there), note=EXTRAPOLATED)
    axes.axvspan(found[-1].parameters * 1.5, PAPER * 2, color=style.GREY, alpha=0.12, linewidth=0)
    axes.set_xlim(found[0].parameters / 2, PAPER * 2)
    axes.set_title(f"the same straight lines, on to {PAPER / 1e9:g} B: shaded is extrapolated", fontsize="small")


def _bar(
    figure: chart.Chart, axes: "Axes", x: float, at: stats.Interval, recipe: str, n: int, note: str = ""
) -> None:  # fmt: skip
    low, middle, high = (100 * float(np.expm1(nats)) for nats in (at.low, at.estimate, at.high))
    # Where seeds do not differ, rounding alone could make a length negative.
    error = None if np.isnan(low) else [[max(middle - low, 0.0)], [max(high - middle, 0.0)]]
    _point(axes, x, middle, error, recipe, note)
    _record(figure, axes, x, (low, middle, high), recipe, n, note)


def _point(axes: "Axes", x: float, y: float, error: list[list[float]] | None, recipe: str, note: str) -> None:
    colour = names.colour(recipe)
    face = "white" if note else colour
    axes.errorbar([x], [y], yerr=error, fmt="o", color=colour, markerfacecolor=face, elinewidth=1.0)


def _record(
    figure: chart.Chart, axes: "Axes", x: float, at: tuple[float, float, float], recipe: str, n: int, note: str
) -> None:  # fmt: skip
    low, middle, high = at
    row = {"x": x, "y": middle, "low": low, "high": high, "n": n, "seed": chart.MEAN, "note": note}
    figure.mark(axes, "points", pd.DataFrame([row]), recipe=recipe)


def _shares(figure: chart.Chart, axes: "Axes", found: list[Rung]) -> None:
    """Shares of gaps that are there, with Fieller's intervals where these are bounded."""
    for rung in found:
        if rung.recovered.established:
            at = rung.recovered.share
            bounded = np.isfinite([at.low, at.high]).all()
            ends = [[100 * max(length, 0.0)] for length in (at.estimate - at.low, at.high - at.estimate)]
            _point(axes, rung.parameters, 100 * at.estimate, ends if bounded else None, SWITCH, "")
            percent = (100 * at.low, 100 * at.estimate, 100 * at.high)
            _record(figure, axes, rung.parameters, percent, SWITCH, len(rung.cpt), "")
    axes.axhline(100, color=style.GREY, linewidth=1.0)


LADDER_PLOT = Plot(
    STUDY, make=ladder,
    caption="The last version along the ladder of sizes, with 95 % intervals over seeds: PPL above PTFS's, and the "
    "share of CPT's gap that path switching recovers (where there is a gap). Dotted: straight over the logarithm of "
    "size. Hollow points and the shaded part are that line's extrapolation, not measured.",
)  # fmt: skip

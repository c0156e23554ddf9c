"""What figures share: means with intervals and single seeds, limits that fit them, legends."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import names, stats
from analysis.figures import chart
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Extent: TypeAlias = tuple[stats.Values, stats.Values, stats.Values]
"""Single seeds, and the intervals' lower and upper ends."""
LETTERS = 13
"""Of a legend, to an inch."""
MARK = 6
"""What stands before a legend's label takes as much as so many letters."""
WITHIN = "Intervals and dots are of paired comparisons: what a seed adds to all points alike is taken out."


def series(
    axes: "Axes", x: "stats.Values", table: "pd.DataFrame", paradigm: str, schedule: str, colour: str = "", *,
    shift: float = 0.0, joined: bool = True, version: object = "", notes: Sequence[str] = (),
) -> Extent:  # fmt: skip
    """Mean over seeds (rows of `table`) at each of `x` (its columns), with intervals and single seeds.

    Args:
        colour: in place of the recipe's own.
        shift: how far beside `x` to draw, to keep recipes apart.
        joined: whether a line leads from one of `x` to the next; categories have none between them.
        version: that all points are of; empty where x says it.
        notes: what else to say of each of `x`.
    """
    colour = colour or names.colour(paradigm)
    at = np.asarray(x, dtype=np.float64) + shift
    if len(table) > 1:
        for row in table.to_numpy():
            axes.plot(at, row, ".", color=style.tint(colour, 0.45), markersize=4, zorder=1.5)
    intervals = [stats.mean_interval(table[column].dropna().to_numpy(dtype=np.float64)) for column in table]
    halves = np.array([0.0 if np.isnan(interval.half) else interval.half for interval in intervals])
    axes.errorbar(
        at,
        [interval.estimate for interval in intervals],
        yerr=halves if halves.any() else None,
        color=colour,
        marker=names.marker(schedule),
        linestyle=names.line(schedule) if joined else "none",
        elinewidth=1.0,
    )
    more: dict[str, Any] = {"version": version, "shift": shift, "note": list(notes) or ""}
    kind: chart.Kind = "curve" if joined else "points"
    chart.of(axes).mark(
        axes, kind, points(x, table, intervals).assign(**more), recipe=paradigm, schedule=schedule, colour=colour
    )
    for seed, values in table.iterrows() if len(table) > 1 else ():
        one = pd.DataFrame({"seed": str(seed), "x": x, "y": values.to_numpy(dtype=np.float64)}).assign(**more)
        chart.of(axes).mark(axes, kind, one, recipe=paradigm, schedule=schedule, colour=colour)
    seeds = table.to_numpy(dtype=np.float64)
    means = np.array([interval.estimate for interval in intervals])
    return seeds[np.isfinite(seeds)], means - halves, means + halves


def points(x: "stats.Values", table: "pd.DataFrame", intervals: Sequence[stats.Interval]) -> pd.DataFrame:
    """Means with their intervals as a chart records them; of one seed, it is the mean of that one."""
    return pd.DataFrame(
        {
            "seed": chart.MEAN,
            "x": x,
            "y": [one.estimate for one in intervals],
            "low": [one.low for one in intervals],
            "high": [one.high for one in intervals],
            "n": [one.n for one in intervals],
        }
    )


def beside(place: int, count: int, room: float = 0.6) -> float:
    """How far beside its place one of `count` recipes is drawn, so that all lie side by side within `room`."""
    return min(0.18, room / max(count, 1)) * (place - (count - 1) / 2)


def within(table: pd.DataFrame) -> pd.DataFrame:
    """`table` (seeds, conditions) without what a seed has in common to all of its conditions.

    Intervals of the result's columns are those of paired comparisons (Cousineau 2005, with Morey's 2008 correction).
    """
    seeds, conditions = table.shape
    if seeds < 2 or conditions < 2:
        return table
    paired = table.sub(table.mean(axis=1), axis=0)
    spread = (paired - paired.mean()) * np.sqrt(conditions / (conditions - 1))
    return pd.DataFrame(spread + table.mean())


def fit(axes: "Axes", drawn: Sequence[Extent]) -> None:
    """Limits that show every seed, and of the intervals as much as leaves the seeds legible."""
    seeds, lows, highs = (np.concatenate([[], *(one[i] for one in drawn)]) for i in range(3))
    if not len(seeds):
        return
    low, high = float(seeds.min()), float(seeds.max())
    room = 0.6 * (high - low) or 0.01 * abs(high) or 1.0
    bottom, top = max(float(lows.min()), low - room), min(float(highs.max()), high + room)
    edge = 0.08 * (max(top, high) - min(bottom, low)) or room
    axes.set_ylim(min(bottom, low) - edge, max(top, high) + edge)


def apart(values: Sequence[float], least: float) -> list[float]:
    """`values` moved up as far as it takes to keep labels at them `least` apart."""
    places: dict[int, float] = {}
    below = -np.inf
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        below = places[index] = max(values[index], below + least)
    return [places[index] for index in range(len(values))]


def front(cost: "stats.Values", ppl: "stats.Values") -> list[int]:
    """Points that no other beats in both, by rising cost."""
    front: list[int] = []
    for index in np.lexsort((ppl, cost)):
        if not front or ppl[index] < ppl[front[-1]]:
            front.append(int(index))
    return front


def of_version(version: int, schedule: str, shown: Sequence[str]) -> str:
    """A panel's title, which names its schedule where others are shown beside it."""
    return f"version {version}" + (f", {names.schedule_name(schedule)}" if len(shown) > 1 else "")


def recipe_handles(paradigms: Iterable[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=names.colour(p), marker="o", label=names.recipe_name(p)) for p in paradigms
    ]  # fmt: skip


def legend_below(figure: "Figure", handles: Sequence[Line2D]) -> None:
    """In as many columns as the figure is wide enough for, four at most."""
    labels = [len(str(handle.get_label())) for handle in handles]
    room = figure.get_figwidth() * LETTERS
    fitting = (count for count in range(min(len(labels), 4), 1, -1) if _width(labels, count) <= room)
    figure.legend(handles=list(handles), loc="outside lower center", ncols=next(fitting, 1))


def _width(labels: Sequence[int], columns: int) -> int:
    """Of a legend, in letters."""
    return sum(MARK + int(max(each)) for each in np.array_split(labels, columns))

"""Scores after fine-tuning."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import names, stats
from analysis.contrasts import PTFS, downstream_recipes, downstream_scores, downstream_shared
from analysis.figures import chart
from analysis.figures.drawing import beside, legend_below, recipe_handles
from analysis.frames import View
from analysis.registries import Plot
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AVERAGE = "average"


def downstream(view: View) -> "Figure | None":
    """Scores, and beside them differences to PTFS: one evaluation's error says nothing about a difference."""
    shown = downstream_recipes(view)
    shared = downstream_shared(view, shown)
    if shared.empty:
        return None
    rows = downstream_scores(view)
    rows = rows[rows.set_index(list(shared.index.names)).index.isin(shared.index)]
    tasks = sorted(set(shared.index.get_level_values("task")))
    places = {task: len(tasks) - i for i, task in enumerate(tasks)} | {AVERAGE: 0}
    by_task = pd.DataFrame(shared.groupby(level=["seed", "task"]).mean())
    average = pd.DataFrame(by_task.groupby(level="seed").mean())
    average.index = pd.MultiIndex.from_product([average.index, [AVERAGE]], names=["seed", "task"])
    scores = pd.concat([by_task, average])
    others = [recipe for recipe in shown if recipe != PTFS] if PTFS in shown else []
    figure = chart.new(7.6 if others else 6.4, 1.7 + 0.46 * (len(tasks) + 1))
    panels = figure.subplots(1, 2 if others else 1, squeeze=False, sharey=True)[0]
    _scores(panels[0], scores, shown, places)
    _chance(panels[0], 100 * rows.groupby("task")["chance"].first().fillna(0), places)
    if others:
        _differences(panels[1], scores, others, places)
    for axes in panels:
        axes.axhline(0.5, color=style.GREY, linewidth=0.8)
    panels[0].set_yticks(list(places.values()), list(places))
    panels[0].set_ylim(-0.6, len(tasks) + 0.6)
    versions = sorted(set(rows["version"]))
    which = f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]}"
    panels[0].set_xlabel(f"score after fine-tuning, {which} (%)")
    legend_below(figure, [*recipe_handles(shown), Line2D([], [], color=style.GREY, label="chance")])
    return figure


def _scores(axes: "Axes", scores: pd.DataFrame, shown: Sequence[str], places: dict[str, int]) -> None:
    """Means over seeds, with no bars."""
    for i, recipe in enumerate(shown):
        table = scores[recipe].unstack("task")[list(places)]  # noqa: PD010
        y = np.array(list(places.values())) - beside(i, len(shown))
        axes.plot(table.mean(), y, "o", color=names.colour(recipe))
        _record(axes, table, table.mean().to_numpy(dtype=np.float64), recipe, places, y)
    axes.set_title(f"scores, n = {len(table)}")


def _differences(axes: "Axes", scores: pd.DataFrame, others: Sequence[str], places: dict[str, int]) -> None:
    """Less PTFS's, paired by seed, with the intervals of that."""
    axes.axvline(0, color=names.colour(PTFS), linewidth=1.2)
    extents = []
    for i, recipe in enumerate(others):
        table = (scores[recipe] - scores[PTFS]).unstack("task")[list(places)]  # noqa: PD010
        y = np.array(list(places.values())) - beside(i, len(others))
        intervals = [stats.mean_interval(table[task].to_numpy(dtype=np.float64)) for task in table]
        halves = np.array([one.half for one in intervals])
        axes.errorbar(
            table.mean(), y, xerr=halves if np.isfinite(halves).all() else None, fmt="o", color=names.colour(recipe),
            linewidth=1.2,
        )  # fmt: skip
        _record(axes, table, table.mean().to_numpy(dtype=np.float64), recipe, places, y, intervals)
        extents.append((table.mean().to_numpy(dtype=np.float64), np.nan_to_num(halves)))
    means, halves = (np.concatenate([one[i] for one in extents]) for i in (0, 1))
    usual = 3 * float(np.median(halves)) or 1.0  # of intervals much wider than most, the ends are in the data
    far = float((np.abs(means) + np.minimum(halves, usual)).max())
    axes.set_xlim(-1.1 * far, 1.1 * far)
    axes.set_title(f"above {names.recipe_name(PTFS)}, n = {len(table)}")
    axes.set_xlabel("difference of scores (points)")


def _record(
    axes: "Axes", table: pd.DataFrame, mean: stats.Values, recipe: str, places: dict[str, int], y: stats.Values,
    intervals: Sequence[stats.Interval] = (),
) -> None:  # fmt: skip
    at = list(places.values())
    rows = pd.DataFrame({"seed": chart.MEAN, "x": mean, "y": at, "shift": y - np.array(at), "n": len(table)})
    if intervals:
        rows = rows.assign(low=[one.low for one in intervals], high=[one.high for one in intervals])
    chart.of(axes).mark(axes, "points", rows, recipe=recipe)
    for seed, values in table.iterrows() if len(table) > 1 else ():
        one = pd.DataFrame(
            {"seed": str(seed), "x": values.to_numpy(dtype=np.float64), "y": at, "shift": y - np.array(at)}
        )
        chart.of(axes).mark(axes, "points", one, recipe=recipe)


def _chance(axes: "Axes", chance: "pd.Series[float]", places: dict[str, int]) -> None:
    whole = {**chance.to_dict(), AVERAGE: chance.mean()}
    rows = pd.DataFrame({"x": list(whole.values()), "y": [places[str(name)] for name in whole], "note": "chance"})
    chart.of(axes).mark(axes, "points", rows)
    for name, value in whole.items():
        place = places[str(name)]
        axes.plot([value] * 3, [place - 0.36, place, place + 0.36], color=style.GREY, linewidth=1.5, zorder=1)


DOWNSTREAM = Plot(
    "downstream", make=downstream,
    caption="Left: scores after fine-tuning, means over seeds, schedules and versions. Right, where PTFS is among "
    "them: how far they lie above PTFS's, paired by seed, with 95 % intervals over seeds: all recipes answer the same "
    "items, so that one evaluation's own error is no error of a difference. What other items would add is not in them.",
)  # fmt: skip

"""Scores after fine-tuning."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from analysis import names
from analysis.contrasts import downstream_recipes, downstream_scores, downstream_shared
from analysis.figures.drawing import legend_below, recipe_handles
from analysis.frames import View
from analysis.registries import Plot
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def downstream(view: View) -> "Figure | None":
    shown = downstream_recipes(view)
    shared = downstream_shared(view, shown)
    if shared.empty:
        return None
    rows = downstream_scores(view)
    rows = rows[rows.set_index(list(shared.index.names)).index.isin(shared.index)]
    versions = sorted(set(rows["version"]))
    grouped = rows.groupby(["task", "paradigm"])
    table = grouped.agg(value=("value", "mean"), stderr=("stderr", "mean"), chance=("chance", "first")).reset_index()
    tasks = sorted(table["task"].unique())
    figure = style.new(6.4, 1.5 + 0.42 * (len(tasks) + 1))
    axes = figure.subplots()
    places = {task: len(tasks) - i for i, task in enumerate(tasks)}
    for i, paradigm in enumerate(shown):
        mine = table[table["paradigm"] == paradigm]
        shift = 0.22 * ((len(shown) - 1) / 2 - i)
        y = np.array([places[task] for task in mine["task"]]) + shift
        axes.errorbar(
            100 * mine["value"], y, xerr=100 * mine["stderr"].fillna(0), fmt="o", color=names.colour(paradigm),
            label=names.recipe_name(paradigm), linewidth=1.2,
        )  # fmt: skip
        axes.plot(100 * mine["value"].mean(), shift, "D", color=names.colour(paradigm), markersize=6)
    chance = table.drop_duplicates("task")
    for task, value in zip(chance["task"], chance["chance"].fillna(0), strict=True):
        axes.plot([100 * value] * 2, [places[task] - 0.36, places[task] + 0.36], color=style.GREY, linewidth=1.5)
    axes.plot([100 * chance["chance"].fillna(0).mean()] * 2, [-0.36, 0.36], color=style.GREY, linewidth=1.5)
    axes.axhline(0.5, color=style.GREY, linewidth=0.8)
    axes.set_yticks([0, *(places[task] for task in tasks)], ["average", *tasks])
    axes.set_ylim(-0.6, len(tasks) + 0.6)
    which = f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]}"
    axes.set_xlabel(f"score after fine-tuning, {which} (%)")
    handles = [*recipe_handles(shown), Line2D([], [], color=style.GREY, label="chance")]
    legend_below(figure, handles)
    return figure


DOWNSTREAM = Plot(
    "downstream", make=downstream,
    caption="Scores after fine-tuning, averaged over seeds and schedules. Bars are one standard error of a single "
    "evaluation (all share the same items, so averaging does not shrink it); diamonds are averages over tasks.",
)  # fmt: skip

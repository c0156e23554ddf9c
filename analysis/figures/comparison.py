"""Recipes side by side: PPL by version, and by what a study varies."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import PTFS, decayed, losses, ppl, swept_values, versions_after_first
from analysis.figures.drawing import Extent, fit, legend_below, recipe_handles, series
from analysis.frames import View
from analysis.registries import Factor, Plot, pooled
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ppl_by_version(view: View) -> "Figure | None":
    scores = decayed(view.scores(*pooled()))
    schedules = list(dict.fromkeys(scores["schedule"]))
    if scores.empty:
        return None
    gaps = versions_after_first(view)
    present = names.recipes(scores["paradigm"])
    others = [recipe for recipe in present if recipe != PTFS]
    figure = style.new(max(6.4, 2.7 * len(schedules)), 3.3 if len(schedules) == 1 else 5.6)
    shape = (1, 2) if len(schedules) == 1 else (2, len(schedules))
    axes = figure.subplots(*shape, squeeze=False, sharex=True, sharey="row" if len(schedules) > 1 else False)
    tops, bottoms = (axes[0, :1], axes[0, 1:]) if len(schedules) == 1 else (axes[0], axes[1])
    values: list[Extent] = []
    differences: list[Extent] = []
    for top, bottom, schedule in zip(tops, bottoms, schedules, strict=True):
        rows = scores[scores["schedule"] == schedule]
        for i, paradigm in enumerate(present):
            mine = rows[rows["paradigm"] == paradigm]
            if len(mine):
                shift = 0.08 * (i - (len(present) - 1) / 2)
                table = mine.pivot_table(index="seed", columns="version", values="ppl")
                values.append(series(top, np.array(table.columns, float) + shift, table, paradigm, schedule))
        for i, paradigm in enumerate(others):
            shift = 0.08 * (i - (len(others) - 1) / 2)
            loss = losses(rows, (PTFS, paradigm), gaps)
            if loss:
                percent = 100 * (ppl(loss[paradigm] - loss[PTFS]) - 1)
                differences.append(series(bottom, np.array(gaps, float) + shift, percent, paradigm, schedule))
        bottom.axhline(0, color=names.colour(PTFS), linewidth=1.2)
        top.set_title(f"{names.schedule_name(schedule)}, n = {rows['seed'].nunique()}")
        for axes_ in (top, bottom):
            axes_.set_xticks(range(1, view.last + 1))
        bottom.set_xlabel("version")
        if len(schedules) == 1:
            top.set_xlabel("version")
    fit(tops[0], values)
    fit(bottoms[0], differences)
    tops[0].set_ylabel("PPL")
    bottoms[0].set_ylabel("PPL above PTFS (%)")
    legend_below(figure, recipe_handles(present))
    return figure


def generality(study: str, factor: Factor) -> Plot:
    """Every recipe's distance to PTFS at every value of what a study varies."""
    label = factor.label

    def draw(view: View) -> "Figure | None":
        scores = decayed(view.scores(study))
        scores = scores[scores["schedule"] == scores["schedule"].iloc[0]] if len(scores) else scores
        others = [recipe for recipe in names.recipes(scores["paradigm"]) if recipe != PTFS]
        groups = {value: _above_ptfs(rows, others, view) for value, rows in swept_values(scores, study, factor)}
        groups = {value: above for value, above in groups.items() if above}
        if len(groups) < 2:
            return None
        figure = style.new(6.4, 3.4)
        axes = figure.subplots()
        places = np.arange(len(groups), dtype=float)
        drawn = []
        schedule = str(scores["schedule"].iloc[0])
        for i, paradigm in enumerate(others):
            behind = {value: above[paradigm] for value, above in groups.items() if paradigm in above}
            at = np.array([place for place, above in zip(places, groups.values(), strict=True) if paradigm in above])
            percent = 100 * (ppl(pd.DataFrame(behind)) - 1)
            shift = 0.1 * (i - (len(others) - 1) / 2)
            drawn.append(series(axes, at + shift, percent, paradigm, schedule))
        fit(axes, drawn)
        axes.axhline(0, color=names.colour(PTFS), linewidth=1.2)
        axes.set_xticks(places, [value.replace(" (", "\n(") for value in groups])
        axes.set_xlim(-0.4, len(groups) - 0.6)
        axes.set_xlabel(label)
        axes.set_ylabel(f"PPL above PTFS (%), v2 to v{view.last}")
        legend_below(figure, recipe_handles([PTFS, *others]))
        return figure

    return Plot(study, make=draw, caption=f"PPL above PTFS's by {label}, mean over versions 2 to N, by seed.")


def _above_ptfs(rows: pd.DataFrame, others: list[str], view: View) -> dict[str, "pd.Series[float]"]:
    """Each recipe's losses less PTFS's, mean over versions 2 to N, of the seeds that have both."""
    pairs = {recipe: losses(rows, (PTFS, recipe), versions_after_first(view)) for recipe in others}
    return {recipe: (loss[recipe] - loss[PTFS]).mean(axis=1) for recipe, loss in pairs.items() if loss}


PPL_BY_VERSION = Plot(
    "ppl_by_version", make=ppl_by_version, per_setting=True,
    caption="PPL by version, and how far it lies above PTFS's (paired by seed; versions from 2 on, since version 1 is "
    "the same run for PTFS and CPT).",
)  # fmt: skip

"""Updating the fine-tuned model in three ways."""

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.figures import chart
from analysis.figures.drawing import fit, legend_below, series
from analysis.frames import View
from analysis.registries import Plot
from analysis.tables.future import STUDY, scores
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def future(view: View) -> "Figure | None":
    found = scores(view)
    if found.empty:
        return None
    schedules = list(dict.fromkeys(map(str, found.index.get_level_values("schedule"))))
    recipes = names.recipes(found.index.get_level_values("paradigm"))
    ways = list(found.columns)
    colours = dict(zip(ways, map(style.hexadecimal, style.gradient(len(ways))), strict=True))
    figure = chart.new(max(5.2, 2.2 * len(recipes)), 0.6 + 2.8 * len(schedules))
    panels = figure.subplots(len(schedules), len(recipes), squeeze=False, sharey=True)
    drawn = []
    keys = set(zip(*(found.index.get_level_values(level) for level in ("schedule", "paradigm")), strict=True))
    for axes, (schedule, recipe) in zip(panels.ravel(), product(schedules, recipes), strict=True):
        if (schedule, recipe) not in keys:
            axes.remove()
            continue
        mine = found.xs((schedule, recipe), level=("schedule", "paradigm"))
        for place, way in enumerate(ways):
            table = pd.DataFrame(mine[way]).reset_index().pivot(index="seed", columns="version", values=way)  # noqa: PD010
            table = table.dropna()
            x, shift = np.array(table.columns, dtype=float), 0.08 * (place - (len(ways) - 1) / 2)
            drawn.append(
                series(axes, x, table, recipe, schedule, colour=colours[way], shift=shift, notes=[way] * len(x))
            )
        others = len(schedules) > 1
        axes.set_title(names.recipe_name(recipe) + (f", {names.schedule_name(schedule)}" if others else ""))
        versions = sorted(set(mine.index.get_level_values("version")))
        axes.set_xticks(versions)
        axes.set_xlim(versions[0] - 0.4, versions[-1] + 0.4)
        axes.set_xlabel("version")
    fit(panels[0, 0], drawn)
    for axes in panels[:, 0]:
        axes.set_ylabel("average score (points)")
    legend_below(figure, [names.handle(schedules[0], colours[way], way) for way in ways])
    return figure


FUTURE = Plot(
    STUDY, make=future,
    caption="Average score over tasks when a new version's fine-tuned model is made anew, goes on from what "
    "fine-tuning changed in the version before, or takes that over as it is. Bars are 95 % intervals of levels over "
    "seeds, of which each has its own text; ways are compared in pairs, in the table future_paired.",
)  # fmt: skip

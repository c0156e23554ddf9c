"""Updating the fine-tuned model in three ways."""

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
    schedule = str(found.index.get_level_values("schedule")[0])
    found = pd.DataFrame(found.xs(schedule, level="schedule"))
    recipes = names.recipes(found.index.get_level_values("paradigm"))
    ways = list(found.columns)
    colours = dict(zip(ways, map(style.hexadecimal, style.gradient(len(ways))), strict=True))
    figure = chart.new(max(5.2, 2.2 * len(recipes)), 3.4)
    panels = figure.subplots(1, len(recipes), squeeze=False, sharey=True)[0]
    drawn = []
    for axes, recipe in zip(panels, recipes, strict=True):
        mine = found.xs(recipe, level="paradigm")
        for place, way in enumerate(ways):
            table = pd.DataFrame(mine[way]).reset_index().pivot(index="seed", columns="version", values=way)  # noqa: PD010
            table = table.dropna()
            x, shift = np.array(table.columns, dtype=float), 0.08 * (place - (len(ways) - 1) / 2)
            drawn.append(
                series(axes, x, table, recipe, schedule, colour=colours[way], shift=shift, notes=[way] * len(x))
            )
        axes.set_title(names.recipe_name(recipe))
        versions = sorted(set(mine.index.get_level_values("version")))
        axes.set_xticks(versions)
        axes.set_xlim(versions[0] - 0.4, versions[-1] + 0.4)
        axes.set_xlabel("version")
    fit(panels[0], drawn)
    panels[0].set_ylabel("average score (points)")
    legend_below(figure, [names.handle(schedule, colours[way], way) for way in ways])
    return figure


FUTURE = Plot(
    STUDY, make=future,
    caption="Average score over tasks when a new version's fine-tuned model is made anew, goes on from what "
    "fine-tuning changed in the version before, or takes that over as it is.",
)  # fmt: skip

"""The branch: its shape, its floor and its length."""

from typing import TYPE_CHECKING

import numpy as np

from analysis import names
from analysis.contrasts import SWITCH, largest_block, ppl
from analysis.figures import chart
from analysis.figures.drawing import WITHIN, fit, legend_below, series, within
from analysis.frames import View
from analysis.registries import Plot
from analysis.tables.branch import STUDY, floor_name, means
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def branch(view: View) -> "Figure | None":
    wide = largest_block(means(view))
    if wide.empty:
        return None
    wide = within(ppl(wide))
    floors = sorted(set(wide.columns.get_level_values("floor")), reverse=True)
    shapes = names.schedules(wide.columns.get_level_values("schedule"))
    colours = dict(zip(shapes, map(style.hexadecimal, style.gradient(len(shapes))), strict=True))
    figure = chart.new(6.4, 3.6)
    panels = figure.subplots(1, len(floors), squeeze=False, sharey=True)[0]
    drawn = []
    for axes, floor in zip(panels, floors, strict=True):
        for shape in shapes:
            mine = wide.loc[:, (wide.columns.get_level_values("schedule") == shape)
                            & (wide.columns.get_level_values("floor") == floor)]  # fmt: skip
            if mine.empty:
                continue
            table = mine.droplevel(["schedule", "floor"], axis=1)
            table = table[sorted(table.columns)]
            x = np.array(table.columns, dtype=float)
            drawn.append(series(axes, x, table, SWITCH, shape, colour=colours[shape]))
        axes.set_title(f"down to {floor_name(float(floor))}{' of the maximum' if floor else ''}")
        axes.set_xlabel(f"{style.ALPHA}, the branch's length in T")
    fit(panels[0], drawn)
    panels[0].set_ylabel(f"PPL, mean of {names.later(view.last)}")
    legend_below(figure, [names.handle(shape, colours[shape]) for shape in shapes])
    return figure


BRANCH = Plot(
    STUDY, make=branch,
    caption=f"PPL {EVERY} by the length of path switching's branch, a curve for each shape of its decay, a panel a "
    f"floor. {WITHIN}",
)  # fmt: skip

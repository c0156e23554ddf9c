"""What a longer branch buys."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import CPT, PTFS, SWITCH, alpha_block, losses, ppl, versions_after_first
from analysis.figures import chart
from analysis.figures.drawing import WITHIN, fit, legend_below, recipe_handles, series, within
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def alpha(view: View) -> "Figure | None":
    rows = view.scores("alpha")
    rows = rows[rows["paradigm"] == SWITCH]
    schedules = [s for s in dict.fromkeys(rows["schedule"]) if not alpha_block(view, s).empty]
    if not schedules:
        return None
    figure = chart.new(6.4, 3.8)
    axes = figure.subplots()
    pool = view.scores(*pooled()).merge(rows[["seed", "numerics"]].drop_duplicates())
    drawn, shown = [], {SWITCH}
    for schedule in schedules:
        others = {}
        for paradigm in (PTFS, CPT):
            other = pool[(pool["schedule"] == schedule) & (pool["paradigm"] == paradigm)]
            if loss := losses(other, (paradigm,), versions_after_first(view)):
                x = 100 * float(other["relative_cost"].iloc[0])
                others[paradigm] = x, loss[paradigm].mean(axis=1)
        columns = {paradigm: values for paradigm, (_, values) in others.items()}
        block = alpha_block(view, schedule)
        together = block.assign(**columns).dropna()
        if together.empty:  # nothing of the same seeds stands beside them
            together, others, columns = block, {}, {}
        shown |= others.keys()
        levels = ppl(together)
        mean = within(levels.drop(columns=list(columns)))
        # What a seed adds is read off the branches alone: PTFS's own noise is none of theirs.
        added = levels.drop(columns=list(columns)).mean(axis=1)
        beside = {paradigm: levels[paradigm] - (added - added.mean()) for paradigm in others}
        final = rows[(rows["schedule"] == schedule) & (rows["version"] == view.last)]
        cost = 100 * final.groupby("alpha")["relative_cost"].first().reindex(mean.columns)
        notes = [f"{style.ALPHA} {value:g}" for value in mean.columns]
        drawn.append(series(axes, cost.to_numpy(dtype=np.float64), mean, SWITCH, schedule, notes=notes))
        for value, x, y in zip(mean.columns, cost, mean.mean(), strict=True):
            axes.annotate(f"{style.ALPHA} {value:g}", (x, y), xytext=(5, 7), textcoords="offset points", fontsize=9)
        for paradigm, (x, _) in others.items():
            drawn.append(series(axes, np.array([x]), pd.DataFrame({paradigm: beside[paradigm]}), paradigm, schedule))
    fit(axes, drawn)
    axes.set_xlabel(f"cost over {view.last} versions (% of PTFS's steps)")
    axes.set_ylabel(f"PPL, mean of {names.later(view.last)}")
    axes.margins(x=0.1)
    legend_below(figure, recipe_handles(names.recipes(shown)))
    return figure


ALPHA = Plot("alpha", make=alpha, caption=f"What a longer branch buys: PPL {EVERY} against cost. {WITHIN}")

"""Every recipe: PPL against cost, regret by slice, and what the next update makes of its releases."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import ppl as perplexity
from analysis.figures import chart
from analysis.figures.drawing import apart, fit, front, series
from analysis.frames import View
from analysis.frontiers import FRONTIER, PLASTICITY, points, regret, schedules, updates
from analysis.registries import Plot
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def frontier(view: View) -> "Figure | None":
    shown = [(schedule, *points(view, schedule)) for schedule in schedules(view, FRONTIER)]
    shown = [one for one in shown if len(one[1]) > 1]
    if not shown:
        return None
    # Narrow and with large letters, so that a phone's width leaves them legible.
    figure = chart.new(5.2, 4.9 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, (schedule, table, seeds) in zip(panels, shown, strict=True):
        cost, ppl = 100 * table["cost"].to_numpy(dtype=np.float64), table["ppl"].to_numpy(dtype=np.float64)
        best = front(cost, ppl)
        axes.step(cost[best], ppl[best], where="post", color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
        span = max(float(np.ptp(ppl)), 1e-9)
        places = apart(list(ppl), 0.055 * span)
        left, right = float(cost.min()), float(cost.max())
        for i, (recipe, at) in enumerate(zip(table["paradigm"], places, strict=True)):
            colour = names.colour(recipe)
            edge = "black" if i in best else "white"
            # Larger behind those that are drawn over it.
            over = np.hypot((cost[i + 1 :] - cost[i]) / 100, (ppl[i + 1 :] - ppl[i]) / span) < 0.02
            size = 8 + 3 * int(over.sum())
            axes.plot(
                cost[i], ppl[i], marker="o", color=colour, markersize=size, markeredgecolor=edge, linestyle="none"
            )
            rows = pd.DataFrame([{"x": cost[i], "y": ppl[i], "seed": chart.MEAN, "n": seeds}])
            figure.mark(axes, "points", rows, recipe=str(recipe), schedule=schedule)
            end = right + 0.06 * (right - left or 1)
            axes.plot([cost[i], end], [ppl[i], at], color=style.tint(colour, 0.4), linewidth=0.7, zorder=0.5)
            axes.text(end, at, f" {names.recipe_name(recipe)}", color=colour, va="center", fontsize=10.5)
        axes.set_xlim(left - 0.06 * (right - left or 1), right + 0.75 * (right - left or 1))
        axes.set_ylim(float(ppl.min()) - 0.06 * span, max(max(places), float(ppl.max())) + 0.06 * span)
        axes.set_xticks([tick for tick in axes.get_xticks() if left - 5 <= tick <= right + 5])
        axes.set_xlabel(f"cost of {view.last} versions (% of PTFS's steps)", fontsize=10.5)
        axes.set_ylabel(f"PPL of version {view.last}", fontsize=10.5)
        axes.set_title(f"{names.schedule_name(schedule)}, n = {seeds}")
    return figure


def regrets(view: View) -> "Figure | None":
    found = [(schedule, regret(view, schedule)) for schedule in schedules(view, FRONTIER)]
    shown = [(schedule, one) for schedule, one in found if one is not None]
    if not shown:
        return None
    rows = sum(len(one.by_slice) for _, one in shown)
    figure = chart.new(5.2, 1.2 * len(shown) + 0.36 * rows)
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[len(one.by_slice) for _, one in shown])[:, 0]
    for axes, (schedule, one) in zip(panels, shown, strict=True):
        above = one.by_slice.apply(lambda nats: 100 * np.expm1(nats))
        above = above.assign(worst=above.max(axis=1), mean=100 * np.expm1(one.by_slice.mean(axis=1)))
        above = above.sort_values("worst")
        top = float(above.to_numpy().max()) or 1.0
        axes.imshow(above, cmap="cividis_r", vmin=0, vmax=top, aspect="auto")
        for (i, j), value in np.ndenumerate(above.to_numpy()):
            colour = "white" if value > 0.5 * top else "black"
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=9.5)
        cells = [{"x": j, "y": i, "value": value} for (i, j), value in np.ndenumerate(above.to_numpy())]
        figure.mark(axes, "cells", pd.DataFrame(cells), schedule=schedule)
        axes.set_xticks(range(above.shape[1]), [str(name) for name in above.columns])
        axes.set_yticks(range(len(above)), [names.recipe_name(str(recipe)) for recipe in above.index])
        axes.axvline(above.shape[1] - 2.5, color="white", linewidth=3)
        axes.grid(False)
        axes.set_xlabel("held-out slice of version")
        axes.set_title(f"{names.schedule_name(schedule)}, n = {one.seeds}")
    return figure


def plasticity(view: View) -> "Figure | None":
    tables = {schedule: updates(view, schedule) for schedule in schedules(view, PLASTICITY)}
    tables = {schedule: table for schedule, table in tables.items() if table.size}
    if not tables:
        return None
    figure = chart.new(5.2, sum(0.9 + 0.32 * len(table.columns) for table in tables.values()))
    panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
    for axes, (schedule, table) in zip(panels, tables.items(), strict=True):
        ppl = perplexity(table)
        order = list(ppl.mean().sort_values(ascending=False).index)
        for place, recipe in enumerate(order):
            values = ppl[recipe].to_numpy(dtype=np.float64)
            axes.plot(values, [place] * len(values), ".", color=style.tint(names.colour(recipe), 0.45), markersize=5)
            for seed, value in [(chart.MEAN, values.mean()), *zip(ppl.index, values, strict=True)]:
                rows = pd.DataFrame([{"x": value, "y": place, "seed": str(seed)}])
                figure.mark(axes, "points", rows, recipe=recipe, schedule=schedule)
            axes.plot(values.mean(), place, "o", color=names.colour(recipe), markersize=8)
        axes.set_yticks(range(len(order)), [names.recipe_name(recipe) for recipe in order])
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.set_xlabel(f"PPL after the next update, {names.span(view.last)}")
        axes.set_title(f"{names.schedule_name(schedule)}, n = {len(table)}")
    return figure


def ppl_by_version(view: View) -> "Figure | None":
    """PPL above the best recipe's, version by version: levels fall so much that curves would lie on each other."""
    scores = view.scores(FRONTIER)
    scores = scores[scores["paradigm"].map(names.decays).astype(bool) & np.isfinite(scores["loss"])]
    if scores.empty:
        return None
    schedule = str(scores["schedule"].iloc[0])
    rows = scores[scores["schedule"] == schedule]
    wide = rows.pivot(index="seed", columns=["paradigm", "version"], values="loss").dropna()  # noqa: PD010
    recipes = names.recipes(wide.columns.get_level_values("paradigm"))
    if wide.empty or len(recipes) < 2:
        return None
    lowest = wide.mean().groupby(level="version").min()
    figure = chart.new(5.2, 4.6)
    axes = figure.subplots()
    drawn, ends = [], {}
    for recipe in recipes:
        above = 100 * np.expm1(wide[recipe].sub(lowest, axis=1).dropna(axis=1))
        drawn.append(series(axes, np.array(above.columns, float), above, recipe, schedule))
        ends[recipe] = float(above.iloc[:, -1].mean())
    fit(axes, drawn)
    low, high = axes.get_ylim()
    places = apart(list(ends.values()), 0.055 * (high - low))
    for (recipe, end), place in zip(ends.items(), places, strict=True):
        colour = names.colour(recipe)
        axes.plot([view.last, view.last + 0.2], [end, place], color=style.tint(colour, 0.4), linewidth=0.7, zorder=0.5)
        axes.text(view.last + 0.23, place, names.recipe_name(recipe), color=colour, va="center", fontsize=10.5)
    axes.set_ylim(low, max(high, *places))
    axes.set_xlim(0.85, view.last + 0.5 * view.last)
    axes.set_xticks(range(1, view.last + 1))
    axes.set_xlabel("version", fontsize=10.5)
    axes.set_ylabel("PPL above the best recipe's (%)", fontsize=10.5)
    axes.set_title(f"{names.schedule_name(schedule)}, n = {len(wide)}")
    return figure


FRONTIER_PLOT = Plot(
    FRONTIER, make=frontier,
    caption=f"PPL of the last version {EVERY}, against the cost of all, means over seeds that all have. Dashed, with "
    "black edges: beaten by none on both. Undecayed recipes are left out: a decay alone sets them apart. "
    "Schedule-free has an optimizer of its own.",
)  # fmt: skip
BY_VERSION = Plot(
    "frontier_by_version", make=ppl_by_version,
    caption=f"PPL of every version {EVERY}, above that of the recipe that is best at that version.",
)  # fmt: skip
REGRET = Plot(
    "regret", make=regrets,
    caption="Regret of the last version: PPL above that of the best recipe on each held-out slice, in per cent; the "
    "worst slice and the mean. Undecayed recipes are left out.",
)  # fmt: skip
UPDATES = Plot(
    PLASTICITY, make=plasticity,
    caption=f"What stays possible: PPL {EVERY} after one and the same next update of every recipe's releases (a full "
    "cycle on the next version's data). Lower: easier to update. Small dots are seeds. From derived "
    "weights (means of checkpoints) the optimizer starts afresh.",
)  # fmt: skip

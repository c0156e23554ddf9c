"""What training costs, and what it buys."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import lengths, names
from analysis.contrasts import PTFS, decayed, largest_block, tree_costs
from analysis.figures.drawing import apart, front, legend_below, recipe_handles
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cost_growth(view: View) -> "Figure | None":
    costs = tree_costs(view)
    if not costs:
        return None
    figure = style.new(6.8, 4.0)
    axes = figure.subplots()
    versions = range(1, view.last + 1)
    top = max(float(cost.steps[-1]) for cost in costs)
    places = apart([float(cost.steps[-1]) for cost in costs], 0.045 * top)
    for cost, place in zip(costs, places, strict=True):
        colour, schedule = names.colour(cost.paradigm), cost.schedules[0]
        line, marker = names.line(schedule), names.marker(schedule)
        axes.plot(versions, cost.steps, color=colour, marker=marker, linestyle=line)
        shared = sum(other.paradigm == cost.paradigm for other in costs) > 1
        name = f"{names.recipe_name(cost.paradigm)}{f', {cost.label}' if shared else ''}"
        label = f"{name}: {cost.steps[-1]:.3g} T, {100 * cost.share:.3g} %"
        axes.text(view.last + 0.02 * view.last, place, label, va="center", color=colour, fontsize=9)
    axes.set_xticks(versions)
    axes.set_xlim(0.85, view.last + 0.85 * (view.last - 1) + 0.1)
    axes.set_ylim(0, 1.06 * top)
    axes.set_xlabel("versions released")
    axes.set_ylabel(f"steps trained in all ({lengths.axis(view.runs(*pooled()))})")
    return figure


def pareto(view: View) -> "Figure | None":
    points, seeds = _points(view)
    if len(points) < 2:
        return None
    figure = style.new(6.4, 4.0)
    axes = figure.subplots()
    best = front(points["cost"].to_numpy(dtype=np.float64), points["ppl"].to_numpy(dtype=np.float64))
    line = points.iloc[best]
    axes.step(100 * line["cost"], line["ppl"], where="post", color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
    schedules = names.schedules(points["schedule"])
    sizes = dict(zip(schedules, (10, 7.5), strict=False))  # the first ones are larger, to be seen behind the later ones
    for i, point in enumerate(points.to_dict("records")):
        colour = names.colour(point["paradigm"])
        axes.plot(
            100 * point["cost"],
            point["ppl"],
            marker=names.marker(point["schedule"]),
            color=colour,
            markersize=sizes.get(point["schedule"], 6),
            markeredgecolor="black" if i in best else names.edge(point["schedule"], colour),
            linestyle="none",
        )
    studied = set(view.runs("alpha")["schedule"])
    for point in points[points["alpha"].notna() & points["schedule"].isin(studied)].to_dict("records"):
        axes.annotate(
            f"{style.ALPHA} {point['alpha']:g}", (100 * point["cost"], point["ppl"]), xytext=(0, 8),
            textcoords="offset points", ha="center", fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    axes.set_xlabel(f"cost over {view.last} versions (% of PTFS's steps)")
    axes.set_ylabel(f"PPL of version {view.last}, mean over {seeds} seeds")
    axes.margins(x=0.08, y=0.15)
    shapes = [
        Line2D([], [], marker=names.marker(s), color=style.GREY, linestyle="none", label=names.schedule_name(s))
        for s in schedules
    ]
    dashed = Line2D([], [], color=style.GREY, linestyle="--", linewidth=1.0, label="not beaten on both")
    legend_below(figure, [*recipe_handles(names.recipes(points["paradigm"])), *shapes, dashed])
    return figure


def _points(view: View) -> tuple[pd.DataFrame, int]:
    """PPL of the last version and cost by recipe, schedule and alpha, over the seeds that all have; and how many.

    Where no seed has all, the points that most seeds share. Undecayed versions are no part of the comparison.
    """
    rows = decayed(view.scores(*pooled(), "alpha"))
    rows = rows[rows["schedule"].map(names.schedule_decays).astype(bool)]
    rows = rows[(rows["version"] == view.last) & rows["ppl"].notna()]
    cells = ["paradigm", "schedule", "alpha"]
    place = rows.groupby(cells, dropna=False).ngroup()
    wide = rows.assign(place=place).pivot_table(index="seed", columns="place", values="ppl")
    block = wide.dropna() if len(wide.dropna()) else largest_block(wide)
    rows = rows[rows["seed"].isin(block.index) & place.isin(block.columns)]
    points = rows.groupby(cells, dropna=False, as_index=False).agg(ppl=("ppl", "mean"), cost=("relative_cost", "first"))
    points["cost"] = points["cost"].where(points["paradigm"] != PTFS, 1.0)
    return points, len(block)


COST_GROWTH = Plot(
    "cost_growth", make=cost_growth,
    caption="Steps needed to release the first k versions, counted on each paradigm's own tree (per cent: of PTFS's). "
    "A branch that begins at the maximum (Knee, multi-step) repeats steps of the main path, which are trained once.",
)  # fmt: skip
PARETO = Plot(
    "pareto", make=pareto,
    caption="PPL of the last version against the cost of all versions, means over seeds that all points have.",
)  # fmt: skip

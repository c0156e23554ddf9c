"""What training costs, and what it buys."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import lengths, names, stats
from analysis.contrasts import PTFS, comparable, tree_costs
from analysis.figures import chart
from analysis.figures.drawing import apart, front, legend_below, recipe_handles
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def cost_growth(view: View) -> "Figure | None":
    costs = [cost for cost in tree_costs(view) if not names.control(cost.paradigm)]
    if not costs:
        return None
    figure = chart.new(6.8, 4.0)
    axes = figure.subplots()
    versions = range(1, view.last + 1)
    top = max(float(cost.steps[-1]) for cost in costs)
    places = apart([float(cost.steps[-1]) for cost in costs], 0.045 * top)
    for cost, place in zip(costs, places, strict=True):
        colour, schedule = names.colour(cost.paradigm), cost.schedules[0]
        line, marker = names.line(schedule), names.marker(schedule)
        axes.plot(versions, cost.steps, color=colour, marker=marker, linestyle=line)
        rows = pd.DataFrame({"x": versions, "y": cost.steps, "note": cost.label})
        figure.mark(axes, "curve", rows, recipe=cost.paradigm, schedule=schedule)
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
    """Every point against one of them, paired by seed: seeds move all levels together."""
    points, reference = _points(view, view.last)
    if len(points) < 2:
        return None
    figure = chart.new(6.4, 4.2)
    figure.focus = view.last
    axes = figure.subplots()
    best = front(points["cost"].to_numpy(dtype=np.float64), points["y"].to_numpy(dtype=np.float64))
    line = points.iloc[best]
    axes.step(100 * line["cost"], line["y"], where="post", color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
    schedules = names.schedules(points["schedule"])
    sizes = dict(zip(schedules, (10, 7.5), strict=False))  # the first ones are larger, to be seen behind the later ones
    for i, point in enumerate(points.to_dict("records")):
        colour = names.colour(point["paradigm"])
        edge = "black" if i in best else names.edge(point["schedule"], colour)
        x = 100 * point["cost"]
        if np.isfinite(point["low"]):
            axes.plot([x, x], [point["low"], point["high"]], color=style.tint(colour, 0.6), linewidth=1.1, zorder=1.5)
        axes.plot(
            x, point["y"], marker=names.marker(point["schedule"]), color=colour, linestyle="none",
            markersize=sizes.get(point["schedule"], 6), markeredgecolor=edge,
        )  # fmt: skip
    _name_alphas(axes, points, set(view.runs("alpha")["schedule"]))
    _record(figure, axes, view)
    axes.set_xlabel("cost of all versions so far (% of PTFS's steps)")
    axes.set_ylabel(f"PPL above {reference} (%)")
    axes.set_title(f"version {view.last}", loc="left")
    axes.set_title(_counts(points), loc="right", fontsize=9)
    axes.margins(x=0.08, y=0.1)
    shapes = [
        Line2D([], [], marker=names.marker(s), color=style.GREY, linestyle="none", label=names.schedule_name(s))
        for s in schedules
    ]
    dashed = Line2D([], [], color=style.GREY, linestyle="--", linewidth=1.0, label="not beaten on both")
    legend_below(figure, [*recipe_handles(names.recipes(points["paradigm"])), *shapes, dashed])
    return figure


def _name_alphas(axes: "Axes", points: pd.DataFrame, studied: set[str]) -> None:
    for point in points[points["alpha"].notna() & points["schedule"].isin(studied)].to_dict("records"):
        axes.annotate(
            f"{style.ALPHA} {point['alpha']:g}", (100 * point["cost"], point["y"]), xytext=(7, 3),
            textcoords="offset points", fontsize=8.5,
        )  # fmt: skip


def _counts(points: pd.DataFrame) -> str:
    """How many seeds points have, and which have another number than most."""
    usual = int(points["n"].mode().max())
    said = []
    for n, rows in points[points["n"] != usual].groupby("n"):
        alphas = sorted(set(rows["alpha"]))
        named = rows["alpha"].notna().all() and not points[points["n"] == usual]["alpha"].isin(alphas).any()
        where = f"{style.ALPHA} {', '.join(f'{alpha:g}' for alpha in alphas)}" if named else "some"
        said.append(f"{n} at {where}")
    return f"n = {usual}" + (f" ({'; '.join(said)})" if said else "")


def _record(figure: chart.Chart, axes: "Axes", view: View) -> None:
    """The points of every version: the last one's are drawn."""
    for version in range(1, view.last + 1):
        points, _ = _points(view, version)
        for point in points.to_dict("records") if len(points) > 1 else ():
            alpha = "" if np.isnan(point["alpha"]) else f"{style.ALPHA} {point['alpha']:g}"
            rows = pd.DataFrame([{"x": 100 * point["cost"], "version": version, "note": alpha, "seed": chart.MEAN}])
            rows = rows.assign(**{name: point[name] for name in ("y", "low", "high", "n")})
            figure.mark(
                axes, "points", rows, recipe=point["paradigm"], schedule=point["schedule"], hidden=version != view.last
            )


def _points(view: View, version: int) -> tuple[pd.DataFrame, str]:
    """A row for each recipe, schedule and alpha: `cost` of versions 1 to `version`, and how far its PPL lies above the
    reference's in per cent (`y`, `low`, `high`, `n`), over the seeds that both have; and what the reference is.

    The reference is PTFS under the first schedule, or else what costs most. Undecayed versions are no part of it.
    """
    rows = comparable(view.scores(*pooled(), "alpha"))
    rows = rows[rows["schedule"].map(names.schedule_decays).astype(bool)]
    rows = rows[(rows["version"] == version) & np.isfinite(rows["loss"])]
    if rows.empty:
        return rows, ""
    costs = view.ledger.versions.loc[lambda frame: frame["version"] == version].set_index("run")["relative_cost"]
    rows = rows.assign(cost=rows["run"].map(costs))
    groups = [group for _, group in rows.groupby(["paradigm", "schedule", "alpha"], dropna=False)]
    whole = [group for group in groups if group["paradigm"].iloc[0] == PTFS]
    order = names.schedules(rows["schedule"])
    whole = sorted(whole, key=lambda group: order.index(str(group["schedule"].iloc[0])))
    base = whole[0] if whole else max(groups, key=lambda group: float(group["cost"].iloc[0]))
    level = base.set_index("seed")["loss"]
    found = []
    for group in groups:
        above = (group.set_index("seed")["loss"] - level).dropna().to_numpy(dtype=np.float64)
        if len(above):
            one = stats.mean_interval(above)
            exact = group is base
            ends = {"low": np.nan, "high": np.nan} if exact else {"low": one.low, "high": one.high}
            numbers = {name: 100 * np.expm1(value) for name, value in {"y": one.estimate, **ends}.items()}
            first = group[["paradigm", "schedule", "alpha", "cost"]].iloc[0].to_dict()
            found.append(first | numbers | {"n": one.n})
    name = f"{names.recipe_name(base['paradigm'].iloc[0])}'s, {names.schedule_name(base['schedule'].iloc[0])}"
    return pd.DataFrame(found), name


COST_GROWTH = Plot(
    "cost_growth", make=cost_growth,
    caption="Steps needed to release the first k versions, counted on each paradigm's own tree (per cent: of PTFS's). "
    "A branch that begins at the maximum (Knee, multi-step) repeats steps of the main path, which are trained once.",
)  # fmt: skip
PARETO = Plot(
    "pareto", make=pareto,
    caption=f"PPL of the last version {EVERY}, against that of PTFS under the first schedule, or of what costs most "
    "where there is no PTFS (paired by seed, 95 % intervals of the difference), by the cost of all versions. Each "
    "point has all of its seeds, so that n may differ.",
)  # fmt: skip

"""One function a figure: from a `View` to a drawing, or None when the view has no data for it.

Means over seeds with 95 % t intervals (no interval for one seed); faint dots are single seeds. Curves show one seed.
An interval much wider than the seeds' spread runs out of its panel; tables have its ends.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import stats
from analysis.contrasts import (
    CPT,
    GENERALITY,
    POOL,
    PTFS,
    SWITCH,
    THREE,
    alpha_losses,
    downstream_scores,
    downstream_shared,
    forgetting_matrix,
    losses,
    ppl,
    swept_values,
    tree_costs,
    two_stage,
    versions_after_first,
)
from analysis.frames import View, paradigm_name, schedule_name, text
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Drawn: TypeAlias = tuple[stats.Values, stats.Values, stats.Values]
"""Single seeds, and the intervals' lower and upper ends."""


@dataclass(frozen=True)
class Plot:
    """A figure's file name, its caption, and what draws it."""

    name: str
    studies: tuple[str, ...]
    """Those it may stand with; the first that was run takes it."""
    caption: str
    draw: "Callable[[View], Figure | None]"
    per_setting: bool = False
    """Also drawn for settings other than the primary one."""


def learning_rates(view: View) -> "Figure | None":
    return _by_paradigm(view, "lr", "learning rate")


def training_loss(view: View) -> "Figure | None":
    return _by_paradigm(view, "loss", "training loss (nats a token)")


def ppl_by_version(view: View) -> "Figure | None":
    scores = view.scores(*POOL)
    scores = scores[scores["paradigm"].isin(THREE)]
    schedules = list(dict.fromkeys(scores["schedule"]))
    if scores.empty:
        return None
    gaps = versions_after_first(view)
    figure = style.new(max(6.4, 2.7 * len(schedules)), 3.3 if len(schedules) == 1 else 5.6)
    shape = (1, 2) if len(schedules) == 1 else (2, len(schedules))
    axes = figure.subplots(*shape, squeeze=False, sharex=True, sharey="row" if len(schedules) > 1 else False)
    tops, bottoms = (axes[0, :1], axes[0, 1:]) if len(schedules) == 1 else (axes[0], axes[1])
    values: list[Drawn] = []
    differences: list[Drawn] = []
    for top, bottom, schedule in zip(tops, bottoms, schedules, strict=True):
        rows = scores[scores["schedule"] == schedule]
        for i, paradigm in enumerate(THREE):
            mine = rows[rows["paradigm"] == paradigm]
            if len(mine):
                shift = 0.08 * (i - 1)
                table = mine.pivot_table(index="seed", columns="version", values="ppl")
                values.append(_series(top, np.array(table.columns, float) + shift, table, paradigm, schedule))
        for paradigm, shift in ((CPT, -0.04), (SWITCH, 0.04)):
            loss = losses(rows, (PTFS, paradigm), gaps)
            if loss:
                percent = 100 * (ppl(loss[paradigm] - loss[PTFS]) - 1)
                differences.append(_series(bottom, np.array(gaps, float) + shift, percent, paradigm, schedule))
        bottom.axhline(0, color=style.COLOURS[PTFS], linewidth=1.2)
        top.set_title(f"{schedule_name(schedule)}, n = {rows['seed'].nunique()}")
        for axes_ in (top, bottom):
            axes_.set_xticks(range(1, view.last + 1))
        bottom.set_xlabel("version")
        if len(schedules) == 1:
            top.set_xlabel("version")
    _fit(tops[0], values)
    _fit(bottoms[0], differences)
    tops[0].set_ylabel("PPL on slices 1..version")
    bottoms[0].set_ylabel("PPL above PTFS (%)")
    _legend_below(figure, _paradigm_handles(dict.fromkeys(scores["paradigm"])))
    return figure


def first_stage(view: View) -> "Figure | None":
    return _stages(view, "first_stage", "first_cycle", "cycle of the first stage")


def second_stage(view: View) -> "Figure | None":
    return _stages(view, "second_stage", "second_cycle", "cycle of the second stage")


def alpha(view: View) -> "Figure | None":
    rows = view.scores("alpha")
    schedules = [s for s in dict.fromkeys(rows["schedule"]) if not alpha_losses(view, s).empty]
    if not schedules:
        return None
    figure = style.new(6.4, 3.8)
    axes = figure.subplots()
    pool = view.scores(*POOL)
    drawn = []
    for schedule in schedules:
        others = {}
        for paradigm in (PTFS, CPT):
            other = pool[(pool["schedule"] == schedule) & (pool["paradigm"] == paradigm)]
            if loss := losses(other, (paradigm,), versions_after_first(view)):
                x = 100.0 if paradigm == PTFS else 100 * float(other["relative_cost"].iloc[0])
                others[paradigm] = x, loss[paradigm].mean(axis=1)
        columns = {paradigm: values for paradigm, (_, values) in others.items()}
        table = _within(ppl(alpha_losses(view, schedule).assign(**columns).dropna()))
        mean = table.drop(columns=list(columns))
        final = rows[(rows["schedule"] == schedule) & (rows["version"] == view.last)]
        cost = 100 * final.groupby("alpha")["relative_cost"].first().reindex(mean.columns)
        drawn.append(_series(axes, cost.to_numpy(dtype=np.float64), mean, SWITCH, schedule))
        for value, x, y in zip(mean.columns, cost, mean.mean(), strict=True):
            axes.annotate(f"{style.ALPHA} {value:g}", (x, y), xytext=(5, 7), textcoords="offset points", fontsize=9)
        for paradigm, (x, _) in others.items():
            drawn.append(_series(axes, np.array([x]), table[[paradigm]], paradigm, schedule))
    _fit(axes, drawn)
    axes.set_xlabel(f"cost over {view.last} versions (% of PTFS's steps)")
    axes.set_ylabel(f"PPL, mean of versions 2 to {view.last}")
    axes.margins(x=0.1)
    _legend_below(figure, _paradigm_handles(THREE))
    return figure


def generality(study: str) -> "Callable[[View], Figure | None]":
    """CPT's and path switching's distance to PTFS at every value of what a study sweeps."""
    label = GENERALITY[study][1]

    def draw(view: View) -> "Figure | None":
        scores = view.scores(study)
        scores = scores[scores["schedule"] == scores["schedule"].iloc[0]] if len(scores) else scores
        groups = {value: losses(rows, THREE, versions_after_first(view)) for value, rows in swept_values(scores, study)}
        groups = {value: loss for value, loss in groups.items() if loss}
        if len(groups) < 2:
            return None
        figure = style.new(6.4, 3.4)
        axes = figure.subplots()
        places = np.arange(len(groups), dtype=float)
        drawn = []
        for paradigm, shift in ((CPT, -0.05), (SWITCH, 0.05)):
            behind = {value: (loss[paradigm] - loss[PTFS]).mean(axis=1) for value, loss in groups.items()}
            percent = 100 * (ppl(pd.DataFrame(behind)) - 1)
            drawn.append(_series(axes, places + shift, percent, paradigm, "cosine"))
        _fit(axes, drawn)
        axes.axhline(0, color=style.COLOURS[PTFS], linewidth=1.2)
        axes.set_xticks(places, [value.replace(" (", "\n(") for value in groups])
        axes.set_xlim(-0.4, len(groups) - 0.6)
        axes.set_xlabel(label)
        axes.set_ylabel(f"PPL above PTFS (%), v2 to v{view.last}")
        _legend_below(figure, _paradigm_handles(THREE))
        return figure

    return draw


def cost_growth(view: View) -> "Figure | None":
    costs = tree_costs(view)
    if not costs:
        return None
    figure = style.new(6.8, 4.0)
    axes = figure.subplots()
    versions = range(1, view.last + 1)
    top = max(float(cost.steps[-1]) for cost in costs)
    places = _apart([float(cost.steps[-1]) for cost in costs], 0.045 * top)
    for cost, place in zip(costs, places, strict=True):
        colour, schedule = style.COLOURS[cost.paradigm], cost.schedules[0]
        line, marker = style.LINES.get(schedule, "-"), style.MARKERS.get(schedule, "x")
        axes.plot(versions, cost.steps, color=colour, marker=marker, linestyle=line)
        shared = sum(other.paradigm == cost.paradigm for other in costs) > 1
        name = f"{paradigm_name(cost.paradigm)}{f', {cost.label}' if shared else ''}"
        label = f"{name}: {cost.steps[-1]:.3g} T, {100 * cost.share:.3g} %"
        axes.text(view.last + 0.02 * view.last, place, label, va="center", color=colour, fontsize=9)
    axes.set_xticks(versions)
    axes.set_xlim(0.85, view.last + 0.85 * (view.last - 1) + 0.1)
    axes.set_ylim(0, 1.06 * top)
    axes.set_xlabel("versions released")
    axes.set_ylabel("steps trained in all (T = one version's new data)")
    return figure


def pareto(view: View) -> "Figure | None":
    rows = view.scores(*POOL, "alpha")
    rows = rows[(rows["version"] == view.last) & rows["paradigm"].isin(THREE)]
    cells = ["paradigm", "schedule", "alpha"]
    seeds = (
        set.intersection(*(set(group["seed"]) for _, group in rows.groupby(cells, dropna=False)))
        if len(rows)
        else set()
    )
    rows = rows[rows["seed"].isin(seeds)] if seeds else rows
    points = rows.groupby(cells, dropna=False, as_index=False).agg(ppl=("ppl", "mean"), cost=("relative_cost", "first"))
    points["cost"] = points["cost"].where(points["paradigm"] != PTFS, 1.0)
    if len(points) < 2:
        return None
    figure = style.new(6.4, 4.0)
    axes = figure.subplots()
    front = _front(points["cost"].to_numpy(dtype=np.float64), points["ppl"].to_numpy(dtype=np.float64))
    best = points.iloc[front]
    axes.step(100 * best["cost"], best["ppl"], where="post", color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
    for i, point in enumerate(points.to_dict("records")):
        axes.plot(
            100 * point["cost"],
            point["ppl"],
            marker=style.MARKERS.get(point["schedule"], "x"),
            color=style.COLOURS[point["paradigm"]],
            # The first ones are larger, to be seen behind the later ones.
            markersize={"cosine": 10, "knee": 7.5}.get(point["schedule"], 6),
            markeredgecolor="black" if i in front else "white",
            linestyle="none",
        )
    studied = set(view.runs("alpha")["schedule"])
    for point in points[(points["paradigm"] == SWITCH) & points["schedule"].isin(studied)].to_dict("records"):
        axes.annotate(
            f"{style.ALPHA} {point['alpha']:g}", (100 * point["cost"], point["ppl"]), xytext=(0, 8),
            textcoords="offset points", ha="center", fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    axes.set_xlabel(f"cost over {view.last} versions (% of PTFS's steps)")
    axes.set_ylabel(f"PPL of version {view.last}, mean over {len(seeds) or 'other'} seeds")
    axes.margins(x=0.08, y=0.15)
    shapes = [
        Line2D([], [], marker=style.MARKERS.get(s, "x"), color=style.GREY, linestyle="none", label=schedule_name(s))
        for s in dict.fromkeys(rows["schedule"])
    ]
    line = Line2D([], [], color=style.GREY, linestyle="--", linewidth=1.0, label="not beaten on both")
    _legend_below(figure, [*_paradigm_handles(p for p in THREE if p in set(points["paradigm"])), *shapes, line])
    return figure


def forgetting(view: View) -> "Figure | None":
    matrices = {p: forgetting_matrix(view, p) for p in THREE}
    matrices = {p: matrix for p, matrix in matrices.items() if matrix is not None}
    if not matrices:
        return None
    figure = style.new(max(4.0, 2.5 * len(matrices) + 0.8), 3.0)
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    low = min(float(np.log(matrix.to_numpy()).min()) for matrix in matrices.values() if matrix is not None)
    high = max(float(np.log(matrix.to_numpy()).max()) for matrix in matrices.values() if matrix is not None)
    for one, (paradigm, matrix) in zip(axes, matrices.items(), strict=True):
        assert matrix is not None
        image = one.imshow(np.log(matrix), cmap="cividis", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        for (i, j), value in np.ndenumerate(matrix.to_numpy()):
            dark = (np.log(value) - low) < 0.5 * (high - low)
            one.text(j, i, f"{value:.1f}", ha="center", va="center", color="white" if dark else "black", fontsize=9)
        one.set_title(paradigm_name(paradigm), color=style.COLOURS[paradigm], fontweight="bold")
        one.set_xticks(range(matrix.shape[1]), [str(s) for s in matrix.columns])
        one.set_yticks(range(matrix.shape[0]), [str(v) for v in matrix.index])
        one.grid(False)
        one.set_xlabel("held-out slice")
    axes[0].set_ylabel("model version")
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    ticks = [float(tick) for tick in np.linspace(low, high, 5 if high > low else 1)]
    bar.set_ticks(ticks, labels=[f"{np.exp(tick):.1f}" for tick in ticks])
    bar.set_label("PPL (logarithmic colours)")
    return figure


def downstream(view: View) -> "Figure | None":
    shared = downstream_shared(view)
    if shared.empty:
        return None
    rows = downstream_scores(view)
    rows = rows[rows.set_index(list(shared.index.names)).index.isin(shared.index)]
    versions = sorted(set(rows["version"]))
    grouped = rows.groupby(["task", "paradigm"])
    table = grouped.agg(value=("value", "mean"), stderr=("stderr", "mean"), chance=("chance", "first")).reset_index()
    tasks = sorted(table["task"].unique())
    shown = [p for p in THREE if p in set(table["paradigm"])]
    figure = style.new(6.4, 1.5 + 0.42 * (len(tasks) + 1))
    axes = figure.subplots()
    places = {task: len(tasks) - i for i, task in enumerate(tasks)}
    for i, paradigm in enumerate(shown):
        mine = table[table["paradigm"] == paradigm]
        y = np.array([places[task] for task in mine["task"]]) + 0.22 * (1 - i)
        axes.errorbar(
            100 * mine["value"], y, xerr=100 * mine["stderr"].fillna(0), fmt="o", color=style.COLOURS[paradigm],
            label=paradigm_name(paradigm), linewidth=1.2,
        )  # fmt: skip
        axes.plot(100 * mine["value"].mean(), 0.22 * (1 - i), "D", color=style.COLOURS[paradigm], markersize=6)
    chance = table.drop_duplicates("task")
    for task, value in zip(chance["task"], chance["chance"].fillna(0), strict=True):
        axes.plot([100 * value] * 2, [places[task] - 0.36, places[task] + 0.36], color=style.GREY, linewidth=1.5)
    axes.plot([100 * chance["chance"].fillna(0).mean()] * 2, [-0.36, 0.36], color=style.GREY, linewidth=1.5)
    axes.axhline(0.5, color=style.GREY, linewidth=0.8)
    axes.set_yticks([0, *(places[task] for task in tasks)], ["average", *tasks])
    axes.set_ylim(-0.6, len(tasks) + 0.6)
    which = f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]}"
    axes.set_xlabel(f"score after fine-tuning, {which} (%)")
    handles = [*_paradigm_handles(shown), Line2D([], [], color=style.GREY, label="chance")]
    _legend_below(figure, handles)
    return figure


WITHIN = "Intervals and dots are of paired comparisons: what a seed adds to all points alike is taken out."

PLOTS = (
    Plot(
        "learning_rates", ("headline", "main", "pilot"),
        "Learning rate of each paradigm against the step, from its initialization. Dots are released versions; path "
        "switching's main path is thick and never decays, its branches are thin.", learning_rates,
    ),
    Plot(
        "training_loss", ("headline", "main", "pilot"),
        "Training loss along the same paths (one seed; mean over bins of steps, of which every version has equally "
        "many, so that longer paths look smoother).", training_loss,
    ),
    Plot(
        "cost_growth", ("headline", "main", "pilot"),
        "Steps needed to release the first k versions, counted on each paradigm's own tree (per cent: of PTFS's). A "
        "branch that begins at the maximum (Knee, multi-step) repeats steps of the main path, which are trained once.",
        cost_growth,
    ),
    Plot(
        "ppl_by_version", ("pilot", "main", "headline"),
        "PPL by version, and how far it lies above PTFS's (paired by seed; versions from 2 on, since version 1 is the "
        "same run for PTFS and CPT).", ppl_by_version, per_setting=True,
    ),
    Plot(
        "first_stage", ("first_stage",),
        "First stage: a cosine of several cycles, cut at T; then a full cosine over T. Left: learning rates. Right: "
        "PPL of the checkpoint (slice 1) and of the model updated from it (slices 1 and 2). " + WITHIN, first_stage,
    ),
    Plot(
        "second_stage", ("second_stage",),
        "Second stage: a constant first stage, then a cosine of several cycles, cut at T. Left: learning rates. Right: "
        "PPL of the updated model (slices 1 and 2). " + WITHIN, second_stage,
    ),
    Plot("pareto", ("main", "alpha", "headline"),
         "PPL of the last version against the cost of all versions, means over seeds that all points have.", pareto),
    Plot(
        "forgetting", ("main", "headline", "pilot"),
        "PPL of every version on every version's held-out slice (cosine if it was run; geometric mean over seeds).",
        forgetting, per_setting=True,
    ),
    *(
        Plot(study, (study,), f"PPL above PTFS's by {label}, mean over versions 2 to N, by seed.", generality(study))
        for study, (_, label) in GENERALITY.items()
    ),
    Plot("alpha", ("alpha",), "What a longer branch buys: PPL against cost. " + WITHIN, alpha),
    Plot(
        "downstream", ("downstream", "main", "headline"),
        "Scores after fine-tuning, averaged over seeds and schedules. Bars are one standard error of a single "
        "evaluation (all share the same items, so averaging does not shrink it); diamonds are averages over tasks.",
        downstream,
    ),
)  # fmt: skip


def _by_paradigm(view: View, column: str, label: str) -> "Figure | None":
    """One panel a paradigm, the curves of the lowest seed along its own tree."""
    runs = view.runs(*POOL)
    curves = view.ledger.curves[view.ledger.curves[column].notna()]
    runs = runs[runs["paradigm"].isin(THREE) & runs["run"].isin(curves["run"])]
    if runs.empty:
        return None
    chosen = runs.sort_values("seed", kind="stable").drop_duplicates("paradigm").set_index("paradigm")
    shown = [paradigm for paradigm in THREE if paradigm in chosen.index]
    figure = style.new(6.4, 0.9 + 1.55 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, paradigm in zip(panels, shown, strict=True):
        run = str(chosen.loc[paradigm, "run"])
        t = float(str(chosen.loc[paradigm, "steps_per_version"]))
        colour = style.COLOURS[paradigm]
        mine = curves[curves["run"] == run]
        paths = view.ledger.paths[view.ledger.paths["run"] == run]
        for branch, line in _lines(mine, paths, joined=paradigm == SWITCH):
            thin = 0.6 if column == "loss" else 1.0
            strength = 0.35 + 0.65 * line["version"].iloc[0] / view.last if paradigm == PTFS else 1.0
            axes.plot(
                line["step"] / t, line[column], color=style.tint(colour, strength),
                linewidth=thin * (1.2 if branch else 2.4 if paradigm == SWITCH else 1.7), zorder=2.5 if branch else 2,
            )  # fmt: skip
        for released, line in mine.groupby("version"):
            last = line.sort_values("step").iloc[-1]
            axes.plot(last["step"] / t, last[column], "o", color=colour, markersize=4.5, zorder=3)
            if column == "lr":
                axes.annotate(
                    f"v{released}", (last["step"] / t, last[column]), xytext=(5, -3), textcoords="offset points",
                    fontsize=8.5, color=colour,
                )  # fmt: skip
        axes.set_title(paradigm_name(paradigm), loc="left", color=colour, fontweight="bold")
        if column == "lr":
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_ylim(0, None)
    if column == "loss":
        settled = curves[curves["run"].isin(chosen["run"]) & (curves["step"] > 0.05 * t)][column]
        spread = float(settled.max() - settled.min())
        panels[0].set_ylim(float(settled.min()) - 0.05 * spread, float(settled.max()) + 0.05 * spread)
    panels[-1].set_xlim(0, view.last + 0.25)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("steps since the initialization (T = one version's new data)")
    figure.supylabel(label, fontsize=9.5)
    return figure


def _lines(curves: pd.DataFrame, paths: pd.DataFrame, *, joined: bool) -> list[tuple[bool, pd.DataFrame]]:
    """A run's curves as lines to draw, each with whether it is a branch; `joined` makes one line of its main path."""
    main: list[pd.DataFrame] = []
    branches: list[pd.DataFrame] = []
    for part in paths.to_dict("records"):
        steps = curves[curves["version"] == part["version"]]
        steps = steps[(steps["step"] >= int(part["from_step"])) & (steps["step"] < int(part["to_step"]))]
        (branches if part["kind"] == "branch" else main).append(steps)
    if joined and main:
        main = [pd.concat(main).sort_values("step").drop_duplicates("step")]
    return [(branch, line) for branch, lines in ((False, main), (True, branches)) for line in lines if len(line)]


def _stages(view: View, study: str, swept: str, label: str) -> "Figure | None":
    updated = two_stage(view, study, 2)
    if updated.empty:
        return None
    cycles = [float(cycle) for cycle in updated.columns]
    names = [text(cycle) if np.isinf(cycle) else f"{cycle:g} T" for cycle in cycles]
    colours = style.gradient(len(cycles))
    results = {"updated model": updated}
    if study == "first_stage":
        results = {"checkpoint": two_stage(view, study, 1), **results}
    figure = style.new(7.6, 4.4 if len(results) == 2 else 3.5)
    axes: dict[str, Axes] = figure.subplot_mosaic([["rates", name] for name in results], width_ratios=[1.25, 1])
    runs = view.runs(study)
    for cycle, name, colour in zip(cycles, names, colours, strict=True):
        run = runs[runs[swept] == cycle].sort_values("seed").iloc[0]
        curve = view.ledger.curves[view.ledger.curves["run"] == run["run"]].sort_values("step")
        t = float(run["steps_per_version"])
        for version, label_ in ((1, name), (2, None)):
            part = curve[curve["version"] == version]
            axes["rates"].plot(part["step"] / t, part["lr"], color=colour, label=label_)
    axes["rates"].axvline(1, color=style.GREY, linewidth=0.8, linestyle=":")
    axes["rates"].set_xlabel("steps since the initialization (T = one version's new data)")
    axes["rates"].set_ylabel("learning rate")
    axes["rates"].yaxis.set_major_formatter("{x:g}")
    axes["rates"].set_ylim(0, None)
    places = np.arange(len(cycles), dtype=float)
    for name, loss in results.items():
        one = axes[name]
        _fit(one, [_series(one, places, _within(ppl(loss)), "two_stage", "cosine")])
        for place, value, colour in zip(places, ppl(loss).mean(), colours, strict=True):
            one.plot(place, value, "o", color=colour, markersize=7, zorder=4)
        one.set_title(f"{name}, n = {len(loss)}", fontsize=9.5)
        one.set_ylabel("PPL")
        one.set_xticks(places, names)
        one.set_xlim(-0.4, len(places) - 0.6)
    axes[list(results)[-1]].set_xlabel(label)
    handles, labels = axes["rates"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(cycles), title=label, title_fontsize=9)
    return figure


def _series(axes: "Axes", x: "stats.Values", table: "pd.DataFrame", paradigm: str, schedule: str) -> Drawn:
    """Mean over seeds (rows of `table`) at each of `x` (its columns), with intervals and single seeds."""
    colour = style.COLOURS[paradigm]
    if len(table) > 1:
        for row in table.to_numpy():
            axes.plot(x, row, ".", color=style.tint(colour, 0.45), markersize=4, zorder=1.5)
    intervals = [stats.mean_interval(table[column].dropna().to_numpy(dtype=np.float64)) for column in table]
    halves = np.array([0.0 if np.isnan(interval.half) else interval.half for interval in intervals])
    axes.errorbar(
        x,
        [interval.estimate for interval in intervals],
        yerr=halves if halves.any() else None,
        color=colour,
        marker=style.MARKERS.get(schedule, "x"),
        linestyle=style.LINES.get(schedule, "-"),
        elinewidth=1.0,
    )
    seeds = table.to_numpy(dtype=np.float64)
    means = np.array([interval.estimate for interval in intervals])
    return seeds[np.isfinite(seeds)], means - halves, means + halves


def _within(table: pd.DataFrame) -> pd.DataFrame:
    """`table` (seeds, conditions) without what a seed has in common to all of its conditions.

    Intervals of the result's columns are those of paired comparisons (Cousineau 2005, with Morey's 2008 correction).
    """
    seeds, conditions = table.shape
    if seeds < 2 or conditions < 2:
        return table
    paired = table.sub(table.mean(axis=1), axis=0)
    spread = (paired - paired.mean()) * np.sqrt(conditions / (conditions - 1))
    return pd.DataFrame(spread + table.mean())


def _fit(axes: "Axes", drawn: Sequence[Drawn]) -> None:
    """Limits that show every seed, and of the intervals as much as leaves the seeds legible."""
    seeds, lows, highs = (np.concatenate([[], *(one[i] for one in drawn)]) for i in range(3))
    if not len(seeds):
        return
    low, high = float(seeds.min()), float(seeds.max())
    room = 0.6 * (high - low) or 0.01 * abs(high) or 1.0
    bottom, top = max(float(lows.min()), low - room), min(float(highs.max()), high + room)
    edge = 0.08 * (max(top, high) - min(bottom, low)) or room
    axes.set_ylim(min(bottom, low) - edge, max(top, high) + edge)


def _apart(values: Sequence[float], least: float) -> list[float]:
    """`values` moved up as far as it takes to keep labels at them `least` apart."""
    places: dict[int, float] = {}
    below = -np.inf
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        below = places[index] = max(values[index], below + least)
    return [places[index] for index in range(len(values))]


def _front(cost: "stats.Values", ppl: "stats.Values") -> list[int]:
    """Points that no other beats in both, by rising cost."""
    front: list[int] = []
    for index in np.lexsort((ppl, cost)):
        if not front or ppl[index] < ppl[front[-1]]:
            front.append(int(index))
    return front


def _paradigm_handles(paradigms: Iterable[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=style.COLOURS[p], marker="o", label=paradigm_name(p)) for p in paradigms
    ]  # fmt: skip


def _legend_below(figure: "Figure", handles: Sequence[Line2D]) -> None:
    figure.legend(handles=list(handles), loc="outside lower center", ncols=min(len(handles), 4))

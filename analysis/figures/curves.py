"""Learning rates along each recipe's own paths, and training losses on the way to each release."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from analysis import lengths, names, stats
from analysis.contrasts import without_controls
from analysis.figures import chart
from analysis.figures.drawing import legend_below, points, recipe_handles
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 33
"""Of a panel of learning rates, in letters of its title."""
BINS = 20
"""Of training losses, in the last T steps before a release."""


def learning_rates(view: View) -> "Figure | None":
    """A row per recipe, a column per schedule: the rates of the lowest seed along its own tree."""
    runs = without_controls(view.runs(*pooled()))
    curves = view.ledger.curves[view.ledger.curves["lr"].notna()]
    runs = runs[runs["run"].isin(curves["run"])]
    if runs.empty:
        return None
    chosen = runs.sort_values("seed", kind="stable").drop_duplicates(["paradigm", "schedule"])
    recipes, schedules = names.recipes(chosen["paradigm"]), names.schedules(chosen["schedule"])
    figure = chart.new(max(6.4, 0.8 + 2.9 * len(schedules)), 0.9 + 1.55 * len(recipes))
    panels = figure.subplots(len(recipes), len(schedules), squeeze=False, sharex=True, sharey=True)
    for run in chosen.to_dict("records"):
        axes = panels[recipes.index(run["paradigm"]), schedules.index(run["schedule"])]
        _path(axes, view, str(run["run"]), curves, float(run["steps_per_version"]), run["paradigm"], run["schedule"])
    alone = len(schedules) == 1
    for (row, column), axes in np.ndenumerate(panels):
        recipe, schedule = names.recipe_name(recipes[row]), names.schedule_name(schedules[column])
        if not axes.lines:
            axes.set_axis_off()
            continue
        title = recipe if alone else f"{recipe}, {schedule}"
        axes.set_title(
            title,
            loc="left",
            color=names.colour(recipes[row]),
            fontweight="bold",
            fontsize=9.5 * min(1.0, WIDTH / len(title)),
        )
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(labelleft=not any(panel.lines for panel in panels[row, :column]))
    panels[0, 0].set_ylim(0, None)
    panels[0, 0].set_xlim(0, view.last + 0.3)
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel(f"steps since the initialization ({lengths.axis(runs)})", fontsize=9.5)
    figure.supylabel("learning rate", fontsize=9.5)
    return figure


def _path(
    axes: "Axes", view: View, run: str, curves: pd.DataFrame, t: float, recipe: str, schedule: str
) -> None:  # fmt: skip
    """One run's rates: released versions as dots, branches thin, the main path thick."""
    colour = names.colour(recipe)
    mine = curves[curves["run"] == run]
    paths = view.ledger.paths[view.ledger.paths["run"] == run]
    branches, scratch = (paths["kind"] == "branch").any(), bool((paths["kind"] == "start").all())
    for branch, line in _lines(mine, paths, joined=bool(branches)):
        version = int(line["version"].iloc[0])
        strength = 0.35 + 0.65 * version / view.last if scratch else 1.0
        axes.plot(
            line["step"] / t, line["lr"], color=style.tint(colour, strength),
            linewidth=1.2 if branch else 2.4 if branches else 1.7, zorder=2.5 if branch else 2,
        )  # fmt: skip
        main = branches and not branch
        rows = _thin(pd.DataFrame({"x": line["step"] / t, "y": line["lr"]}))
        rows = rows.assign(note="main path" if main else "", version=np.nan if main else version)
        chart.of(axes).mark(axes, "line", rows, recipe=recipe, schedule=schedule)
    for released, line in mine.groupby("version"):
        last = line.sort_values("step").iloc[-1]
        axes.plot(last["step"] / t, last["lr"], "o", color=colour, markersize=4.5, zorder=3)
        axes.annotate(
            f"v{released}", (last["step"] / t, last["lr"]), xytext=(4, 2), textcoords="offset points", fontsize=8.5,
            color=colour,
        )  # fmt: skip


def _thin(line: pd.DataFrame) -> pd.DataFrame:
    """A line with fewer points: its ends, its corners, and every fifth between them."""
    rates = line["y"].to_numpy(dtype=np.float64)
    bends = np.abs(np.diff(rates, 2, prepend=rates[:1], append=rates[-1:])) > 0.01 * rates.max()
    place = np.arange(len(line))
    kept: npt.NDArray[np.intp] = np.flatnonzero(bends | (place % 5 == 0) | (place == len(line) - 1))
    return line.iloc[kept]


def training_loss(view: View) -> "Figure | None":
    """A panel per version, all recipes in it: the last T steps before its release, in bins of equal length."""
    runs = without_controls(view.runs(*pooled()))
    curves = view.ledger.curves[view.ledger.curves["loss"].notna()]
    rows = runs[["run", "paradigm", "schedule", "seed", "steps_per_version"]].merge(curves, on="run")
    if rows.empty:
        return None
    schedule = names.schedules(rows["schedule"])[0]
    rows = _binned(rows[rows["schedule"] == schedule], view)
    recipes, versions = names.recipes(rows["paradigm"]), sorted(set(rows["version"]))
    columns = min(2, len(versions))
    figure = chart.new(6.8, 2.4 * -(-len(versions) // columns) + 0.7)
    panels = figure.subplots(-(-len(versions) // columns), columns, squeeze=False, sharex=True, sharey=True).ravel()
    seeds: set[int] = set()
    for axes, version in zip(panels, versions, strict=False):
        for recipe in recipes:
            mine = rows[(rows["paradigm"] == recipe) & (rows["version"] == version)]
            table = mine.pivot_table(index="seed", columns="bin", values="loss").dropna()
            if table.size:
                _band(axes, table, recipe, schedule, version)
                seeds.add(len(table))
        axes.set_title(f"on the way to version {version}")
        axes.yaxis.set_major_locator(MaxNLocator(5))
    for axes in panels[len(versions) :]:
        axes.remove()
    for axes in panels[max(0, len(versions) - columns) : len(versions)]:
        axes.set_xlabel("steps to the release (T)")
    # The first version comes from a random initialization: it would take the room of all others.
    settled = rows[(rows["bin"] >= BINS // 2) | (rows["version"] > 1)]["loss"]
    low, high = float(settled.min()), float(settled.max())
    panels[0].set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    panels[0].set_xlim(-1, 0.02)
    counts = " to ".join(str(n) for n in sorted(seeds)[:: max(1, len(seeds) - 1)])
    figure.suptitle(f"{names.schedule_name(schedule)}, n = {counts}", fontsize=9.5)
    figure.supylabel("training loss (nats per token)", fontsize=9.5)
    legend_below(figure, recipe_handles(recipes))
    return figure


def _binned(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    """Losses of the last T steps before each release, mean over bins of T / `BINS` steps; `bin` counts them from 0."""
    ends = view.ledger.versions[["run", "version", "steps"]].rename(columns={"steps": "release"})
    rows = rows.merge(ends, on=["run", "version"])
    until = (rows["release"] - 1 - rows["step"]) / rows["steps_per_version"]
    place = BINS - 1 - np.floor(until * BINS)
    rows = rows.assign(bin=place.astype(int))[(until >= 0) & (until < 1)]
    keys = ["paradigm", "schedule", "seed", "version", "bin"]
    return rows.groupby(keys)["loss"].mean().reset_index()


def _band(axes: "Axes", table: pd.DataFrame, recipe: str, schedule: str, version: int) -> None:
    """Mean over seeds, with its interval as a band."""
    x = (np.array(table.columns, dtype=np.float64) + 0.5) / BINS - 1
    intervals = [stats.mean_interval(table[column].to_numpy(dtype=np.float64)) for column in table]
    mean = points(x, table, intervals).assign(version=version)
    axes.plot(x, mean["y"], color=names.colour(recipe), linewidth=1.4)
    if mean["low"].notna().all():
        axes.fill_between(x, mean["low"], mean["high"], color=style.tint(names.colour(recipe), 0.5), alpha=0.3, lw=0)
    chart.of(axes).mark(axes, "line", mean, recipe=recipe, schedule=schedule)
    for seed, values in table.iterrows() if len(table) > 1 else ():
        one = pd.DataFrame({"seed": str(seed), "version": version, "x": x, "y": values.to_numpy(dtype=np.float64)})
        chart.of(axes).mark(axes, "line", one, recipe=recipe, schedule=schedule)


def _lines(curves: pd.DataFrame, paths: pd.DataFrame, *, joined: bool) -> Iterator[tuple[bool, pd.DataFrame]]:
    """A run's curves as lines to draw, each with whether it is a branch; `joined` makes one line of its main path."""
    main: list[pd.DataFrame] = []
    branches: list[pd.DataFrame] = []
    for part in paths.to_dict("records"):
        steps = curves[curves["version"] == part["version"]]
        steps = steps[(steps["step"] >= int(part["from_step"])) & (steps["step"] < int(part["to_step"]))]
        (branches if part["kind"] == "branch" else main).append(steps)
    if joined and main:
        main = [pd.concat(main).sort_values("step").drop_duplicates("step")]
        branches = [_from_main(line, main[0]) for line in branches if len(line)]
    for branch, lines in ((False, main), (True, branches)):
        yield from ((branch, line) for line in lines if len(line))


def _from_main(branch: pd.DataFrame, main: pd.DataFrame) -> pd.DataFrame:
    """A branch that begins at the rate it leaves the main path with: its first step may lie far below that."""
    first = branch.iloc[[0]]
    before = main[main["step"] <= int(first["step"].iloc[0])]
    if before.empty or np.isclose(before["lr"].iloc[-1], first["lr"].iloc[0], rtol=0.01):
        return branch
    return pd.concat([first.assign(lr=before["lr"].iloc[-1]), branch])


LEARNING_RATES = Plot(
    "learning_rates", make=learning_rates,
    caption="Learning rate of each paradigm under each schedule against the step, from its initialization. Dots are "
    "released versions; path switching's main path is thick and never decays, its branches are thin.",
)  # fmt: skip
TRAINING_LOSS = Plot(
    "training_loss", make=training_loss,
    caption=f"Training loss in the last T steps before each release, mean over seeds and over bins of T/{BINS} steps "
    "for every recipe alike; bands are 95 % intervals. Batches differ: PTFS's mix all versions' data, the others' are "
    "of the newest.",
)  # fmt: skip

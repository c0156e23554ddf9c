"""Recipes side by side: PPL by version, and by what a study varies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import PTFS, comparable, losses, ppl, swept_scores, swept_values, versions_after_first
from analysis.figures import chart
from analysis.figures.drawing import Extent, beside, fit, legend_below, of_version, recipe_handles, series
from analysis.frames import View
from analysis.registries import Factor, Plot, pooled
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IN_A_ROW = 4
"""Panels; more would be too narrow to read."""


def ppl_by_version(view: View) -> "Figure | None":
    """Above, each version has an axis of its own: levels fall so far that on one axis recipes lie on each other."""
    scores = comparable(view.scores(*pooled()))
    schedules = list(dict.fromkeys(scores["schedule"]))
    if scores.empty:
        return None
    present = names.recipes(scores["paradigm"])
    others = [recipe for recipe in present if recipe != PTFS]
    versions = sorted(set(scores["version"]))
    columns = min(IN_A_ROW, len(versions))
    rows = -(-len(versions) // columns)
    figure = chart.new(max(6.4, 2.3 * columns), 2.2 * rows + 3.0)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.2 * rows, 2.4])[:, 0]
    panels = upper.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axes, version in zip(panels, versions, strict=False):
        _levels(axes, scores[scores["version"] == version], schedules, present)
        axes.set_title(f"version {version}")
    for axes in panels[len(versions) :]:
        axes.remove()
    for row in range(rows):
        panels[row * columns].set_ylabel("PPL on all slices")
    for axes in panels[max(0, len(versions) - columns) : len(versions)]:
        axes.set_xlabel("schedule")
    bottoms = lower.subplots(1, len(schedules), squeeze=False, sharey=True)[0]
    _above(bottoms, scores, schedules, others, versions_after_first(view))
    legend_below(figure, recipe_handles(present))
    return figure


def _levels(axes: "Axes", scores: pd.DataFrame, schedules: Sequence[str], recipes: Sequence[str]) -> None:
    """PPL of one version by schedule; no lines, since schedules are categories."""
    drawn = []
    for place, schedule in enumerate(schedules):
        for i, paradigm in enumerate(recipes):
            mine = scores[(scores["schedule"] == schedule) & (scores["paradigm"] == paradigm) & scores["ppl"].notna()]
            if len(mine):
                table = pd.DataFrame({"ppl": mine.set_index("seed")["ppl"]})
                shift, at = beside(i, len(recipes)), np.array([float(place)])
                drawn.append(series(axes, at, table, paradigm, schedule, shift=shift, joined=False))
    fit(axes, drawn)
    axes.set_xticks(range(len(schedules)), [names.schedule_name(schedule) for schedule in schedules])
    axes.set_xlim(-0.5, len(schedules) - 0.5)


def _above(
    panels: "Sequence[Axes]", scores: pd.DataFrame, schedules: Sequence[str], others: Sequence[str], gaps: list[int]
) -> None:
    """How far recipes lie above PTFS by version, a panel per schedule."""
    differences: list[Extent] = []
    for axes, schedule in zip(panels, schedules, strict=True):
        rows, counts = scores[scores["schedule"] == schedule], set()
        for i, paradigm in enumerate(others):
            loss = losses(rows, (PTFS, paradigm), gaps)
            if loss:
                percent = 100 * (ppl(loss[paradigm] - loss[PTFS]) - 1)
                shift = beside(i, len(others))
                differences.append(series(axes, np.array(gaps, float), percent, paradigm, schedule, shift=shift))
                counts.add(len(percent))
        axes.axhline(0, color=names.colour(PTFS), linewidth=1.2)
        n = " to ".join(str(count) for count in sorted(counts)[:: max(1, len(counts) - 1)])
        axes.set_title(f"{names.schedule_name(schedule)}{f', n = {n}' if n else ''}")
        axes.set_xticks(gaps)
        axes.set_xlabel("version")
    fit(panels[0], differences)
    panels[0].set_ylabel("PPL above PTFS (%)")


def generality(study: str, factor: Factor) -> Plot:
    """Every recipe's distance to PTFS at every value of what a study varies, a panel per version."""
    label = factor.label

    def draw(view: View) -> "Figure | None":
        scores = comparable(swept_scores(view, study, factor))
        others = [recipe for recipe in names.recipes(scores["paradigm"]) if recipe != PTFS]
        found: dict[str, dict[str, dict[str, pd.DataFrame]]] = {}
        for schedule in dict.fromkeys(scores["schedule"]):
            values = swept_values(scores[scores["schedule"] == schedule], study, factor)
            groups = {value: above for value, rows in values if (above := _above_ptfs(rows, others, view))}
            found |= {schedule: groups} if len(groups) > 1 else {}
        shown = [(schedule, version) for schedule in found for version in versions_after_first(view)]
        if not shown:
            return None
        columns = min(3, len(versions_after_first(view)))
        rows = -(-len(shown) // columns)
        figure = chart.new(max(4.4, 2.6 * columns), 2.8 * rows + 0.5)
        alike = len(found) == 1  # schedules may have been run at other values
        panels = figure.subplots(rows, columns, squeeze=False, sharex=alike, sharey=True).ravel()
        drawn = []
        for axes, (schedule, version) in zip(panels, shown, strict=False):
            drawn += _by_value(axes, found[schedule], others, version, schedule)
            axes.axhline(0, color=names.colour(PTFS), linewidth=1.2)
            axes.set_title(of_version(version, schedule, list(found)))
            axes.set_xlabel(label)
        for axes in panels[len(shown) :]:
            axes.remove()
        fit(panels[0], drawn)
        for row in range(rows):
            panels[row * columns].set_ylabel("PPL above PTFS (%)")
        legend_below(figure, recipe_handles([PTFS, *others]))
        return figure

    return Plot(
        study, make=draw,
        caption=f"PPL above PTFS's by {label}, a panel for each version from 2 on, paired by seed. Each interval is of "
        "its own seeds alone.",
    )  # fmt: skip


def _by_value(
    axes: "Axes", groups: dict[str, dict[str, pd.DataFrame]], others: Sequence[str], version: int, schedule: str
) -> list[Extent]:
    """One version's distances; no lines between values, which are categories."""
    drawn = []
    for place, above in enumerate(groups.values()):
        for i, paradigm in enumerate(others):
            if paradigm in above:
                table = 100 * (ppl(above[paradigm][[version]]) - 1)
                shift = beside(i, len(others))
                x = np.array([float(place)])
                drawn.append(series(axes, x, table, paradigm, schedule, shift=shift, joined=False, version=version))
    axes.set_xticks(range(len(groups)), [value.replace(" (", "\n(").replace(" parameters", "") for value in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    return drawn


def _above_ptfs(rows: pd.DataFrame, others: list[str], view: View) -> dict[str, pd.DataFrame]:
    """Each recipe's losses less PTFS's, (seeds that have both, versions 2 to N)."""
    pairs = {recipe: losses(rows, (PTFS, recipe), versions_after_first(view)) for recipe in others}
    return {recipe: loss[recipe] - loss[PTFS] for recipe, loss in pairs.items() if loss}


PPL_BY_VERSION = Plot(
    "ppl_by_version", make=ppl_by_version, per_setting=True,
    caption=f"Above: PPL of each version {EVERY}, on an axis of its own; intervals are of levels, which seeds move "
    "together. Below, where PTFS was run: how far it lies above PTFS's, paired by seed (from version 2 on, since "
    "version 1 is the same run for PTFS and CPT).",
)  # fmt: skip

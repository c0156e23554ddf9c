"""What recipes do beside each other: levels, trends, and the share of the gap recovered."""

import numpy as np
import pandas as pd

from analysis import readings, stats
from analysis.contrasts import (
    CPT,
    CURVE,
    PTFS,
    SWITCH,
    THREE,
    comparable,
    losses,
    ppl,
    swept_scores,
    swept_values,
    tree_costs,
    versions_after_first,
)  # fmt: skip
from analysis.formats import percent, spoken
from analysis.frames import View
from analysis.names import control, later, recipe_name, recipes, schedule_name
from analysis.registries import Factor, Sentences, pooled
from analysis.tables.comparison import recovery_cells


def headline(view: View) -> list[str]:
    """What each recipe costs, and its PPL at the last version."""
    costs = [
        f"{recipe_name(c.paradigm)} {c.steps[-1]:.3g} T ({100 * c.share:.3g} %)"
        for c in tree_costs(view, "headline")
        if not control(c.paradigm)
    ]
    steps = [f"Steps to release {view.last} versions: {spoken(costs)}."] if costs else []
    return [*steps, *_last_version(view, "headline")]


def _last_version(view: View, *studies: str) -> list[str]:
    scores = view.scores(*studies)
    sentences = []
    for schedule in dict.fromkeys(scores["schedule"]):
        rows = scores[scores["schedule"] == schedule]
        present = recipes(comparable(rows)["paradigm"])
        loss = losses(rows, present, [view.last])
        if loss and len(present) > 1:
            parts = [f"{ppl(loss[p]).to_numpy().mean():.2f} for {recipe_name(p)}" for p in present]
            n = len(loss[present[0]])
            sentences.append(f"PPL of version {view.last} with {schedule_name(schedule)}: {spoken(parts)} (n = {n}).")
    return sentences


def pilot(view: View) -> list[str]:
    """How far CPT lies behind PTFS, and whether it falls back further."""
    versions = versions_after_first(view)
    scores = view.scores(*pooled())
    gaps, growth = [], []
    for schedule in dict.fromkeys(scores["schedule"]):
        loss = losses(scores[scores["schedule"] == schedule], (PTFS, CPT), versions)
        if loss:
            gap = (loss[CPT] - loss[PTFS]).to_numpy(dtype=np.float64)
            gaps.append(f"{percent(gap.mean(axis=1))} with {schedule_name(schedule)}")
            if len(versions) > 1:
                growth.append(f"{percent(stats.slopes(gap, versions))} with {schedule_name(schedule)}")
    if not gaps:
        return []
    sentences = [f"CPT's PPL relative to PTFS's, mean over {later(view.last)}: {spoken(gaps)}."]
    return [*sentences, f"Its growth with each version: {spoken(growth)}."] if growth else sentences


def main(view: View) -> list[str]:
    """CPT and path switching beside PTFS; and what their means over versions do not say."""
    scores = view.scores(*pooled())
    sentences = []
    ptfs: dict[str, pd.DataFrame] = {}
    switching: dict[str, pd.DataFrame] = {}
    for schedule in dict.fromkeys(scores["schedule"]):
        rows = scores[scores["schedule"] == schedule]
        loss = losses(rows, THREE, versions_after_first(view))
        if loss:
            ptfs[schedule], switching[schedule] = loss[PTFS], loss[SWITCH]
            cpt, switched, share, n = recovery_cells(_of_last(loss, view))
            sentences.append(
                f"With {schedule_name(schedule)}, at version {view.last}, relative to PTFS, CPT's PPL is {cpt} and "
                f"path switching's {switched}; {_recovered(share)} (n = {n})."
            )
            sentences += _over_versions(view, schedule, rows, loss)
    if len(ptfs) > 1:
        sentences += _against_the_best(ptfs, switching)
    if {"knee", "multi_step"} & switching.keys():
        sentences.append(_READ[view.usual.own(readings.RECIPE, readings.SETTING) == readings.CYCLE])
        sentences += _other_reading(view)
    return [*sentences, *_last_version(view, "main")]


_READ = {
    True: "A Knee or multi-step branch is read as a whole cycle of alpha T, which is an assumption: half of it (Knee) "
    "or 80 % (multi-step) stays at the maximum.",
    False: "A Knee or multi-step branch is read as alpha T steps that all decay, which is an assumption.",
}
"""By whether the usual reading is that of a cycle."""


def _other_reading(view: View) -> list[str]:
    """Path switching under the reading of the branch that is not the usual one, if that was run."""
    usual = view.usual.own(readings.RECIPE, readings.SETTING)
    sentences = []
    for reading in (reading for reading in readings.READINGS if reading != usual):
        scores = view.under(reading).scores(*pooled())
        for schedule in filter(readings.differ, dict.fromkeys(scores["schedule"])):
            loss = losses(scores[scores["schedule"] == schedule], THREE, versions_after_first(view))
            if loss:
                _, switched, share, n = recovery_cells(_of_last(loss, view))
                sentences.append(
                    f"With {readings.where(schedule, reading)}, at version {view.last}, path switching's PPL is "
                    f"{switched} relative to PTFS's; {_recovered(share)} (n = {n})."
                )
    return sentences


def _of_last(loss: dict[str, pd.DataFrame], view: View) -> dict[str, pd.DataFrame]:
    """The last version alone: a mean over versions hides where they lead."""
    return {paradigm: frame[[view.last]] for paradigm, frame in loss.items()}


def _over_versions(view: View, schedule: str, rows: pd.DataFrame, loss: dict[str, pd.DataFrame]) -> list[str]:
    """What the last version does not say: how it came to that, and where it began."""
    versions = versions_after_first(view)
    behind = (loss[SWITCH] - loss[PTFS]).to_numpy(dtype=np.float64)
    sentences = []
    if len(versions) > 1:
        growth = percent(stats.slopes(behind, versions))
        _, switching, share, _ = recovery_cells(loss)
        sentences.append(
            f"With {schedule_name(schedule)}, as a mean over {later(view.last)}, path switching's PPL is {switching} "
            f"relative to PTFS's, {_recovered(share)}; from version to version it changes by {growth}."
        )
    if beside := losses(rows, (PTFS, CURVE, SWITCH), [view.last]):
        of_curve, of_order = (
            percent((beside[one] - beside[other]).to_numpy(dtype=np.float64).ravel())
            for one, other in ((CURVE, PTFS), (SWITCH, CURVE))
        )
        sentences.append(
            f"With {schedule_name(schedule)}, PTFS with path switching's own curve has a PPL of version {view.last} of "
            f"{of_curve} relative to PTFS's, which is the curve's doing alone; path switching, which reads the data in "
            f"order of arrival, {of_order} relative to that."
        )
    if first := losses(rows, (PTFS, SWITCH), [1]):
        lead = percent((first[SWITCH] - first[PTFS])[1].to_numpy(dtype=np.float64))
        sentences.append(
            f"With {schedule_name(schedule)}, at version 1, where all have trained as long on the same data, path "
            f"switching's PPL is {lead} relative to PTFS's: that much comes from the shape of its schedule alone."
        )
    return sentences


def _against_the_best(ptfs: dict[str, pd.DataFrame], switching: dict[str, pd.DataFrame]) -> list[str]:
    """Path switching's best schedule against PTFS's best one."""
    best, own = _lowest(ptfs), _lowest(switching)
    both = switching[own].index.intersection(ptfs[best].index)
    if best == own or both.empty:
        return []
    difference = (switching[own].loc[both] - ptfs[best].loc[both]).mean(axis=1).to_numpy(dtype=np.float64)
    return [
        f"PTFS is best with {schedule_name(best)} and path switching with {schedule_name(own)}: relative to each "
        f"other, path switching's PPL is {percent(difference)} (n = {len(both)})."
    ]


def _lowest(loss: dict[str, pd.DataFrame]) -> str:
    """The schedule with the lowest mean over the seeds that all have, where there are any."""
    common = set.intersection(*(set(each.index) for each in loss.values()))
    fair = {name: each[each.index.isin(common)] if common else each for name, each in loss.items()}
    return min(fair, key=lambda schedule: float(fair[schedule].to_numpy().mean()))


def generality(view: View, study: str, factor: Factor) -> list[str]:
    """The comparison at the last version, at every value of what a study varies."""
    label = factor.label
    parts = []
    for value, rows in swept_values(swept_scores(view, study, factor), study, factor):
        for schedule in dict.fromkeys(rows["schedule"]):
            loss = losses(rows[rows["schedule"] == schedule], THREE, [view.last])
            if loss:
                cpt, switching, share, n = recovery_cells(loss)
                parts.append(
                    f"{label[0].upper()}{label[1:]} {value}, {schedule_name(schedule)}, version {view.last}: CPT {cpt} "
                    f"and path switching {switching} relative to PTFS; {_recovered(share)} (n = {n})."
                )
    return parts


def _recovered(share: str) -> str:
    return f"{share} of the gap recovered" if share[0].isdigit() or share[0] == "-" else share


def generality_of(study: str, factor: Factor) -> Sentences:
    """`generality` as a study says it."""
    return Sentences(f"{study}_findings", make=lambda view: generality(view, study, factor))

"""Recipes side by side: PPL by version, by what a study varies, and how much of the gap is recovered."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import (
    CPT,
    PTFS,
    SWITCH,
    THREE,
    losses,
    recovery,
    swept_scores,
    swept_values,
    versions_after_first,
)
from analysis.formats import number, percent, plus_minus
from analysis.frames import View
from analysis.names import decays, recipe_name, recipes, schedule_name, span
from analysis.rates import tuned_note
from analysis.registries import Factor, TableOf, pooled
from analysis.tables.table import (
    Table,
    ends,
    mean_cell,
    numerics_note,
    numerics_of,
    relative_cost,
    seed_count,
    to_ptfs,
    uneven,
)  # fmt: skip
from repro.results.measures import EVERY


def by_version(view: View, study: str) -> Table | None:
    """PPL by schedule, recipe and version, with cost and the distance to PTFS."""
    scores = view.scores(study)
    if scores.empty:
        return None
    versions = list(range(1, view.last + 1))
    rows, data, counts = [], [], set()
    for schedule in dict.fromkeys(scores["schedule"]):
        mine = scores[scores["schedule"] == schedule]
        # Undecayed versions stand apart, at the end.
        for paradigm in sorted(recipes(mine["paradigm"]), key=lambda recipe: not decays(recipe)):
            runs = mine[mine["paradigm"] == paradigm]
            by = {version: runs[runs["version"] == version] for version in versions}
            gap = to_ptfs(mine, paradigm, view)
            seeds = sorted({seed_count(at) for at in by.values() if len(at)})
            for version, at in by.items():
                if len(at):
                    data.append(
                        {"schedule": schedule, "paradigm": paradigm, "version": version}
                        | ends("ppl", stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64)))
                        | {
                            "bits_per_byte": at["bits_per_byte"].mean(skipna=False),
                            "relative_cost": relative_cost(view, at, version),
                        }
                    )
            whole = by[view.last]
            cost = f"{100 * relative_cost(view, whole, view.last):.0f} %" if len(whole) else ""
            cells = [mean_cell(at["ppl"]) for at in by.values()]
            counts.update(seeds)
            n = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
            rows.append([schedule_name(schedule), recipe_name(paradigm), *cells, cost, gap, n])
    last = f"{versions_after_first(view)[0]} to {view.last}" if view.last > 1 else "1"
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", *(f"PPL v{version}" for version in versions), "cost", "PPL to PTFS", "n"],
        caption=f"PPL {EVERY}. Cost: steps of the run's own tree over PTFS's, all "
        f"versions. PPL to PTFS: mean over versions {last}, paired by seed.{uneven(counts)} {tuned_note(view, scores)}"
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def generality(view: View, study: str, factor: Factor) -> Table | None:
    """Recipes by value of what a study of generality varies."""
    scores = swept_scores(view, study, factor)
    rows, data = [], []
    for value, group in swept_values(scores, study, factor):
        for schedule in dict.fromkeys(group["schedule"]):
            mine = group[group["schedule"] == schedule]
            for paradigm in recipes(mine["paradigm"]):
                at = mine[(mine["paradigm"] == paradigm) & (mine["version"] == view.last)]
                if at.empty:
                    continue
                last = stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64))
                cost = relative_cost(view, at, view.last)
                rows.append(
                    [value, schedule_name(schedule), recipe_name(paradigm), plus_minus(last), f"{100 * cost:.0f} %",
                     to_ptfs(mine, paradigm, view, [view.last]), _share(mine, view) if paradigm == SWITCH else "",
                     str(seed_count(at))]
                )  # fmt: skip
                data.append(
                    {factor.column: value, "schedule": schedule, "paradigm": paradigm, "version": view.last}
                    | ends("ppl", last)
                    | {"relative_cost": cost}
                )
    if not rows:
        return None
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=[factor.label, "schedule", "paradigm", f"PPL v{view.last}", "cost", "PPL to PTFS", "gap recovered", "n"],
        caption=f"PPL {EVERY}; to PTFS and gap recovered: of version {view.last}, paired by seed."
        f"{uneven({int(row[-1]) for row in rows})} {numerics_of(scores.drop_duplicates('run'))}",
    )  # fmt: skip


def recovered(view: View) -> Table | None:
    """Share of the gap between CPT and PTFS that path switching recovers, by schedule and version."""
    scores = view.scores(*pooled())
    rows, data = [], []
    versions = versions_after_first(view)
    for schedule in dict.fromkeys(scores["schedule"]):
        mine = scores[scores["schedule"] == schedule]
        for at in ([version] for version in versions):
            loss = losses(mine, THREE, at)
            if loss:
                rows.append([schedule_name(schedule), f"v{at[0]}", *recovery_cells(loss)])
                data.append({"schedule": schedule, "version": at[0]} | _numbers(loss))
        loss = losses(mine, THREE, versions)
        if loss and len(versions) > 1:
            rows.append([schedule_name(schedule), span(view.last), *recovery_cells(loss)])
            data.append({"schedule": schedule, "version": f"2-{view.last}"} | _numbers(loss))
    if not rows:
        return None
    return Table(
        name="recovery", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "version", "CPT above PTFS", "path switching above PTFS", "gap recovered", "n"],
        caption="Paired by seed; shares with "
        "Fieller's interval, and only where the gap itself is told apart from 0. "
        f"{numerics_note(view, *pooled())}",
    )  # fmt: skip


def _share(rows: pd.DataFrame, view: View) -> str:
    loss = losses(rows, THREE, [view.last])
    return recovery_cells(loss)[2] if loss else ""


def recovery_cells(loss: dict[str, pd.DataFrame]) -> list[str]:
    """CPT to PTFS, path switching to PTFS, the share of the gap recovered, and n; as printed."""
    mean = {paradigm: frame.mean(axis=1) for paradigm, frame in loss.items()}
    found = recovery(mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS])
    share = found.share
    shown = f"{number(100 * share.estimate)} %"
    if not found.established:
        shown = "no gap established"
    elif share.n > 1:
        shown = f"{shown} [{number(100 * share.low)}, {number(100 * share.high)}]"
    behind = [(mean[recipe] - mean[PTFS]).to_numpy(dtype=np.float64) for recipe in (CPT, SWITCH)]
    return [*map(percent, behind), shown, str(share.n)]


def _numbers(loss: dict[str, pd.DataFrame]) -> dict[str, object]:
    mean = {paradigm: frame.mean(axis=1) for paradigm, frame in loss.items()}
    found = recovery(mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS])
    switching = stats.mean_interval((mean[SWITCH] - mean[PTFS]).to_numpy(dtype=np.float64))
    return (
        ends("cpt_above_ptfs_nats", found.gap)
        | ends("path_switching_above_ptfs_nats", switching)
        | ends("recovered_share", found.share)
    )


def by_version_of(study: str) -> TableOf:
    """`by_version` as a study shows it."""
    return TableOf(study, make=lambda view: by_version(view, study), per_setting=True)


def generality_of(study: str, factor: Factor) -> TableOf:
    """`generality` as a study shows it."""
    return TableOf(study, make=lambda view: generality(view, study, factor))

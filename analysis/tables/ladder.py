"""The gap and the share recovered by size, their trend, and its extrapolation."""

from itertools import product

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import CPT, PTFS, SWITCH, TWIN, Recovery, recovery
from analysis.formats import millions, number, percent
from analysis.frames import View
from analysis.ladder import PAPER, STUDY, Rung, rungs, schedules, trend
from analysis.names import recipe_name, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note


def ladder(view: View) -> Table | None:
    rows: list[list[str]] = []
    data: list[dict[str, object]] = []
    largest = 1.0
    several = schedules(view)
    for schedule, reference in product(several, (PTFS, TWIN)):
        found = rungs(view, schedule, reference)
        order = recipe_name(reference) + (f", {schedule_name(schedule)}" if len(several) > 1 else "")
        for rung in found:
            name = f"{rung.size} ({millions(rung.parameters)})"
            cells = [percent(np.asarray(each, dtype=np.float64)) for each in (rung.cpt, rung.switching)]
            rows.append([order, name, f"{rung.steps:,.0f}", f"{rung.tokens:.2f}", *cells,
                         _share(rung.recovered), str(len(rung.cpt))])  # fmt: skip
            data.append(_line(schedule, reference, "measured", rung.parameters, rung.cpt, rung.switching))
            largest = max(largest, rung.parameters)
        rows += _trend(order, schedule, reference, found, data)
    if not rows:
        return None
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["PTFS's order", "size", "T", "tokens per parameter", "CPT above PTFS", "path switching above PTFS",
              "gap recovered", "n"],
        caption=f"PPL of version {view.last} above PTFS's, paired by seed; the share with Fieller's interval, where "
        "the gap is told apart from 0. Trend: one straight line for each seed, over log10 of parameters. The line at "
        f"{PAPER / 1e9:g} B is an EXTRAPOLATION over {np.log10(PAPER / largest):.1f} tenfolds of size, not a "
        "measurement: its interval is the seeds' alone, and says nothing of whether the line is straight. "
        f"{numerics_note(view, STUDY)}",
    )  # fmt: skip


def _trend(
    order: str, schedule: str, reference: str, found: list[Rung], data: list[dict[str, object]]
) -> list[list[str]]:
    """The slope per tenfold, and the extrapolation."""
    line = trend(found)
    if line is None:
        return []
    seeds = str(len(line.there[CPT]))
    slope = [percent(np.asarray(line.slope[recipe], dtype=np.float64)) for recipe in (CPT, SWITCH)]
    there = [percent(np.asarray(line.there[recipe], dtype=np.float64)) for recipe in (CPT, SWITCH)]
    share = _share(recovery(line.there[CPT] - line.there[SWITCH], line.there[CPT]))
    data.append(_line(schedule, reference, "a tenfold", float("nan"), line.slope[CPT], line.slope[SWITCH]))
    data.append(_line(schedule, reference, "extrapolated", PAPER, line.there[CPT], line.there[SWITCH]))
    return [
        [order, "trend, a tenfold of parameters", "", "", *slope, "", seeds],
        [order, f"EXTRAPOLATED to {PAPER / 1e9:g} B", "", "", *there, share, seeds],
    ]


def _line(
    schedule: str, reference: str, kind: str, parameters: float, cpt: "pd.Series[float]", switching: "pd.Series[float]"
) -> dict[str, object]:
    found = recovery(cpt - switching, cpt)
    return (
        {"schedule": schedule, "reference": reference, "kind": kind, "parameters": parameters}
        | ends("cpt_above_nats", stats.mean_interval(np.asarray(cpt, dtype=np.float64)))
        | ends("path_switching_above_nats", stats.mean_interval(np.asarray(switching, dtype=np.float64)))
        | (ends("recovered_share", found.share) if kind != "a tenfold" else {})
    )


def _share(found: Recovery) -> str:
    if not found.established:
        return "no gap established"
    share = found.share
    span = f" [{number(100 * share.low)}, {number(100 * share.high)}]" if share.n > 1 else ""
    return f"{number(100 * share.estimate)} %{span}"


LADDER = TableOf(STUDY, make=ladder)

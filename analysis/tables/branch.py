"""The branch: its shape, its floor and its length."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import SWITCH, versions_after_first
from analysis.formats import percent, plus_minus, text
from analysis.frames import View
from analysis.names import schedule_name, span
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note

STUDY = "branch"
REFERENCE = ("cosine", 0.1)
"""Shape and floor, as a share of the maximum, that others of the same length are compared with."""


def means(view: View) -> pd.DataFrame:
    """Mean over versions 2 to N of the losses: (seeds; schedule, floor over maximum, alpha)."""
    rows = view.scores(STUDY)
    versions = versions_after_first(view)
    rows = rows[(rows["paradigm"] == SWITCH) & rows["version"].isin(versions) & np.isfinite(rows["loss"])]
    rows = rows.assign(floor=(rows["min_lr"] / rows["max_lr"]).round(6))
    cells = rows.groupby(["seed", "schedule", "floor", "alpha"], sort=False)["loss"].agg(["mean", "count"])
    whole = pd.DataFrame(cells["mean"].where(cells["count"] == len(versions)))["mean"]
    return whole.unstack(["schedule", "floor", "alpha"])  # noqa: PD010


def cells(wide: pd.DataFrame) -> list[tuple[str, float, float]]:
    """The columns of `means`: schedule, floor, alpha."""
    levels = [wide.columns.get_level_values(level) for level in range(3)]
    return [(str(schedule), float(floor), float(alpha)) for schedule, floor, alpha in zip(*levels, strict=True)]


def floor_name(floor: float) -> str:
    return "0" if floor == 0 else f"{100 * floor:g} %"


def branch(view: View) -> Table | None:
    wide = means(view)
    rows, data = [], []
    costs = view.costs(STUDY)
    costs = costs[costs["version"] == view.last]
    for schedule, floor, alpha in cells(wide):
        known = wide[schedule, floor, alpha].dropna()
        if known.empty:
            continue
        at = stats.mean_interval(np.exp(known.to_numpy(dtype=np.float64)))
        same = costs[(costs["schedule"] == schedule) & (costs["alpha"] == alpha)]
        cost, beside = float(same["relative_cost"].iloc[0]), ""
        if (schedule, floor) != REFERENCE and (*REFERENCE, alpha) in cells(wide):
            difference = (known - wide[(*REFERENCE, alpha)]).dropna().to_numpy(dtype=np.float64)
            beside = percent(difference) if len(difference) else ""
        rows.append([schedule_name(schedule), floor_name(floor), text(alpha), plus_minus(at), beside,
                     f"{100 * cost:.0f} %", str(at.n)])  # fmt: skip
        data.append({"schedule": schedule, "floor_over_max": floor, "alpha": alpha} | ends("mean_ppl", at))
        data[-1]["relative_cost"] = cost
    if not rows:
        return None
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["shape", "floor", "alpha", f"PPL {span(view.last)}", "to a cosine to 10 %", "cost", "n"],
        caption="Path switching with branches that decay in several shapes, to a tenth of the maximum or to zero, over "
        "alpha T steps. To a cosine to 10 %: of the same length, paired by seed. "
        f"{numerics_note(view, STUDY)}",
    )  # fmt: skip


BRANCH = TableOf(STUDY, make=branch)

"""The branch: its shape, its floor and its length."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import DATA, PTFS, SWITCH, borrowed, versions_after_first
from analysis.formats import paired, plus_minus, text
from analysis.frames import SETTING, View
from analysis.names import schedule_name, span
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note
from repro.results.measures import EVERY

STUDY = "branch"
REFERENCE = ("cosine", 0.1)
"""Shape and floor, as a share of the maximum, that others of the same length are compared with."""


def means(view: View, *only: int) -> pd.DataFrame:
    """Mean over versions 2 to N of the losses, or of some alone: (seeds; schedule, floor over maximum, alpha)."""
    rows = view.scores(STUDY)
    versions = only or versions_after_first(view)
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


def _ptfs(view: View) -> "pd.Series[float]":
    """PTFS under a cosine at the last version, by seed: of the same text and numerics, in whichever study."""
    mine = view.scores(STUDY)
    alike = list(dict.fromkeys(["seed", "numerics", "cut", "max_lr", "optimizer", *SETTING, *DATA]))

    def chosen(rows: pd.DataFrame) -> "pd.Series[bool]":
        floor = np.isclose(rows["min_lr"], REFERENCE[1] * rows["max_lr"])
        return (rows["paradigm"] == PTFS) & (rows["schedule"] == REFERENCE[0]) & (rows["order"] == "mixed") & floor

    rows = borrowed(view, mine[alike].drop_duplicates(), chosen)
    rows = rows[rows["version"] == view.last]
    return pd.Series(rows.drop_duplicates("seed").set_index("seed")["loss"])


def branch(view: View) -> Table | None:
    wide = means(view)
    by_version = {version: means(view, version) for version in versions_after_first(view)}
    ptfs = _ptfs(view)
    rows, data = [], []
    costs = view.costs(STUDY)
    costs = costs[costs["version"] == view.last]
    for schedule, floor, alpha in cells(wide):
        known = wide[schedule, floor, alpha].dropna()
        if known.empty:
            continue
        at = stats.mean_interval(np.exp(known.to_numpy(dtype=np.float64)))
        same = costs[(costs["schedule"] == schedule) & (costs["alpha"] == alpha)]
        cost = float(same["relative_cost"].iloc[0])
        line: dict[str, object] = {"schedule": schedule, "floor_over_max": floor, "alpha": alpha} | ends("mean_ppl", at)
        beside = []
        compared = (schedule, floor) != REFERENCE and (*REFERENCE, alpha) in cells(wide)
        for version, each in by_version.items():
            there = compared and (*REFERENCE, alpha) in each.columns  # at this version
            less = (each[schedule, floor, alpha] - each[(*REFERENCE, alpha)]).dropna() if there else ptfs.iloc[:0]
            beside.append(_cell(less, f"v{version}_to_cosine_nats", line, at.n))
        over = (by_version[view.last][schedule, floor, alpha] - ptfs).dropna()
        rows.append([schedule_name(schedule), floor_name(floor), text(alpha), plus_minus(at), *beside,
                     _cell(over, "to_ptfs_nats", line, at.n), f"{100 * cost:.0f} %", str(at.n)])  # fmt: skip
        data.append(line | {"relative_cost": cost, "n": at.n})
    if not rows:
        return None
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["shape", "floor", "alpha", f"PPL {span(view.last)}",
              *(f"v{version} to a cosine to 10 %" for version in by_version), f"v{view.last} to PTFS", "cost", "n"],
        caption="Path switching with branches that decay in several shapes, to a tenth of the maximum or to zero, over "
        f"alpha T steps. PPL {EVERY}. To a cosine to 10 %: of the same length, paired by seed. To PTFS: on mixed "
        f"data, with a cosine to 10 %, paired by seed. {numerics_note(view, STUDY)}",
    )  # fmt: skip


def _cell(less: "pd.Series[float]", name: str, line: dict[str, object], n: int) -> str:
    """A difference in nats as printed beside `n` seeds; it enters the line, too."""
    values: stats.Values = np.asarray(less, dtype=np.float64)
    if len(values):
        line |= ends(name, stats.mean_interval(values))
    return paired(values, n) if len(values) else ""


BRANCH = TableOf(STUDY, make=branch)

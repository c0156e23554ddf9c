"""One shape for all: recipes beside each other under a schedule that path switching's branches had, and each beside
itself under a cosine. What a shape takes off path switching says little before the others have had it, too."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import CPT, DATA, PTFS, SWITCH, borrowed, most_alike
from analysis.formats import paired
from analysis.frames import SETTING, View
from analysis.names import recipe_name, schedule_name
from analysis.registries import TableOf
from analysis.tables.branch import REFERENCE, STUDY, floor_name
from analysis.tables.table import Table, ends, numerics_of

NAME = "same_shape"
BESIDE = ((SWITCH, PTFS), (CPT, SWITCH))
"""Recipes of which the first is compared with the second, under one schedule."""

Losses = Mapping[str, pd.DataFrame]
"""By recipe: (seeds; versions)."""


def same_shape(view: View) -> Table | None:
    every = _rows(view)
    lengths = sorted(every.loc[every["paradigm"] == SWITCH, "alpha"].unique())
    versions = sorted(every["version"].unique())
    rows, data, used = [], [], []
    for shape, group in every.groupby(["schedule", "floor"], sort=False):
        schedule, floor = str(shape[0]), float(str(shape[1]))
        if (schedule, floor) == REFERENCE or not {PTFS, CPT, SWITCH} <= set(group["paradigm"]):
            continue
        used.append(group)
        for alpha in lengths:
            usual, shaped = (_losses(every, *each, alpha) for each in (REFERENCE, (schedule, floor)))
            for what, under, less in _compared(usual, shaped, f"{schedule_name(schedule)} to {floor_name(floor)}"):
                own = recipe_name(SWITCH) in what
                n = int(less.notna().any(axis=1).sum())
                line = {"compared": what, "under": under, "alpha": alpha if own else np.nan}
                cells = []
                for version in versions:
                    nats = less.reindex(columns=versions)[version].dropna().to_numpy(dtype=np.float64)
                    cells.append(paired(nats, n) if len(nats) else "")
                    line |= ends(f"v{version}_nats", stats.mean_interval(nats)) if len(nats) else {}
                row = [what, under, f"{alpha:g}" if own else "", *cells, str(n)]
                if row not in rows:  # recipes without a branch are the same beside each of its lengths
                    rows.append(row)
                    data.append(line | {"n": n})
    if not rows:
        return None
    return Table(
        name=NAME, data=pd.DataFrame(data), rows=rows,
        head=["compared", "under", "alpha", *(f"v{version}" for version in versions), "n"],
        caption="Differences of ln PPL, paired by seed, of the text and the numerics of the branches above. Whole "
        "cycles of PTFS and CPT have the shape (study=main schedule=NAME schedule.min_lr=FLOOR), and branches of path "
        f"switching, of alpha T steps. PTFS reads mixed data. {numerics_of(pd.concat(used))}",
    )  # fmt: skip


def _compared(usual: Losses, shaped: Losses, name: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """What is compared, under which shape, and the differences in nats."""
    cosine = f"a {schedule_name(REFERENCE[0])} to {floor_name(REFERENCE[1])}"
    for one, other in BESIDE:
        for under, losses in ((cosine, usual), (name, shaped)):
            if {one, other} <= losses.keys():
                yield f"{recipe_name(one)} over {recipe_name(other)}", under, losses[one] - losses[other]
    for each in (PTFS, CPT, SWITCH):
        if each in usual and each in shaped:
            yield recipe_name(each), f"{name} over {cosine}", shaped[each] - usual[each]


def _rows(view: View) -> pd.DataFrame:
    """Of path switching's branches, and of the two recipes under the same text and numerics, in whichever study."""
    mine = view.scores(STUDY)
    # Other rates are another comparison.
    mine = most_alike(mine[mine["paradigm"] == SWITCH], ["max_lr", "warmup_steps"])
    alike = list(dict.fromkeys(["seed", "numerics", "cut", "max_lr", "warmup_steps", "optimizer", *SETTING, *DATA]))

    def chosen(rows: pd.DataFrame) -> "pd.Series[bool]":
        return ((rows["paradigm"] == PTFS) & (rows["order"] == "mixed")) | (rows["paradigm"] == CPT)

    others = borrowed(view, mine[alike].drop_duplicates(), chosen, aside=True)
    rows = pd.concat([mine, others], ignore_index=True)
    rows = rows[np.isfinite(rows["loss"])]
    kinds = view.ledger.runs.set_index("run")["schedule"]  # without a floor in its name
    floors = (rows["min_lr"] / rows["max_lr"]).round(6)
    return pd.DataFrame(rows.assign(schedule=rows["run"].map(kinds), floor=floors))


def _losses(rows: pd.DataFrame, schedule: str, floor: float, alpha: float) -> dict[str, pd.DataFrame]:
    rows = rows[(rows["schedule"] == schedule) & (rows["floor"] == floor)]
    rows = rows[(rows["paradigm"] != SWITCH) | (rows["alpha"] == alpha)]
    rows = rows.drop_duplicates(["paradigm", "seed", "version"])
    return {
        str(recipe): group.pivot(index="seed", columns="version", values="loss")  # noqa: PD010
        for recipe, group in rows.groupby("paradigm")
    }


SAME_SHAPE = TableOf(NAME, make=same_shape)

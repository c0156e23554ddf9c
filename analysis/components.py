"""Where chance comes from: crossings of cuts of the text with seeds, and of orders with initializations, which are what
a seed decides; and what each way to reduce its variance gave.

One run per cell, so the model is row + column + rest, all random; components are those of the analysis of variance
(means of squares set equal to what is expected of them), and 0 where that is below 0. Evaluation is told from the rest
by the spread over slices: in a dealt stream they are alike, so that their differences are chance of the held-out blocks
alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.parts import THREE_SCHEDULES
from analysis.contrasts import CPT, PTFS, SWITCH, TWIN, losses, most_alike
from analysis.frames import View
from analysis.registries import pooled

VERSION = 2
ROWS = {"components": "split_seed", "orders": "data_seed"}
"""What each study crosses with seeds, in the columns of runs.csv."""
QUANTITIES = {
    "ln PPL of PTFS": (PTFS, ""),
    "CPT less PTFS": (CPT, PTFS),
    "CPT less PTFS in order of arrival": (CPT, TWIN),
    "path switching less PTFS": (SWITCH, PTFS),
    "path switching less PTFS in order of arrival": (SWITCH, TWIN),
}
"""One recipe less another, if there is one."""
AGAINST_TWIN = {
    name: next(twin for twin, pair in QUANTITIES.items() if pair == (one, TWIN))
    for name, (one, other) in QUANTITIES.items()
    if other == PTFS
}
"""Contrasts with PTFS, each with that of the same recipe with the twin."""


@dataclass(frozen=True)
class Components:
    """Variances in nats squared."""

    row: float
    """By cut of the text; or by order of the data."""
    seed: float
    """Of initialization and order; or, beside orders, of initialization alone."""
    rest: float
    """Interaction of the two, and what evaluation has that differs from model to model."""
    evaluation: float
    """Of the mean over all slices."""
    rows: int
    seeds: int

    @property
    def judged(self) -> float:
        """Of one seed as claims have it, which everything that is crossed follows."""
        return self.row + self.seed + self.rest


def crossed(table: np.ndarray) -> tuple[float, float, float]:
    """Components of a (rows, seeds) table: row, seed, rest."""
    rows, seeds = table.shape
    by_row, by_seed, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = table - by_row[:, None] - by_seed[None, :] + mean
    of_rest = float((rest**2).sum() / ((rows - 1) * (seeds - 1)))
    of_row = float(seeds * ((by_row - mean) ** 2).sum() / (rows - 1))
    of_seed = float(rows * ((by_seed - mean) ** 2).sum() / (seeds - 1))
    return max(0.0, (of_row - of_rest) / seeds), max(0.0, (of_seed - of_rest) / rows), of_rest


def components(view: View, study: str = "components") -> dict[str, Components]:
    """By quantity; those of which the crossing is whole."""
    runs = _crossing(view.runs(study), study)
    rows = runs[runs["schedule"] == "cosine"].merge(view.ledger.perplexity, on="run", suffixes=("", "_"))
    rows = rows[rows["version"] == VERSION]
    rows = rows.assign(loss=rows["nll"] / rows["tokens"], row=rows[ROWS[study]].astype(int))
    wide = rows.pivot(index=["row", "seed", "slice"], columns="paradigm", values="loss")  # noqa: PD010
    found = {}
    for name, (one, other) in QUANTITIES.items():
        if {one, other or one} <= set(wide.columns):
            values = wide[one] - (wide[other] if other else 0.0)
            if (whole := _whole(values)) is not None:
                found[name] = whole
    return found


def _crossing(runs: pd.DataFrame, study: str) -> pd.DataFrame:
    """Those that differ in what is crossed alone: orders on the cut that most have, and cuts without orders' seeds, of
    text that is the same but for its cut; of as many versions as most have."""
    if study == "orders":
        return most_alike(runs, ["versions", "split_seed"])
    runs = most_alike(runs, ["versions", "uncut_conditions"])
    own = runs["seed"].astype(int).astype(str)
    return runs[(runs["data_seed"] == "") | (runs["data_seed"] == own)]


def _whole(values: "pd.Series[float]") -> Components | None:
    by_cell = values.groupby(level=["row", "seed"])
    table = by_cell.mean().unstack("seed").to_numpy(dtype=np.float64)  # noqa: PD010
    if min(table.shape) < 2 or not np.isfinite(table).all():
        return None
    evaluation = float((by_cell.var(ddof=1) / by_cell.count()).mean())
    return Components(*crossed(table), evaluation, *table.shape)


@dataclass(frozen=True)
class Reduction:
    """Variance of a contrast without a way to reduce it, and with it."""

    way: str
    contrast: str
    before: float
    after: float
    n: int


def reductions(view: View) -> list[Reduction]:
    """What common randomness and pooling over schedules gave."""
    found = components(view)
    ways = [
        Reduction("the same data in the same order (the twin)", before, found[before].judged, found[after].judged,
                  found[before].seeds * found[before].rows)
        for before, after in AGAINST_TWIN.items()
        if before in found and after in found
    ]  # fmt: skip
    pooling = _pooling(view)
    return [*ways, *([pooling] if pooling else [])]


def _pooling(view: View) -> Reduction | None:
    """Path switching less PTFS at the last version: one schedule alone, and the mean over the three.

    With a random effect of the seed, a fixed one of the schedule and every cell filled, a mixed model's estimate of the
    mean is that of the seeds' means, and so is its error.
    """
    scores = view.judged(own_best=False).scores(*pooled())
    by_schedule = {}
    for schedule in THREE_SCHEDULES:
        if loss := losses(scores[scores["schedule"] == schedule], (PTFS, SWITCH), [view.last]):
            by_schedule[schedule] = (loss[SWITCH] - loss[PTFS])[view.last]
    table = pd.DataFrame(by_schedule).dropna()
    if len(table.columns) < len(THREE_SCHEDULES) or len(table) < 2:
        return None
    what = f"path switching less PTFS, version {view.last}"
    alone, together = float(table.var(ddof=1).mean()), float(table.mean(axis=1).var(ddof=1))
    return Reduction("pooling three schedules (a mixed model)", what, alone, together, len(table))

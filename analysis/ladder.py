"""The comparison along a ladder of sizes, and what its trend would give at the paper's size: an extrapolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import CPT, PTFS, SWITCH, Recovery, losses, recovery
from analysis.frames import View

STUDY = "ladder"
PAPER = 1.2e9
"""[article] Parameters of the paper's base model."""


@dataclass(frozen=True)
class Rung:
    """One size, at the last version. Nats per token, one entry per seed."""

    size: str
    parameters: float
    steps: float
    """T"""
    tokens: float
    """A version's, for each parameter."""
    cpt: "pd.Series[float]"
    """Above the reference."""
    switching: "pd.Series[float]"

    @property
    def recovered(self) -> Recovery:
        return recovery(self.cpt - self.switching, self.cpt)


@dataclass(frozen=True)
class Trend:
    """Straight lines through ln PPL above the reference over log10 of parameters, one for each seed."""

    slope: dict[str, "pd.Series[float]"]
    """Nats per tenfold, by recipe."""
    there: dict[str, "pd.Series[float]"]
    """Nats at some number of parameters."""


def schedules(view: View) -> list[str]:
    """Those that the study was run with."""
    return list(dict.fromkeys(view.scores(STUDY)["schedule"]))


def rungs(view: View, schedule: str, reference: str = PTFS) -> list[Rung]:
    """Sizes of which some seed has all three, in rising order.

    Args:
        reference: `PTFS`, or its `TWIN`.
    """
    scores = view.scores(STUDY)
    scores = one_of_each(scores[scores["schedule"] == schedule])
    found = []
    for parameters, rows in scores.groupby("parameters", sort=True):
        loss = losses(rows, (reference, CPT, SWITCH), [view.last])
        if loss:
            first, last = rows.iloc[0], view.last
            tokens = first["steps_per_version"] * first["tokens_per_step"] / float(str(parameters))
            above = {recipe: (loss[recipe] - loss[reference])[last] for recipe in (CPT, SWITCH)}
            found.append(
                Rung(str(first["size"]), float(str(parameters)), float(first["steps_per_version"]), float(tokens),
                     above[CPT], above[SWITCH])
            )  # fmt: skip
    return found


def one_of_each(scores: pd.DataFrame) -> pd.DataFrame:
    """Of a size with several lengths or warm-ups, the pair that most of its runs have; the longest of equals."""
    if scores.empty:
        return scores
    counts = scores.groupby(["parameters", "steps_per_version", "warmup_steps"])["run"].nunique().rename("runs")
    ranked = counts.reset_index().sort_values(["runs", "steps_per_version", "warmup_steps"])
    kept = ranked.drop_duplicates("parameters", keep="last").drop(columns="runs")
    return scores.merge(kept)


def trend(found: Sequence[Rung], parameters: float = PAPER) -> Trend | None:
    """Of the seeds that every size has; None for fewer than two sizes or none such seed."""
    if len(found) < 2:
        return None
    x = np.log10([rung.parameters for rung in found])
    lines: dict[str, tuple[pd.Series[float], pd.Series[float]]] = {}
    for recipe in (CPT, SWITCH):
        table = pd.DataFrame({r.parameters: r.cpt if recipe == CPT else r.switching for r in found}).dropna()
        if table.empty:
            return None
        slope = pd.Series(stats.slopes(table.to_numpy(), x.tolist()), table.index)
        lines[recipe] = slope, table.mean(axis=1) + slope * (np.log10(parameters) - x.mean())
    return Trend({name: line[0] for name, line in lines.items()}, {name: line[1] for name, line in lines.items()})

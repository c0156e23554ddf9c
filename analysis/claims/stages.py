"""S1, S2 and C1: how a checkpoint is prepared, and how training goes on from it."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.parts import measured
from analysis.contrasts import two_stage
from analysis.evidence import Evidence
from analysis.formats import text
from analysis.frames import View
from analysis.registries import Claim

TIE = 0.002
"""Nats per token (0.2 % of PPL): two neighbouring cycles this close count as equal where one must be "the best"."""


def s1(view: View) -> Evidence:
    checkpoint, updated = (two_stage(view, "first_stage", version) for version in (1, 2))
    cycles = [float(cycle) for cycle in updated.columns]
    if updated.empty:
        return [], _incomplete(view, "first_stage")
    if np.inf not in cycles or len(cycles) < 3:
        return [], ["a trend needs at least 3 cycles, the endless one among them"]
    trend = pd.Series(-stats.slopes(updated.to_numpy(), range(len(cycles))), index=updated.index)
    parts = [measured("fall of the updated model's PPL with each slower first stage", trend, unit="% of PPL a step")]
    for cycle in cycles[:-1]:
        # Against the fastest decay there is no tie: a checkpoint that nothing tells apart is not "the worst".
        tie = 0.0 if cycle == cycles[0] else TIE
        worst, best = checkpoint[np.inf] - checkpoint[cycle], updated[cycle] - updated[np.inf]
        parts.append(measured(f"checkpoint: endless above {cycle:g} T", worst, tie=tie))
        parts.append(measured(f"updated: {cycle:g} T above endless", best, tie=TIE))
    return parts, []


def s2(view: View) -> Evidence:
    updated = two_stage(view, "second_stage", 2)
    cycles = [float(cycle) for cycle in updated.columns]
    slower = [cycle for cycle in cycles if cycle > 1]
    if updated.empty:
        return [], _incomplete(view, "second_stage")
    if 1.0 not in cycles or not slower:
        return [], ["a cycle of 1 T is compared with longer ones, and both are needed"]
    parts = [
        measured(f"{text(cycle)}{'' if np.isinf(cycle) else ' T'} above 1 T", updated[cycle] - updated[1.0])
        for cycle in slower
    ]
    for cycle in (cycle for cycle in cycles if cycle < 1):
        parts.append(measured(f"{cycle:g} T above 1 T", updated[cycle] - updated[1.0], role="shown"))
    return parts, []


def c1(view: View) -> Evidence:
    checkpoint, updated = (two_stage(view, "first_stage", version) for version in (1, 2))
    if updated.empty:
        return [], _incomplete(view, "first_stage")
    if not {1.0, np.inf} <= set(updated.columns):
        return [], ["a cycle of 1 T is compared with the endless one, and both are needed"]
    return [
        measured("current version: endless above a complete decay", checkpoint[np.inf] - checkpoint[1.0]),
        measured("next version: a complete decay above endless", updated[1.0] - updated[np.inf]),
    ], []


def _incomplete(view: View, study: str) -> list[str]:
    """Why there is nothing to pair, where a study was run."""
    return ["no seed has every cycle"] if len(view.scores(study)) else []


CLAIMS = (
    Claim(
        id="S1",
        statement="First stage: the slower it decays, the better the updated model; without decay the checkpoint is "
        "the worst and the updated model the best",
        source="[article]", study="first_stage", evaluate=s1,
        estimator="slope of the updated model's ln PPL over the rank of the cycle, one per seed; differences of every "
        "cycle to the endless one",
        margin="trend below 0; the endless one worst before and best after the update, ties of 0.2 % of PPL allowed "
        "and named",
    ),
    Claim(
        id="S2", statement="Second stage: a fast, complete decay to the minimum gives the best updated model",
        source="[article]", study="second_stage", evaluate=s2,
        estimator="ln PPL of the updated model, each cycle that T cuts short less the complete one of 1 T; paired "
        "by seed",
        margin="above 0 for every cycle longer than T",
    ),
    Claim(
        id="C1", statement="CPT cannot serve both the current version and the next one",
        source="[article]", study="first_stage", evaluate=c1,
        estimator="ln PPL, complete decay against none: of the checkpoint, and of the model updated from it",
        margin="decay better for the current version and worse for the next, both apart from 0",
    ),
)  # fmt: skip

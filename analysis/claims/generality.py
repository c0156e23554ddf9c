"""G1 to G4: whether the comparison holds elsewhere, too.

Both parts of M1 at the last version, for every value of what a study varies. The base cell, which is the main
comparison's, is judged there, once; here it is shown, with all its seeds.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis import plans, readings, stats
from analysis.claims.parts import MATCH, Losses, beats, called, exact, matches, measured
from analysis.commands import command
from analysis.contrasts import CPT, SWITCH, losses, swept_scores, swept_values, versions_after_first
from analysis.evidence import Evidence, Part
from analysis.formats import text
from analysis.frames import View
from analysis.ladder import one_of_each
from analysis.reading import canonical
from analysis.registries import STUDIES, Claim, Factor, Role, pooled

SIZE = "parameters"
"""The factor whose trend is judged, too."""


def generality(study: str, factor: Factor) -> Callable[[View], Evidence]:
    name = factor.label

    def evaluate(view: View) -> Evidence:
        parts: list[Part] = []
        missing: list[str] = []
        scores = swept_scores(view, study, factor)
        runs = pd.concat([view.runs(study), scores]).drop_duplicates("run")  # some of the first may lack scores
        runs = runs[runs["paradigm"].isin((view.reference, CPT, SWITCH))]
        values = swept_values(runs, study, factor)
        for value, group in values:
            base = len(values) > 1 and _is_base(group, view, study)
            for schedule in dict.fromkeys(group["schedule"]):
                label = f"{name} {value}, {readings.where(schedule, view.reading)}"
                rows = scores[scores["run"].isin(group[group["schedule"] == schedule]["run"])]
                if base:
                    of_base = _of_base(view, rows, schedule)
                    parts += _cell(f"{label}, base cell", of_base, _losses(of_base, view), view, "shown")
                    continue
                loss = _losses(rows, view)
                parts += _cell(label, rows, loss, view, "decides")
                missing += _lacking(label, rows, loss, view)
        if factor.column == SIZE:
            parts += _trend(view, scores[scores["run"].isin(runs["run"])])
        missing += _not_run(view, study, factor, runs)
        if len(values) == 1:
            missing.append(f"only {name} {values[0][0]} was run; {command(study, view.ledger.scale, view)}")
        return parts, missing

    return evaluate


def _losses(rows: pd.DataFrame, view: View) -> dict[str, pd.DataFrame]:
    return losses(rows, (view.reference, CPT, SWITCH), versions_after_first(view))


def _cell(label: str, rows: pd.DataFrame, loss: Losses, view: View, role: Role) -> list[Part]:
    """Both parts of M1 at the last version."""
    parts: list[Part] = []
    if loss:
        gap = loss[CPT] - loss[view.reference]
        parts = [beats(label, loss, gap, view.last, role), *matches(label, loss, view.reference, view.last, role)]
    diverged = int(rows[~np.isfinite(rows["loss"]) & (rows["paradigm"] == SWITCH)]["run"].nunique())
    if diverged:
        what = f"runs of path switching that diverged, {label}"
        parts.append(exact(what, diverged, holds=False, unit="runs", needs="0", role=role))
    return parts


def _lacking(label: str, rows: pd.DataFrame, loss: Losses, view: View) -> list[str]:
    # Path switching's divergence is a result, which speaks against the claim, and no seed that is to come.
    diverged = set(rows[~np.isfinite(rows["loss"]) & (rows["paradigm"] == SWITCH)]["seed"])
    left_out = set(rows["seed"]) - diverged - (set(loss[CPT].index) if loss else set())
    seeds = ", ".join(str(seed) for seed in sorted(left_out))
    return [f"{label}: not all three paradigms came to version {view.last} with seeds {seeds}"] if left_out else []


def _not_run(view: View, study: str, factor: Factor, runs: pd.DataFrame) -> list[str]:
    """Values that the scale's plan has and the ledger lacks: with some of them a claim holds in these alone."""
    column = factor.chosen
    there = {canonical(text(value)) for value in runs[column]}
    planned = plans.values(view.ledger.scale, study, factor.setting, column)
    lacking = [value for value in planned if canonical(value) not in there]
    return [f"not run: {factor.label} {', '.join(lacking)}"] if there and lacking else []


def _is_base(group: pd.DataFrame, view: View, study: str) -> bool:
    """Whether a value of what is swept is the main comparison's own, and that was run: else nothing else judges it."""
    if view.runs(*pooled()).empty:
        return False
    return all((group[column] == view.own[column]).all() for column in STUDIES[study].sweeps if column in view.own)


def _of_base(view: View, rows: pd.DataFrame, schedule: str) -> pd.DataFrame:
    """The base cell with every seed that it was run with, in whichever study."""
    every = view.scores(*pooled())
    every = every[every["schedule"] == schedule]
    return every if every["seed"].nunique() > rows["seed"].nunique() else rows


def _trend(view: View, scores: pd.DataFrame) -> list[Part]:
    """Path switching's distance to PTFS along sizes: one slope over ln parameters per seed, shown for a tenfold."""
    parts = []
    for schedule, mine in scores.groupby("schedule", sort=False):
        behind = {}
        for parameters, rows in one_of_each(mine).groupby("parameters"):
            if loss := losses(rows, (view.reference, SWITCH), [view.last]):
                behind[float(str(parameters))] = (loss[SWITCH] - loss[view.reference])[view.last]
        table = pd.DataFrame(behind).dropna()
        if len(table.columns) < 2 or table.empty:
            continue
        slope = stats.slopes(table.to_numpy(), np.log(list(table.columns)).tolist()) * np.log(10)
        what = f"growth of path switching's distance above {called(view.reference)}, version {view.last}, over " \
               f"{len(table.columns)} sizes, {readings.where(str(schedule), view.reading)}"  # fmt: skip
        tenfold = pd.Series(slope, index=table.index)
        parts.append(measured(what, tenfold, unit="% of PPL a tenfold of parameters", below=MATCH,
                              equal=MATCH, moves=False))  # fmt: skip
    return parts


def claim(id: str, study: str, over: str, factor: Factor) -> Claim:
    """That the comparison holds `over` what a study varies."""
    trend = ", and the trend along them" if factor.column == SIZE else ""
    return Claim(
        id=id, statement=f"It holds {over}", source="[article]", study=study, evaluate=generality(study, factor),
        estimator=f"both parts of M1 at the last version, for every {factor.label}{trend}; under the schedules that "
        "the study runs (cosine); the base cell is judged in M1, once",
        margin="as M1, for every value" + (", and at most 1 % for ten times the parameters" if trend else ""),
        readings=True, equal_versions=True, twin=True,
    )  # fmt: skip

"""G1 to G4: whether the comparison holds elsewhere, too. As M1, for every value of what a study varies."""

from collections.abc import Callable

import numpy as np

from analysis import readings
from analysis.claims.parts import exact, matches
from analysis.contrasts import PTFS, SWITCH, THREE, losses, swept_values, versions_after_first
from analysis.frames import View
from analysis.registries import Claim, Factor
from analysis.verdicts import Evidence, Part, command


def generality(study: str, factor: Factor) -> Callable[[View], Evidence]:
    name = factor.label

    def evaluate(view: View) -> Evidence:
        parts: list[Part] = []
        missing, values = [], []
        scores = view.scores(study)
        runs = view.runs(study)
        runs = runs[runs["paradigm"].isin(THREE)]
        for value, group in swept_values(runs, study, factor):
            values.append(value)
            for schedule in dict.fromkeys(group["schedule"]):
                label = f"{name} {value}, {readings.where(schedule, view.reading)}"
                cell = group[group["schedule"] == schedule]
                rows = scores[scores["run"].isin(cell["run"])]
                loss = losses(rows, THREE, versions_after_first(view))
                parts += matches(label, loss) if loss else []
                diverged = int(rows[~np.isfinite(rows["loss"]) & (rows["paradigm"] == SWITCH)]["run"].nunique())
                if diverged:
                    what = f"runs of path switching that diverged, {label}"
                    parts.append(exact(what, diverged, holds=False, unit="runs", needs="0"))
                left_out = set(cell["seed"]) - (set(loss[PTFS].index) if loss else set())
                if left_out:
                    seeds = ", ".join(map(str, sorted(left_out)))
                    missing.append(f"{label}: not all three paradigms came to version {view.last} with seeds {seeds}")
        if len(values) == 1:
            missing.append(f"only {name} {values[0]} was run; {command(study, view.ledger.scale, view)}")
        return parts, missing

    return evaluate


def claim(id: str, study: str, over: str, factor: Factor) -> Claim:
    """That the comparison holds `over` what a study varies."""
    return Claim(
        id=id, statement=f"It holds {over}", source="[article]", study=study, evaluate=generality(study, factor),
        estimator=f"as M1, for every {factor.label}; under the schedules that the study runs (cosine)",
        margin="as M1, for every value", readings=True, equal_versions=True,
    )  # fmt: skip

"""Learning rates by step, as a file, with what others need for the same curve (repro.exports.peers)."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from repro.common.disk import write_atomically
from repro.common.errors import UserError
from repro.exports.peers import peers
from repro.planning.runs import Run
from repro.recipes.trajectory import Derived


def check(path: Path, runs: list[Run], version: int | None) -> None:
    """
    Raises:
        UserError: rates=... cannot be written: another ending, or more than one curve.
    """
    if path.suffix not in (".csv", ".json"):
        raise UserError(f"rates={path} has an unknown ending; .csv and .json work.")
    if len(runs) > 1:
        raise UserError(
            f"rates={path} writes one run's curve, and there are {len(runs)} runs; give one of each setting."
        )
    if version is not None and not 1 <= version <= runs[0].versions:
        raise UserError(f"version={version}: the run has versions 1 to {runs[0].versions}.")


def write(path: Path, run: Run, version: int | None, command: str) -> str:
    """Write the rates of the training that leads to a version (None: the last); returns what to tell about it.

    CSV has the columns `step` and `lr`, JSON the same as lists, and the settings of others. Steps are counted from 0;
    a rate is written so that reading it gives the same bits.

    Args:
        command: what makes the file again, which JSON says.

    Raises:
        UserError: the disk refuses.
    """
    number = version or run.versions
    trajectory = run.trajectories[number - 1]
    lr = trajectory.learning_rates
    others = peers(trajectory.phases, lr)
    steps = range(trajectory.origin, trajectory.end)
    resets = [steps[place] for place in np.flatnonzero(trajectory.resets)]
    if path.suffix == ".json":
        content = {
            "run": run.name,
            "version": number,
            "command": command,
            "step": list(steps),
            "lr": lr.tolist(),
            "optimizer_reset_before": resets,
            "settings": {each.name: {"settings": each.settings, "note": each.note} for each in others},
        }
        write_atomically(path, (json.dumps(content) + "\n").encode(), "rates")
    else:
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["step", "lr"])
        rows.writerows([step, repr(rate)] for step, rate in zip(steps, lr.tolist(), strict=True))
        write_atomically(path, table.getvalue().encode(), "rates")
    told = [f"{path}: {len(lr):,} steps to version {number} of {run.name}", *(each.line for each in others)]
    if resets:
        told.append(f"The optimizer forgets its moments before step {', '.join(map(str, resets))}: no setting says so.")
    if trajectory.start is not None:
        told.append(f"It begins at step {steps.start}, from weights made of a training that this file does not have.")
    if isinstance(product := run.products[number - 1], Derived):
        told.append(f"The version is made of {len(product.parents)} checkpoints, which this curve alone does not give.")
    return "\n".join(told)

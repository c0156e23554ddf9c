"""Sweeps at scale quick: sharing, two workers against one, and what is not training: python -m tests.bench.sweeps

Sharing off: every version of every run is trained from its initialization in a store of its own. Two workers against
one: the same study, one thread each. What is not training: the share of a single worker's wall time (imports, planning,
hashing, data, measuring PPL, saving, logging) outside of forward, loss, backward, clipping and the update.
Settings: `steps` (T; at quick's own, 800, it takes about 40 minutes), `study`, and `output`, the table that is written.
For a machine that does nothing else.
"""

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.planning import planner, sweeps
from tests.bench.training import machine
from tests.scripts import options

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "sweeps.csv"
COLUMNS = ("study", "steps_per_version", "quantity", "value", "unit", "machine")


def seconds(given: Sequence[str], place: Path) -> float:
    """Wall time of a sweep, as a command."""
    places = [f"store.path={place / 'store'}", f"ledger.path={place / 'ledger'}"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "repro.train", *given, *places], check=True, capture_output=True)
    return time.perf_counter() - start


def unshared(given: Sequence[str]) -> float:
    """Wall time of the study with one store for every version of every run, start-up counted once."""
    from threading import Event

    from repro.planning.runs import run
    from repro.planning.tree import Tree
    from repro.store.store import Store
    from repro.training.worker import Worker

    start = time.perf_counter()
    for settings in sweeps.compose(list(given)):
        made = run(settings)
        full = planner.make([settings]).tree
        for key in full.ends[0]:
            alone = replace(full.nodes[key], parents=(), parent_step=0)
            with tempfile.TemporaryDirectory() as folder:
                Worker(Tree([made], {key: alone}, [[key]]), 0, Store(Path(folder)), Event()).work()
    return time.perf_counter() - start


def training_seconds(given: Sequence[str], place: Path) -> tuple[float, float]:
    """Of one worker in this process: seconds in training steps, and all seconds (imports are added by the caller)."""
    import torch

    from repro import train
    from repro.training import engine

    read, zero_grad = engine.read, torch.optim.AdamW.zero_grad
    begun, spent = [0.0], [0.0]

    def timed_read(*arguments: Any) -> Iterator[Any]:
        for batch in read(*arguments):
            begun[0] = time.perf_counter()
            yield batch

    def timed_zero_grad(optimizer: torch.optim.AdamW, *arguments: bool) -> None:
        zero_grad(optimizer, *arguments)
        spent[0] += time.perf_counter() - begun[0]

    engine.read, torch.optim.AdamW.zero_grad = timed_read, timed_zero_grad  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        train.main([*given, f"store.path={place / 'store'}", f"ledger.path={place / 'ledger'}"])
        return spent[0], time.perf_counter() - start
    finally:
        engine.read, torch.optim.AdamW.zero_grad = read, zero_grad  # type: ignore[method-assign]


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write the table."""
    chosen = options(__doc__, arguments, {"study": "alpha", "steps": "800", "output": str(OUTPUT)})
    steps = int(chosen["steps"])
    rows: list[list[str]] = []

    def note(study: str, quantity: str, value: float, unit: str) -> None:
        rows.append([study, str(steps), quantity, f"{value:.3g}", unit, machine()])
        print(*rows[-1][:5], flush=True)

    def settings(study: str) -> list[str]:
        given = [f"study={study}", "scale=quick", f"stream.steps_per_version={steps}"]
        return [*given, f"schedule.warmup_steps={steps // 10}", f"sweep.steps='{steps // 4},{steps // 2},{steps}'"]

    every = []
    for study in sweeps.studies():
        sweep = sweeps.compose(settings(study))
        every += sweep
        tree = planner.make(sweep).tree
        note(study, "logical steps over unique steps", tree.logical_steps / tree.unique_steps, "ratio")
    together = planner.make(every).tree
    note("all together", "logical steps over unique steps", together.logical_steps / together.unique_steps, "ratio")

    given = settings(chosen["study"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        one = seconds(given, place / "one")
        again = seconds(given, place / "one")
        two = seconds([*given, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], place / "two")
        note(chosen["study"], "wall time, one worker", one, "s")
        note(chosen["study"], "wall time, run again with everything stored", again, "s")
        note(chosen["study"], "wall time of one worker over that of two", one / two, "ratio")
        note(chosen["study"], "the same without start-up", (one - again) / (two - again), "ratio")
        training, all_of_it = training_seconds(given, place / "three")
        note(chosen["study"], "wall time that is not training, start-up and the end's table included",
             100 * (1 - training / (all_of_it + again)), "%")  # fmt: skip
        note(chosen["study"], "wall time that is not training, start-up left out",
             100 * (1 - training / all_of_it), "%")  # fmt: skip
        if chosen["study"] != "headline":  # the README's main job
            training, all_of_it = training_seconds(settings("headline"), place / "four")
            note("headline", "wall time that is not training, start-up left out",
                 100 * (1 - training / all_of_it), "%")  # fmt: skip
            alone = unshared(settings("headline"))
            note("headline", "wall time with sharing off over wall time with it, start-up left out",
                 alone / all_of_it, "ratio")  # fmt: skip
        note(chosen["study"], "wall time with sharing off over wall time with it", unshared(given) / one, "ratio")
    with Path(chosen["output"]).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main(sys.argv[1:])

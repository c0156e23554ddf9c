"""Sweeps at scale quick: sharing, two workers against one, and what is not training: python -m tests.bench.sweeps

Sharing off: every version of every run is trained from its initialization in a store of its own. Two workers against
one: the same study, one thread each. What is not training: the share of a single worker's wall time (imports, planning,
hashing, data, measuring PPL, saving, logging) outside of forward, loss, backward, clipping and the update.
Whole sweeps are repeated in turn; the table has their median and range, and rows of other machines stay in it.
Settings: `steps` (T; at quick's own, 800, a round takes about 40 minutes), `repeats`, `study`, `note` (said of the
machine), and `output`, the table that is written. For a machine that does nothing else.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.planning import planner, sweeps
from tests.bench import tables
from tests.bench.training import machine
from tests.scripts import options

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "sweeps.csv"
COLUMNS = ("study", "steps_per_version", "quantity", "value", "lowest", "highest", "repeats", "unit", "machine")
"""`value` is the median."""


def seconds(given: Sequence[str], place: Path) -> float:
    """Wall time of a sweep, as a command."""
    places = [f"store.path={place / 'store'}", f"ledger.path={place / 'ledger'}"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "repro.train", *given, *places], check=True, capture_output=True)
    return time.perf_counter() - start


def unshared(given: Sequence[str]) -> float:
    """Wall time of the study with one store for every version of every run, start-up counted once."""
    from threading import Event

    from repro.planning.tree import Tree
    from repro.store.store import Store
    from repro.training.worker import Worker

    start = time.perf_counter()
    for settings in sweeps.compose(list(given)):
        full = planner.make([settings]).tree
        (made,) = full.runs
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
    defaults = {"study": "alpha", "steps": "800", "repeats": "3", "note": "", "output": str(OUTPUT)}
    chosen = options(__doc__, arguments, defaults)
    steps, study = int(chosen["steps"]), chosen["study"]
    found: dict[tuple[str, str, str], list[float]] = {}

    def note(study: str, quantity: str, value: float, unit: str) -> None:
        found.setdefault((study, quantity, unit), []).append(value)
        print(study, quantity, f"{value:.3g}", unit, flush=True)

    def settings(study: str) -> list[str]:
        given = [f"study={study}", "scale=quick", f"stream.steps_per_version={steps}"]
        return [*given, f"schedule.warmup_steps={steps // 10}", f"sweep.steps='{steps // 4},{steps // 2},{steps}'"]

    every = []
    for each in sweeps.studies():
        sweep = sweeps.compose(settings(each))
        every += sweep
        tree = planner.make(sweep).tree
        note(each, "logical steps over unique steps", tree.logical_steps / tree.unique_steps, "ratio")
    together = planner.make(every).tree
    note("all together", "logical steps over unique steps", together.logical_steps / together.unique_steps, "ratio")
    where = machine(chosen["note"])
    for _ in range(int(chosen["repeats"])):
        whole_sweeps(study, settings, note)
        # After each round: they take long, and one that is interrupted costs those before it nothing.
        rows = []
        for (name, quantity, unit), values in found.items():
            spread = [f"{value:.3g}" for value in (statistics.median(values), min(values), max(values))]
            rows.append([name, steps, quantity, *spread, len(values), unit, where])
        tables.add(Path(chosen["output"]), COLUMNS, rows, ("study", "steps_per_version", "quantity", "machine"))


def whole_sweeps(
    study: str, settings: Callable[[str], list[str]], note: Callable[[str, str, float, str], None]
) -> None:
    """One round of all that takes whole sweeps, so that what is compared meets the same machine."""
    given = settings(study)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        one = seconds(given, place / "one")
        again = seconds(given, place / "one")
        two = seconds([*given, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], place / "two")
        note(study, "wall time, one worker", one, "s")
        note(study, "wall time, run again with everything stored", again, "s")
        note(study, "wall time of one worker over that of two", one / two, "ratio")
        note(study, "the same without start-up", (one - again) / (two - again), "ratio")
        training, all_of_it = training_seconds(given, place / "three")
        outside = 100 * (1 - training / (all_of_it + again))
        note(study, "wall time that is not training, start-up and the end's table included", outside, "%")
        note(study, "wall time that is not training, start-up left out", 100 * (1 - training / all_of_it), "%")
        if study != "headline":  # the README's main job
            training, all_of_it = training_seconds(settings("headline"), place / "four")
            note("headline", "wall time that is not training, start-up left out", 100 * (1 - training / all_of_it), "%")
            ratio = unshared(settings("headline")) / all_of_it
            note("headline", "wall time with sharing off over wall time with it, start-up left out", ratio, "ratio")
        note(study, "wall time with sharing off over wall time with it", unshared(given) / one, "ratio")


if __name__ == "__main__":
    main(sys.argv[1:])

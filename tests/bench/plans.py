"""What planning and keeping store costs as sweeps grow: python -m tests.bench.plans

Real sweeps of the alpha study at scale smoke, five alphas and five versions: 2,000 seeds are 10,000 runs and about
100,000 nodes. Every node then gets a checkpoint (a tiny one, not synced, for it is files that count). Seconds per
node should stay where they are as sweeps grow. Settings: `seeds`, and `output`, the table that is written.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bench import tables
from tests.scripts import options

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "plans.csv"
COLUMNS = ("seeds", "runs", "nodes", "operation", "seconds", "microseconds_a_node", "peak_megabytes", "machine")


def measure(seeds: int, place: Path) -> list[list[Any]]:
    """One sweep, in a process of its own so that its memory is its own."""
    import torch

    from repro.planning import frozen, planner, sweeps
    from repro.store import upkeep
    from repro.store.store import Store
    from repro.training.worker import critical_path

    given = ["study=alpha", "scale=smoke", "paradigm.alpha=0.2,0.4,0.6,0.8,1", f"seed=range({seeds})"]
    given += ["stream.versions=5", f"store.path={place / 'store'}", f"data.path={place.parent / 'data'}"]
    planner.make(sweeps.compose(["scale=smoke", "stream.versions=5", *given[-2:]]))  # prepares the stream
    store = Store(place / "store")
    rows: list[list[Any]] = []

    def timed(operation: str, do: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = do()
        rows.append([operation, time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3])
        return result

    sweep = timed("compose", lambda: sweeps.compose(given, multirun=True))
    made = timed("plan", lambda: planner.make(sweep))
    tree = made.tree
    timed("freeze", lambda: frozen.freeze(made, store))
    timed("order of work", lambda: critical_path(tree))
    tensors = {"model": {"w": torch.zeros(1)}}

    def save() -> None:
        for node in tree.nodes.values():
            store.save(node.key, node.step, tensors, {"identity_key": node.identity_key, "name": "x", "version": 1})

    with mock.patch("os.fsync"):
        timed("save every node", save)
    timed("what is missing", lambda: tree.missing(Store(store.root).steps()))
    timed("ls", lambda: list(upkeep.survey(store)))
    timed("gc, nothing to go", lambda: upkeep.collect(store, delete=True))
    timed("verify", lambda: list(upkeep.damage(store)))
    count = len(tree.nodes)
    return [
        [seeds, len(tree.runs), count, name, f"{s:.2f}", f"{1e6 * s / count:.1f}", f"{m:.0f}"] for name, s, m in rows
    ]


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write the table."""
    chosen = options(__doc__, arguments, {"seeds": "20,200,2000", "output": str(OUTPUT), "one": "", "place": ""})
    if chosen["one"]:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows(measure(int(chosen["one"]), Path(chosen["place"])))
        return
    from tests.bench.training import machine

    rows: list[list[str]] = []
    for seeds in chosen["seeds"].split(","):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.bench.plans", f"one={seeds}", f"place={folder}/sweep"]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
        print(said, end="", flush=True)
        rows += ([*row, machine()] for row in csv.reader(said.splitlines()))
    tables.add(Path(chosen["output"]), COLUMNS, rows, told_apart_by=("seeds", "operation", "machine"))


if __name__ == "__main__":
    main(sys.argv[1:])

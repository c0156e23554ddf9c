"""What a person sees in a terminal: progress with the time left, and a summary at the end."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from repro import measures
from repro.store import Store

if TYPE_CHECKING:
    from repro.plan import Plan

LOOK_SECONDS = 1.0
"""Between two looks at the store."""


def unfinished(plan: "Plan", store: Store) -> list[str]:
    """Names of the runs of which some version is not trained and measured."""
    return [
        r.name
        for index, r in enumerate(plan.tree.runs)
        if len(measures.finished(plan.tree, index, store)) < r.versions
    ]


@contextmanager
def progress(plan: "Plan", store: Store) -> Iterator[None]:
    """Show how many of a plan's steps are done, by whichever workers, while the body runs."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps,"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("left"),
        console=console,
    )
    missing = {key: plan.tree.nodes[key] for key in plan.missing}
    task = bar.add_task("training", total=sum(node.steps for node in missing.values()))
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            stored, claims = store.steps(), store.claims()
            done = 0
            for key, node in missing.items():
                if key in stored:
                    done += node.steps
                elif key in claims:
                    done += max(0, claims[key].get("step", node.parent_step) - node.parent_step)
            bar.update(task, completed=done)

    with bar:
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            stored = store.steps()
            bar.update(task, completed=sum(node.steps for key, node in missing.items() if key in stored))


def summary(plan: "Plan", store: Store) -> None:
    """Print perplexity by run and version, with each run's cost."""
    from rich.console import Console
    from rich.table import Table

    versions = max(r.versions for r in plan.tree.runs)
    table = Table(title=f"PPL by version, study {plan.study}, scale {plan.scale}")
    table.add_column("run")
    for version in range(1, versions + 1):
        table.add_column(f"version {version}", justify="right")
    table.add_column("relative cost", justify="right")
    for index, r in enumerate(plan.tree.runs):
        cells = []
        for version, key in enumerate(plan.tree.ends[index], start=1):
            slices = [row for row in measures.find(r, key, store) or () if row["slice"] <= version]
            tokens = sum(row["tokens"] for row in slices)
            cells.append(f"{math.exp(sum(row['nll'] for row in slices) / tokens):.2f}" if tokens else "-")
        table.add_row(r.name, *cells, *[""] * (versions - len(cells)), f"{plan.tree.relative_cost(index):.2f}")
    Console().print(table)

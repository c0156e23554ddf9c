"""What a person sees in a terminal: progress with the time left, and a summary at the end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from repro.common.errors import UserError
from repro.common.grid import Grid, console
from repro.planning.runs import labels
from repro.results import measures
from repro.store.store import Store

if TYPE_CHECKING:
    from repro.planning.planner import Plan

POLL_SECONDS = 2.0
"""Between two looks at the store, at least."""
POLL_SHARE = 0.05
"""Of a processor's time, at most, that looking takes."""
LINE_SECONDS = 60.0
"""Between two lines where there is no terminal to draw a bar in."""


@contextmanager
def progress(name: str, unit: str, left: Callable[[], int]) -> Iterator[None]:
    """Show how much is done, by whichever workers, and the time left, while the body runs."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit},"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        refresh_per_second=1,
    )
    total = left()
    task = bar.add_task(name, total=total)
    over = threading.Event()

    def watch() -> None:
        next_line = time.monotonic() + LINE_SECONDS
        wait = POLL_SECONDS
        while not over.wait(wait):
            begin = time.monotonic()
            try:
                done = total - left()
            except UserError:
                continue  # the store cannot be read just now: whoever works with it says so
            wait = max(POLL_SECONDS, (time.monotonic() - begin) / POLL_SHARE)
            bar.update(task, completed=done)
            if not bar.console.is_terminal and time.monotonic() >= next_line:
                next_line += LINE_SECONDS
                seconds = bar.tasks[0].time_remaining
                remaining = "" if seconds is None else f", about {seconds / 60:.0f} min left"
                bar.console.print(f"{name}: {done:,} of {total:,} {unit}{remaining}")

    with bar:
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            bar.update(task, completed=total - left())


def summary(plan: "Plan", store: Store) -> None:
    """Print perplexity by run and version, with each run's cost."""
    versions = max(r.versions for r in plan.tree.runs)
    head = ["run", *(f"v{version}" for version in range(1, versions + 1)), "cost over PTFS"]
    table = Grid(f"PPL by version, {measures.SO_FAR}, study {plan.study}, scale {plan.scale}", head)
    for index, (r, label) in enumerate(zip(plan.tree.runs, labels(plan.tree.runs), strict=True)):
        cells = []
        for version, key in enumerate(plan.tree.ends[index], start=1):
            slices = measures.find(r, key, store)
            cells.append("-" if slices is None else f"{measures.perplexity(slices, version):.2f}")
        table.add(label, *cells, *[""] * (versions - len(cells)), f"{plan.tree.relative_cost(index):.2f}")
    console().print(table)

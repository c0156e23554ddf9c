"""A bar on a terminal while something takes more than a few seconds: how much is done, and the time left."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 2.0
"""Seconds that something takes without anything being shown of it."""


@contextmanager
def bars() -> "Iterator[Progress]":
    """Bars for what may be without end; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar


@contextmanager
def steps(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar for so many steps, which leaves no trace; the body calls what is given after each."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total)
    later = threading.Timer(PATIENCE, bar.start)
    later.daemon = True
    later.start()
    try:
        yield lambda: bar.advance(task)
    finally:
        later.cancel()
        later.join()  # it may be starting the bar just now
        bar.stop()

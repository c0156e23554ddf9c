"""Stops: one that comes by itself, and a death in the middle of something, with what it leaves."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class StopAfter(threading.Event):
    """An event that is set from the n-th look at it on: a look a step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def die(*arguments: Any, **more: Any) -> Any:
    """In place of something that a process is to be killed in."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed(do: Callable[[], object]) -> None:
    """Do something in a process of its own, which is killed on the way."""
    child = os.fork()
    if child == 0:
        try:
            do()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def begun(do: Callable[[], object]) -> int:
    """The number of a process of its own that does something, silently; with all imported that this one has."""
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            do()
        finally:
            os._exit(0)
    return child


def left_long_ago(path: Path) -> None:
    """As if nobody had written to it for hours."""
    then = time.time() - 3 * 3600
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then))

"""How every sweep is launched: composed and checked as a whole, frozen, handed to Hydra, watched, summed up.

Exit status: 0 finished; 1 something could not be done; 2 refused, nothing was started; 75 asked to stop (SIGTERM,
SIGINT, SIGUSR1, SIGUSR2): what was done is kept, and the same command goes on.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig

from repro import console, ledger, sweeps
from repro import plan as plans
from repro.errors import Preempted, UserError, refusals
from repro.plan import Plan
from repro.runs import run
from repro.settings import Settings, from_config
from repro.store import Store
from repro.tree import Tree, merge

PREEMPTED_STATUS = 75
"""EX_TEMPFAIL: try again later."""


@dataclass(frozen=True)
class Command:
    """What differs between the commands that work through a sweep."""

    name: str
    """What it does, for the progress bar: `training`."""
    unit: str
    """What it counts: `steps`."""
    job: Callable[[], None]
    """Hydra's main function for one job."""
    check: Callable[[Plan, Store], None]
    """Refuses what cannot work, before anything starts."""
    left: Callable[[Plan, Store], int]
    """Units still to do, by whichever worker."""


def launch(command: Command, arguments: Sequence[str]) -> None:
    """Carry out a command for a whole sweep; ends the process with a status other than 0 where it is not finished."""
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    flags = [argument for argument in arguments if argument.startswith("-")]
    if set(flags) - {"-m", "--multirun"}:
        _hydra(command, arguments)  # --help, --cfg, --info: nothing to do
        return
    with refusals():
        settings = plans.compose(overrides, multirun=bool(flags))
        plan = plans.make(settings)
        store = open_store(settings[0])
        command.check(plan, store)
        frozen = plans.freeze(plan, store)
    with stopping() as stop:
        if command.left(plan, store):
            # `study=all` is no study of Hydra's. A job for each study then works on the one plan of all of them.
            every = "study=" + ",".join(sweeps.studies())
            handed = [every if override == "study=all" else override for override in overrides]
            flags = ["-m"] if "study=all" in overrides else flags
            with console.progress(command.name, command.unit, lambda: command.left(plan, store)):
                _hydra(command, [*flags, *handed, f"frozen_plan={frozen}"])
    left = command.left(plan, store)
    with refusals():
        ledger.write(plan, store)
    console.summary(plan, store)
    if stop.is_set():
        raise SystemExit(PREEMPTED_STATUS)
    if left:
        print(f"{command.name}: {left:,} {command.unit} are not done; see the messages above", file=sys.stderr)
        raise SystemExit(1)


def work(config: DictConfig, do: Callable[[Tree, int, Store, threading.Event], None]) -> None:
    """The body of one Hydra job.

    Args:
        do: works on a tree for one run of it (by its place) until that run is finished or the event is set.
    """
    with refusals():
        settings = from_config(config)
        store = open_store(settings)
        every = plans.thaw(settings.frozen_plan, store) if settings.frozen_plan else [settings]
        tree = merge([run(each) for each in every], store.steps())
        own = next((i for i, each in enumerate(every) if each == replace(settings, frozen_plan=None)), 0)
        with stopping() as stop:
            try:
                do(tree, own, store, stop)
            except Preempted:
                print("asked to stop: what was done is kept, and the same command goes on", file=sys.stderr)
            except UserError as error:
                # The sweep's other jobs go on; the command line reports what is left.
                print(f"error: {error}", file=sys.stderr)


def open_store(settings: Settings) -> Store:
    return Store(Path(settings.store.path), settings.store.stale_seconds)


def _hydra(command: Command, arguments: Sequence[str]) -> None:
    """Let Hydra parse, sweep and launch."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        command.job()
    finally:
        sys.argv = before


_stop: threading.Event | None = None
"""The event of this process while signals are handled: a job that runs in its launcher's process shares it."""


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that the first SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 sets, here and in worker processes.

    A second signal ends the process at once; the store stays whole.
    """
    global _stop
    if _stop is not None or threading.current_thread() is not threading.main_thread():
        yield _stop or threading.Event()
        return
    _stop = stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        for worker in multiprocessing.active_children():
            if worker.pid is not None:
                os.kill(worker.pid, number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        _stop = None
        for number, handler in before.items():
            signal.signal(number, handler)

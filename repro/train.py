"""Train and measure the runs of a study: python -m repro.train study=alpha scale=quick paradigm.alpha=0.3,0.5 seed=0,1

Any override of Hydra's works, any launcher too (`hydra/launcher=joblib`). The whole sweep is composed and checked
first, and frozen to the store; each Hydra job then works on the frozen plan until its own run is finished. Run again,
it finds what is in the store and goes on from there.

Exit status: 0 finished; 1 some edge could not be trained; 2 refused, nothing was trained; 75 asked to stop (SIGTERM,
SIGINT, SIGUSR1, SIGUSR2), run it again to go on.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import hydra

from repro import plan as plans
from repro import sweeps
from repro.errors import UserError, refusals
from repro.runs import run
from repro.settings import Settings, from_config
from repro.store import Store
from repro.tree import merge

if TYPE_CHECKING:
    from omegaconf import DictConfig

PREEMPTED_STATUS = 75
"""EX_TEMPFAIL: what was done is kept, and the same command goes on."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    overrides = [argument for argument in given if not argument.startswith("-")]
    flags = [argument for argument in given if argument.startswith("-")]
    if set(flags) - {"-m", "--multirun"}:
        _hydra(given)  # --help, --cfg, --info: nothing to train
        return
    with refusals():
        settings = plans.compose(overrides, multirun=bool(flags))
        plan = plans.make(settings)
        store = Store(Path(settings[0].store.path), settings[0].store.stale_seconds)
        plans.check_models(plan)
        store.check_writable(plan.missing_bytes)
        frozen = plans.freeze(plan, store)
    from repro import console, ledger

    unfinished = console.unfinished(plan, store)
    with stopping() as stop:
        if unfinished:
            with console.progress(plan, store):
                if "study=all" in overrides:
                    overrides = []  # the frozen plan holds every run; one job works through it
                _hydra([*flags, *overrides, f"frozen_plan={frozen}"])
            unfinished = console.unfinished(plan, store)
        with refusals():
            ledger.write(plan, store)
        console.summary(plan, store)
        if stop.is_set():
            raise SystemExit(PREEMPTED_STATUS)
    if unfinished:
        print(
            f"{len(unfinished)} of {len(plan.tree.runs)} runs are not finished: {', '.join(unfinished)}",
            file=sys.stderr,
        )
        raise SystemExit(1)


def _hydra(arguments: Sequence[str]) -> None:
    """Let Hydra parse, sweep and launch."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        job()
    finally:
        sys.argv = before


@hydra.main(version_base="1.3", config_path=str(sweeps.CONF), config_name="config")
def job(config: "DictConfig") -> None:
    """One Hydra job: work on the frozen plan until this run is finished."""
    from repro.engine import Preempted
    from repro.work import Worker

    with refusals():
        settings = from_config(config)
        store = Store(Path(settings.store.path), settings.store.stale_seconds)
        every = plans.thaw(settings.frozen_plan, store) if settings.frozen_plan else [settings]
        tree = merge([run(each) for each in every], store.steps())
        with stopping() as stop:
            try:
                Worker(tree, _own(every, settings), store, stop).work()
            except Preempted:
                print("asked to stop: what was done is kept, and the same command goes on", file=sys.stderr)
            except UserError as error:
                # The other jobs of the sweep go on; the command line reports what is unfinished.
                print(f"error: {error}", file=sys.stderr)


def _own(every: Sequence[Settings], settings: Settings) -> int:
    """Which of the plan's runs this job asks for."""
    from dataclasses import replace

    for index, each in enumerate(every):
        if replace(each, frozen_plan=None) == replace(settings, frozen_plan=None):
            return index
    return 0


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that the first SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 sets; a second signal ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    # Under its importable name, so that launchers which pickle the job find it in their workers.
    from repro.train import main as importable_main

    importable_main()

"""How every sweep is launched: composed and checked as a whole, frozen, handed to Hydra, watched, summed up.

Exit status: 0 finished; 1 something could not be done; 2 refused, nothing was started; 75 asked to stop (SIGTERM,
SIGINT, SIGUSR1, SIGUSR2): the steps under way were finished and kept, and the same command goes on. A second signal
ends the launcher and its workers at once (128 + its number); the store stays whole, as it does under SIGKILL.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from repro.common.errors import Preempted, UserError, refusals
from repro.config.resolve import from_config
from repro.config.settings import Settings
from repro.data.corpora.corpus import corpus as chosen
from repro.data.stream import is_prepared
from repro.launching import console
from repro.models import numerics
from repro.planning import frozen, machines, planner, sweeps
from repro.planning.planner import Plan
from repro.planning.runs import run
from repro.planning.tree import Tree, merge
from repro.results import ledger, trackers
from repro.store.store import Store
from repro.training import parallel
from repro.training.parallel import Processes

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
    """Units still to do, by whichever worker, as the store alone says: whether a command has finished rests on it."""
    begun: Callable[[Plan, Store], int] = lambda plan, store: 0
    """Of those, units that workers say they have done and not kept yet: for the progress bar alone."""
    together: bool = False
    """Whether several processes, started by torchrun, can do it together."""


INFORMING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}
"""Hydra's flags that only show something."""


def launch(command: Command, arguments: Sequence[str]) -> None:
    """Carry out a command for a whole sweep; ends the process with a status other than 0 where it is not finished."""
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    flags = [argument for argument in arguments if argument.startswith("-")]
    names = {flag.partition("=")[0] for flag in flags} - {"-m", "--multirun"}
    if names & INFORMING:
        _hydra(command, arguments)  # nothing to do
        return
    with refusals():
        if names:
            raise UserError(f"{', '.join(sorted(names))}: not supported; -m, --help, --cfg and --info are.")
    global _last
    _last = None
    with _leaving():
        with refusals():
            settings = sweeps.compose(overrides, multirun=bool(flags))
            processes = _joined(command, overrides)
            plan = planner.make(settings)
            store = open_store(settings[0])

            def check() -> str:
                if _launcher(overrides) in ("basic", "joblib"):  # which work on this machine
                    for run in plan.tree.runs:
                        numerics.check_here(run.settings.numerics.device)
                store.tidy()
                for line in planner.foreign(plan, store):
                    print(f"note: {line}", file=sys.stderr)
                trackers.check(settings)
                command.check(machines.nearest(plan, command.left, store), store)
                return frozen.freeze(plan, store)

            plan_id = processes.on_rank_zero(check)

        def left() -> int:
            return command.left(machines.nearest(plan, command.left, store), store)

        def outstanding() -> int:
            seen = machines.nearest(plan, command.left, store)
            return command.left(seen, store) - command.begun(seen, store)

        # torchrun and what started it may each hand a signal on.
        with stopping(counting=processes.size == 1) as stop, refusals(status=1):
            if processes.on_rank_zero(left):
                # `study=all` is no study of Hydra's. A job for each study then works on the one plan of all of them.
                every = "study=" + ",".join(sweeps.studies())
                handed = [every if override == sweeps.ALL_STUDIES else override for override in overrides]
                flags = ["-m"] if sweeps.ALL_STUDIES in overrides else flags
                bar = console.progress(command.name, command.unit, outstanding)
                with nullcontext() if processes.rank else bar:
                    _run(command, [*flags, *handed, f"frozen_plan={plan_id}"], stop)
        if processes.rank:
            return  # the leader reports
        with refusals(status=1):
            seen = machines.nearest(plan, command.left, store)
            ledger.write(seen, store)
            remaining = left()  # now, since what was found damaged on the way is left to be done
            console.summary(seen, store)
            shown = trackers.publish(seen.tree, store)
    if remaining:
        if stop.is_set():
            raise SystemExit(PREEMPTED_STATUS)
        print(f"{command.name}: {remaining:,} {command.unit} are not done; see the messages above", file=sys.stderr)
    if remaining or not shown:
        raise SystemExit(1)


def _joined(command: Command, overrides: Sequence[str]) -> Processes:
    """The processes that carry out the command together, which are one where torchrun started no others.

    Raises:
        UserError: it started others, for something that takes one.
    """
    processes = parallel.join()
    if processes.size > 1 and not command.together:
        raise UserError(f"{command.name} takes one process, and torchrun started {processes.size}; start it without.")
    launcher = _launcher(overrides)
    if processes.size > 1 and launcher != "basic":
        raise UserError(f"hydra/launcher={launcher} starts workers of one process each; leave it out under torchrun.")
    return processes


def _launcher(overrides: Sequence[str]) -> str:
    name = "hydra/launcher="
    return next((each.removeprefix(name) for each in overrides if each.startswith(name)), "basic")


def work(config: DictConfig, do: Callable[[Tree, int, Store, threading.Event], None]) -> None:
    """The body of one Hydra job.

    Args:
        do: works on a tree for one run of it (by its place) until that run is finished or the event is set.
    """
    preempted = False
    with stopping(counting=False) as stop, stop.working():
        try:
            settings = from_config(config)
            every, tree, store = _opened(settings)
            own = next((i for i, each in enumerate(every) if each == replace(settings, frozen_plan=None)), 0)
            do(tree, own, store, stop)
        except Preempted:
            stop.set()  # of several processes, one may have been asked for all
            print("asked to stop: what was done is kept, and the same command goes on", file=sys.stderr)
            preempted = True
        except UserError as error:
            # The sweep's other jobs go on; the command line reports what is left.
            print(f"error: {error}", file=sys.stderr)
            if parallel.join().size > 1:
                raise SystemExit(1) from None  # the others may be waiting for this process
    if preempted:
        _hand_on(stop)


def open_store(settings: Settings) -> Store:
    return Store(Path(settings.store.path), settings.store.stale_seconds)


_last: tuple[str, tuple[list[Settings], Tree, Store]] | None = None
"""The plan that this process worked on last: many jobs of one sweep may run in it."""


def _opened(settings: Settings) -> tuple[list[Settings], Tree, Store]:
    global _last
    store = open_store(settings)
    if settings.frozen_plan is None:
        return [settings], merge([run(settings)], store.steps()), store
    if _last is None or _last[0] != settings.frozen_plan:
        every, planned = frozen.thaw(settings.frozen_plan, store)
        for corpus, stream, place in {(each.corpus, each.stream, each.data.path) for each in every}:
            if chosen(corpus).remote and not is_prepared(corpus, stream, Path(place)):
                raise UserError(
                    f"data.path={place} holds no sound stream of {chosen(corpus).place} any more. "
                    "A worker asks no hub for it: python -m repro.prepare, with the sweep's arguments, makes it again."
                )
        tree = merge([run(each) for each in every], planned)
        machines.note(tree, planned, store)
        _last = settings.frozen_plan, (every, tree, store)
    return _last[1]


def _run(command: Command, arguments: Sequence[str], stop: threading.Event) -> None:
    """Have Hydra launch the jobs. What ends a job early leaves something to do, which the caller reports."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, for a message of our own
    try:
        _hydra(command, arguments)
        _end_workers()
    except KeyboardInterrupt:
        print("asked to stop: what was done is kept; jobs on other machines go on, if there are any", file=sys.stderr)
    except OSError as error:
        print(f"error: {error}. What was kept before stays usable.", file=sys.stderr)
    except Exception as error:
        name = type(error).__name__
        if name in ("UncompletedJobError", "FailedJobError"):  # submitit's word for a job that was cancelled, or broke
            print(f"error: {error}\nOther jobs of the sweep go on; the same command goes on with all.", file=sys.stderr)
        # joblib's word for a worker that was killed, by the system (no memory left) or by whoever asked to stop.
        elif name != "TerminatedWorkerError":
            raise
        elif not stop.is_set():
            print("error: a worker was killed; is there too little memory for so many?", file=sys.stderr)
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _end_workers() -> None:
    """Joblib keeps its workers for a next sweep in this process, where one that a signal reached would take no job."""
    loky = sys.modules.get("joblib.externals.loky")
    if loky is not None:
        loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _hydra(command: Command, arguments: Sequence[str]) -> None:
    """Let Hydra parse, sweep and launch."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        command.job()
    finally:
        sys.argv = before


POLL_SECONDS = 0.5
"""Between two looks of a worker at whether its launcher lives."""

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that ask to stop."""


class _Stop(threading.Event):
    """Set by a signal."""

    signal: int | None = None
    """The first one, outside of workers."""
    busy = False
    """Whether a job is under way in this process."""

    @contextmanager
    def working(self) -> Iterator[None]:
        self.busy = True
        try:
            yield
        finally:
            self.busy = False


_stop: _Stop | None = None
"""The event of this process while signals are handled: a job that runs in its launcher's process shares it."""


@contextmanager
def stopping(*, counting: bool = True) -> Iterator[_Stop]:
    """An event that the first signal sets, here and in worker processes; a second one ends them all at once.

    With no job in this process and no worker, whoever does the work is on other machines, where a signal has to be
    sent to it: waiting for it ends with a KeyboardInterrupt.

    Args:
        counting: False where each signal may arrive twice: a cluster's job has it from Slurm and from srun.
    """
    global _stop
    if threading.current_thread() is not threading.main_thread():
        yield _stop or _Stop()
    elif _stop is not None:
        yield _stop
    elif _is_worker():
        yield _worker_stop()
    else:
        _stop = stop = _Stop()

        def handle(number: int) -> None:
            second = counting and stop.is_set()
            stop.set()
            stop.signal = stop.signal or number
            workers = multiprocessing.active_children()
            for worker in workers:
                if worker.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL if second else number)
            if second:
                os._exit(128 + number)
            if not workers and not stop.busy:
                raise KeyboardInterrupt

        try:
            with _handling(handle):
                yield stop
        finally:
            _stop = None


def _hand_on(stop: _Stop) -> None:
    """Now that all is kept, let a cluster's launcher do what it does at that signal: submitit has its job requeued.

    The job then ends without a result, for Slurm may put it back in line at other signals, too: whoever waits for it
    hears from Slurm what became of it.
    """
    if _stop is not None or stop.signal is None:
        return
    handler = signal.getsignal(stop.signal)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(stop.signal, None)
        raise SystemExit(PREEMPTED_STATUS)


def _worker_stop() -> _Stop:
    """A worker's event, for good: once asked to stop, it takes no other job.

    A signal to the whole group arrives twice, once more from the launcher, which alone counts them. A worker whose
    launcher was killed finishes its step and leaves: nobody would ever give it another job, or end it.
    """
    global _stop
    _stop = stop = _Stop()
    for number in NUMBERS:
        signal.signal(number, lambda number, frame: stop.set())

    def watch(launcher: int) -> None:
        while os.getppid() == launcher:
            time.sleep(POLL_SECONDS)
        stop.set()
        while stop.busy:
            time.sleep(POLL_SECONDS)
        os._exit(PREEMPTED_STATUS)

    started_by = multiprocessing.parent_process()
    assert started_by is not None
    assert started_by.pid is not None
    # Not os.getppid(): it may have been killed before the first job came.
    threading.Thread(target=watch, args=(started_by.pid,), daemon=True).start()
    return stop


@contextmanager
def _leaving() -> Iterator[None]:
    """While nothing is under way, a signal ends the process at once, with the status of one that can go on."""

    def handle(number: int) -> None:
        raise SystemExit(PREEMPTED_STATUS)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(handle):
        yield


@contextmanager
def _handling(handle: Callable[[int], None]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda number, frame: handle(number)) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_worker() -> bool:
    """Whether this process was started by a launcher of this machine to run its jobs."""
    return multiprocessing.parent_process() is not None

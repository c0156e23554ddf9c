"""Signals that ask to stop: the step under way is finished and kept, here and in worker processes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker

PREEMPTED_STATUS = 75
"""EX_TEMPFAIL: try again later."""

POLL_SECONDS = 0.5
"""Between two looks of a worker at whether its launcher lives."""

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGXCPU)
"""Signals that ask to stop."""
REPEATED = (signal.SIGHUP, signal.SIGXCPU)
"""Of those, the ones that a system sends more than once: a terminal's end by shell and kernel, a limit each second."""


class Stop(threading.Event):
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


@dataclass
class _Process:
    """What this process knows of signals."""

    stop: Stop | None = None
    """The event, while signals are handled: a job that runs in its launcher's process shares it."""
    came: set[int] = field(default_factory=set)
    """Signals that asked it to stop."""


_process = _Process()


@contextmanager
def stopping(*, counting: bool = True) -> Iterator[Stop]:
    """An event that the first signal sets, here and in worker processes; a second one ends them all at once.

    With no job in this process and no worker, whoever does the work is on other machines, where a signal has to be
    sent to it: waiting for it ends with a KeyboardInterrupt.

    Args:
        counting: False where each signal may arrive twice: a cluster's job has it from Slurm and from srun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _process.stop or Stop()
    elif _process.stop is not None:
        yield _process.stop
    elif _is_worker():
        yield _worker_stop()
    else:
        _process.stop = stop = Stop()

        def handle(number: int) -> None:
            second = counting and stop.is_set() and number not in REPEATED
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
            _process.stop = None


def hand_on(stop: Stop) -> None:
    """Now that all is kept, let a cluster's launcher do what it does at that signal: submitit has its job requeued.

    The job then ends without a result, for Slurm may put it back in line at other signals, too: whoever waits for it
    hears from Slurm what became of it.
    """
    if _process.stop is not None or stop.signal is None:
        return
    handler = signal.getsignal(stop.signal)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(stop.signal, None)
        raise SystemExit(PREEMPTED_STATUS)


def _worker_stop() -> Stop:
    """A worker's event, for good: once asked to stop, it takes no other job.

    A signal to the whole group arrives twice, once more from the launcher, which alone counts them. A worker whose
    launcher was killed finishes its step and leaves: nobody would ever give it another job, or end it.
    """
    _process.stop = stop = Stop()
    for number in _heeded():
        signal.signal(number, lambda number, frame: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)

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
def held_back() -> Iterator[None]:
    """While workers are started: a signal that reaches one before its first job waits until it can be heeded there.

    This process's other threads still take signals, and its handlers still run.
    """
    from joblib.externals.loky.backend import resource_tracker as lokys

    for tracker in (resource_tracker, lokys):
        tracker.ensure_running()  # whoever starts one lets signals through afterwards
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _heeded() -> list[signal.Signals]:
    """The signals to handle: all but a terminal's end under nohup."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in NUMBERS if not (ignored and number == signal.SIGHUP)]


@contextmanager
def leaving() -> Iterator[None]:
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
    def heed(number: int, frame: object) -> None:
        _process.came.add(number)
        handle(number)

    before = {number: signal.signal(number, heed) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # What is sent again would end the process while it leaves, with another status.
            again = number in REPEATED and number in _process.came and handler is signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if again else handler)


def _is_worker() -> bool:
    """Whether this process was started by a launcher of this machine to run its jobs."""
    return multiprocessing.parent_process() is not None

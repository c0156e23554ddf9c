"""Sweeps that are stopped, orphaned, damaged, raced for, and out of space. More, and at random: `make torture`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stops import StopAfter
from torture.common import held

from repro.common.errors import Preempted
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store import upkeep
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
Process = subprocess.Popen  # of bytes


def wait_for(what: Callable[[], bool], process: "Process[bytes] | None" = None, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        assert process is None or process.poll() is None, "the process ended by itself"
        time.sleep(0.02)


@dataclass
class Sweep:
    """A sweep with long edges, trained by two workers of one launcher."""

    place: Path
    given: list[str]
    processes: "list[Process[bytes]]" = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.place / "store")

    @property
    def log(self) -> str:
        return (self.place / "log").read_text()

    def start(self) -> "Process[bytes]":
        """Start it; returns when both workers train."""
        command = [sys.executable, "-m", "repro.train", *self.given]
        with (self.place / "log").open("ab") as log:
            process = Process(command, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        signs = self.store.leases
        wait_for(
            lambda: len(held(self.store)) == 2 and all(sign.get("step", 0) > 1 for sign in signs().values()), process
        )
        return process

    def under_way(self) -> dict[str, int]:
        """Edges under way, with the step at which they go on."""
        folders = [folder.name for folder in (self.store.root / "partial").glob("*")]
        return {key: self.store.partial_steps(key)[-1] for key in folders if self.store.partial_steps(key)}


@pytest.fixture
def sweep(smoke: Overrides, tmp_path: Path) -> Iterator[Sweep]:
    given = smoke("study=headline", "stream.steps_per_version=2000", "schedule.warmup_steps=20")
    result = Sweep(tmp_path, [*given, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])
    yield result
    for process in result.processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert list(upkeep.damage(result.store)) == []
    assert "/repro/" not in result.log, "no traceback of ours"
    assert "another worker" not in result.log


def test_a_signal_finishes_the_step_and_the_next_run_goes_on_from_it(sweep: Sweep) -> None:
    tree = make(compose(sweep.given)).tree
    with pytest.raises(Preempted):
        Worker(tree, 0, sweep.store, StopAfter(50)).work()  # beyond the warm-up, which all begin with
    with sweep.store.lease(*sweep.under_way()), pytest.raises(Preempted):
        Worker(tree, 0, sweep.store, StopAfter(30)).work()
    first = sweep.under_way()
    assert len(first) == 2

    process = sweep.start()
    os.killpg(process.pid, signal.SIGUSR1)  # to all, and the launcher hands it on, so that workers get it twice
    assert process.wait(120) == 75
    assert not held(sweep.store)
    second = sweep.under_way()
    for key, step in first.items():
        assert second[key] > step
        assert sweep.store.partial_manifest(key, second[key])["sessions"][-1] == step


@pytest.mark.torture
@pytest.mark.parametrize("whole_group", [False, True], ids=["launcher", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_any_signal_to_anyone_ends_with_the_status_that_says_go_on(
    sweep: Sweep, number: signal.Signals, whole_group: bool
) -> None:
    process = sweep.start()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    assert process.wait(120) == 75
    assert len(sweep.under_way()) == 2


@pytest.mark.torture
def test_a_second_signal_ends_launcher_and_workers_at_once(sweep: Sweep) -> None:
    process = sweep.start()
    process.send_signal(signal.SIGSTOP)  # so that both have arrived when it looks
    process.send_signal(signal.SIGUSR2)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.wait(120) in (128 + signal.SIGUSR2, 128 + signal.SIGTERM)
    wait_for(lambda: not held(sweep.store), seconds=20)


@pytest.mark.torture
def test_sigterm_keeps_the_step_of_every_run_though_more_workers_were_asked_for(
    smoke: Overrides, tmp_path: Path
) -> None:
    given = smoke("paradigm=ptfs", "stream.versions=1", "stream.steps_per_version=4000", "seed=0,1", "-m")
    sweep = Sweep(tmp_path, [*given, "hydra/launcher=joblib", "hydra.launcher.n_jobs=7"])
    process = sweep.start()
    try:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 75
        assert len(sweep.under_way()) == 2
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def workers_of(process: "Process[bytes]") -> int:
    """Worker processes that joblib has started."""
    count = 0
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            session = int((place / "stat").read_text().rpartition(")")[2].split()[3])
            count += session == process.pid and b"popen_loky_posix" in (place / "cmdline").read_bytes()
    return count


@pytest.mark.torture
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the workers in /proc")
def test_an_interrupt_to_all_while_the_workers_start_ends_with_the_status_that_says_go_on(
    smoke: Overrides, tmp_path: Path
) -> None:
    given = smoke("paradigm=ptfs", "stream.versions=1", "stream.steps_per_version=4000", "seed=0,1", "-m")
    command = [sys.executable, "-m", "repro.train", *given, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with (tmp_path / "log").open("wb") as log:
        process = Process(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: workers_of(process) == 2, process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) == 75, (tmp_path / "log").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


EARLY_SIGNAL = """
import multiprocessing, os, signal, sys, time
from repro.launching import signals

def job() -> None:
    print("started", flush=True)
    time.sleep(1)
    with signals.stopping() as stop:
        print(stop.is_set(), flush=True)
    os._exit(0)

if __name__ == "__main__":
    with signals.stopping() as stop:
        with signals.held_back():
            worker = multiprocessing.get_context("spawn").Process(target=job)
            worker.start()
            time.sleep(0.5)
            os.kill(worker.pid, signal.SIGTERM)
            worker.join()
    print(worker.exitcode)
"""


def test_a_signal_before_a_workers_first_job_is_heeded_when_the_job_comes(tmp_path: Path) -> None:
    script = tmp_path / "launcher.py"
    script.write_text(EARLY_SIGNAL)
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run([sys.executable, str(script)], check=False, capture_output=True, text=True, env=here)
    assert said.stdout.split() == ["started", "True", "0"], said.stderr


STOPPED = """
import sys, time
from repro.launching import signals

with signals.stopping() as stop, stop.working():
    print("ready", flush=True)
    stop.wait(float(sys.argv[1]))
    asked = stop.is_set()
    time.sleep(0.5)
    print("kept" if asked else "undisturbed", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGXCPU])
def test_a_terminal_that_goes_or_a_limit_that_is_reached_asks_to_stop_however_often(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, "60"], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # the tests themselves may run under nohup
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.1)
    assert process.communicate()[0] == "kept\n"
    assert process.returncode == 0


LIMITED = """
import resource, time
from repro.launching import signals

with signals.leaving(), signals.stopping() as stop, stop.working():
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1, resource.RLIM_INFINITY))
    while not stop.is_set():
        pass
until = time.process_time() + 2.5
while time.process_time() < until:
    pass
raise SystemExit(signals.PREEMPTED_STATUS)
"""
"""At its limit of processor seconds it takes two more of them to leave."""


def test_a_limit_of_processor_time_ends_no_process_that_leaves() -> None:
    assert subprocess.run([sys.executable, "-c", LIMITED]).returncode == 75


def test_under_nohup_a_terminal_that_goes_changes_nothing() -> None:
    command = f"trap '' HUP; exec {sys.executable} -c '{STOPPED}' 1"
    process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.communicate()[0] == "undisturbed\n"


EARLY_ORPHAN = """
import multiprocessing, os, sys, time
from repro.launching import signals

def job() -> None:
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    print("orphaned", flush=True)
    with signals.stopping():
        time.sleep(10)
        print("works on", flush=True)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=job).start()
    os._exit(1)
"""


def test_a_worker_whose_launcher_was_killed_before_its_first_job_leaves_as_well(tmp_path: Path) -> None:
    script = tmp_path / "launcher.py"
    script.write_text(EARLY_ORPHAN)
    said = subprocess.run([sys.executable, str(script)], check=False, capture_output=True, text=True)
    assert said.stdout.split("\n") == ["orphaned", ""], said.stderr


@pytest.mark.torture
def test_workers_whose_launcher_was_killed_keep_their_step_and_leave(sweep: Sweep) -> None:
    process = sweep.start()
    process.kill()
    process.wait()  # else its zombie keeps the group alive
    wait_for(lambda: not held(sweep.store), seconds=120)
    assert len(sweep.under_way()) == 2

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(gone, seconds=60)


DISTURBED = """
import os, signal, sys
from repro import train
from repro.launching import launch

place, given = sys.argv[1], sys.argv[2:]
owner, name = {"look": (launch._Sweep, "left"), "sum": (launch.ledger, "write")}[place]
plain = getattr(owner, name)

def disturbed(*known):
    setattr(owner, name, plain)
    os.kill(os.getpid(), signal.SIGTERM)
    return plain(*known)

setattr(owner, name, disturbed)
train.main(given)
"""


def test_a_signal_outside_of_any_job_ends_with_the_status_of_what_is_done(smoke: Overrides, tmp_path: Path) -> None:
    """While what is left is counted, nothing is under way; while it is summed up, all that there was to do is done."""
    (tmp_path / "script.py").write_text(DISTURBED)
    given = smoke("paradigm=cpt", "stream.versions=1", "stream.steps_per_version=20", "schedule.warmup_steps=2")

    def ended(place: str) -> tuple[int, str]:
        command = [sys.executable, str(tmp_path / "script.py"), place, *given]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    status, said = ended("look")
    assert (status, "asked to stop" in said) == (75, True)
    assert ended("sum")[0] == 0
    assert (Path(next(each for each in given if each.startswith("ledger")).partition("=")[2]) / "runs.csv").exists()

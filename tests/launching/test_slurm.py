"""Sweeps as Slurm jobs. What needs a Slurm that runs is marked so: `make test-slurm` starts one."""

import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from repro.common.errors import Preempted, UserError
from repro.config.places import CONF
from repro.launching import job, signals
from repro.planning import sweeps
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = sorted(path.stem for path in (CONF / "hydra" / "launcher").glob("*.yaml"))
CPU = ["hydra/launcher=slurm_cpu", "hydra.launcher.mem_gb=1"]
PATIENCE = 600.0
"""Seconds: a node may be slow, and Slurm looks at time limits twice a minute."""

slurm = pytest.mark.slurm
HAS_PLUGIN = find_spec("hydra_plugins.hydra_submitit_launcher") is not None
needs_plugin = pytest.mark.skipif(not HAS_PLUGIN, reason="needs pip install -e '.[slurm]'")


@needs_plugin
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_shipped_launcher_composes_and_requeues(launcher: str) -> None:
    (settings,) = sweeps.compose([f"hydra/launcher={launcher}", "hydra.launcher.partition=any", "scale=smoke"])
    assert settings.scale == "smoke"
    config = sweeps._compose((f"hydra/launcher={launcher}",)).hydra.launcher
    assert config.max_num_timeout > 0
    assert config.additional_parameters.requeue is True
    assert 60 <= config.signal_delay_s < config.timeout_min * 60 / 2
    header = (CONF / "hydra" / "launcher" / f"{launcher}.yaml").read_text()
    assert f"python -m repro.train study=main scale={'paper' if 'gpu' in launcher else 'proxy'}" in header


@pytest.mark.skipif(HAS_PLUGIN, reason="the plugin is installed")
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_without_the_plugin_a_launcher_is_refused_with_what_to_install(launcher: str) -> None:
    with pytest.raises(UserError, match=rf"hydra/launcher={launcher}.* pip install \"lr-path-switching\[slurm\]\""):
        sweeps.compose([f"hydra/launcher={launcher}"])


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_job_that_was_asked_to_stop_keeps_its_work_before_its_launcher_hears_of_it(
    smoke: Overrides, number: signal.Signals
) -> None:
    happened: list[str] = []

    def do(tree: Tree, own: int, store: Store, stop: threading.Event) -> None:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # as srun hands on what Slurm sends, too
        assert stop.wait(5)
        happened.append("kept")
        raise Preempted

    before = {n: signal.signal(n, lambda *_: happened.append("heard")) for n in (signal.SIGUSR2, signal.SIGTERM)}
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra_compose("config", overrides=smoke())
        with pytest.raises(SystemExit) as end:
            job.work(config, do)
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    assert happened == ["kept", "heard"]
    assert end.value.code == signals.PREEMPTED_STATUS


def slurm_runs() -> bool:
    """Whether it is the one that tests/slurm/with_slurm.sh started: on anybody's cluster, nothing is cancelled."""
    return "SLURM_OF_THE_TESTS" in os.environ


class Sweep:
    """A command that was started, and the jobs it has Slurm run."""

    def __init__(self, overrides: list[str], place: Path) -> None:
        self.store = Store(place / "store")
        self.log = place / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "repro.train", *overrides],
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )

    def wait(self, until: Callable[[], object]) -> None:
        """Wait, watching what is trained."""
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, self.said()
            time.sleep(0.1)

    def finish(self) -> int:
        self.wait(lambda: self.process.poll() is not None)
        return self.process.wait()

    def jobs(self, *states: str) -> list[str]:
        """Ids of the jobs in Slurm's queue."""
        return self.queued("%i", *([f"--states={','.join(states)}"] if states else [])).split()

    def queued(self, form: str, *more: str) -> str:
        """What Slurm's queue shows."""
        listed = subprocess.run(
            ["squeue", "--me", "--noheader", "--array", f"--format={form}", *more], capture_output=True
        )
        return listed.stdout.decode().strip()

    def step(self) -> int:
        """The step that some job is at."""
        return max((sign.get("step", 0) for sign in self.store.leases().values()), default=0)

    def said(self) -> str:
        logs = self.store.root.glob("hydra/**/*_log.*")
        return "\n".join(path.read_text() for path in (self.log, *sorted(logs)))


@pytest.fixture
def start(smoke: Overrides, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    if not HAS_PLUGIN or not slurm_runs():
        pytest.skip("no Slurm runs here, or its launcher is not installed: make test-slurm sees to both")
    started = []

    def start_(*overrides: str) -> Sweep:
        started.append(Sweep(smoke(*overrides), tmp_path))
        return started[-1]

    yield start_
    for sweep in started:
        sweep.process.kill()
        sweep.process.wait()
        for number in sweep.jobs():
            subprocess.run(["scancel", "--signal=KILL", number], check=False)
            subprocess.run(["scancel", number], check=False)
        sweep.wait(lambda sweep=sweep: not sweep.jobs())


def undisturbed(overrides: list[str], place: Path) -> tuple[Tree, Store]:
    tree, store = make(compose(overrides)).tree, Store(place)
    for run in range(len(tree.runs)):
        Worker(tree, run, store, threading.Event()).work()
    return tree, store


def assert_same(tree: Tree, one: Store, two: Store) -> None:
    for key in {key for ends in tree.ends for key in ends}:
        ours, theirs = (store.load(key, "model", "optimizer", "trace") for store in (one, two))
        for name, tensors in ours.items():
            assert tensors.keys() == theirs[name].keys()
            assert all(torch.equal(tensor, theirs[name][part]) for part, tensor in tensors.items())


@slurm
def test_a_sweep_is_an_array_of_jobs_two_at_a_time(start: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = start("study=headline", "stream.versions=2", *CPU, "hydra.launcher.array_parallelism=2")
    most = 0

    def over() -> bool:
        nonlocal most
        most = max(most, len(sweep.jobs("RUNNING")))
        return sweep.process.poll() is not None

    sweep.wait(over)
    assert sweep.process.returncode == 0, sweep.said()
    assert most == 2
    with (tmp_path / "ledger" / "versions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3 * 2
    folders = {path.name for path in sweep.store.root.glob("hydra/*/.submitit/[0-9]*_*")}
    assert {re.sub(r"^\d+", "N", name) for name in folders} == {"N_0", "N_1", "N_2"}


LONG = ["paradigm=cpt", "stream.versions=2", "stream.steps_per_version=7000", "-m"]
"""About a minute where nothing else runs."""


@slurm
def test_a_job_at_its_time_limit_is_saved_and_requeued_and_ends_as_if_undisturbed(
    start: Callable[..., Sweep], smoke: Overrides, tmp_path: Path
) -> None:
    sweep = start(*LONG, *CPU, "hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=60")
    sweep.wait(lambda: sweep.step() > 100)
    # However long the job took to start: its limit is now as near as to have it signalled at Slurm's next look.
    (job,) = sweep.jobs("RUNNING")
    minutes, seconds = sweep.queued("%M").split(":")
    limit(job, int(minutes) + (int(seconds) + 99) // 60)
    sweep.wait(lambda: sweep.jobs("PENDING"))
    limit(job, 60)
    (key,) = (path.name for path in (sweep.store.root / "partial").iterdir())
    (saved,) = sweep.store.partial_steps(key)
    assert saved > 100
    sweep.wait(lambda: sweep.step())
    assert sweep.step() >= saved
    assert sweep.finish() == 0, sweep.said()
    assert "this job is timed-out" in sweep.said()
    assert "Requeued job" in sweep.said()
    tree, alone = undisturbed(smoke(*LONG[:-1]), tmp_path / "alone")
    assert_same(tree, alone, sweep.store)


def limit(job: str, minutes: int) -> None:
    subprocess.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"], check=True)


@slurm
def test_a_cancelled_job_keeps_what_it_did_and_is_not_requeued(start: Callable[..., Sweep]) -> None:
    sweep = start(*LONG, *CPU)
    sweep.wait(lambda: sweep.step() > 100)
    (job,) = sweep.jobs("RUNNING")
    subprocess.run(["scancel", job], check=True)
    assert sweep.finish() == 1
    assert "are not done" in sweep.said()
    assert not sweep.jobs()
    (key,) = (path.name for path in (sweep.store.root / "partial").iterdir())
    assert sweep.store.partial_steps(key)[-1] > 100


@slurm
def test_a_job_that_a_more_urgent_one_displaces_goes_on_later(start: Callable[..., Sweep]) -> None:
    sweep = start(*LONG[:1], "stream.versions=1", "stream.steps_per_version=4000", "-m", *CPU)
    sweep.wait(lambda: sweep.step() > 100)
    urgent = ["sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1"]
    subprocess.run(urgent, check=True, capture_output=True)
    assert sweep.finish() == 0, sweep.said()
    assert "what was done is kept" in sweep.said()


@slurm
def test_the_command_can_be_left_while_its_jobs_go_on(start: Callable[..., Sweep]) -> None:
    given = (*LONG[:1], "stream.versions=1", "stream.steps_per_version=2000", "-m", *CPU)
    sweep = start(*given)
    sweep.wait(lambda: sweep.step() > 10)
    sweep.process.terminate()
    assert sweep.finish() == 75
    assert sweep.jobs("RUNNING")
    assert "jobs on other machines go on" in sweep.said()
    sweep.wait(lambda: not sweep.jobs())
    assert len(sweep.store.steps()) == 1


@slurm
def test_the_gpu_launcher_is_granted_a_gpu(start: Callable[..., Sweep]) -> None:
    small = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]
    sweep = start("paradigm=cpt", "stream.versions=1", "-m", "hydra/launcher=slurm_gpu", *small)
    sweep.wait(lambda: sweep.jobs("RUNNING"))
    (job,) = sweep.jobs("RUNNING")
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, check=True).stdout.decode()
    assert "gres/gpu=1" in shown or "gres:gpu:1" in shown
    assert "Requeue=1" in shown
    assert sweep.finish() == 0, sweep.said()


@slurm
def test_an_extension_reaches_the_jobs_of_a_cluster(
    start: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe and a schedule of one's own, from outside: the jobs import them, as the command line names them."""
    folder = ROOT / "docs" / "examples" / "extension"
    monkeypatch.setenv("PYTHONPATH", str(folder))
    ours = ["extensions=[my_update]", f"hydra.searchpath=[file://{folder / 'conf'}]"]
    short = ["stream.versions=1", "stream.steps_per_version=10", "schedule.warmup_steps=2"]
    sweep = start("study=headline", "paradigm=ptfs,my_update", "schedule=one_minus_sqrt", *ours, *short, *CPU)
    assert sweep.finish() == 0, sweep.said()
    assert "my_update_b0.2" in sweep.said(), "in the summary, as trained and measured"

"""Many launchers of overlapping studies in one store; holders that die or are suspended in the middle of an edge."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torture.common import ENVIRONMENT, differences, held, tree

from repro.store import upkeep
from repro.store.store import Store

Overrides = Callable[..., list[str]]
pytestmark = pytest.mark.torture
STUDIES = ("headline", "alpha", "pilot", "main", "headline", "alpha", "first_stage", "second_stage")


HOST = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c")
"""A machine of its own, as far as names and process ids tell: two of them are both process 1."""


def launch(given: list[str], log: Path, host: str = "") -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        command = [sys.executable, "-m", "repro.train", *given]
        if host:
            command = [*HOST, 'hostname "$0" && exec "$@"', host, *command]
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, env=ENVIRONMENT)


def end(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def assert_as_one_alone(given: list[str], folder: Path) -> None:
    """What lies in a folder's store is, to the last bit, what one launcher makes that nobody disturbs."""
    alone = folder / "alone"
    alone.mkdir()
    again = [*given, f"store.path={alone / 'store'}", f"ledger.path={alone / 'ledger'}"]
    assert launch(again, alone / "log").wait(900) == 0, (alone / "log").read_text()[-2000:]
    assert differences(alone, folder, sorted({key for each in tree(given).ends for key in each})) == []


def test_eight_launchers_of_overlapping_studies_train_each_edge_once(smoke: Overrides, tmp_path: Path) -> None:
    processes = [launch(smoke(f"study={study}"), tmp_path / f"{number}.log") for number, study in enumerate(STUDIES)]
    for number, process in enumerate(processes):
        assert process.wait(1500) == 0, (tmp_path / f"{number}.log").read_text()[-2000:]
    logs = "".join((tmp_path / f"{number}.log").read_text() for number in range(len(STUDIES)))
    for phrase in ("Traceback", "another worker", "twice"):
        assert phrase not in logs
    store = Store(tmp_path / "store")
    assert list(upkeep.damage(store)) == []
    for key in store.steps():
        assert len(store.manifest(key)["sessions"]) == 1, "an edge was begun twice"

    alone = tmp_path / "alone"
    alone.mkdir()
    ends = set()
    for study in dict.fromkeys(STUDIES):
        given = [*smoke(f"study={study}"), f"store.path={alone / 'store'}", f"ledger.path={alone / 'ledger'}"]
        assert launch(given, alone / "log").wait(1500) == 0, (alone / "log").read_text()[-2000:]
        ends |= {key for each in tree(given).ends for key in each}
    assert differences(alone, tmp_path, sorted(ends)) == []


def has_hosts() -> bool:
    try:
        return subprocess.run([*HOST, "hostname other"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not has_hosts(), reason="needs root on Linux, for machines with names and processes of their own")
def test_two_machines_share_a_store_and_one_goes_on_where_the_other_was_lost(smoke: Overrides, tmp_path: Path) -> None:
    """Both launchers are process 1 of their machine, so that nothing may rest on process ids."""
    given = smoke("study=headline", "stream.versions=3", "stream.steps_per_version=400", "store.stale_seconds=8")
    store = Store(tmp_path / "store", stale_seconds=8)
    first, second = (launch(given, tmp_path / f"{host}.log", host) for host in ("one", "two"))
    try:
        deadline = time.monotonic() + 300
        while {sign.get("host") for sign in store.leases().values()} != {"one", "two"}:
            assert first.poll() is None, (tmp_path / "one.log").read_text()
            assert second.poll() is None, (tmp_path / "two.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGKILL)  # and with it all of that machine
        assert second.wait(900) == 0, (tmp_path / "two.log").read_text()
    finally:
        end(first, second)
    assert launch(given, tmp_path / "three.log", "three").wait(300) == 0, "what is stored is found from a third machine"
    assert list(upkeep.damage(store)) == []
    assert not held(store)
    assert_as_one_alone(given, tmp_path)


@pytest.mark.parametrize("ends", ["killed", "suspended"])
def test_a_holder_that_stands_still_is_overtaken_and_cannot_spoil_the_store(
    smoke: Overrides, tmp_path: Path, ends: str
) -> None:
    long = ("paradigm=cpt", "stream.versions=2", "stream.steps_per_version=3000", "schedule.warmup_steps=20")
    given = smoke(*long, "store.stale_seconds=4")
    store = Store(tmp_path / "store", stale_seconds=4)
    first = launch(given, tmp_path / "first.log")
    deadline = time.monotonic() + 300
    while not any(sign.get("step", 0) > 100 for sign in store.leases().values()):
        assert first.poll() is None, (tmp_path / "first.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL if ends == "killed" else signal.SIGSTOP)
    second = launch(given, tmp_path / "second.log")
    try:
        if ends == "suspended":
            # It wakes up while the other one is at the same edge, and both go on to the end.
            while len(held(store)) < 2:
                assert second.poll() is None, (tmp_path / "second.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(first.pid, signal.SIGCONT)
            assert first.wait(600) == 0, (tmp_path / "first.log").read_text()
        assert second.wait(600) == 0, (tmp_path / "second.log").read_text()
    finally:
        end(first, second)
    assert list(upkeep.damage(store)) == []
    assert not held(store)
    assert_as_one_alone(given, tmp_path)

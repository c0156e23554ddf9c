"""Two hosts that share one folder over a network: `make test-two-hosts` starts them.

A network's file system tells a host that what another one removed is stale, also in calls that never fail elsewhere.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = Path(os.environ.get("TWO_HOSTS", ""))
PATIENCE = 300.0
"""Seconds."""
SWEEP = ["study=headline", "scale=smoke", "seed=0,1", "stream.steps_per_version=200", "store.save_seconds=2", "-m"]
TABLES = ("perplexity", "curves", "versions", "paths")

pytestmark = [
    pytest.mark.two_hosts,
    pytest.mark.skipif("TWO_HOSTS" not in os.environ, reason="make test-two-hosts starts them"),
]

Host = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(host: Host, request: pytest.FixtureRequest) -> Path:
    """What both hosts see, and this process does not."""
    shared = Path((HOSTS / "folder").read_text().strip()) / request.node.name
    assert host(1, "mkdir", str(shared)).wait(PATIENCE) == 0
    return shared


@pytest.fixture
def host() -> Iterator[Host]:
    """Starts a command on a host, in a group of its own, whose output goes to a pipe."""
    started: list[subprocess.Popen[str]] = []

    def start(number: int, *command: str) -> subprocess.Popen[str]:
        begun = subprocess.Popen(
            [str(HOSTS / "on"), str(number), *command], cwd=ROOT, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(begun)
        return begun

    yield start
    subprocess.run([HOSTS / "wire", "up"], check=True)
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()


def train(host: Host, number: int, place: Path) -> subprocess.Popen[str]:
    return host(number, sys.executable, "-m", "repro.train", *SWEEP, *places(place))


def places(place: Path) -> list[str]:
    return [f"{each}.path={place}/{each}" for each in ("store", "ledger", "data")]


def begun(host: Host, place: Path) -> None:
    """Wait until something is trained, so that both are in the middle of it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        looked = host(1, "ls", f"{place}/store/checkpoints")
        listed, _ = looked.communicate()
        if looked.returncode == 0 and listed.strip():
            return
        time.sleep(0.5)
    raise AssertionError("nothing was trained")


def tables(host: Host, number: int, place: Path) -> dict[str, list[str]]:
    """Rows of the ledger, in no order."""
    found = {}
    for name in TABLES:
        content, _ = host(number, "cat", f"{place}/ledger/{name}.csv").communicate()
        found[name] = sorted(content.splitlines())
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What one host has that nobody disturbs, on a disk of its own."""
    place = tmp_path_factory.mktemp("alone")
    command = [sys.executable, "-m", "repro.train", *SWEEP, *places(place)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    return {name: sorted((place / "ledger" / f"{name}.csv").read_text().splitlines()) for name in TABLES}


def test_a_lock_is_held_by_one_of_two_hosts_at_a_time(host: Host, folder: Path) -> None:
    """A counter that each reads, adds one to and writes ends at the number of turns only if no two had one at once."""
    code = (
        "import sys; from pathlib import Path; from repro.common import locks\n"
        "counter = Path(sys.argv[1], 'counter')\n"
        "for _ in range(100):\n"
        "    with locks.held(Path(sys.argv[1], 'its.lock')):\n"
        "        counter.write_text(str(int(counter.read_text() if counter.exists() else 0) + 1))\n"
    )
    started = [host(number, sys.executable, "-c", code, str(folder)) for number in (1, 2, 1, 2)]
    for each in started:
        said, _ = each.communicate(timeout=PATIENCE)
        assert each.returncode == 0, said
    assert host(2, "cat", f"{folder}/counter").communicate()[0] == "400"


def test_two_hosts_share_a_sweep_and_end_as_one_alone(host: Host, folder: Path, alone: dict[str, list[str]]) -> None:
    for each in [train(host, number, folder) for number in (1, 2)]:
        said, _ = each.communicate(timeout=PATIENCE)
        assert each.returncode == 0, said
    assert tables(host, 2, folder) == alone


def test_where_one_is_killed_the_other_ends_all_of_it(host: Host, folder: Path, alone: dict[str, list[str]]) -> None:
    killed, other = (train(host, number, folder) for number in (1, 2))
    begun(host, folder)
    os.killpg(killed.pid, signal.SIGKILL)
    said, _ = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, said
    assert tables(host, 2, folder) == alone


def test_where_one_is_cut_off_it_says_so_and_the_other_ends_all_of_it(
    host: Host, folder: Path, alone: dict[str, list[str]]
) -> None:
    other, parted = (train(host, number, folder) for number in (1, 2))
    begun(host, folder)
    subprocess.run([HOSTS / "wire", "down"], check=True)
    said, _ = parted.communicate(timeout=PATIENCE)
    assert parted.returncode != 0
    assert "is not connected" in said
    assert "Traceback" not in said
    said, _ = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, said
    assert tables(host, 1, folder) == alone

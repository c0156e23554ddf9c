"""Locks: who waits says for whom; a file system without them, and a system without them, are named."""

import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import train
from repro.common import disk, locks
from repro.common.errors import UserError
from repro.data import packages
from repro.data.packages import Package
from repro.store import __main__ as store_command
from repro.store.store import Store

Overrides = Callable[..., list[str]]
KEY = "ab" * 32


def _hold(path: Path, seconds: float, ready: "multiprocessing.synchronize.Event") -> None:
    with locks.held(path):
        ready.set()
        time.sleep(seconds)


def test_who_waits_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    package = Package("nothing", "1", "0" * 64)
    path = tmp_path / f"{package.file_name}.lock"
    holder = context.Process(target=_hold, args=(path, 2.0, ready))
    holder.start()
    assert ready.wait(60)
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(packages, "_download", lambda package, folder, target: (folder / "file").write_text(""))
    with pytest.raises(UserError, match="was pinned"):
        packages.fetch(package, tmp_path)
    assert f"waiting for process {holder.pid} on " in capsys.readouterr().err
    holder.join()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_by_every_command(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    store = Store(tmp_path / "store")
    with store.lease(KEY):
        (tmp_path / "store" / "leases" / f"{KEY[::-1]}.0").touch()

    def flock(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    at = f"store.path={tmp_path / 'store'}"
    for command in (
        *(lambda verb=verb: store_command.main([verb, at]) for verb in ("ls", "du", "verify", "gc", "repair")),
        lambda: train.main(smoke("paradigm=ptfs", "stream.versions=2")),
    ):
        with pytest.raises(SystemExit) as status:
            command()
        assert status.value.code == 2
        assert "a file system without locks" in capsys.readouterr().err


def test_a_lock_that_may_only_be_read_is_seen_to_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    handle = locks.acquire(path)
    assert handle is not None
    asked = []
    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: (asked.append(how), flock(handle, how))[-1])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert locks.is_held(path)
    locks.release(path, handle)
    assert asked == [fcntl.LOCK_SH | fcntl.LOCK_NB], "NFS lets nobody lock for himself what he cannot write"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOENT])
@pytest.mark.parametrize("call", ["open", "flock", "fstat", "close"])
def test_a_lock_that_another_node_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A network tells of it in calls that never fail elsewhere (`make test-two-hosts`)."""
    path, module = tmp_path / "lock", fcntl if call == "flock" else os
    own, refused = getattr(module, call), []

    def stale(*given, **named):  # once: the next try finds the folder as it is
        if call == "close" or not refused:
            refused.append(call)
            if call == "close":
                own(*given)
            raise OSError(number, os.strerror(number))
        return own(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, call, stale)
        with locks.held(path):
            pass
        assert refused
    assert not locks.is_held(path)
    handle = locks.acquire(path)
    assert handle is not None
    locks.release(path, handle)
    assert not path.exists()


def test_what_stays_stale_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*given: object) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(disk, "STALE_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", stale)
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            locks.acquire(tmp_path / "lock")
        with pytest.raises(UserError, match=rf"cannot be read: {os.strerror(errno.ESTALE)}"):
            disk.read(tmp_path / "file")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOENT])
def test_a_file_that_another_node_replaced_while_it_was_read_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("new")
    own, refused = os.fstat, []

    def stale(handle: int) -> os.stat_result:
        if not refused:
            refused.append(handle)
            raise OSError(number, os.strerror(number))
        return own(handle)

    monkeypatch.setattr(os, "fstat", stale)
    assert disk.read(path) == b"new"


@pytest.mark.parametrize("module", ["repro.plan", "repro.train", "repro.store", "analysis.report"])
def test_a_system_without_posix_locks_is_told_what_works(module: str) -> None:
    script = (
        f"import runpy, sys; sys.modules['fcntl'] = None; sys.argv = ['x']; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=False)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "WSL" in done.stderr
    assert "Traceback" not in done.stderr

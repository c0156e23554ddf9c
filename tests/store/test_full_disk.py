"""A disk that gets full, or read-only, at any write: a clear message, a sound store, and the run goes on later."""

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from torture.common import ENVIRONMENT, JOBLIB, differences, overrides, tree

from repro import train
from repro.common.disk import clear_errors
from repro.common.errors import UserError
from repro.store import __main__ as store_command
from repro.store import tables, upkeep
from repro.store.store import Store

SMALL = ("stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=1")


def given(place: Path, data: Path) -> list[str]:
    return overrides(place, data, "headline", *SMALL)


class Disk:
    """Counts what is written in a folder and refuses one write, or all from that one on."""

    def __init__(self, place: Path, refused: int | None, number: int = errno.ENOSPC) -> None:
        self.place, self.refused, self.number = place, refused, number
        self.writes = 0

    def look(self, path: object, half: Callable[[], object] = lambda: None) -> None:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        if not Path(str(path)).is_relative_to(self.place):
            return
        self.writes += 1
        if self.refused is not None and self.writes > self.refused:
            with contextlib.suppress(OSError):
                half()
            raise OSError(self.number, os.strerror(self.number), str(path))

    @contextlib.contextmanager
    def mounted(self) -> Iterator["Disk"]:
        with pytest.MonkeyPatch.context() as patch:
            write, mkdir, rename, fsync, save = (
                Path.write_bytes,
                Path.mkdir,
                Path.rename,
                os.fsync,
                safetensors.torch.save_file,
            )

            def write_bytes(path: Path, data: bytes) -> int:
                self.look(path, lambda: write(path, data[: len(data) // 2]))
                return write(path, data)

            def make(path: Path, *arguments: Any, **named: Any) -> None:
                if not path.exists():
                    self.look(path)
                mkdir(path, *arguments, **named)

            def move(path: Path, target: Path) -> Path:
                self.look(path)
                return rename(path, target)

            def synced(handle: int) -> None:
                self.look(handle)
                fsync(handle)

            def save_file(tensors: Any, path: Path) -> None:
                self.look(path, lambda: write(Path(path), b"{" * 100))
                save(tensors, path)

            patch.setattr(Path, "write_bytes", write_bytes)
            patch.setattr(Path, "mkdir", make)
            patch.setattr(Path, "rename", move)
            patch.setattr(os, "fsync", synced)
            patch.setattr(safetensors.torch, "save_file", save_file)
            yield self


def test_a_full_disk_is_told_from_one_that_may_not_be_written_whoever_reports_it() -> None:
    tokenizer = Tokenizer(BPE())
    full = r"No space left on device .*; free some space, or choose another output"
    with pytest.raises(UserError, match=full), clear_errors(Path("place"), setting="output"):
        tokenizer.save("/dev/full")
    with pytest.raises(UserError, match="make it writable"), clear_errors(Path("place")):
        tokenizer.save("/proc/nope/file")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data_path: Path) -> tuple[Path, list[str], int]:
    """Where it is, its final nodes, and the number of its writes."""
    place = tmp_path_factory.mktemp("undisturbed")
    with Disk(place, None).mounted() as disk:
        train.main(given(place, data_path))
    return place, sorted({key for ends in tree(given(place, data_path)).ends for key in ends}), disk.writes


def refuse(place: Path, data: Path, write: int, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Run until the disk refuses; what it said, and what it left."""
    with Disk(place, write, number).mounted(), pytest.raises(SystemExit) as status:
        train.main(given(place, data))
    said = capsys.readouterr().err
    assert status.value.code not in (0, None)
    assert os.strerror(number) in said, f"write {write}: {said}"
    assert "Traceback" not in said, f"write {write}: {said}"
    store = Store(place / "store")
    assert list(upkeep.damage(store)) == []
    assert list(tables.damage(place / "ledger")) == []


def goes_on(place: Path, data: Path, undisturbed: tuple[Path, list[str], int]) -> None:
    kept = {key: Store(place / "store").manifest(key)["manifest_sha256"] for key in Store(place / "store").steps()}
    train.main(given(place, data))
    assert differences(undisturbed[0], place, undisturbed[1]) == []
    after = Store(place / "store")
    assert {key: after.manifest(key)["manifest_sha256"] for key in kept} == kept, "what was kept was made again"


# (torture refuses at every single write)
@pytest.mark.parametrize("share", [0.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.15, 0.7)), 0.4, 0.999])
def test_a_disk_that_is_full_at_some_write(
    undisturbed: tuple[Path, list[str], int],
    tmp_path: Path,
    data_path: Path,
    capsys: pytest.CaptureFixture[str],
    share: float,
) -> None:
    refuse(tmp_path, data_path, int(share * undisturbed[2]), errno.ENOSPC, capsys)
    goes_on(tmp_path, data_path, undisturbed)


def test_a_disk_that_becomes_read_only(
    undisturbed: tuple[Path, list[str], int], tmp_path: Path, data_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(tmp_path, data_path, undisturbed[2] // 2, errno.EROFS, capsys)
    goes_on(tmp_path, data_path, undisturbed)


@pytest.mark.torture
def test_a_disk_that_is_full_at_every_write(
    undisturbed: tuple[Path, list[str], int], tmp_path: Path, data_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also shows that a sweep that is cut short after every single write gets to its end."""
    for write in range(undisturbed[2]):
        place = tmp_path / str(write)
        refuse(place, data_path, write, errno.ENOSPC, capsys)
        if write % 5 == 0:
            goes_on(place, data_path, undisturbed)


@pytest.mark.torture
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_small_file_system_that_fills_up_and_is_then_enlarged(
    undisturbed: tuple[Path, list[str], int], tmp_path: Path, data_path: Path
) -> None:
    sizes = []
    for kilobytes in (64, 200, 400, 700, 1000):
        place = tmp_path / f"disk-{kilobytes}"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("cannot mount here")
        try:
            command = [sys.executable, "-m", "repro.train", *given(place, data_path), *JOBLIB]
            first = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
            assert "Traceback" not in first.stderr, first.stderr
            sizes.append(first.returncode)
            if first.returncode != 0:
                assert "free" in first.stderr, first.stderr
                assert list(upkeep.damage(Store(place / "store"))) == []
            subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)
            goes_on(place, data_path, undisturbed)
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
    assert any(sizes), "some disk was too small"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_store_on_a_read_only_file_system_can_be_looked_at(
    tmp_path: Path, data_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True).returncode != 0:
        pytest.skip("cannot mount here")
    try:
        train.main(given(place, data_path))
        (place / "store" / "leases" / f"{'0' * 64}.0").touch()  # of a holder that died
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        for tool in ("ls", "du", "verify"):
            store_command.main([tool, f"store.path={place / 'store'}"])
        assert "Traceback" not in capsys.readouterr().err
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)

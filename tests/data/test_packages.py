"""Fetching pinned packages: with the real clients, from a folder in place of an index."""

import hashlib
import logging
import os
import shutil
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from repro.common.errors import UserError
from repro.data import packages
from repro.data.corpora import rfc
from repro.data.packages import Package

needs_debian = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="needs apt-get and dpkg-deb"
)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A wheel that pip finds in a folder, and no index."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "tinypackage-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinypackage/__init__.py", "raise RuntimeError('executed')")
        metadata = "Metadata-Version: 2.1\nName: tinypackage\nVersion: 1.0\nRequires-Dist: not-to-be-found\n"
        archive.writestr("tinypackage-1.0.dist-info/METADATA", metadata)
        archive.writestr(
            "tinypackage-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinypackage-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return Package("tinypackage", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest())


def only_file(cache: Path) -> Path:
    (found,) = (path for path in cache.iterdir() if path.suffix != ".lock")
    return found


def test_a_wheel_is_fetched_once_and_without_its_dependencies(
    tiny: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packages.fetch(tiny, tmp_path / "cache")
    assert path == only_file(tmp_path / "cache")
    assert packages.sha256(path) == tiny.sha256
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert packages.fetch(tiny, tmp_path / "cache") == path


def test_what_a_killed_fetch_left_is_cleared_away(tiny: Package, tmp_path: Path) -> None:
    left = tmp_path / "cache" / f".fetching-{tiny.file_name}-x"
    left.mkdir(parents=True)
    packages.fetch(tiny, tmp_path / "cache")
    assert not left.exists()


def test_several_at_once_fetch_it_once(tiny: Package, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(packages.fetch, tiny, tmp_path / "cache") for _ in range(3)]
        inodes = {job.result().stat().st_ino for job in jobs}
    assert inodes == {only_file(tmp_path / "cache").stat().st_ino}


def test_another_file_than_was_pinned_is_refused_and_not_kept(tiny: Package, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was pinned: it is not used"):
        packages.fetch(replace(tiny, sha256="0" * 64), tmp_path / "cache")
    assert not (tmp_path / "cache" / tiny.file_name).exists()


def test_a_damaged_file_in_the_cache_is_fetched_again_with_a_warning(
    tiny: Package, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = packages.fetch(tiny, tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert packages.sha256(packages.fetch(tiny, tmp_path / "cache")) == tiny.sha256
    assert str(path) in caplog.text


def test_a_package_that_cannot_be_fetched_says_where_a_copy_would_serve(
    tiny: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "index" / "tinypackage-1.0-py3-none-any.whl"
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"No matching distribution found for tinypackage==1\.0") as refusal:
        packages.fetch(tiny, tmp_path / "cache")
    target = str(refusal.value).split("saved as ")[1].rstrip(".")
    shutil.copy(source, target)
    assert packages.fetch(tiny, tmp_path / "cache") == Path(target)


def test_a_cache_that_cannot_be_written_is_refused(tiny: Package, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"/file/cache cannot be written: .* choose another data\.path"):
        packages.fetch(tiny, tmp_path / "file" / "cache")


@needs_debian
def test_a_package_that_cannot_be_unpacked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.deb").write_text("no package")
    with pytest.raises(UserError, match=r"some\.deb cannot be unpacked"), packages.unpacked(tmp_path / "some.deb"):
        pass


def test_without_apt_a_debian_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get is not here"):
        packages.fetch(rfc.RFC[0], tmp_path / "cache")
    with (
        pytest.raises(UserError, match="dpkg-deb is not here"),
        packages.unpacked(tmp_path / "some.deb"),
    ):
        pass


@needs_debian
def test_a_debian_package_that_apt_does_not_know_is_refused(tmp_path: Path) -> None:
    unknown = Package("no-such-package", "1.0", "0" * 64, "deb")
    with pytest.raises(UserError, match=r"Unable to locate package no-such-package.*apt-get update"):
        packages.fetch(unknown, tmp_path / "cache")


@needs_debian
def test_a_debian_package_is_unpacked_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    deb = build_deb(tmp_path, {"usr/share/doc/tiny/text": b"content"})
    with packages.unpacked(deb) as folder:
        assert (folder / "usr/share/doc/tiny/text").read_bytes() == b"content"
    assert not folder.exists()


def build_deb(folder: Path, files: dict[str, bytes]) -> Path:
    tree = folder / "tree"
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    (tree / "DEBIAN").mkdir()
    control = "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\nDescription: a test\n"
    (tree / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", str(tree), str(folder / "tiny.deb")], check=True, capture_output=True)
    return folder / "tiny.deb"


@needs_debian
def test_what_a_killed_process_unpacked_goes_once_it_is_stale(tmp_path: Path) -> None:
    old, new = tmp_path / ".unpacked-old", tmp_path / ".unpacked-new"
    for folder in (old, new):
        (folder / "usr").mkdir(parents=True)
    os.utime(old, (0, 0))
    with pytest.raises(UserError, match="cannot be unpacked"), packages.unpacked(tmp_path / "none.deb"):
        pass
    assert (old.exists(), new.exists()) == (False, True)

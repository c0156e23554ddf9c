"""Files that are whole or not there, and documents that know their own checksum.

What is written is synced before it gets its name, so that a reader sees all of it or what was there before, also after
a power cut. What a disk refuses (full, read-only, not permitted) becomes a message; it never counts as damage.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from repro.common.errors import UserError

DAMAGE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO, errno.ENXIO)
"""What reading a damaged file or folder can give. Anything else (no permission, too many open files) is no damage."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

STALE_TRIES = 100
STALE_SECONDS = 0.05
"""Between two tries of what is stale."""

P = ParamSpec("P")
T = TypeVar("T")

STORE = "store.path (tables: ledger.path)"
"""The setting to change where nothing else is named."""


class Flaw(Exception):
    """Something on disk is not what was written. Its message is the reason, to follow the path."""


def read(path: Path) -> bytes:
    """A file's content.

    Raises:
        Flaw: it is missing, no file, or on a bad spot of the disk.
        UserError: it cannot be read for a reason that does not lie in it.
    """
    try:
        return not_stale(_read, path)
    except OSError as error:
        if error.errno in DAMAGE:
            raise Flaw(f"cannot be read ({error.strerror})") from None
        raise unreadable(path, error) from error


def _read(path: Path) -> bytes:
    # Opening a pipe that nobody writes to would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open(handle, "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Flaw("is no ordinary file")
            return file.read()
    except FileNotFoundError:
        raise stale(path) from None  # it was opened


def stale(path: Path) -> OSError:
    """What is raised of a file that another node removed or replaced while it was open here."""
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))


def not_stale(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Open anew what another node removed or replaced while it was open here: a network's file system calls it stale.

    Raises:
        OSError: of the call; that it is stale, where it stays so.
    """
    for _ in range(STALE_TRIES):
        try:
            return call(*args, **kwargs)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            time.sleep(STALE_SECONDS)
    return call(*args, **kwargs)


def unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be read: {error.strerror or error}; make it readable, or choose another place.")


def expanded(path: str) -> Path:
    """With `~` as the home folder. Where nobody knows whose it is, it is part of a name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (which raises there)


def write_atomically(path: Path, data: bytes, setting: str = STORE) -> None:
    """Write a file so that a reader sees all of it or the one before.

    Args:
        setting: that says where it is.

    Raises:
        UserError: the disk refuses.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with clear_errors(path, undo=lambda: scratch.unlink(missing_ok=True), setting=setting):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        sync(scratch)
        scratch.rename(path)
        sync(path.parent)


def write_document(path: Path, content: dict[str, Any], setting: str = STORE) -> None:
    """Write JSON with its checksum; arguments, and what is raised, as of `write_atomically`."""
    write_atomically(path, _document(content), setting)


def read_document(path: Path) -> dict[str, Any] | None:
    """What `write_document` wrote; None where there is nothing.

    Raises:
        Flaw: a byte of it is another one.
        UserError: as `read`.
    """
    if not os.path.lexists(path):
        return None
    data = read(path)
    try:
        content = json.loads(data)["content"]
        if isinstance(content, dict) and _document(content) == data:
            return content
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise Flaw("does not match its checksum")


def _document(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, sort_keys=True)
    return f'{{"content": {body}, "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"}}'.encode()


def sync(path: Path) -> None:
    """Have a file, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def renamed(source: Path, target: Path) -> bool:
    """Move a folder into place, where there is none."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True


def move(path: Path, target: Path) -> None:
    """Rename a file or folder, or copy and remove it where the file system cannot (a lower layer of an overlay).

    Raises:
        OSError: the disk refuses; nothing is lost.
    """
    try:
        path.rename(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, target, symlinks=True)
        shutil.rmtree(path)
    else:
        shutil.copy2(path, target, follow_symlinks=False)
        path.unlink()


def remove(path: Path) -> bool:
    """Remove a file or folder, as far as that can be done; whether it is gone."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return not os.path.lexists(path)


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_as(path: Path, like: Path) -> None:
    """Give a file the permissions of one that was made under the umask: safetensors writes for its owner alone."""
    mode = stat.S_IMODE(like.stat().st_mode)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


@contextlib.contextmanager
def clear_errors(place: Path, undo: Callable[[], object] = lambda: None, *, setting: str = STORE) -> Iterator[None]:
    """Turn what a disk can refuse into a message; what was there before stays.

    Args:
        setting: what to choose another one of.
    """
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            undo()
        raise refused(place, error.strerror or str(error), error.errno in FULL, setting) from error
    except Exception as error:
        # safetensors reports a full disk as an error of its own, tokenizers as an `Exception`.
        number = re.search(r"\(os error (\d+)\)", str(error))
        if type(error).__name__ != "SafetensorError" and not (type(error) is Exception and number):
            raise
        undo()
        raise refused(place, str(error), number is None or int(number[1]) in FULL, setting) from error


def check_folder(folder: Path, setting: str) -> None:
    """See beforehand that something can become a folder, where there is none yet.

    Raises:
        UserError: a file is in its way.
    """
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if there.exists() and not there.is_dir():
        raise UserError(f"{setting}={folder}: {there} is no folder; another {setting} works.")


def refused(place: Path, reason: str, full: bool, setting: str = STORE) -> UserError:
    """What a disk refused, as a message.

    Args:
        full: for lack of space.
        setting: what to choose another one of.
    """
    remedy = "free some space" if full else "make it writable"
    return UserError(
        f"{place} cannot be written: {reason}; {remedy}, or choose another {setting}. "
        f"What was kept before stays usable."
    )

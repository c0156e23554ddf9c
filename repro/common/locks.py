"""Locks of the operating system on files that vanish when they are released.

The system drops a lock when its holder dies, so a dead holder is in nobody's way. The file that it leaves behind is an
ordinary file that the next one locks and then removes. Needs a file system with working `flock`; where there is none,
taking a lock raises and nothing is assumed.
"""

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from repro.common.errors import printable

POLL_SECONDS = 0.05
"""Between two tries of one that waits."""
PATIENCE_SECONDS = 10.0
"""After which one that waits says what for."""


def acquire(path: Path) -> int | None:
    """Lock a file, made first if need be: its open handle, or None when someone else holds it.

    Raises:
        OSError: the file cannot be made, or its file system has no locks.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            raise
        if _same(path, handle):
            return handle
        os.close(handle)  # its holder removed the file between the two calls: that lock guards no name


def release(path: Path, handle: int) -> None:
    """Remove the file, then drop the lock: in this order nobody ever locks a file that is about to go."""
    with contextlib.suppress(OSError):
        if _same(path, handle):
            path.unlink()
    os.close(handle)


def is_held(path: Path) -> bool:
    """Whether someone, alive or suspended, holds the lock."""
    return _left(path, remove=False)


def remove_stale(path: Path) -> None:
    """Remove the file that a dead holder left."""
    _left(path, remove=True)


def _left(path: Path, *, remove: bool) -> bool:
    try:
        # Some file systems lock only what is open for writing; on one that is read-only, reading has to do.
        handle = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    if remove:
        release(path, handle)
    else:
        os.close(handle)
    return False


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes.

    Raises:
        OSError: as `acquire`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    complain = time.monotonic() + PATIENCE_SECONDS
    while (handle := acquire(path)) is None:
        if time.monotonic() > complain:
            print(f"waiting for {_holder(path)}, which holds {path}", file=sys.stderr)
            complain = float("inf")
        time.sleep(POLL_SECONDS)
    try:
        with contextlib.suppress(OSError):  # for the message alone
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        release(path, handle)


def _holder(path: Path) -> str:
    """Who says in a lock's file that it holds the lock."""
    try:
        return printable(path.read_text(encoding="utf-8")[:200]) or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def _same(path: Path, handle: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False

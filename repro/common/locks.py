"""Locks of the operating system on files that vanish when they are released.

The system drops a lock when its holder dies, so a dead holder is in nobody's way. The file that it leaves behind is an
ordinary file that the next one locks and then removes. Needs a file system with working `flock`; where there is none,
taking a lock raises and nothing is assumed. One that is waited for says in its file who holds it.
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

from repro.common.disk import Flaw, not_stale, read, stale
from repro.common.errors import UserError, printable

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What `flock` answers on a file system without locks."""
POLL_SECONDS = 0.05
"""Between two tries of one that waits."""
PATIENCE_SECONDS = 10.0
"""After which one that waits says what for."""


def acquire(path: Path) -> int | None:
    """Lock a file, made first if need be: its open handle, or None when someone else holds it.

    Raises:
        OSError: the file cannot be made.
        UserError: its file system has no locks.
    """
    while True:
        handle = not_stale(_opened, path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)
        if handle is None or _same(path, handle):
            return handle
        _close(handle)  # its holder removed the file between the two calls: that lock guards no name


def release(path: Path, handle: int) -> None:
    """Remove the file, then drop the lock: in this order nobody ever locks a file that is about to go."""
    with contextlib.suppress(OSError):
        if _same(path, handle):
            path.unlink()
    _close(handle)


def _close(handle: int) -> None:
    """Drop the lock. A network's file system may say that the file is gone: it is closed all the same."""
    with contextlib.suppress(OSError):
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether someone, alive or suspended, holds the lock."""
    return _left(path, remove=False)


def remove_stale(path: Path) -> None:
    """Remove the file that a dead holder left."""
    _left(path, remove=True)


def _left(path: Path, *, remove: bool) -> bool:
    # Some file systems let only what is open for writing be locked for one alone; elsewhere, a shared lock has to do.
    writable = os.access(path, os.W_OK)
    how = (os.O_RDWR, fcntl.LOCK_EX) if writable else (os.O_RDONLY, fcntl.LOCK_SH)
    try:
        handle = not_stale(_opened, path, *how)
    except FileNotFoundError:
        return False
    if handle is None:
        return True
    if remove:
        release(path, handle)
    else:
        _close(handle)
    return False


def _opened(path: Path, flags: int, how: int) -> int | None:
    """Open a file and lock it; None when someone else holds it.

    Raises:
        UserError: its file system has no locks.
    """
    try:
        handle = os.open(path, flags, 0o666)
    except FileNotFoundError:
        if flags & os.O_CREAT and path.parent.is_dir():
            raise stale(path) from None  # removed by another node while it was opened here
        raise
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        return handle
    except OSError as error:
        _close(handle)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return None
        if error.errno == errno.ENOENT:
            raise stale(path) from None
        if error.errno in NO_LOCKS:
            raise UserError(
                f"{path.parent} lies on a file system without locks (flock says: {error.strerror}), and they are what "
                "keeps processes out of each other's way. Mount it with them (NFS 4; Lustre with -o flock), or choose "
                "another place: store.path, ledger.path, data.path."
            ) from error
        raise


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes.

    Raises:
        OSError, UserError: as `acquire`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    complain = time.monotonic() + PATIENCE_SECONDS
    while (handle := acquire(path)) is None:
        if time.monotonic() > complain:
            print(printable(f"waiting for {_holder(path)}, which holds {path}"), file=sys.stderr)
            complain = float("inf")
        time.sleep(POLL_SECONDS)
    try:
        with contextlib.suppress(OSError):
            content = f"process {os.getpid()} on {socket.gethostname()}"
            os.ftruncate(handle, os.pwrite(handle, content.encode(), 0))
        yield
    finally:
        release(path, handle)


def _holder(path: Path) -> str:
    """Who says in a lock's file that it holds it."""
    try:
        said = read(path)[:200].decode(errors="replace")
    except (Flaw, UserError):
        said = ""
    return said or "another process"


def _same(path: Path, handle: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):  # the second: another node removed it
            return False
        raise

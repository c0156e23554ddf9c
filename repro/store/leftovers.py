"""What dead processes leave: scratch folders, leases, half documents. Known by name, and by lock or age."""

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from repro.common import disk, locks
from repro.common.disk import move
from repro.common.errors import UserError
from repro.store.layout import LEASE_NAME, SCRATCH_NAME, UNFINISHED_NAME, entries, foreign_files
from repro.store.leases import Leases

STALE_SECONDS = 3600.0
"""After which nobody is still writing what is not in its place outside a store: a report takes minutes."""


@contextlib.contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A name for a folder that is gone in the end, and is known as a dead one's should this process die."""
    folder = root / "scratch" / uuid.uuid4().hex
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_suffix(".lock")
    handle = locks.acquire(lock)
    assert handle is not None  # nobody else knows the name
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        locks.release(lock, handle)


def discard(root: Path, folder: Path) -> bool:
    """Remove a folder: all of it at once, for whoever looks; whether it is gone.

    What cannot be removed now is left for later, and so is one that holds a file of somebody else's.
    """
    with contextlib.suppress(OSError, UserError):
        if foreign_files(folder):
            return False
        with scratch(root) as gone:
            move(folder, gone)
    return not os.path.lexists(folder)


def leftovers(leases: Leases) -> Iterator[tuple[Path, str]]:
    """What processes left that died: paths, with a reason."""
    root = leases.root
    for path in entries(root / "scratch", SCRATCH_NAME):
        if leases.untouched(path.with_suffix("")) and not locks.is_held(path.with_suffix(".lock")):
            yield path, "its writer is dead"
    for path in entries(root / "leases", LEASE_NAME):
        if not locks.is_held(path):
            yield path, "its holder is dead"
    for folder in (root, root / "plans", *entries(root / "results")):
        for path in entries(folder, UNFINISHED_NAME):
            if path.is_file() and leases.stale(path):
                yield path, "its writer is dead"


def unfinished(*names: str) -> re.Pattern[str]:
    """Names under which files and folders of these names are written before they are moved into place."""
    return re.compile(rf"\.({'|'.join(map(re.escape, names))})\.[0-9a-f]{{32}}")


def tidy(folder: Path, names: re.Pattern[str]) -> None:
    """Remove what dead processes left in a folder that is no store's. A living one writes, or there is nothing to lose.

    No lock tells: such a folder may be where there are none, or where they do not reach other nodes.

    Raises:
        UserError: the folder cannot be read.
    """
    leases = Leases(folder, STALE_SECONDS)
    for path in entries(folder, names):
        if leases.untouched(path):
            disk.remove(path)


def remove(root: Path, path: Path) -> bool:
    """Remove a leftover; whether it is gone. What cannot be removed now is left for later."""
    with contextlib.suppress(OSError):
        if path.parent == root / "leases":
            locks.remove_stale(path)  # nobody may take it meanwhile
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
    return not os.path.lexists(path)

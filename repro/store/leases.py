"""Leases: one worker works on a key at a time, and a dead or suspended one is in nobody's way.

The operating system holds a lease and drops it when its holder dies. A holder that is alive but gave no heartbeat for
`stale_seconds` (suspended, or cut off) keeps its lock, and the next one is taken instead: should the holder wake up, it
commits the same bits under the same key.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repro.common import locks
from repro.common.disk import Flaw, clear_errors, read
from repro.common.errors import UserError
from repro.store.layout import LEASE_NAME, entries

MOST_TURNS = 100
"""Suspended holders of one lease, at most, that others overtake."""
CLOCK_SECONDS = 60.0
"""Between two looks at the store's clock."""


class Leases:
    """All leases of one store, and what its clock says of who is alive."""

    def __init__(self, root: Path, stale_seconds: float) -> None:
        """
        Args:
            root: the store's folder.
            stale_seconds: see `repro.store.store.Store`.
        """
        self.root = root
        self.stale_seconds = stale_seconds
        self._seen: tuple[float, float] | None = None
        """What the store's clock said last, and this process's own clock then."""

    @contextlib.contextmanager
    def lease(self, key: str, *uses: str | None) -> Iterator["Lease | None"]:
        """See `repro.store.store.Store.lease`."""
        with clear_errors(self.root):
            (self.root / "leases").mkdir(parents=True, exist_ok=True)
            lease = self._take(key, [use for use in uses if use is not None])
        try:
            yield lease
        finally:
            if lease is not None:
                lease.close()

    def _take(self, key: str, uses: list[str]) -> "Lease | None":
        lease = None
        for turn in range(MOST_TURNS):
            path = self.root / "leases" / f"{key}.{turn}"
            if lease is not None and not path.exists():
                break
            handle = locks.acquire(path)
            if handle is None:
                if self.stale(path):
                    continue
                if lease is not None:
                    lease.close()  # someone overtook a holder that has died since
                return None
            if lease is None:
                lease = Lease(path, handle, self.stale_seconds / 4, {"uses": uses} if uses else {})
            else:
                locks.release(path, handle)
        return lease

    def signs(self) -> dict[str, dict[str, Any]]:
        """What is being worked on: by key, the last heartbeat."""
        signs, now = {}, self.now()
        for path in entries(self.root / "leases", LEASE_NAME):
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime <= self.stale_seconds:
                    signs[path.name.split(".")[0]] = self.heartbeat(path)
        return signs

    def heartbeat(self, lease: Path) -> dict[str, Any]:
        """The last heartbeat on a lease."""
        try:
            content = json.loads(read(lease))
        except (Flaw, UserError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def now(self) -> float:
        """The time by the clock that dates the store's files: a file server's may be hours off this machine's.

        A store that cannot be written is read by this machine's clock.
        """
        if self._seen is None or time.monotonic() - self._seen[1] > CLOCK_SECONDS:
            probe = self.root / f".probe-{uuid.uuid4().hex}"
            try:
                probe.touch()
                self._seen = probe.stat().st_mtime, time.monotonic()
                probe.unlink()
            except OSError:
                return time.time()
        return self._seen[0] + time.monotonic() - self._seen[1]

    def stale(self, sign: Path) -> bool:
        """Whether the holder of a lock shows no heartbeat."""
        for attempt in range(2):
            try:
                if self.now() - sign.stat().st_mtime <= self.stale_seconds:
                    return False
            except FileNotFoundError:
                return False
            if attempt == 0:
                time.sleep(0.05)  # it may just have locked a dead one's file, and not signed yet
        return True

    def untouched(self, scratch: Path) -> bool:
        """Whether nobody wrote to a scratch folder for `stale_seconds`, nor touched its lock.

        The lock alone does not tell: where locks do not reach other nodes, a living writer's looks free.
        """
        inside = (Path(at, name) for at, folders, files in os.walk(scratch) for name in (*folders, *files))
        newest = 0.0
        for path in (scratch, scratch.with_suffix(".lock"), *inside):
            with contextlib.suppress(OSError):
                newest = max(newest, path.lstat().st_mtime)
        return self.now() - newest > self.stale_seconds


class Lease:
    """The right to work on a key. Heartbeats show that its holder is not suspended."""

    def __init__(self, path: Path, handle: int, beat_seconds: float, sign: dict[str, Any]) -> None:
        self._path, self._handle = path, handle
        self._about = sign | {"pid": os.getpid(), "host": socket.gethostname()}
        self._length = len(json.dumps(self._about)) + 1000
        self._next = 0.0
        self._over = threading.Event()
        self.beat({})
        # Whatever the holder does (a long evaluation, say): a thread of its process signs.
        self._heart = threading.Thread(target=self._keep_beating, args=(min(beat_seconds, 60.0),), daemon=True)
        self._heart.start()

    def beat(self, sign: dict[str, Any]) -> None:
        """Say how far the work is, at most once a second."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            content = json.dumps(sign | self._about)
            with contextlib.suppress(OSError):
                # One write of one length: a reader never sees a part of it.
                os.pwrite(self._handle, content.ljust(self._length).encode(), 0)

    def _keep_beating(self, seconds: float) -> None:
        while not self._over.wait(seconds):
            with contextlib.suppress(OSError):
                os.utime(self._handle)

    def close(self) -> None:
        self._over.set()
        self._heart.join()
        locks.release(self._path, self._handle)

"""Checkpoints and results by key: atomic, checksummed, leased by one worker at a time.

A checkpoint exists when its manifest does: files are written and synced in a scratch folder, the manifest last, and
the folder is renamed into place; it is renamed out of place before it is removed. Content is keyed by what produced
it, so a second writer of a key can only write the same bits; that it did is checked. Nothing on disk is unpickled.
What lies where, and whose it is: `repro.store.layout`; who may write: `repro.store.leases`.
`python -m repro.store` looks after a store (repro.store.upkeep).
"""

import contextlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common import locks
from repro.common.disk import (
    Flaw,
    clear_errors,
    move,
    open_as,
    read_document,
    renamed,
    sha256,
    sync,
    unreadable,
    write_document,
)
from repro.common.errors import UserError, printable
from repro.config.settings import StoreSettings
from repro.store import leftovers
from repro.store.layout import (
    CHECKPOINT_NAME,
    FORMAT,
    LOG,
    MANIFEST,
    MARKS,
    PLAN_NAME,
    Contents,
    Damaged,
    Tensors,
    entries,
    manifest_sha256,
    manifest_text,
    read_file,
    read_manifest,
)
from repro.store.leases import Lease, Leases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_NAME = 200
"""Bytes of a quarantined file's former place in its new name: file systems take 255."""


class Store:
    """One store. Any number of processes may use it at once."""

    @classmethod
    def of(cls, settings: StoreSettings) -> "Store":
        """The one that settings name."""
        return cls(Path(settings.path), settings.stale_seconds)

    def __init__(self, root: Path, stale_seconds: float = 600.0) -> None:
        """
        Args:
            root: the store's folder; made when first written to.
            stale_seconds: a lease without a heartbeat for this long is taken over, and what a dead process was
                writing removed.
        """
        self.root = root
        self.stale_seconds = stale_seconds
        self.failed: dict[str, UserError] = {}
        """By key, what could not be made here and why: it is not tried again by whoever has this object."""
        self.measured: dict[object, set[str]] = {}
        """By plan, keys of versions that were seen to be measured for all of its runs: they are not looked up again."""
        self._leases = Leases(root, stale_seconds)
        self._seen: dict[str, int] = {}
        self._results: dict[tuple[str, str], dict[str, Any]] = {}

    # Checkpoints

    def has(self, key: str) -> bool:
        return self._find(key) is not None

    def steps(self) -> dict[str, int]:
        """Keys of all checkpoints with their steps, in one look at the folder."""
        try:
            names = [entry.name for entry in os.scandir(self.root / "checkpoints")]
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise UserError(f"store.path={self.root} cannot be read: {error.strerror}; choose another one.") from error
        self._seen = {match[1]: int(match[2]) for match in map(CHECKPOINT_NAME.fullmatch, names) if match}
        return dict(self._seen)

    def manifest(self, key: str) -> dict[str, Any]:
        """The checkpoint's manifest.

        Raises:
            Damaged: it is no manifest of this key, or there is no such checkpoint.
        """
        return self._read(self._checkpoint(key), key, ())[0]

    def save(self, key: str, step: int, tensors: Mapping[str, Contents], about: dict[str, Any]) -> None:
        """Keep a checkpoint; its edge's partial ones go.

        Args:
            tensors: for each file (without its suffix) its tensors, or the shards of it that were written already.
            about: what the manifest says besides: identity, numerics, ...

        Raises:
            UserError: the disk refuses.
        """
        self._write(self.checkpoint_folder(key, step), key, tensors, about | {"step": step})
        self._seen[key] = step
        self.discard(self.root / "partial" / key)

    def load(self, key: str, *names: str) -> dict[str, Tensors]:
        """Files of a checkpoint, verified against its manifest.

        Raises:
            Damaged: a file is missing or altered, and the checkpoint has been quarantined; or there is none.
        """
        return self._load(self._checkpoint(key), key, names)

    def load_weights(self, key: str) -> Tensors:
        return self.load(key, "model")["model"]

    def load_log(self, key: str) -> "NDArray[np.float32]":
        """(steps, 2): loss in nats per token and gradient norm of every step since the initialization."""
        log: NDArray[np.float32] = self.load(key, LOG)[LOG][LOG].numpy()
        return log

    def save_partial(self, key: str, step: int, tensors: Mapping[str, Contents], about: dict[str, Any]) -> None:
        """Keep where the edge that ends in `key` can be resumed; older such places of it go."""
        folder = self.root / "partial" / key
        self._write(folder / str(step), key, tensors, about | {"step": step})
        for other in self.partial_steps(key):
            if other < step:
                self.discard(folder / str(other))

    def partial_steps(self, key: str) -> list[int]:
        """Steps at which the edge that ends in `key` can be resumed, ascending."""
        folder = self.root / "partial" / key
        try:
            names = [entry.name for entry in os.scandir(folder)]
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            self.quarantine(folder, "is no folder")
            return []
        except OSError as error:
            raise unreadable(folder, error) from error
        return sorted(int(name) for name in names if name.isdecimal())

    def partial_manifest(self, key: str, step: int) -> dict[str, Any]:
        return self._read(self.root / "partial" / key / str(step), key, ())[0]

    def load_partial(self, key: str, step: int, *names: str) -> dict[str, Tensors]:
        return self._load(self.root / "partial" / key / str(step), key, names)

    def verified(self, key: str, partial: int | None = None) -> tuple[Path, dict[str, Any]]:
        """A checkpoint's folder, or that of a partial one, and its manifest: for several processes to read from.

        Raises:
            Damaged: as `load`; every file was looked at.
        """
        folder = self._checkpoint(key) if partial is None else self.root / "partial" / key / str(partial)
        manifest, _ = self._read(folder, key, ())
        for name in manifest["files"]:
            self._read(folder, key, (name,))
        return folder, manifest

    def checkpoint_folder(self, key: str, step: int) -> Path:
        return self.root / "checkpoints" / f"{key}.{step}"

    # Results and plans: small JSON documents

    def put_result(self, kind: str, key: str, content: dict[str, Any]) -> None:
        self._mark()
        write_document(self.root / "results" / kind / f"{key}.json", content)

    def get_result(self, kind: str, key: str) -> dict[str, Any] | None:
        """The result, not to be changed, or None where there is none; a damaged one is quarantined, and is none."""
        if (kind, key) not in self._results:
            content = self._document(self.root / "results" / kind / f"{key}.json")
            if content is None:
                return None
            self._results[kind, key] = content
        return self._results[kind, key]

    def results(self, kind: str) -> set[str]:
        """Keys of all results of a kind."""
        found = entries(self.root / "results" / kind)
        return {path.stem for path in found if path.suffix == ".json" and path.name[0] != "."}

    def put_plan(self, name: str, content: dict[str, Any]) -> None:
        self._mark()
        write_document(self.root / "plans" / f"{name}.json", content)

    def get_plan(self, name: str) -> dict[str, Any] | None:
        """The plan, or None where there is none; a damaged one is quarantined and counts as none."""
        return self._document(self.root / "plans" / f"{name}.json")

    def plans(self) -> list[str]:
        """Names of all plans."""
        return [path.stem for path in self.plan_files()]

    def plan_files(self) -> list[Path]:
        return entries(self.root / "plans", PLAN_NAME)

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Hold off others that freeze plans, or that remove what no plan references."""
        with contextlib.ExitStack() as stack:
            with clear_errors(self.root):
                stack.enter_context(locks.held(self.root / "plans.lock"))
            yield

    # Leases

    @contextlib.contextmanager
    def lease(self, key: str, *uses: str | None) -> Iterator["Lease | None"]:
        """Try to be the one that works on `key`; None when someone else is. What a lease is: repro.store.leases.

        Args:
            uses: keys of what the work starts from: not to be removed meanwhile.

        Raises:
            UserError: the disk refuses.
        """
        with self._leases.lease(key, *uses) as lease:
            yield lease

    def leases(self) -> dict[str, dict[str, Any]]:
        """What is being worked on: by key, the last heartbeat."""
        return self._leases.signs()

    def heartbeat(self, lease: Path) -> dict[str, Any]:
        """The last heartbeat on a lease."""
        return self._leases.heartbeat(lease)

    # Checks

    def check_writable(self, needed_bytes: int = 0) -> None:
        """Refuse a store that cannot be written, or a disk without room for `needed_bytes`.

        Raises:
            UserError
        """
        probe = self.root / f".probe-{uuid.uuid4().hex}"
        with clear_errors(self.root, undo=lambda: probe.unlink(missing_ok=True)):
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        free = shutil.disk_usage(self.root).free
        if free < needed_bytes:
            raise UserError(
                f"store.path={self.root}: the plan's checkpoints need {needed_bytes / 1e9:.2f} GB, and the disk has "
                f"{free / 1e9:.2f} GB free; free some, or choose another store.path."
            )

    def quarantine(self, path: Path, reason: str) -> None:
        """Move a damaged file or folder out of the way, keeping it for a look.

        Raises:
            UserError: the disk refuses.
        """
        inside = "-".join(path.relative_to(self.root).parts).encode(errors="surrogateescape")
        plain = inside[:LONGEST_NAME].decode(errors="replace")
        target = self.root / "quarantine" / f"{plain}-{uuid.uuid4().hex[:8]}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            move(path, target)
        except FileNotFoundError:
            return  # someone else was first
        except OSError as error:
            raise UserError(f"{path} {reason}, and it cannot be quarantined: {error.strerror or error}.") from error
        print(printable(f"store: {path} {reason}; quarantined as {target}, to be made again"), file=sys.stderr)
        with contextlib.suppress(OSError):
            target.with_name(f"{target.name}.reason.txt").write_text(f"{path} {reason}\n")

    def leftovers(self) -> Iterator[tuple[Path, str]]:
        """What processes left that died: paths, with a reason."""
        return leftovers.leftovers(self._leases)

    def tidy(self) -> None:
        """Remove what processes left that died; what cannot be removed now is left for later."""
        with contextlib.suppress(OSError, UserError):
            for path, _ in self.leftovers():
                self.remove_leftover(path)

    def remove_leftover(self, path: Path) -> bool:
        """See `repro.store.leftovers.remove`."""
        return leftovers.remove(self.root, path)

    def discard(self, folder: Path) -> bool:
        """See `repro.store.leftovers.discard`."""
        return leftovers.discard(self.root, folder)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """See `repro.store.leftovers.scratch`."""
        with leftovers.scratch(self.root) as folder:
            yield folder

    # Files

    def _mark(self) -> None:
        """Have the folder known for a store before anything that could be read as text is in it."""
        with clear_errors(self.root):
            for name in MARKS:
                (self.root / name).mkdir(parents=True, exist_ok=True)

    def _find(self, key: str) -> Path | None:
        for attempt in range(2):
            if key in self._seen:
                folder = self.checkpoint_folder(key, self._seen[key])
                if os.path.lexists(folder):
                    return folder
            if attempt == 0:
                self.steps()
        return None

    def _checkpoint(self, key: str) -> Path:
        folder = self._find(key)
        if folder is None:
            raise Damaged(f"{self.root} holds no checkpoint {key}")
        return folder

    def _write(self, target: Path, key: str, tensors: Mapping[str, Contents], about: dict[str, Any]) -> None:
        from safetensors.torch import save_file

        with clear_errors(self.root), self.scratch() as scratch:
            scratch.mkdir()
            (scratch / MANIFEST).touch()  # under the umask, as all others are to be
            files = {}
            for name, content in tensors.items():
                paths = [scratch / f"{name}.safetensors"]
                if isinstance(content, list):
                    paths = [written.rename(scratch / written.name) for written in content]
                else:
                    save_file(content, paths[0])
                for path in paths:
                    open_as(path, scratch / MANIFEST)
                    scratch.with_suffix(".lock").touch()  # a heartbeat
                    sync(path)
                    files[path.name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
            manifest = {"format": FORMAT, "key": key, "files": files} | about
            manifest["manifest_sha256"] = manifest_sha256(manifest)
            (scratch / MANIFEST).write_text(manifest_text(manifest))
            sync(scratch / MANIFEST)
            sync(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            while not renamed(scratch, target):
                if self._same(target, key, files):
                    break
            sync(target.parent)

    def _same(self, target: Path, key: str, files: dict[str, Any]) -> bool:
        """Whether a sound checkpoint was there first; a damaged one is quarantined."""
        try:
            theirs = self._read(target, key, ())[0]["files"]
        except Damaged:
            return False
        if theirs == files:
            print(f"store: {target} was made by another worker as well, with the same bits", file=sys.stderr)
        else:
            print(
                f"store: {target} was made twice, with different bits: this machine's numerics are not reproducible. "
                f"The first one is kept.",
                file=sys.stderr,
            )
        return True

    def _load(self, folder: Path, key: str, names: tuple[str, ...]) -> dict[str, Tensors]:
        from safetensors.torch import load

        files = self._read(folder, key, ())[0]["files"]
        result = {}
        for name in names:
            shards_of = [file for file in files if re.fullmatch(rf"{name}\.\d+-of-\d+\.safetensors", file)]
            data = self._read(folder, key, shards_of or [f"{name}.safetensors"])[1]
            if shards_of:
                from repro.store import shards

                result[name] = shards.read(folder, shards_of)
            else:
                result[name] = load(*data.values())
        return result

    def _read(self, folder: Path, key: str, names: Iterable[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest and the files, verified."""
        try:
            before = folder.stat()
        except FileNotFoundError:
            raise Damaged(f"{folder} is gone") from None
        except OSError as error:
            raise unreadable(folder, error) from error
        try:
            manifest = read_manifest(folder, key)
            return manifest, {name: read_file(folder, manifest, name) for name in names}
        except Flaw as flaw:
            # Someone may have made it again since, and moved that into place.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(before, folder.stat()):
                    self.quarantine(folder, str(flaw))
            raise Damaged(f"{folder}: {flaw}") from None

    def _document(self, path: Path) -> dict[str, Any] | None:
        before = None
        try:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                before = path.lstat()
            return read_document(path)
        except Flaw as flaw:
            # Someone may have written it again since.
            with contextlib.suppress(FileNotFoundError):
                if before is not None and os.path.samestat(before, path.lstat()):
                    self.quarantine(path, str(flaw))
            return None

"""Checkpoints and results by key: atomic, checksummed, claimed by one worker at a time.

Layout under the store's root:
    checkpoints/<key>.<step>/   a finished edge: manifest.json, model.safetensors, optimizer.safetensors, ...
    interim/<key>/<step>/       where an edge that ends in <key> can be resumed
    results/<kind>/<key>.json
    plans/<id>.json        frozen plans
    claims/<key>.<n>.lock       held, by the operating system, while someone works on <key>
    set_aside/             what was found damaged, by name

A checkpoint exists when its manifest does: files are written and synced in a scratch folder, the manifest last, and
the folder is renamed into place. Content is keyed by what produced it, so a second writer of a key can only write
the same bits, and loses quietly. Nothing on disk is unpickled.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from filelock import FileLock, Timeout

from repro.errors import UserError

if TYPE_CHECKING:
    import torch

Tensors: TypeAlias = "dict[str, torch.Tensor]"

MANIFEST = "manifest.json"
FORMAT = 1


class Damaged(Exception):
    """A file of the store that is not what its manifest says. It has been set aside."""


class Store:
    """One store. Any number of processes may use it at once."""

    def __init__(self, root: Path, stale_seconds: float = 600.0) -> None:
        """
        Args:
            root: the store's folder; made when first written to.
            stale_seconds: a claim without a sign of life for this long is taken over.
        """
        self.root = root
        self.stale_seconds = stale_seconds

    # Checkpoints

    def has(self, key: str) -> bool:
        return key in self.steps()

    def steps(self) -> dict[str, int]:
        """Keys of all checkpoints with their steps, in one look at the folder."""
        try:
            names = [entry.name.split(".") for entry in os.scandir(self.root / "checkpoints")]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"store.path={self.root} cannot be read: {error.strerror}; choose another one.") from error
        return {key: int(step) for key, step in names}

    def manifest(self, key: str) -> dict[str, Any]:
        """The checkpoint's manifest.

        Raises:
            KeyError: there is no such checkpoint.
            Damaged: it is no manifest of this key.
        """
        return self._manifest(self._checkpoint(key), key)

    def save(self, key: str, step: int, tensors: dict[str, Tensors], about: dict[str, Any]) -> None:
        """Keep a checkpoint; its edge's interim ones go.

        Args:
            tensors: for each file (without its suffix) its tensors.
            about: what the manifest says besides: identity, numerics, ...
        """
        self._write(self.root / "checkpoints" / f"{key}.{step}", key, tensors, about | {"step": step})
        shutil.rmtree(self.root / "interim" / key, ignore_errors=True)

    def load(self, key: str, *names: str) -> dict[str, Tensors]:
        """Files of a checkpoint, verified against its manifest.

        Raises:
            KeyError: there is no such checkpoint.
            Damaged: a file is missing or altered. The checkpoint has been set aside, so that it is trained again.
        """
        return self._read(self._checkpoint(key), key, names)

    def load_weights(self, key: str) -> Tensors:
        return self.load(key, "model")["model"]

    def save_interim(self, key: str, step: int, tensors: dict[str, Tensors], about: dict[str, Any]) -> None:
        """Keep where the edge that ends in `key` can be resumed; older such places of it go."""
        folder = self.root / "interim" / key
        self._write(folder / str(step), key, tensors, about | {"step": step})
        for other in self.interim_steps(key):
            if other < step:
                shutil.rmtree(folder / str(other), ignore_errors=True)

    def interim_steps(self, key: str) -> list[int]:
        """Steps at which the edge that ends in `key` can be resumed, ascending."""
        try:
            names = [entry.name for entry in os.scandir(self.root / "interim" / key)]
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdigit())

    def load_interim(self, key: str, step: int, *names: str) -> dict[str, Tensors]:
        return self._read(self.root / "interim" / key / str(step), key, names)

    # Results: small JSON documents

    def put_result(self, kind: str, key: str, content: dict[str, Any]) -> None:
        body = json.dumps(content, sort_keys=True)
        text = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}, sort_keys=True)
        write_atomically(self.root / "results" / kind / f"{key}.json", text.encode())

    def get_result(self, kind: str, key: str) -> dict[str, Any] | None:
        """The result, or None where there is none; a damaged one is set aside and counts as none."""
        path = self.root / "results" / kind / f"{key}.json"
        try:
            document = json.loads(path.read_bytes())
            body = json.dumps(document["content"], sort_keys=True)
            if hashlib.sha256(body.encode()).hexdigest() == document["sha256"]:
                content = document["content"]
                assert isinstance(content, dict)
                return content
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            pass
        self._set_aside(path, "its content does not match its checksum")
        return None

    def results(self, kind: str) -> set[str]:
        """Keys of all results of a kind."""
        return {path.stem for path in (self.root / "results" / kind).glob("*.json") if path.name[0] != "."}

    # Claims

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator["Claim | None"]:
        """Try to be the one that works on `key`; None when someone else is.

        The operating system holds the claim and drops it when its holder dies. A holder that is alive but gave no
        sign of life for `stale_seconds` (suspended, or cut off) keeps its lock, and the next one is taken instead:
        should the holder wake up, it commits the same bits under the same key.
        """
        folder = self.root / "claims"
        with _clear_errors(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        for turn in range(100):
            lock = FileLock(folder / f"{key}.{turn}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                if self._stale(folder / f"{key}.{turn}.life"):
                    continue
                yield None
                return
            try:
                claim = Claim(folder / f"{key}.{turn}.life")
                claim.live({})
                yield claim
                claim.close()
            finally:
                lock.release()
            return
        yield None

    def claims(self) -> dict[str, dict[str, Any]]:
        """What is being worked on: by key, the last sign of life."""
        signs = {}
        for path in (self.root / "claims").glob("*.life"):
            with contextlib.suppress(OSError, ValueError):
                if not self._stale(path):
                    signs[path.name.split(".")[0]] = json.loads(path.read_bytes())
        return signs

    def _stale(self, sign: Path) -> bool:
        try:
            return time.time() - sign.stat().st_mtime > self.stale_seconds
        except FileNotFoundError:
            return False

    # Checks

    def check_writable(self, needed_bytes: int = 0) -> None:
        """Refuse a store that cannot be written, or a disk without room for `needed_bytes`.

        Raises:
            UserError
        """
        with _clear_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{uuid.uuid4().hex}"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        free = shutil.disk_usage(self.root).free
        if free < needed_bytes:
            raise UserError(
                f"store.path={self.root}: the plan's checkpoints need {needed_bytes / 1e9:.2f} GB, and the disk has "
                f"{free / 1e9:.2f} GB free; free some, or choose another store.path."
            )

    # Files

    def _checkpoint(self, key: str) -> Path:
        return self.root / "checkpoints" / f"{key}.{self.steps()[key]}"

    def _write(self, target: Path, key: str, tensors: dict[str, Tensors], about: dict[str, Any]) -> None:
        from safetensors.torch import save_file

        scratch = self.root / "scratch" / uuid.uuid4().hex
        with _clear_errors(self.root, undo=lambda: shutil.rmtree(scratch, ignore_errors=True)):
            scratch.mkdir(parents=True)
            files = {}
            for name, content in tensors.items():
                path = scratch / f"{name}.safetensors"
                save_file(content, path)
                _sync(path)
                files[path.name] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
            manifest = {"format": FORMAT, "key": key, "files": files} | about
            manifest["manifest_sha256"] = _manifest_sha256(manifest)
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
            _sync(scratch / MANIFEST)
            _sync(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                scratch.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                shutil.rmtree(scratch)  # someone else was first, with the same bits
            _sync(target.parent)

    def _manifest(self, folder: Path, key: str) -> dict[str, Any]:
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            if manifest["key"] == key and manifest["manifest_sha256"] == _manifest_sha256(manifest):
                assert isinstance(manifest, dict)
                return manifest
            reason = "its manifest does not match its checksum"
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"its manifest cannot be read ({type(error).__name__})"
        self._set_aside(folder, reason)
        raise Damaged(f"{folder}: {reason}")

    def _read(self, folder: Path, key: str, names: tuple[str, ...]) -> dict[str, Tensors]:
        from safetensors.torch import load

        files = self._manifest(folder, key)["files"]
        result = {}
        for name in names:
            path = folder / f"{name}.safetensors"
            try:
                data = path.read_bytes()
                reason = None if hashlib.sha256(data).hexdigest() == files[path.name]["sha256"] else "was altered"
            except (OSError, KeyError) as error:
                reason = f"cannot be read ({type(error).__name__})"
            if reason is not None:
                self._set_aside(folder, f"{path.name} {reason}")
                raise Damaged(f"{path} {reason}")
            result[name] = load(data)
        return result

    def _set_aside(self, path: Path, reason: str) -> None:
        """Move a damaged file or folder out of the way, keeping it for a look."""
        target = self.root / "set_aside" / f"{path.name}-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(FileNotFoundError), _clear_errors(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            target.with_name(f"{target.name}.reason.txt").write_text(f"{path}: {reason}\n")
            print(f"store: {path}: {reason}; set aside as {target}, to be made again", file=sys.stderr)


class Claim:
    """The right to work on a key, and the duty to show signs of life."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0

    def live(self, sign: dict[str, Any]) -> None:
        """Show a sign of life, at most once a second."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            with contextlib.suppress(OSError):
                self._path.write_text(json.dumps(sign | {"pid": os.getpid()}))

    def close(self) -> None:
        self._path.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or the one before."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with _clear_errors(path, undo=lambda: scratch.unlink(missing_ok=True)):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        _sync(scratch)
        scratch.rename(path)


@contextlib.contextmanager
def _clear_errors(place: Path, undo: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Turn what a disk can refuse into a message; what was there before stays."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        undo()
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
        raise UserError(
            f"{place} cannot be written: {error.strerror or error}; {remedy}, or choose another store.path. "
            f"What was kept before stays usable."
        ) from error
    except Exception as error:
        # safetensors reports a full disk as an error of its own.
        if type(error).__name__ != "SafetensorError":
            raise
        undo()
        raise UserError(
            f"{place} cannot be written: {error}; free some space, or choose another store.path."
        ) from error


def _manifest_sha256(manifest: dict[str, Any]) -> str:
    body = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

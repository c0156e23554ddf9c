"""Blocks of tokens on disk: raw little-endian ids in one file, a digest of each block in another.

In a packed file, block i begins at token i L, so that neighbours share a token and every token but the first is
predicted once. In a dealt file each block stands by itself, L + 1 tokens after the one before.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from repro.common.canonical import digest
from repro.common.disk import Flaw, read, sha256, unreadable
from repro.common.errors import UserError

Tokens = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]

MANIFEST = "manifest.json"
"""Written last: what it describes is there when it is."""

CHECKED_AT_OPEN = 8 * 2**20
"""Files up to this many bytes have their SHA-256 checked whenever they are opened, larger ones their size."""


@dataclass(frozen=True)
class Slice:
    """Consecutive blocks of a file of tokens."""

    folder: Path
    name: str
    """`train` for `train.tokens` and `train.digests`."""
    dtype: str
    length: int
    """L: tokens predicted in one block."""
    stride: int
    """Tokens from one block's beginning to the next one's: L where packed, L + 1 where dealt."""
    first: int = 0
    count: int | None = None
    """None: all blocks from `first` on."""

    def __len__(self) -> int:
        return len(self.digests)

    @cached_property
    def digests(self) -> Digests:
        """(blocks, 16): BLAKE2b-128 of each block's L + 1 ids as little-endian 32-bit integers."""
        path = self.folder / f"{self.name}.digests"
        if path.stat().st_size == 0:  # which cannot be mapped
            return np.empty((0, 16), dtype=np.uint8)
        every = np.asarray(np.memmap(path, dtype="u1", mode="r")).reshape(-1, 16)
        return every[self.first :][: self.count]

    def read(self, places: npt.NDArray[np.int64]) -> Tokens:
        """(len(places), L + 1) token ids of the blocks at `places`, checked against their digests. Pure.

        Raises:
            UserError: a block is not what was prepared.
        """
        blocks = cut(self._tokens, self.first + places, self.length, self.stride)
        if not np.array_equal(block_digests(blocks), self.digests[places]):
            with contextlib.suppress(OSError):
                (self.folder / MANIFEST).unlink()
            raise UserError(
                f"{self.folder / self.name}.tokens was altered since it was prepared. "
                f"Run the same command again: the stream is then prepared anew."
            )
        return blocks

    @cached_property
    def _tokens(self) -> npt.NDArray[Any]:
        return np.asarray(np.memmap(self.folder / f"{self.name}.tokens", dtype=self.dtype, mode="r"))


def cut(tokens: npt.NDArray[Any], blocks: npt.NDArray[np.int64], length: int, stride: int) -> Tokens:
    """(len(blocks), L + 1) ids of blocks by number."""
    places = (blocks * stride)[:, None] + np.arange(length + 1)
    return np.asarray(tokens[places], dtype=np.int64)


def block_digests(blocks: Tokens) -> Digests:
    """(len(blocks), 16)"""
    rows = np.ascontiguousarray(blocks, dtype="<u4")
    joined = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)


def write_digests(path: Path, dtype: str, length: int, stride: int) -> int:
    """Beside a file of tokens, write one of its blocks' digests. Returns how many blocks there are."""
    count = path.stat().st_size // np.dtype(dtype).itemsize
    blocks = max(0, (count - 1) // length if stride == length else count // stride)
    with path.with_suffix(".digests").open("wb") as file:
        for start in range(0, blocks, 4096):
            tokens = np.memmap(path, dtype=dtype, mode="r")
            numbers = np.arange(start, min(start + 4096, blocks))
            file.write(block_digests(cut(tokens, numbers, length, stride)).tobytes())
    return blocks


# Folders that are there when their manifest is


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Finish a folder: its files with their hashes, what there is to know of them, and a fingerprint of all that."""
    manifest = dict(facts) | {
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(folder.iterdir())
        }
    }
    manifest["fingerprint"] = _fingerprint(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Raises:
        Flaw, ValueError: it is missing or damaged.
        UserError: it may not be read.
    """
    manifest: dict[str, Any] = json.loads(read(folder / MANIFEST))
    return manifest


def damaged(folder: Path) -> Path | None:
    """The first file that is missing or not what the manifest says; None if the folder is sound.

    Raises:
        UserError: one of them may not be read.
    """
    try:
        return _damaged(folder)
    except PermissionError as error:
        raise unreadable(Path(error.filename or folder), error) from error


def _damaged(folder: Path) -> Path | None:
    path = folder / MANIFEST
    try:
        manifest = read_manifest(folder)
        if manifest["fingerprint"] != _fingerprint(manifest):
            return path
        files = manifest["files"].items()
    except UserError:
        raise
    except (Flaw, ValueError, KeyError, TypeError, AttributeError):
        return path
    for name, facts in files:
        path = folder / str(name)
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            return path
        if facts["bytes"] <= CHECKED_AT_OPEN and sha256(path) != facts["sha256"]:
            return path
    return None


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    return digest({name: value for name, value in manifest.items() if name not in ("fingerprint", "report")})

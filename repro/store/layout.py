"""How a store is laid out on disk: names, patterns, and a checkpoint's folder with its manifest.

Layout under the store's root:
    checkpoints/<key>.<step>/   a finished edge: manifest.json, model.safetensors, optimizer.safetensors, ...
    partial/<key>/<step>/       where an edge that ends in <key> can be resumed
    results/<kind>/<key>.json   measures and scores
    plans/<id>.json             frozen plans
    leases/<key>.<n>            locked, by the operating system, while someone works on <key>
    scratch/                    what is being written or removed; a lock beside it tells whether its writer lives
    quarantine/                 what was found damaged, by name

What has a name that no store gives is somebody else's, wherever it lies, and is left alone.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from repro.common.disk import Flaw, read, unreadable

if TYPE_CHECKING:
    import torch

Tensors: TypeAlias = "dict[str, torch.Tensor]"
Contents: TypeAlias = "Tensors | list[Path]"
"""Of one file: its tensors, or files that hold shards of them (repro.store.shards) and go into the store's folder."""

MANIFEST = "manifest.json"
LOG = "trace"
"""The training log's file, and the tensor in it, as checkpoints have called them since the first one."""
FILES = ("model", "optimizer", LOG)
"""Of a checkpoint that was trained."""
FORMAT = 1

MARKS = ("checkpoints", "leases")
"""Folders that every store has from its first plan on, so that whoever reads a folder of texts tells it from them."""

KEY_NAME = re.compile("[0-9a-f]{64}")
CHECKPOINT_NAME = re.compile(r"([0-9a-f]{64})\.([0-9]+)")
"""Key and step."""
LEASE_NAME = CHECKPOINT_NAME
"""Key and turn."""
PLAN_NAME = re.compile(r"p?[0-9a-f]{15,16}\.json")
RESULT_NAME = re.compile(r"([0-9a-f]{64}|[0-9a-f]{16})\.json")
"""By key; of machines, and of what was chosen for runs on one, by a shorter hash."""
SCRATCH_NAME = re.compile(r"[0-9a-f]{32}(\.lock)?")
UNFINISHED_NAME = re.compile(r"\.(probe-|.+\.json\.)[0-9a-f]{32}")
"""A test of whether there is room, and a document that is being written."""
TENSORS_NAME = re.compile(rf"({'|'.join(FILES)})(\.\d+-of-\d+)?\.safetensors")
"""In a checkpoint's folder: a file of tensors, or one shard of it."""
QUARANTINE_NAME = re.compile(r".+-[0-9a-f]{8}(\.reason\.txt)?")


class Damaged(Exception):
    """A file of the store that is not what its manifest says, or a checkpoint that is gone: to be made again."""


def files_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The files of a checkpoint: derived weights may come without an optimizer's state, and have no log."""
    return tuple(manifest["operation"]["files"]) if "operation" in manifest else FILES


def read_manifest(folder: Path, key: str) -> dict[str, Any]:
    """A checkpoint's manifest.

    Raises:
        Flaw: it is no manifest of this key.
    """
    try:
        data = read(folder / MANIFEST)
    except Flaw as flaw:
        raise Flaw(f"has a manifest that {flaw}") from None
    try:
        manifest = json.loads(data)
        if (
            manifest["key"] == key
            and manifest["manifest_sha256"] == manifest_sha256(manifest)
            and manifest_text(manifest).encode() == data
        ):
            assert isinstance(manifest, dict)
            return manifest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise Flaw("has a manifest that does not match its checksum or its place")


def read_file(folder: Path, manifest: dict[str, Any], name: str) -> bytes:
    """A file of a checkpoint.

    Raises:
        Flaw: it is not what the manifest says.
    """
    if name not in manifest["files"]:
        raise Flaw(f"has no {name}")
    try:
        data = read(folder / name)
    except Flaw as flaw:
        raise Flaw(f"has a {name} that {flaw}") from None
    if hashlib.sha256(data).hexdigest() != manifest["files"][name]["sha256"]:
        raise Flaw(f"has a {name} that was altered")
    return data


def entries(folder: Path, names: re.Pattern[str] | None = None) -> list[Path]:
    """What a folder holds, of all names or of some; nothing where there is no folder.

    Raises:
        UserError: it cannot be read.
    """
    try:
        found = sorted(Path(entry.path) for entry in os.scandir(folder))
        return [path for path in found if names is None or names.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def foreign_files(folder: Path) -> list[Path]:
    """What lies in a checkpoint's folder, or in those of an edge's partial ones, and has no name of ours."""
    found = []
    for path in entries(folder):
        if path.name.isdecimal() and path.is_dir() and not path.is_symlink():
            found += foreign_files(path)
        elif path.name != MANIFEST and not TENSORS_NAME.fullmatch(path.name):
            found.append(path)
    return found


def manifest_text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def manifest_sha256(manifest: dict[str, Any]) -> str:
    body = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

"""What a store holds and why, what of it is damaged, and what of it can go.

What goes: checkpoints that no frozen plan names, places to resume from that have served their purpose, and what dead
processes left. What stays: every node of every frozen plan, whatever numerics it was trained under; models fine-tuned
from those; whatever a lease is held on, and what its holder works from; all measures and scores, which are small; and
what was quarantined, unless quarantine=true. While a plan is damaged or quarantined nobody knows what it keeps, and no
checkpoint is removed.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from repro.common import locks
from repro.common.disk import Flaw, read_document
from repro.common.errors import UserError
from repro.store.store import (
    CHECKPOINT_NAME,
    KEY_NAME,
    LEASE_NAME,
    MANIFEST,
    QUARANTINE_NAME,
    RESULT_NAME,
    Store,
    entries,
    read_file,
    read_manifest,
)


@dataclass(frozen=True)
class Entry:
    """Something in a store."""

    path: Path
    kind: str
    """`version`, `branch point`, `fine-tuned`, `partial`, `orphan`, or what kind of leftover it is."""
    why: str
    """Why it stays, or why it can go."""
    goes: bool = False
    key: str | None = None
    """What to hold a lease on while it is removed."""
    step: int = 0

    @property
    def bytes(self) -> int:
        return size(self.path)


@dataclass
class References:
    """What the frozen plans keep."""

    nodes: dict[str, str] = field(default_factory=dict)
    """Keys, each with what it is."""
    versions: set[str] = field(default_factory=set)
    """Those that are some run's version."""
    unknown: list[str] = field(default_factory=list)
    """Plans of which nobody knows what they keep."""


def references(store: Store) -> References:
    """Read every frozen plan."""
    found = References()
    for path in store.plan_files():
        try:
            plan = read_document(path)
        except Flaw as flaw:
            found.unknown.append(f"{path} {flaw}")
            continue
        for key, (_, run, version, released) in (plan or {"nodes": {}})["nodes"].items():
            if released:
                found.versions.add(key)
            if released or key not in found.nodes:
                found.nodes[key] = (
                    f"{'version' if released else 'branch point on the way to version'} {version} of {run}"
                )
    found.unknown += [
        f"{path} was quarantined" for path in (store.root / "quarantine").glob("plans-*") if _is_plan(path)
    ]
    return found


def survey(store: Store) -> Iterator[Entry]:
    """Everything that is kept for some run, and everything that can go."""
    known = references(store)
    held = dict(_leases(store))
    uses = {key for sign in held.values() for key in sign.get("uses", ())}
    stored = store.steps()
    for key, step in stored.items():
        folder = store.checkpoint_folder(key, step)
        if key in known.nodes:
            kind = "version" if key in known.versions else "branch point"
            yield Entry(folder, kind, known.nodes[key], step=step)
        elif key in held or key in uses:
            yield Entry(folder, "in use", "someone works on it or from it", step=step)
        else:
            yield _unplanned(folder, key, step, known)
    for folder in entries(store.root / "partial", KEY_NAME):
        key = folder.name
        if key in stored:
            yield Entry(folder, "leftover", "its edge is finished", goes=True, key=key)
        elif key in known.nodes or key in held:
            yield Entry(folder, "partial", f"where to go on with {known.nodes.get(key, 'what is in use')}")
        else:
            yield Entry(folder, "orphan", "no plan needs it", goes=not known.unknown, key=key)
    for path, why in store.leftovers():
        yield Entry(path, "leftover", why, goes=True)
    for path in entries(store.root / "quarantine", QUARANTINE_NAME):
        yield Entry(path, "quarantined", "to look at; quarantine=true removes it")


def _unplanned(folder: Path, key: str, step: int, known: References) -> Entry:
    try:
        manifest = read_manifest(folder, key)
    except Flaw as flaw:
        return Entry(folder, "damaged", f"{flaw}; repair quarantines it", step=step)
    base = manifest.get("finetuned")
    if base in known.nodes:
        return Entry(folder, "fine-tuned", f"from {known.nodes[base]}, seed {manifest.get('seed')}", step=step)
    was = f"version {manifest.get('version')} of {manifest.get('name')}"
    if known.unknown:
        return Entry(folder, "orphan", f"{was}; kept as long as a plan is unknown", step=step)
    return Entry(folder, "orphan", f"no plan needs it; it was made for {was}", goes=True, key=key, step=step)


def collect(store: Store, *, delete: bool, quarantine: bool = False) -> list[Entry]:
    """What can go; with `delete`, what has gone: all of that but what someone has begun to work on since.

    Raises:
        UserError: the disk refuses.
    """
    if not delete:
        return [item for item in survey(store) if item.goes or (quarantine and item.kind == "quarantined")]
    gone = []
    with store.keeping():
        if quarantine:
            gone += [item for item in survey(store) if item.kind == "quarantined"]
            for item in gone:
                _remove(item.path)
        for item in list(survey(store)):
            if item.kind == "leftover" and item.key is None:
                store.remove_leftover(item.path)
                gone.append(item)
            elif item.goes and item.key is not None:
                with store.lease(item.key) as lease:
                    if lease is not None and item.key not in _used(store):
                        store.discard(item.path)
                        gone.append(item)
    return gone


def damage(store: Store) -> Iterator[tuple[Path, str]]:
    """Read all of a store: each path that is not what was written, with the reason."""
    for folder in entries(store.root / "checkpoints", CHECKPOINT_NAME):
        key, step = folder.name.split(".")
        yield from _flaws(folder, key, int(step))
    for edge in entries(store.root / "partial", KEY_NAME):
        if not edge.is_dir():
            yield edge, "is no folder"
        for folder in entries(edge):
            yield from _flaws(folder, edge.name, int(folder.name) if folder.name.isdecimal() else -1)
    results = (entries(folder, RESULT_NAME) for folder in entries(store.root / "results"))
    for path in (*store.plan_files(), *chain.from_iterable(results)):
        try:
            read_document(path)
        except Flaw as flaw:
            yield path, str(flaw)


def _flaws(folder: Path, key: str, step: int) -> Iterator[tuple[Path, str]]:
    try:
        manifest = read_manifest(folder, key)
        for name in manifest["files"]:
            read_file(folder, manifest, name)
        if manifest["step"] != step:
            yield folder, f"has a manifest of step {manifest['step']}"
    except Flaw as flaw:
        if os.path.lexists(folder):  # else it was removed meanwhile, as is right
            yield folder, str(flaw)
        return
    for path in entries(folder):
        if path.name != MANIFEST and path.name not in manifest["files"]:
            yield path, "is none of the checkpoint's files"


def ledgers(store: Store) -> list[Path]:
    """Where the frozen plans keep their tables."""
    places = set()
    for path in store.plan_files():
        try:
            plan = read_document(path)
        except Flaw:
            continue
        places |= {settings["ledger"]["path"] for settings in (plan or {"settings": []})["settings"]}
    return [Path(place) for place in sorted(places)]


def forget(store: Store, plan: str) -> None:
    """Drop a frozen plan.

    Raises:
        UserError: there is none of that name.
    """
    path = store.root / "plans" / f"{plan}.json"
    with store.keeping():
        if plan not in store.plans():
            raise UserError(f"plan={plan}: {store.root} holds no such plan; `ls` lists those there are.")
        path.unlink()


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(size(Path(entry.path)) for entry in os.scandir(path))
    except FileNotFoundError:
        return 0


def _leases(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that someone, alive or suspended, holds a lease on, with its last heartbeat."""
    for path in entries(store.root / "leases", LEASE_NAME):
        if locks.is_held(path):
            yield path.name.split(".")[0], store.heartbeat(path)


def _used(store: Store) -> set[str]:
    return {key for _, sign in _leases(store) for key in sign.get("uses", ())}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_plan(path: Path) -> bool:
    return not path.name.endswith(".reason.txt")

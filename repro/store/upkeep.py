"""What a store holds and why, what of it is damaged, and what of it can go.

What goes and what stays says `python -m repro.store` (repro.store.__main__), to whoever is about to remove something.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from repro.common import disk, locks
from repro.common.disk import Flaw, read_document
from repro.common.errors import UserError
from repro.store.layout import (
    CHECKPOINT_NAME,
    KEY_NAME,
    LEASE_NAME,
    QUARANTINE_NAME,
    RESULT_NAME,
    TENSORS_NAME,
    entries,
    foreign_files,
    read_file,
    read_manifest,
)
from repro.store.plans import read_plan
from repro.store.store import Store


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


def references(store: Store, *, quarantined: bool = True) -> References:
    """Read every frozen plan.

    Args:
        quarantined: whether plans that were found damaged count, of which nobody knows what they keep.
    """
    found = References()
    for path in store.plan_files():
        try:
            plan = read_plan(path)
        except Flaw as flaw:
            found.unknown.append(f"{path} {flaw}")
            continue
        for key, node in plan.nodes.items() if plan is not None else ():
            if node.released:
                found.versions.add(key)
            if node.released or key not in found.nodes:
                kind = "version" if node.released else "branch point on the way to version"
                found.nodes[key] = f"{kind} {node.version} of {node.run}"
    found.unknown += [f"{path} was quarantined" for path in quarantined_plans(store) if quarantined]
    return found


def quarantined_plans(store: Store) -> list[Path]:
    return sorted(path for path in (store.root / "quarantine").glob("plans-*") if _is_plan(path))


def survey(store: Store, *, quarantined: bool = True) -> Iterator[Entry]:
    """Everything that is kept for some run, and everything that can go; `quarantined` as in `references`."""
    known = references(store, quarantined=quarantined)
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
            yield _unless_foreign(Entry(folder, "leftover", "its edge is finished", goes=True, key=key))
        elif key in known.nodes or key in held:
            yield Entry(folder, "partial", f"where to go on with {known.nodes.get(key, 'what is in use')}")
        else:
            yield _unless_foreign(Entry(folder, "orphan", "no plan needs it", goes=not known.unknown, key=key))
    for path, why in store.leftovers():
        yield Entry(path, "leftover", why, goes=True)
    for path in entries(store.root / "quarantine", QUARANTINE_NAME):
        others = _others(path)
        removed = f"it stays, for {others[0].name} in it is none of the store's files" if others else ""
        yield Entry(path, "quarantined", f"to look at; {removed or 'quarantine=true removes it'}")


def _others(path: Path) -> list[Path]:
    """Somebody else's files in what was quarantined."""
    return foreign_files(path) if path.is_dir() and not path.is_symlink() else []


def _unless_foreign(entry: Entry) -> Entry:
    """It stays while somebody else's file lies in it."""
    if entry.goes and (others := foreign_files(entry.path)):
        return replace(entry, goes=False, why=f"{entry.why}, but {others[0].name} in it is none of the store's files")
    return entry


def _unplanned(folder: Path, key: str, step: int, known: References) -> Entry:
    try:
        manifest = read_manifest(folder, key)
    except Flaw as flaw:
        return Entry(folder, "damaged", f"{flaw}; repair quarantines it", step=step)
    base = manifest.get("finetuned")
    if base in known.nodes:
        return Entry(folder, "fine-tuned", f"from {known.nodes[base]}, seed {manifest.get('seed')}", step=step)
    if base is not None and manifest.get("version") == 0 and known.nodes:
        return Entry(folder, "fine-tuned", f"from no training, beside versions; seed {manifest.get('seed')}", step=step)
    was = f"version {manifest.get('version')} of {manifest.get('name')}"
    if "stream" in manifest:
        was += f", stream {str(manifest['stream'])[:8]}"
    if known.unknown:
        return Entry(folder, "orphan", f"{was}; kept as long as a plan is unknown", step=step)
    why = f"no plan needs it; it was made for {was}"
    return _unless_foreign(Entry(folder, "orphan", why, goes=True, key=key, step=step))


def collect(store: Store, *, delete: bool, quarantine: bool = False) -> list[Entry]:
    """What can go; with `delete`, what has gone: all of that but what someone has begun to work on since.

    Raises:
        UserError: the disk refuses.
    """
    if not delete:
        found = survey(store, quarantined=not quarantine)
        return [item for item in found if item.goes or (quarantine and _was_quarantined(item))]
    gone = []
    with store.keeping():
        if quarantine:
            gone += [item for item in survey(store) if _was_quarantined(item) and disk.remove(item.path)]
        for item in list(survey(store)):
            if remove(store, item):
                gone.append(item)
    return gone


def _was_quarantined(item: Entry) -> bool:
    """With nothing of somebody else's in it."""
    return item.kind == "quarantined" and not _others(item.path)


def remove(store: Store, item: Entry) -> bool:
    """Remove what can go, unless someone has begun to work on it since; whether it is gone."""
    if item.kind == "leftover" and item.key is None:
        return store.remove_leftover(item.path)
    if not item.goes or item.key is None:
        return False
    with store.lease(item.key) as lease:
        return lease is not None and item.key not in _used(store) and store.discard(item.path)


def damage(store: Store) -> Iterator[tuple[Path, str]]:
    """Read all of a store: each path that is not what was written, with the reason."""
    for folder in entries(store.root / "checkpoints", CHECKPOINT_NAME):
        key, step = folder.name.split(".")
        yield from _flaws(folder, key, int(step))
    for edge in entries(store.root / "partial", KEY_NAME):
        if not edge.is_dir():
            yield edge, "is no folder"
        for folder in entries(edge):
            if folder.name.isdecimal():
                yield from _flaws(folder, edge.name, int(folder.name))
    results = (entries(folder, RESULT_NAME) for folder in entries(store.root / "results"))
    for path in (*store.plan_files(), *chain.from_iterable(results)):
        yield from _document_flaws(path)


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
        if TENSORS_NAME.fullmatch(path.name) and path.name not in manifest["files"]:
            yield path, "is none of the checkpoint's files"


def repair(store: Store) -> int:
    """Quarantine what is damaged; how much that was.

    A look at a whole store takes long: what was made again meanwhile is sound, and what someone works on is theirs.

    Raises:
        UserError: the disk refuses.
    """
    count = 0
    for path, _ in list(damage(store)):
        place = path.relative_to(store.root).parts
        with _alone(store, place) as free:
            if free:
                for again, reason in list(_look(store, path, place)):
                    if again == path:
                        store.quarantine(path, reason)
                        count += 1
    return count


@contextmanager
def _alone(store: Store, place: Sequence[str]) -> Iterator[bool]:
    """Keep others from what lies at a place of the store; False where someone works on it."""
    if place[0] in ("checkpoints", "partial"):
        with store.lease(place[1].partition(".")[0]) as lease:
            yield lease is not None
    elif place[0] == "plans":
        with store.keeping():
            yield True
    else:
        yield True  # a result is written at once, and looked at just before


def _look(store: Store, path: Path, place: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """What is damaged in the checkpoint or document that a place belongs to, now."""
    if place[0] == "checkpoints":
        key, step = place[1].split(".")
        yield from _flaws(store.root / place[0] / place[1], key, int(step))
    elif place[0] == "partial" and len(place) > 2:
        yield from _flaws(store.root.joinpath(*place[:3]), place[1], int(place[2]))
    elif place[0] == "partial":
        if not path.is_dir() and os.path.lexists(path):
            yield path, "is no folder"
    else:
        yield from _document_flaws(path)


def _document_flaws(path: Path) -> Iterator[tuple[Path, str]]:
    try:
        read_document(path)
    except Flaw as flaw:
        yield path, str(flaw)


def ledgers(store: Store) -> list[Path]:
    """Where the frozen plans keep their tables."""
    places = set()
    for path in store.plan_files():
        with suppress(Flaw):  # which whoever reads the plan's nodes names
            if (plan := read_plan(path)) is not None:
                places |= {Path(os.path.realpath(place)) for place in plan.ledgers}
    return sorted(places)


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
    """Bytes of a file, or of all files in a folder; of one that may not be read, none."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(size(Path(entry.path)) for entry in os.scandir(path))
    except (FileNotFoundError, PermissionError):
        return 0


def closed(root: Path) -> list[Path]:
    """Folders that may not be read, so that `size` knows nothing of what is in them."""
    found: list[Path] = []
    for _ in os.walk(root, onerror=lambda error: found.append(Path(error.filename))):
        pass
    return [path for path in found if os.path.lexists(path)]


def _leases(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that someone, alive or suspended, holds a lease on, with its last heartbeat."""
    for path in entries(store.root / "leases", LEASE_NAME):
        if locks.is_held(path):
            yield path.name.split(".")[0], store.heartbeat(path)


def _used(store: Store) -> set[str]:
    return {key for _, sign in _leases(store) for key in sign.get("uses", ())}


def _is_plan(path: Path) -> bool:
    return not path.name.endswith(".reason.txt")

"""Looks after a store: python -m repro.store ls|du|verify|repair|gc|forget store.path=store

    ls       every checkpoint, with its size and why it is kept
    du       how much space is taken, and by what
    verify   read everything and compare it with its checksums; exit status 1 where something is damaged
    repair   set aside by name what is damaged, so that it is made again, and remove what dead processes left
    gc       list what could go; with delete=true, remove it
    forget   plan=ID: drop a frozen plan, so that gc can remove what it alone keeps

What goes: checkpoints that no frozen plan names, places to resume from that have served their purpose, and what dead
processes left. What stays: every node of every frozen plan, whatever numerics it was trained under; models fine-tuned
from those; whatever a claim is held on, and what its holder works from; all measures and scores, which are small; and
what was set aside, unless set_aside=true. While a plan is damaged or set aside nobody knows what it keeps, and no
checkpoint is removed.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from repro import ledger, locks
from repro.disk import Flaw, read_document
from repro.errors import UserError, printable, refusals
from repro.store import (
    CHECKPOINT_NAME,
    CLAIM_NAME,
    KEY_NAME,
    MANIFEST,
    RESULT_NAME,
    SET_ASIDE_NAME,
    Store,
    entries,
    read_file,
    read_manifest,
)

VERBS = ("ls", "du", "verify", "repair", "gc", "forget")


@dataclass(frozen=True)
class Item:
    """Something in a store."""

    path: Path
    kind: str
    """`version`, `branch point`, `fine-tuned`, `interim`, `orphan`, or what kind of leftover it is."""
    why: str
    """Why it stays, or why it can go."""
    goes: bool = False
    key: str | None = None
    """What to hold a claim on while it is removed."""
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
    found.unknown += [f"{path} was set aside" for path in (store.root / "set_aside").glob("plans-*") if _is_plan(path)]
    return found


def survey(store: Store) -> Iterator[Item]:
    """Everything that is kept for some run, and everything that can go."""
    known = references(store)
    held = dict(_claims(store))
    uses = {key for sign in held.values() for key in sign.get("uses", ())}
    stored = store.steps()
    for key, step in stored.items():
        folder = store.checkpoint_folder(key, step)
        if key in known.nodes:
            kind = "version" if key in known.versions else "branch point"
            yield Item(folder, kind, known.nodes[key], step=step)
        elif key in held or key in uses:
            yield Item(folder, "in use", "someone works on it or from it", step=step)
        else:
            yield _unplanned(folder, key, step, known)
    for folder in entries(store.root / "interim", KEY_NAME):
        key = folder.name
        if key in stored:
            yield Item(folder, "leftover", "its edge is finished", goes=True, key=key)
        elif key in known.nodes or key in held:
            yield Item(folder, "interim", f"where to go on with {known.nodes.get(key, 'what is in use')}")
        else:
            yield Item(folder, "orphan", "no plan needs it", goes=not known.unknown, key=key)
    for path, why in store.leftovers():
        yield Item(path, "leftover", why, goes=True)
    for path in entries(store.root / "set_aside", SET_ASIDE_NAME):
        yield Item(path, "set aside", "to look at; set_aside=true removes it")


def _unplanned(folder: Path, key: str, step: int, known: References) -> Item:
    try:
        manifest = read_manifest(folder, key)
    except Flaw as flaw:
        return Item(folder, "damaged", f"{flaw}; repair sets it aside", step=step)
    base = manifest.get("finetuned")
    if base in known.nodes:
        return Item(folder, "fine-tuned", f"from {known.nodes[base]}, seed {manifest.get('seed')}", step=step)
    was = f"version {manifest.get('version')} of {manifest.get('name')}"
    if known.unknown:
        return Item(folder, "orphan", f"{was}; kept as long as a plan is unknown", step=step)
    return Item(folder, "orphan", f"no plan needs it; it was made for {was}", goes=True, key=key, step=step)


def collect(store: Store, *, delete: bool, set_aside: bool = False) -> list[Item]:
    """What can go; with `delete`, what has gone: all of that but what someone has begun to work on since.

    Raises:
        UserError: the disk refuses.
    """
    if not delete:
        return [item for item in survey(store) if item.goes or (set_aside and item.kind == "set aside")]
    gone = []
    with store.keeping():
        if set_aside:
            gone += [item for item in survey(store) if item.kind == "set aside"]
            for item in gone:
                _remove(item.path)
        for item in list(survey(store)):
            if item.kind == "leftover" and item.key is None:
                store.remove_leftover(item.path)
                gone.append(item)
            elif item.goes and item.key is not None:
                with store.claim(item.key) as claim:
                    if claim is not None and item.key not in _used(store):
                        store.discard(item.path)
                        gone.append(item)
    return gone


def damage(store: Store) -> Iterator[tuple[Path, str]]:
    """Read all of a store: each path that is not what was written, with the reason."""
    for folder in entries(store.root / "checkpoints", CHECKPOINT_NAME):
        key, step = folder.name.split(".")
        yield from _flaws(folder, key, int(step))
    for edge in entries(store.root / "interim", KEY_NAME):
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        given = list(sys.argv[1:] if arguments is None else arguments)
        if not given or any(argument in ("-h", "--help") for argument in given):
            print(__doc__)
            return
        verb, *rest = given
        if verb not in VERBS:
            raise UserError(f"{verb} is unknown; choose one of {', '.join(VERBS)}.")
        options = {
            "store.path": "store",
            "store.stale_seconds": "600",
            "delete": "false",
            "set_aside": "false",
            "plan": "",
        }
        for argument in rest:
            name, _, value = argument.partition("=")
            if name not in options:
                raise UserError(f"{argument} is no option of {verb}; there are {', '.join(f'{o}=' for o in options)}.")
            options[name] = value
        _carry_out(verb, options)


def _carry_out(verb: str, options: dict[str, str]) -> None:
    root = Path(options["store.path"])
    if not root.is_dir():
        raise UserError(f"store.path={root} is no folder; nothing was trained there.")
    try:
        store = Store(root, float(options["store.stale_seconds"]))
    except ValueError:
        raise UserError(f"store.stale_seconds={options['store.stale_seconds']} is no number.") from None
    for name in ("delete", "set_aside"):
        if options[name] not in ("true", "false"):
            raise UserError(f"{name}={options[name]} must be true or false.")
    match verb:
        case "ls":
            _list(store)
        case "du":
            _usage(store)
        case "verify":
            if _verify(store, repair=False):
                raise SystemExit(1)
        case "repair":
            _verify(store, repair=True)
        case "gc":
            _collect(store, delete=options["delete"] == "true", set_aside=options["set_aside"] == "true")
        case "forget":
            forget(store, options["plan"])


def _list(store: Store) -> None:
    for path in store.plan_files():
        plan = _plan(path)
        if plan is not None:
            print(f"plan {path.stem}: study {plan['study']}, scale {plan['scale']}, {len(plan['settings']):,} runs")
    for item in sorted(survey(store), key=lambda item: (item.kind, item.why, item.step)):
        name = item.path.name if item.key is None and item.kind in ("leftover", "set aside") else item.path.name[:16]
        print(printable(f"{_megabytes(item.bytes)}  {item.kind:12}  step {item.step:>7}  {name:16}  {item.why}"))


def _usage(store: Store) -> None:
    taken: dict[str, list[int]] = {}
    for item in survey(store):
        taken.setdefault(item.kind, []).append(item.bytes)
    for name in ("results", "plans", "hydra"):
        taken[name] = [size(item) for item in (store.root / name).rglob("*") if item.is_file()]
    for kind, sizes in sorted(taken.items()):
        print(f"{_megabytes(sum(sizes))}  {len(sizes):>7,}  {kind}")
    print(f"{_megabytes(size(store.root))}  in all")


def _verify(store: Store, *, repair: bool) -> int:
    """Say what is damaged, and set it aside if asked to; how much there is."""
    count = 0
    for path, reason in list(damage(store)):
        count += 1
        if repair:
            store.set_aside(path, reason)
        else:
            print(printable(f"damaged: {path} {reason}"))
    for folder in ledgers(store):
        # Whoever writes a ledger has its checksums and its tables out of step for a moment.
        with locks.held(folder / ".lock") if repair and folder.is_dir() else nullcontext():
            for path, reason in list(ledger.damage(folder)):
                count += 1
                if repair:
                    ledger.set_aside(path, reason)
                else:
                    print(printable(f"damaged: {path} {reason}"))
    left = [item for item in survey(store) if item.kind == "leftover"]
    if repair:
        for item in left:
            if item.key is None:
                store.remove_leftover(item.path)
            else:
                store.discard(item.path)
    what = "set aside; the commands that made it make it again" if repair else "repair sets it aside"
    print(f"{count:,} damaged{f' ({what})' if count else ''}; {len(left):,} left by dead or finished processes"
          f"{' (removed)' if repair and left else ''}")  # fmt: skip
    return count


def _collect(store: Store, *, delete: bool, set_aside: bool) -> None:
    for reason in references(store).unknown:
        print(
            printable(f"{reason}: what it keeps is unknown, so no checkpoint goes. Run its command again, on each ")
            + "machine that did; then `gc delete=true set_aside=true`.",
            file=sys.stderr,
        )
    items = [(item, item.bytes) for item in collect(store, delete=False, set_aside=set_aside)]
    total = sum(taken for _, taken in items)
    if not delete:
        for item, taken in items:
            print(printable(f"{_megabytes(taken)}  {item.path.relative_to(store.root)}  {item.why}"))
        print(f"{_megabytes(total)}  in {len(items):,} could go; delete=true removes them")
        return
    gone = collect(store, delete=True, set_aside=set_aside)
    print(f"{len(gone):,} removed of {len(items):,} ({_megabytes(total).strip()})")


def _claims(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that someone, alive or suspended, holds a claim on, with its last sign of life."""
    for path in entries(store.root / "claims", CLAIM_NAME):
        if locks.is_held(path):
            yield path.name.split(".")[0], store.sign(path)


def _used(store: Store) -> set[str]:
    return {key for _, sign in _claims(store) for key in sign.get("uses", ())}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _plan(path: Path) -> dict[str, Any] | None:
    try:
        return read_document(path)
    except Flaw:
        return None


def _is_plan(path: Path) -> bool:
    return not path.name.endswith(".reason.txt")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:>10,.1f} MB"

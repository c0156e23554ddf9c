"""Look after a store: python -m repro.store ls|du|verify|repair|gc|forget store.path=store

    ls       every checkpoint, with its size and why it is kept
    du       how much space is taken, and by what
    verify   read everything and compare it with its checksums; exit status 1 where something is damaged
    repair   quarantine by name what is damaged, so that it is made again, and remove what dead processes left
    gc       list what could go; with delete=true, remove it
    forget   plan=ID: drop a frozen plan, so that gc can remove what it alone keeps

What goes: checkpoints that no frozen plan names, places to resume from that have served their purpose, and what dead
processes left. What stays: every node of every frozen plan, whatever numerics it was trained under; models fine-tuned
from those; whatever a lease is held on, and what its holder works from; all measures and scores, which are small; and
what was quarantined, unless quarantine=true. While a plan is damaged or quarantined nobody knows what it keeps, and no
checkpoint is removed.
"""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from repro.common import locks
from repro.common.disk import Flaw, read_document, unreadable
from repro.common.errors import UserError, printable, refusals
from repro.common.options import Options
from repro.common.registry import suggestion
from repro.config.settings import StoreSettings
from repro.store import tables
from repro.store.plans import parse, read_plan
from repro.store.store import Store
from repro.store.upkeep import (
    Entry,
    closed,
    collect,
    damage,
    forget,
    ledgers,
    quarantined_plans,
    references,
    remove,
    repair,
    size,
    survey,
)

STALE_SECONDS = StoreSettings.stale_seconds
OWN = ("checkpoints", "plans", "leases", "partial", "results", "scratch", "quarantine")
"""Folders of a store."""
VERBS = ("ls", "du", "verify", "repair", "gc", "forget")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = Options(__doc__, list(sys.argv[1:] if arguments is None else arguments) or ["--help"])
        verb = line.given.pop(0)
        if verb not in VERBS:
            line.refuse(f"{verb} is unknown; {suggestion(verb, VERBS)}choose one of {', '.join(VERBS)}.")
        root = Path(line.take("store.path", "store"))
        stale = line.read("store.stale_seconds", _seconds)
        delete, quarantine, plan = line.flag("delete"), line.flag("quarantine"), line.take("plan")
        if not root.is_dir():
            line.refuse(f"store.path={root} is no folder; nothing was trained there.")
        elif any(root.iterdir()) and not any((root / name).is_dir() for name in OWN):
            line.refuse(f"store.path={root} holds other things, and no store; nothing was trained there.")
        line.end()
        with _readable(root):
            _do(verb, Store(root, stale or STALE_SECONDS), plan, delete=delete, quarantine=quarantine)


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise UserError(f"store.stale_seconds={given} must be a number above 0; {STALE_SECONDS:g} is usual.")
    return seconds


@contextmanager
def _readable(root: Path) -> Iterator[None]:
    """Somebody else's store may not be open to everybody.

    Raises:
        UserError: something in it cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise unreadable(Path(error.filename or root), error) from error


def _do(verb: str, store: Store, plan: str, *, delete: bool, quarantine: bool) -> None:
    match verb:
        case "ls":
            _list(store)
            _name_closed(store)
        case "du":
            _usage(store)
            _name_closed(store)
        case "verify":
            if _verify(store):
                raise SystemExit(1)
        case "repair":
            _repair(store)
        case "gc":
            _collect(store, delete=delete, quarantine=quarantine)
        case "forget":
            forget(store, plan)


def _list(store: Store) -> None:
    for path in store.plan_files():
        try:
            plan = read_plan(path)
        except Flaw as flaw:
            print(printable(f"plan {path.stem}: {flaw}; what it keeps is unknown, so that nothing goes"))
            continue
        if plan is not None:
            frozen = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
            about = f"study {plan.study}, scale {plan.scale}, {len(plan.settings):,} runs"
            print(printable(f"plan {path.stem}: {about}, corpus {' and '.join(plan.corpora)}, frozen {frozen}"))
    for item in sorted(survey(store), key=lambda item: (item.kind, item.why, item.step)):
        name = item.path.name if item.key is None and item.kind in ("leftover", "quarantined") else item.path.name[:16]
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


def _name_closed(store: Store) -> None:
    if found := closed(store.root):
        said = f"note: folders that may not be read, and are not counted: {len(found):,}, such as {found[0]}"
        print(printable(said), file=sys.stderr)


def _verify(store: Store) -> int:
    """Say what is damaged; how much there is."""
    found = list(damage(store))
    for folder in ledgers(store):
        print(printable(f"ledger: {folder}{'' if folder.is_dir() else ' is not there'}"))
        found += tables.damage(folder)
    for path, reason in found:
        print(printable(f"damaged: {path} {reason}"))
    _name_unknown(store)
    left = _leftovers(store)
    print(f"{_damaged(len(found), 'repair quarantines it')}; {len(left):,} left by dead or finished processes")
    return len(found)


def _repair(store: Store) -> None:
    """Quarantine what is damaged, and remove what dead processes left."""
    count = repair(store)
    for folder in ledgers(store):
        # Whoever writes a ledger has its checksums and its tables out of step for a moment.
        with locks.held(folder / ".lock") if folder.is_dir() else nullcontext():
            for path, reason in list(tables.damage(folder)):
                count += 1
                tables.quarantine(path, reason)
    _name_unknown(store)
    left = _leftovers(store)
    removed = sum(remove(store, item) for item in left)
    what = f" ({removed:,} removed)" if left else ""
    print(f"{_damaged(count, 'quarantined; the commands that made it make it again')}; "
          f"{len(left):,} left by dead or finished processes{what}")  # fmt: skip
    if removed < len(left):
        raise SystemExit(1)


def _damaged(count: int, what: str) -> str:
    return f"{count:,} damaged{f' ({what})' if count else ''}"


def _leftovers(store: Store) -> list[Entry]:
    return [item for item in survey(store) if item.kind == "leftover" and item.goes]


def _name_unknown(store: Store) -> None:
    for path in store.plan_files():
        try:
            if (content := read_document(path)) is not None:
                parse(content)
        except Flaw as flaw:
            print(printable(f"note: {path} {flaw}: it stays, and while it does no checkpoint goes"))


def _collect(store: Store, *, delete: bool, quarantine: bool) -> None:
    for path in quarantined_plans(store) if quarantine else ():
        print(printable(f"{path} was quarantined: checkpoints that it alone kept go with it"), file=sys.stderr)
    for reason in references(store, quarantined=not quarantine).unknown:
        print(
            printable(f"{reason}: what it keeps is unknown, so no checkpoint goes. Run its command again, on each ")
            + "machine that did; then `gc delete=true quarantine=true`.",
            file=sys.stderr,
        )
    items = [(item, item.bytes) for item in collect(store, delete=False, quarantine=quarantine)]
    total = sum(taken for _, taken in items)
    if not delete:
        for item, taken in items:
            print(printable(f"{_megabytes(taken)}  {item.path.relative_to(store.root)}  {item.why}"))
        print(f"{_megabytes(total)}  in {len(items):,} could go; delete=true removes them")
        return
    gone = collect(store, delete=True, quarantine=quarantine)
    paths = {item.path for item in gone}
    freed = sum(taken for item, taken in items if item.path in paths)
    print(f"{len(gone):,} removed of {len(items):,} ({_megabytes(freed).strip()})")
    if stuck := [item.path for item, _ in items if os.path.lexists(item.path)]:
        print(
            printable(f"{len(stuck):,} could not be removed, such as {stuck[0]}: it is in use, or cannot be written"),
            file=sys.stderr,
        )
        raise SystemExit(1)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:>10,.1f} MB"


if __name__ == "__main__":
    main()

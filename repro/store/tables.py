"""A folder of CSV files that know their own checksums.

`SHA256SUMS` beside the files is what `sha256sum --check` reads. A file that does not match it is never added to.
"""

import hashlib
import re
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from repro.common.disk import Flaw, clear_errors, move, read, read_document, write_atomically
from repro.common.errors import printable

SUMS = "SHA256SUMS"
ABSENT = "0" * 64
"""In place of a checksum while a ledger is written: the file may not be there yet."""
RUNS = "runs.csv"
"""The one that every ledger has."""
COMMANDS = "commands.json"
"""What was typed to make the tables: a document with a checksum of its own."""
TABLE_NAME = re.compile(r"[a-z_]+\.csv")
SUM = re.compile(r"([0-9a-f]{64})  (.+)")
"""A line as sha256sum writes it, also of what is no table."""


def damage(folder: Path, expected: Iterable[str] = ()) -> Iterator[tuple[Path, str]]:
    """Each of a folder's tables that is not what was written, with the reason. One without checksums is not judged.

    Args:
        expected: names of files that, if they are there, have to be listed as well.
    """
    try:
        read_document(folder / COMMANDS)
    except Flaw as flaw:
        yield folder / COMMANDS, str(flaw)
    try:
        sums = _sums(folder)
    except Flaw as flaw:
        yield folder / SUMS, str(flaw)
        return
    if sums is None:
        return
    if not sums and (folder / RUNS).exists():  # of a ledger without rows, there is no table either
        yield folder / SUMS, "lists nothing, though there are tables"
        return
    for path in (folder / name for name in dict.fromkeys((*sorted(sums), *expected))):
        if not path.exists():
            if ABSENT not in sums.get(path.name, {ABSENT}):
                yield path, "is missing"
            continue
        try:
            if hashlib.sha256(read(path)).hexdigest() not in sums.get(path.name, ()):
                yield path, "was altered since it was written"
        except Flaw as flaw:
            yield path, str(flaw)


def foreign(folder: Path, expected: Collection[str]) -> str | None:
    """The name of a file that has a ledger's name and is somebody else's, with no ledger beside it.

    Args:
        expected: names of a ledger's files.

    Raises:
        UserError: it cannot be read.
    """
    if any((folder / name).exists() for name in expected):
        return None
    try:
        if (folder / SUMS).exists():
            sums = _sums(folder)
            return SUMS if sums and not set(expected) & set(sums) else None
    except Flaw:
        return SUMS
    try:
        read_document(folder / COMMANDS)
    except Flaw:
        return COMMANDS
    return None


def quarantine(path: Path, reason: str) -> None:
    """Move a damaged table out of the way.

    Raises:
        UserError: the disk refuses.
    """
    target = path.parent / "quarantine" / f"{path.name}-{uuid.uuid4().hex[:8]}"
    place = ""
    if path.exists():
        with clear_errors(path):
            target.parent.mkdir(exist_ok=True)
            move(path, target)
        place = f"; quarantined as {target}"
    print(
        f"ledger: {printable(f'{path} {reason}{place}')}. Rows of the store's plans are made again. (If the change was "
        f"meant: put it back, and run `sha256sum *.csv > {SUMS}` there.)",
        file=sys.stderr,
    )


def _sums(folder: Path) -> dict[str, set[str]] | None:
    """The checksums a ledger's files may have: of what is there and, should a write be cut off, of what comes.

    Raises:
        Flaw: they are no list of checksums.
    """
    path = folder / SUMS
    if not path.exists():
        return None
    data = read(path)
    text = data.decode(errors="replace")
    lines = [SUM.fullmatch(line) for line in text.splitlines()]
    if not all(lines) or not text.endswith("\n" if text else ""):
        raise Flaw("is no list of checksums")
    sums: dict[str, set[str]] = {}
    for found, name in (line.groups() for line in lines if line):
        if TABLE_NAME.fullmatch(name):
            sums.setdefault(name, set()).add(found)
    if lines and not sums:
        raise Flaw("lists none of a ledger's tables")
    return sums


def replace(folder: Path, texts: Mapping[str, bytes]) -> None:
    """Write tables, given by file name, beside those that stay as they are.

    The checksums are written before and after, so that whoever is cut off in between leaves a folder that is sound.

    Raises:
        UserError: the disk refuses.
    """
    sums = _sums(folder)
    there = (path for path in sorted(folder.glob("*.csv")) if path.name in texts or path.name in (sums or {}))
    now = {path.name: read(path) for path in there if path.exists()}
    then = now | dict(texts)
    final = _sums_text(_digests(then))
    if then == now and sums is not None and read(folder / SUMS) == final:
        return
    new = [(name, ABSENT) for name in then.keys() - now.keys()]
    write_atomically(folder / SUMS, _sums_text([*_digests(now), *new, *_digests(then)]))
    for name, text in then.items():
        if now.get(name) != text:
            write_atomically(folder / name, text)
    write_atomically(folder / SUMS, final)


def _digests(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(name, hashlib.sha256(text).hexdigest()) for name, text in files.items()]


def _sums_text(digests: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(set(digests))).encode()

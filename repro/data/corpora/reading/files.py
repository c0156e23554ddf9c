"""Files of a user's own: found, none left out silently; identified by content; and read as they were hashed."""

import bz2
import fnmatch
import gzip
import hashlib
import io
import lzma
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from repro.common import disk
from repro.common.errors import Gone, UserError
from repro.common.memory import is_gone
from repro.store.layout import MARKS

TEXT = (".txt", ".md", ".markdown", ".rst", ".text")
LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv")
KNOWN = (*TEXT, *LINES, *TABLES, ".json", ".parquet")
"""Endings of files that are read without being asked for by `corpus.pattern`."""
PACKED = (".gz", ".zst", ".bz2", ".xz")
"""Endings of compressed files, after which the next one counts."""
FOREIGN = ("node_modules", "__MACOSX", "__pycache__", "CVS")
"""Folders that hold nobody's corpus."""
NO_ENDING = "files without an ending"
UNASKED = re.compile(rf"\.|{NO_ENDING}")
"""How notes of files begin whose names were not asked for."""
BUFFER = 2**16
"""Bytes that are read at once, and looked at where a name says nothing of the content."""
CACHE_TAG = "CACHEDIR.TAG"
"""Marks a folder as a cache: https://bford.info/cachedir/. Ours have one."""
TRACKER_TAG = ".lr-path-switching-tracker"
"""Marks tracker.path. Not with a cache's tag: others may keep runs of their own there, which backups are to have."""
OURS = (
    {CACHE_TAG},
    {TRACKER_TAG},
    set(MARKS),
    {"runs.csv", "SHA256SUMS"},
    {"report.html", "manifest.json"},
    {"checkpoint.json", "config.json"},
)
"""Names that tell folders of this suite's own: a cache, a tracker's, a store, a ledger, a report, an export."""


@dataclass
class Report:
    """What was met on the way through a corpus: each oddity counted, and named once."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    files: int = 0
    documents: int = 0

    def note(self, what: str, example: object) -> None:
        self.counts[what] += 1
        self.examples.setdefault(what, str(example))

    def line(self) -> str:
        notes = (f"{count:,} {what} ({self.examples[what]})" for what, count in sorted(self.counts.items()))
        return "; ".join([f"{self.files:,} files, {self.documents:,} documents", *notes])


def find(root: Path, pattern: str | None, report: Report) -> list[Path]:
    """The files to read: `root` itself, or those in it at any depth. Links are followed, each folder once.

    Args:
        pattern: of the names of the files to read, several with commas; None: all whose ending is known.

    Raises:
        UserError: there is none, or a folder cannot be read.
    """
    check_there(root)
    if root.is_file():
        return [root]
    files = sorted(path for path in _walk(root, set(), report) if _wanted(path, pattern, report))
    if not files:
        asked = (
            f"whose name matches corpus.pattern={pattern}"
            if pattern is not None
            else f"with an ending of {' '.join(KNOWN)}"
        )
        met = "; ".join(f"{count} {what}" for what, count in sorted(report.counts.items()))
        raise UserError(
            f"corpus.path={root} holds no file {asked}, or of these compressed ({' '.join(PACKED)})."
            + (f" There: {met}." if met else "")
            + (" corpus.pattern='*' reads whatever there is." if any(map(UNASKED.match, report.counts)) else "")
        )
    return files


def check_there(root: Path) -> None:
    """
    Raises:
        Gone: a corpus's place does not exist.
        UserError: nobody can tell, since a folder before it may not be entered.
    """
    try:
        gone = is_gone(root)
    except PermissionError as error:
        raise UserError(f"corpus.path={root} cannot be read: {error.strerror}.") from None
    if gone:
        raise Gone(f"corpus.path={root} does not exist.")


def _walk(folder: Path, seen: set[tuple[int, int]], report: Report) -> Iterator[Path]:
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            report.note("folders met twice through links, read once", folder)
            return
        seen.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"corpus.path: {folder} cannot be read: {error.strerror}.") from None
    if is_ours({entry.name for entry in entries}):
        report.note("folders of this suite's own left out", folder)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name in FOREIGN:
            report.note("hidden or foreign names left out", path)
        elif _leads(entry.is_dir):
            yield from _walk(path, seen, report)
        elif _leads(entry.is_file):
            yield path
        else:
            report.note("broken links left out" if entry.is_symlink() else "left out that are no files", path)


def _leads(there: Callable[[], bool]) -> bool:
    """What an entry says of itself; nothing, of a link that leads to itself."""
    try:
        return there()
    except OSError:
        return False


def is_ours(names: set[str]) -> bool:
    """Whether a folder is one of this suite's own, which hold no corpus."""
    return any(marks <= names for marks in OURS)


def holds_ours_alone(folder: Path) -> bool:
    """Whether a folder is one of this suite's own, or holds such folders and nothing else: results, or releases.

    Raises:
        OSError: it cannot be read.
    """
    entries = list(folder.iterdir())
    if is_ours({entry.name for entry in entries}):
        return True
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    # No links, which may lead back.
    return bool(shown) and all(e.is_dir() and not e.is_symlink() and holds_ours_alone(e) for e in shown)


def _wanted(path: Path, pattern: str | None, report: Report) -> bool:
    if pattern is None:
        wanted = kind(path)[0] in KNOWN
    else:
        wanted = any(fnmatch.fnmatchcase(path.name, each.strip()) for each in pattern.split(","))
    if not wanted:
        report.note(f"{path.suffix.lower() or NO_ENDING} left out", path)
    return wanted


def kind(path: Path) -> tuple[str, str]:
    """A file's ending and how it is compressed, such as (`.jsonl`, `.gz`), each empty where it has none."""
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    inner = Path(path.stem) if packed else path
    return inner.suffix.lower(), packed


# Identity

Identity = list[list[str]]
"""An entry a file."""
Known = frozenset[tuple[str, ...]]
"""The entries of what a corpus was identified by."""


def name_date(path: Path) -> str | None:
    """The date that a text file's name begins with: `2012-01-05-name.md`."""
    match = re.match(r"(\d{4}-\d\d-\d\d)(?!\d)", path.name)
    return match[1] if match and kind(path)[0] in (*TEXT, "") else None


def identity(files: Sequence[Path], *, in_order: bool = False) -> Identity:
    """What files consist of: each one's kind and content, and the date in its name, but not its place.

    Args:
        in_order: which comes first matters, as where only the first documents are read.
    """
    try:
        entries = [_entry(path, _hash(path)) for path in files]
        return entries if in_order else sorted(entries)
    except OSError as error:
        raise UserError(f"The corpus cannot be read: {error}") from None


def _entry(path: Path, sha256: str) -> list[str]:
    date = name_date(path)
    return ["".join(kind(path)), sha256, *([date] if date else [])]


def _hash(path: Path) -> str:
    status = path.stat()
    return _known_hash(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=2**20)  # fewer than a corpus has files would help none of them
def _known_hash(path: Path, *status: int) -> str:
    """A file is hashed again when its inode, size or times are others."""
    return disk.sha256(path)


# Reading


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self.hash.update(data)
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def opened(path: Path, known: Known | None) -> Iterator[IO[bytes]]:
    """A file's content, decompressed.

    Args:
        known: what the corpus was identified by: whatever is read has to be a part of it.

    Raises:
        UserError: the file is damaged, cannot be read, or is another one by now.
    """
    packed = kind(path)[1]
    try:
        with path.open("rb") as file:
            raw = _Hashed(file)
            with _decompressed(io.BufferedReader(raw, BUFFER), packed) as content:
                yield content
            with suppress(ValueError):  # closed with what was read through it
                while raw.read(2**20):
                    pass
            for data in iter(lambda: file.read(2**20), b""):
                raw.hash.update(data)
            check_known(path, raw.hash.hexdigest(), known)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _damaged(path, packed, error) from None
    except OSError as error:
        if packed and error.errno is None:  # what decompressors say of damage
            raise _damaged(path, packed, error) from None
        raise UserError(f"The corpus cannot be read: {path}: {error.strerror or error}.") from None


def check_known(path: Path, sha256: str, known: Known | None) -> None:
    """
    Raises:
        UserError: a file with this hash is no part of what the corpus was identified by.
    """
    if known is not None and tuple(_entry(path, sha256)) not in known:
        raise UserError(f"{path} changed while it was read; start again when nobody writes to it.")


def _damaged(path: Path, packed: str, error: Exception) -> UserError:
    return UserError(f"{path} is damaged, or no {packed} file: {error or type(error).__name__}. Fetch it again.")


def _decompressed(file: IO[bytes], packed: str) -> IO[bytes]:
    if packed == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=file), BUFFER)
    if packed == ".bz2":
        return io.BufferedReader(bz2.BZ2File(file), BUFFER)
    if packed == ".xz":
        return io.BufferedReader(lzma.LZMAFile(file), BUFFER)
    if packed == ".zst":
        import pyarrow as pa

        return io.BufferedReader(_Arrow(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")), BUFFER)
    return file


class _Arrow(io.RawIOBase):
    """Arrow's stream as one of Python's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

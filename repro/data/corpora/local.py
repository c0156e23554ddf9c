"""A user's own files."""

import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from repro.common.disk import expanded
from repro.common.errors import UserError, printable
from repro.config.checks import path, within
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.reading import files
from repro.data.corpora.reading.files import Identity, Report
from repro.data.corpora.reading.records import Reader

READING = 2
"""How files become documents; part of the identity."""


@dataclass(frozen=True, kw_only=True)
class Files(Corpus):
    """What corpora of a user's own files share. The folder is only read."""

    path: str | None = path(None)
    """A folder, or a file: text, JSON, JSONL, CSV or Parquet, also compressed. See docs/data.md."""
    pattern: str | None = None
    """Names of the files to read (`*.py`, `wiki_*`, several with commas); None: all whose ending is known."""
    text_column: str = "text"
    """The column with the text; `a.b` is a field of a field."""
    date_column: str | None = None
    """None: `date`, where there is one."""
    max_documents: int | None = within(1, 10**9, None)
    """Stop after this many documents."""

    @property
    def place(self) -> str:
        return self.path or ""

    @property
    def name(self) -> str:
        # Where it lies is nobody's business in a table. (`.` has a name, too.)
        return f"{self.kind} {Path(os.path.abspath(self.root)).name}"  # noqa: PTH100

    @property
    def root(self) -> Path:
        if self.path is None:
            raise UserError(f"corpus.kind={self.kind} needs corpus.path: a folder of files, or a file.")
        return expanded(self.path)

    def shape(self) -> dict[str, object]:
        """What identifies documents besides the files."""
        columns = {"text_column": self.text_column, "date_column": self.date_column}
        return {**columns, "max_documents": self.max_documents, "reading": READING}

    def identified(self, found: Sequence[Path]) -> Identity:
        """What files consist of; where only the first documents are read, their order matters."""
        return files.identity(found, in_order=self.max_documents is not None)

    def read(self, root: Path, known: Identity | None, name: str) -> Iterator[Document]:
        """The documents below a folder; says afterwards what there was.

        Raises:
            UserError: they are not those that `known` identified, whether they were read or not; and as `documents`.
        """
        report = Report()
        reader = Reader(report, self.text_column, self.date_column)
        found = files.find(root, self.pattern, report)
        entries = None if known is None else frozenset(map(tuple, known))
        documents = itertools.chain.from_iterable(reader.documents(path, entries) for path in found)
        yield from itertools.islice(documents, self.max_documents)
        # Files that are gone, and the rest of one after corpus.max_documents, were not hashed on the way.
        if known is not None and self.identified(found) != known:
            raise UserError(f"{name}: files changed while they were read; start again when nobody writes to them.")
        print(printable(f"{name}: {report.line()}"), file=sys.stderr)


@CORPORA.register("local")
@dataclass(frozen=True, kw_only=True)
class Local(Files):
    """One pile of text."""

    label = "own text"

    def documents(self, cache: Path) -> Iterator[Document]:
        return self.read(self.root, None, f"corpus.path={self.path}")

    def verified(self, identity: Mapping[str, object], cache: Path) -> Iterator[Document]:
        return self.read(self.root, cast(Any, identity["local"]), f"corpus.path={self.path}")

    def identity(self) -> dict[str, object]:
        return {"local": self.identified(files.find(self.root, self.pattern, Report())), **self.shape()}

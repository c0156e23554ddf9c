"""What every corpus has to say: its documents, and what identifies them.

A corpus is a sequence of documents in a fixed order. It is identified by its content (package versions, hashes of
files), never by where it lies. Nothing here knows of tokens, versions or slices, and nothing is republished: what is
fetched is cleaned on the user's machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from repro.config.settings import CorpusSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """One text, the unit that is either trained on or held out."""

    text: str
    name: str
    """What messages call it; identifies nothing."""
    date: str | None = None
    """As it is written; read where dates are used (`repro.data.dates`)."""
    part: int | None = None
    """1-based release, for corpora that come in releases."""


@dataclass(frozen=True, kw_only=True)
class Corpus(CorpusSettings):
    """A corpus, with its own settings as fields; it adds itself to the registry."""

    label: ClassVar[str]
    """What readers call it."""
    licence: ClassVar[str] = ""
    language: ClassVar[str] = ""
    """As ISO 639-1 abbreviates it; empty: nobody knows."""

    def documents(self, cache: Path) -> Iterator[Document]:
        """The documents in a fixed order. Whatever must be fetched is fetched before this returns.

        Args:
            cache: folder for fetched packages.

        Raises:
            UserError: the corpus is missing, empty or unreadable (when called, or on the way through it).
        """
        raise NotImplementedError

    def identity(self) -> dict[str, object]:
        """What determines the documents: small, JSON-able and free of paths.

        Raises:
            UserError: a local corpus does not exist or has no files.
        """
        raise NotImplementedError

    def verified(self, identity: Mapping[str, object], cache: Path) -> Iterator[Document]:
        """The documents, if they are still those that `identity` identified.

        Raises:
            UserError: they are others by now; and as `documents`.
        """
        return self.documents(cache)

    def releases(self) -> Sequence[Mapping[str, object]] | None:
        """What identifies each release by itself, whatever others there are; None: the corpus does not come in any.

        Raises:
            UserError: as `identity`.
        """
        return None

    def release_names(self) -> Sequence[str] | None:
        """What people call each release; None: they have no names.

        Raises:
            UserError: as `identity`.
        """
        return None

    def of_releases(self, wanted: Mapping[int, Mapping[str, object]], cache: Path) -> Iterator[Document]:
        """The documents of some releases, each with its `part`.

        Args:
            wanted: their numbers, from 1, with what identified them.

        Raises:
            UserError: as `verified`.
        """
        return (document for document in self.documents(cache) if document.part in wanted)

    @property
    def place(self) -> str:
        """Where it comes from, for people: a path, or a data set's name."""
        return ""

    @property
    def name(self) -> str:
        """What tables call it: its kind, and which of that kind."""
        return f"{self.kind} {self.place}" if self.place else self.kind

    def look(self) -> None:
        """Of a corpus that is planned without: see whether what lies on this machine can be read at all.

        Raises:
            UserError: it cannot.
        """

    @property
    def remote(self) -> bool:
        """Whether only a hub has it: planned without it, and prepared on request alone."""
        return False


def corpus(settings: CorpusSettings) -> Corpus:
    """The corpus that settings choose."""
    assert isinstance(settings, Corpus)
    return settings


def equal_shares(items: Sequence[T], sizes: Sequence[int], count: int) -> list[list[T]]:
    """`count` consecutive runs of `items`, as equal in size as whole items allow: each goes where its middle lies."""
    ends = np.cumsum(sizes)
    share = np.minimum((2 * ends - np.asarray(sizes)) * count // (2 * ends[-1]), count - 1)
    return [[items[i] for i in np.flatnonzero(share == part).tolist()] for part in range(count)]

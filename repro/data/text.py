"""Documents on their way to tokens: spooled to a file, so that memory holds a line about each one, not its text."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from repro.common.errors import UserError
from repro.data.corpora.corpus import Document
from repro.data.dates import earlier

PIECE_CHARACTERS = 16
"""Documents are cut, between paragraphs where possible, into pieces of at most this many characters for each of a
block's tokens. That is some four blocks of English: short enough to mix, long enough that most blocks see one text."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Spooled:
    """A document's place in the spool."""

    start: int
    size: int
    order: bytes
    """Seeded hash of the text: gives it its place, whatever order it was loaded in."""
    name: str
    date: str | None
    part: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a document, in the spool."""

    start: int
    size: int
    order: bytes


@dataclass
class Spool:
    """Texts one after another in a file."""

    path: Path
    documents: list[Spooled] = field(default_factory=list)
    left_out: dict[int | None, Counter[str]] = field(default_factory=dict)
    """By part: how many documents were empty, or copies of another."""

    def text(self) -> Bytes:
        return np.memmap(self.path, dtype=np.uint8, mode="r")

    def count(self, part: int | None, what: str) -> None:
        self.left_out.setdefault(part, Counter())[what] += 1


def spool(documents: Iterable[Document], path: Path, seed: int, *, by_part: bool = False) -> Spool:
    """Write the texts to a file, without empty ones and exact duplicates.

    Args:
        by_part: whether a text may occur once in each part, rather than once.

    Raises:
        UserError: there is no text, or it cannot be read to its end.
    """
    found: dict[tuple[bytes, int | None], Spooled] = {}
    result = Spool(path)
    start = 0
    with path.open("wb") as file:
        for document in readable(documents):
            data = document.text.encode("utf-8")
            order = hashlib.blake2b(data, digest_size=16, key=seed.to_bytes(8, "little")).digest()
            key = order, document.part if by_part else None
            twin = found.get(key)
            if twin is not None:
                found[key] = replace(twin, date=earlier(twin.date, document.date))
                result.count(document.part, "exact copies")
                continue
            if not data.strip():
                result.count(document.part, "empty documents")
                continue
            found[key] = Spooled(start, len(data), order, document.name, document.date, document.part)
            file.write(data)
            start += len(data)
    if not found:
        raise UserError("The corpus holds no text: every document is empty, or there is none.")
    result.documents = list(found.values())
    return result


def readable(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents. What fails in reading them is not the disk that is written to meanwhile."""
    try:
        yield from documents
    except OSError as error:
        raise UserError(f"The corpus cannot be read: {error}") from error


def read(text: Bytes, place: Spooled | Piece) -> str:
    return text[place.start : place.start + place.size].tobytes().decode("utf-8")


def hold_out(documents: list[Spooled], share: float, remedy: str) -> tuple[list[Spooled], list[Spooled]]:
    """Documents to train on and to hold out: of the latter what fits into the share, but at least one.

    Raises:
        UserError: there are fewer than two; the message ends with `remedy`.
    """
    if len(documents) < 2:
        raise UserError(
            f"Text is held out by whole documents, so that each version needs 2 of them, and one has {len(documents)}. "
            f"{remedy}"
        )
    room = share * sum(document.size for document in documents)
    kept, held = [], []
    for document in sorted(documents, key=lambda document: document.order):
        if document.size <= room:
            room -= document.size
            held.append(document)
        else:
            kept.append(document)
    if not held:
        held.append(min(kept, key=lambda document: (document.size, document.order)))
        kept.remove(held[0])
    return kept, held


def pieces(documents: Iterable[Spooled], text: Bytes, sequence_length: int) -> list[Piece]:
    """The documents' pieces, shuffled."""
    result = []
    for document in documents:
        start = document.start
        for index, piece in enumerate(cut_text(read(text, document), PIECE_CHARACTERS * sequence_length)):
            size = len(piece.encode("utf-8"))
            order = hashlib.blake2b(index.to_bytes(8, "little"), digest_size=16, key=document.order).digest()
            result.append(Piece(start, size, order))
            start += size
    return sorted(result, key=lambda piece: piece.order)


def cut_text(text: str, longest: int) -> Iterator[str]:
    """Pieces of at most `longest` characters that together are the text; cut after a paragraph, else a line, a sentence
    or a word, whichever is first found in a piece's second half."""
    start = 0
    while len(text) - start > longest:
        middle, limit = start + longest // 2, start + longest
        ends = (text.rfind(mark, middle, limit) + len(mark) for mark in ("\n\n", "\n", ". ", " "))
        end = next((end for end in ends if end > middle), limit)
        yield text[start:end]
        start = end
    yield text[start:]


def first_bytes(pieces: list[Piece], most: int) -> Iterator[Piece]:
    """The first piece, and those after it that fit."""
    total = 0
    for piece in pieces:
        total += piece.size
        if total > most and total > piece.size:
            return
        yield piece

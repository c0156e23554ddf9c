"""Held-out text of a version that earlier versions trained on: counted and named.

It stays held out: which text that is follows from a version's own documents, and what was trained on cannot be taken
back. Passages are compared by winnowing (Schleimer et al., SIGMOD 2003): of every eight neighbouring runs of words the
one with the least hash stands for them, so that a passage of 20 words or more is always found and a shorter one, from
13 on, sometimes. A version's samples are made from its tokens when a later version first asks for them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from repro.common.disk import Flaw, write_atomically
from repro.common.disk import read as read_file
from repro.common.errors import UserError
from repro.data import tokenizer as tokenizers
from repro.data.blocks import read_manifest
from repro.data.novelty import OVERLAP_WORDS, Hashes, among, runs
from repro.data.text import Bytes, Spooled, read

WINDOW = 8
"""Neighbouring runs of which one is kept."""
NAMED = 3
"""Documents that are named, at most."""
CHUNK = 2**20
"""Tokens that are decoded at once."""


def with_earlier(held: Sequence[Spooled], text: Bytes, earlier: Sequence[Path]) -> dict[str, Any]:
    """Held-out documents that share a passage with what earlier versions trained on: how many, their bytes, and names.

    Args:
        earlier: folders of the versions before.
    """
    samples = [sample(runs(read(text, document), OVERLAP_WORDS)) for document in held]
    shared = np.zeros(len(held), dtype=bool)
    for folder in earlier:
        known = _trained(folder)
        shared |= [bool(among(known, own).any()) for own in samples]
    found = [document for document, each in zip(held, shared, strict=True) if each]
    names = sorted(document.name for document in found)[:NAMED]
    return {"documents": len(found), "bytes": sum(document.size for document in found), "names": names}


def sample(hashes: Hashes) -> Hashes:
    """Of all windows of `WINDOW` neighbouring hashes the least, each once, in rising order."""
    if len(hashes) < WINDOW:
        return np.unique(hashes)[:1]
    return np.unique(np.lib.stride_tricks.sliding_window_view(hashes, WINDOW).min(axis=1))


def _trained(folder: Path) -> Hashes:
    """Samples of a version's training text. They are kept beside it, and are no part of it: they follow from it."""
    place = folder.with_suffix(".passages")
    with suppress(Flaw, UserError):
        content = read_file(place)
        if hashlib.sha256(content[32:]).digest() == content[:32]:
            return np.frombuffer(content[32:], dtype="<u8").astype(np.uint64)
    parts = [sample(runs(piece, OVERLAP_WORDS)) for piece in _pieces(folder)]
    samples = np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))
    data = samples.astype("<u8").tobytes()
    write_atomically(place, hashlib.sha256(data).digest() + data, "data.path")
    return samples


def _pieces(folder: Path) -> Iterator[str]:
    """A version's training text, piece by piece, from its tokens."""
    tokenizer = tokenizers.load(folder / tokenizers.FILE)
    end = tokenizer.token_to_id(tokenizers.END_OF_TEXT)
    tokens = np.memmap(folder / "train.tokens", dtype=read_manifest(folder)["dtype"], mode="r")
    rest = tokens[:0]
    for start in range(0, len(tokens), CHUNK):
        ids = np.concatenate([rest, tokens[start : start + CHUNK]])
        *whole, rest = np.split(ids, np.flatnonzero(ids == end) + 1)
        yield from tokenizer.decode_batch([piece[:-1].tolist() for piece in whole])

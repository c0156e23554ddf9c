"""What is new in a version: documents that no earlier one has, and text that is not held out.

Near-duplicates are found as in Lee et al. (arXiv 2107.06499): MinHash over runs of words, candidates by
locality-sensitive hashing. Training text that shares a run of 13 words with held-out text is removed, the length that
Brown et al. (arXiv 2005.14165) count as contamination. What later versions need to know of a version is kept beside its
tokens as hashes, so that none of its text is read again.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from repro.data.counts import OVERLAP, OVERLAP_BYTES
from repro.data.text import Bytes, Piece, Spooled, read

if TYPE_CHECKING:
    from datasketch import MinHash

SHINGLE_WORDS = 5
"""Words in a run that MinHash compares."""
PERMUTATIONS = 128
SIMILARITY = 0.8
"""Share of two documents' runs that they have in common, estimated, from which on the later one is a copy."""
OVERLAP_WORDS = 13

DOCUMENTS, SIGNATURES, HELD_OUT = "documents.hashes", "documents.minhash", "heldout.ngrams"
"""Files of a version: of each document 16 bytes, and its signature; of held-out text the hashes of its runs."""

Hashes = npt.NDArray[np.uint64]

# Of scripts that put no space between words, a character counts as one.
_ONE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"
_WORDS = re.compile(rf"[{_ONE}]|[^\W{_ONE}]+")


def runs(text: str, words: int) -> Hashes:
    """Hashes of a text's runs of so many words, whatever their case and what stands between them."""
    found = _WORDS.findall(text.lower())
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in found), np.uint64, len(found))
    if len(hashes) < words:
        return np.empty(0, np.uint64)
    total = np.zeros(len(hashes) - words + 1, np.uint64)
    for place in range(words):
        total = total * np.uint64(0x9E3779B97F4A7C15) + hashes[place : len(hashes) - words + 1 + place]
    total = (total ^ (total >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return total ^ (total >> np.uint64(29))


class Known:
    """The documents of earlier versions and of this one, as far as it was read."""

    def __init__(self, earlier: Sequence[Path], *, near: bool) -> None:
        """
        Args:
            earlier: folders of the versions before.
            near: whether near-duplicates count as copies, rather than exact ones alone.
        """
        self.hashes: list[bytes] = []
        self.signatures: list[npt.NDArray[np.uint32]] = []
        """Of this version's documents."""
        self._near = near
        self._earlier = {row.tobytes() for folder in earlier for row in _rows(folder / DOCUMENTS, "u1", 16)}
        if near:
            from datasketch import MinHashLSH

            self._index = MinHashLSH(threshold=SIMILARITY, num_perm=PERMUTATIONS)
            self._all: list[npt.NDArray[np.uint32]] = []
            for folder in earlier:
                for signature in _rows(folder / SIGNATURES, "<u4", PERMUTATIONS):
                    self._remember(signature, _minhash(signature))

    def new(self, documents: Iterable[Spooled], text: Bytes, counts: Counter[str]) -> list[Spooled]:
        """The documents that no other is a copy of, by the order of their hashes; copies are counted."""
        kept = []
        for document in sorted(documents, key=lambda document: document.order):
            if document.order in self._earlier:
                counts["copies of earlier versions' documents"] += 1
                continue
            if self._near:
                minhash = _minhash_of(read(text, document))
                signature = np.asarray(minhash.hashvalues, dtype=np.uint32)
                before = len(self._all) - len(self.signatures)
                if (twin := self._twin(minhash, signature)) is not None:
                    counts[f"near-duplicates {'of earlier versions' if twin < before else 'within the version'}"] += 1
                    continue
                self._remember(signature, minhash)
                self.signatures.append(signature)
            self.hashes.append(document.order)
            kept.append(document)
        return kept

    def write(self, folder: Path) -> None:
        (folder / DOCUMENTS).write_bytes(b"".join(self.hashes))
        if self._near:
            (folder / SIGNATURES).write_bytes(np.asarray(self.signatures, dtype="<u4").tobytes())

    def _twin(self, minhash: "MinHash", signature: npt.NDArray[np.uint32]) -> int | None:
        """The first document that this one is nearly a copy of."""
        candidates = sorted(self._index.query(minhash))
        return next((each for each in candidates if np.mean(self._all[each] == signature) >= SIMILARITY), None)

    def _remember(self, signature: npt.NDArray[np.uint32], minhash: "MinHash") -> None:
        self._index.insert(len(self._all), minhash)
        self._all.append(signature)


def _minhash_of(text: str) -> "MinHash":
    minhash = _minhash(None)
    shingles = runs(text, SHINGLE_WORDS)
    # Of a text that has no run, the text itself is one.
    whole = np.array([zlib.crc32(text.encode())], np.uint64)
    minhash.update_batch(np.unique((shingles if len(shingles) else whole) & np.uint64(0xFFFFFFFF)).tolist())
    return minhash


def _minhash(signature: npt.NDArray[np.uint32] | None) -> "MinHash":
    from datasketch import MinHash

    values = None if signature is None else signature.astype(np.uint64)
    return MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int, hashvalues=values, scheme="affine32")


def held_out_runs(documents: Iterable[Spooled], text: Bytes, earlier: Sequence[Path]) -> tuple[Hashes, Hashes]:
    """Hashes of the runs of a version's held-out documents, and of those together with earlier versions'."""
    own = [runs(read(text, document), OVERLAP_WORDS) for document in documents]
    mine = np.unique(np.concatenate([np.empty(0, np.uint64), *own]))
    before = [np.fromfile(folder / HELD_OUT, dtype="<u8").astype(np.uint64) for folder in earlier]
    return mine, np.unique(np.concatenate([mine, *before]))


def without_overlap(pieces: Iterable[Piece], text: Bytes, held: Hashes, counts: Counter[str]) -> list[Piece]:
    """The pieces that share no run of words with held-out text; others are counted, with their bytes."""
    kept = []
    for piece in pieces:
        if among(held, runs(read(text, piece), OVERLAP_WORDS)).any():
            counts[OVERLAP] += 1
            counts[OVERLAP_BYTES] += piece.size
        else:
            kept.append(piece)
    return kept


def among(known: Hashes, found: Hashes) -> npt.NDArray[np.bool_]:
    """Which of `found` are in `known`, which is in rising order."""
    if not len(known):
        return np.zeros(len(found), dtype=bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, found), len(known) - 1)] == found)


def _rows(path: Path, dtype: str, width: int) -> npt.NDArray[np.uint32]:
    return np.fromfile(path, dtype=dtype).reshape(-1, width)

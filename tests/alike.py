"""Whether a stream's versions are exchangeable: are neighbours among its blocks more alike than blocks far apart, and
does each version have as much in common with held-out text?

Where blocks are dealt singly, neither differs by more than chance. Where pieces of a document stay together, its blocks
are neighbours, a version is a clump of topics, and which version comes last matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from repro.data.stream import Stream

LAGS = (1, 2, 3)
"""Blocks apart, of neighbours."""
FAR = 1000
"""Blocks apart, at least, of those that are not; a tenth of a version where that is less."""
GRAM = 8
"""Tokens in a row that count as common to two texts."""
PAIRS = 4000
"""Pairs of blocks that are compared, at most, for each distance."""


@dataclass(frozen=True)
class Likeness:
    """Cosine of two blocks' token counts, mean over pairs of one version."""

    near: tuple[float, ...]
    """By lag."""
    far: float
    error: float
    """Standard error of a difference between a lag and `far`."""

    @property
    def excess(self) -> float:
        """The largest difference to blocks far apart, in standard errors."""
        return max(abs(each - self.far) for each in self.near) / self.error


def likeness(stream: Stream, version: int, lags: Sequence[int] = LAGS) -> Likeness:
    """Of the blocks of a version (from 1), in the stream's order."""
    start = sum(stream.version_blocks[: version - 1])
    count = stream.version_blocks[version - 1]
    far = min(FAR, count // 10)
    firsts = np.linspace(0, count - far - 1, min(PAIRS, count - far)).astype(np.int64)
    apart = _cosines(stream, start + firsts, start + firsts + far)
    near = [_cosines(stream, start + firsts, start + firsts + lag) for lag in lags]
    spread = np.sqrt(apart.var(ddof=1) + max(each.var(ddof=1) for each in near))
    return Likeness(
        tuple(float(each.mean()) for each in near), float(apart.mean()), float(spread / np.sqrt(len(firsts)))
    )


def overlap(stream: Stream, *, so_far: bool = False) -> npt.NDArray[np.float64]:
    """Share of the held-out blocks' runs of `GRAM` tokens that occur in a version's training blocks: (versions,).

    Args:
        so_far: in those of the versions before it, too.
    """
    held = np.unique(np.concatenate([_runs(stream.heldout(v).blocks) for v in range(1, stream.versions + 1)]))
    shares, start, met = [], 0, np.zeros(len(held), bool)
    for count in stream.version_blocks:
        trained = np.unique(_runs(stream.blocks(np.arange(start, start + count))))
        here = np.isin(held, trained, assume_unique=True)
        met |= here
        shares.append((met if so_far else here).mean())
        start += count
    return np.asarray(shares)


def _cosines(stream: Stream, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    a, b = (_counts(stream.blocks(ids)[:, 1:], stream.vocab_size) for ids in (one, other))
    return np.asarray((a * b).sum(axis=1))


def _counts(blocks: npt.NDArray[np.int64], vocabulary: int) -> npt.NDArray[np.float32]:
    """How often each token occurs in each block, as vectors of length 1."""
    counts = np.zeros((len(blocks), vocabulary), np.float32)
    np.add.at(counts, (np.arange(len(blocks))[:, None], blocks), 1)
    return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True))


def _runs(blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Hashes of all runs of `GRAM` tokens within blocks."""
    windows = np.lib.stride_tricks.sliding_window_view(blocks.astype(np.uint64), GRAM, axis=1)
    total = np.zeros(windows.shape[:2], np.uint64)
    for place in range(GRAM):
        total = total * np.uint64(0x9E3779B97F4A7C15) + windows[..., place] + np.uint64(1)
        total ^= total >> np.uint64(29)
    return total.ravel()

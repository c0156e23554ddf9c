"""Which training blocks each step sees: a pure function of the seed and the step.

An order knows nothing of learning rates. Blocks are numbered through the stream, version after version.
"""

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from repro.common.registry import Registry


class Blocks(Hashable, Protocol):
    """What an order needs to know of a version stream (`repro.data.stream`)."""

    @property
    def version_blocks(self) -> Sequence[int]:
        """Training blocks of each version, version 1 first."""
        ...

    def batch_digests(self, ids: Callable[[int, int], NDArray[np.int64]], name: str, steps: int) -> NDArray[np.void]:
        """Content identity of an order's first batches: shape (steps,), dtype V16.

        Args:
            ids: block ids of the steps from one number to another, (steps, batch size).
            name: tells orders apart where there are no blocks to take digests of.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """A sequence of batches."""

    label: ClassVar[str]
    """What readers call it."""

    seed: int
    batch_size: int
    """Blocks of a batch."""

    @classmethod
    def until(cls, version: int, *, seed: int, batch_size: int) -> "Order":
        """The order in which data of versions 1 to `version` are read."""
        return cls(seed=seed, batch_size=batch_size)

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        """Block ids of the steps `start` to `stop` - 1, shape (steps, batch_size)."""
        raise NotImplementedError

    def reads_last(self, stream: Blocks, start: int, stop: int) -> int | None:
        """The first of the steps `start` to `stop` - 1 that reads the last version's data; None: none does."""
        new = (self.batches(stream, start, stop) >= sum(stream.version_blocks[:-1])).any(axis=1)
        return start + int(np.argmax(new)) if new.any() else None

    def unread(self, stream: Blocks) -> Sequence[int]:
        """Of each version, new blocks that are left over though its steps would reach them."""
        return [0] * len(stream.version_blocks)

    def digests(self, stream: Blocks, steps: int) -> NDArray[np.void]:
        """Content identity of the first batches: shape (steps,), dtype V16."""
        # Whole versions, so that trajectories of all lengths share one computation.
        ends = list(itertools.accumulate(blocks // self.batch_size for blocks in stream.version_blocks))
        whole = next((end for end in ends if end >= steps), steps)
        return _digests(self, stream, whole)[:steps]


ORDERS: Registry[type[Order]] = Registry("paradigm.order")
"""Orders by the name that `paradigm.order` chooses them by."""


class Consecutive(Order):
    """Version after version: which step reads the last one's data is known without shuffling any."""

    def reads_last(self, stream: Blocks, start: int, stop: int) -> int | None:
        first = max(start, sum(blocks // self.batch_size for blocks in stream.version_blocks[:-1]))
        return first if first < stop else None


@ORDERS.register("arrival")
@dataclass(frozen=True, kw_only=True)
class Arrival(Consecutive):
    """Version after version, each shuffled by itself."""

    label = "in order of arrival"

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        parts = []
        first = step = 0
        for blocks in stream.version_blocks:
            steps = blocks // self.batch_size
            low, high = max(start - step, 0), min(stop - step, steps)
            if low < high:
                ids = permutation(self.seed, 1, first, first + blocks)
                parts.append(ids.reshape(-1, self.batch_size)[low:high])
            first, step = first + blocks, step + steps
        return np.concatenate(parts)


@ORDERS.register("mixed")
@dataclass(frozen=True, kw_only=True)
class Mixed(Order):
    """Versions 1 to k shuffled together. Of version 1 alone, that is its order of arrival: see `until`."""

    label = "old and new data mixed"

    versions: int
    """k"""

    @classmethod
    def until(cls, version: int, *, seed: int, batch_size: int) -> Order:
        # So that every recipe's version 1 can be one run.
        if version == 1:
            return Arrival(seed=seed, batch_size=batch_size)
        return cls(seed=seed, batch_size=batch_size, versions=version)

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        ids = permutation(self.seed, self.versions, 0, sum(stream.version_blocks[: self.versions]))
        return ids[start * self.batch_size : stop * self.batch_size].reshape(-1, self.batch_size)


@ORDERS.register("replay")
@dataclass(frozen=True, kw_only=True)
class Replay(Consecutive):
    """In order of arrival, but for so many old blocks in every batch from version 2 on.

    Old blocks come from all versions before, shuffled anew for each version and, where one round of them does not do,
    for each round. New ones are the first of the version's own shuffle.
    """

    label = "in order of arrival, with replay"

    old: int = 0
    """Blocks of a batch that come from earlier versions."""

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        parts = []
        first = step = 0
        for version, blocks in enumerate(stream.version_blocks, start=1):
            steps = blocks // self.batch_size
            low, high = max(start - step, 0), min(stop - step, steps)
            if low < high:
                old = self.old if version > 1 else 0
                new = self.batch_size - old
                mine = permutation(self.seed, 1, first, first + blocks)[low * new : high * new].reshape(-1, new)
                again = self._drawn(version, first, low * old, high * old).reshape(high - low, old)
                parts.append(np.concatenate([mine, again], axis=1))
            first, step = first + blocks, step + steps
        return np.concatenate(parts)

    def unread(self, stream: Blocks) -> Sequence[int]:
        later = (blocks // self.batch_size * self.old for blocks in stream.version_blocks[1:])
        return [0, *later]

    def _drawn(self, version: int, known: int, start: int, stop: int) -> NDArray[np.int64]:
        """Old blocks from one place to another of the rounds that a version draws."""
        if start == stop:
            return np.empty(0, np.int64)
        rounds = range(start // known, (stop - 1) // known + 1)
        drawn = np.concatenate([replayed(self.seed, version, number, known) for number in rounds])
        return drawn[start - rounds.start * known : stop - rounds.start * known]


@dataclass(frozen=True, kw_only=True)
class Reshuffled(Order):
    """Another order, but for a stretch of steps whose blocks are shuffled once more: a second branch over one branch's
    data."""

    label = "shuffled once more"

    base: Order
    first: int
    last: int
    """The steps `first` to `last` - 1."""
    draw: int
    """Which of its shuffles."""

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        ids = self.base.batches(stream, start, stop).copy()
        low, high = max(start, self.first), min(stop, self.last)
        if low < high:
            stretch = self.base.batches(stream, self.first, self.last).ravel()
            again = stretch[_shuffled([self.seed, 2, self.first, self.draw], len(stretch))].reshape(-1, self.batch_size)
            ids[low - start : high - start] = again[low - self.first : high - self.first]
        return ids


@lru_cache(maxsize=64)
def replayed(seed: int, version: int, number: int, known: int) -> NDArray[np.int64]:
    """The ids below `known`, shuffled for one round of a version's replay; read-only."""
    ids = _shuffled([seed, 0, version, number], known)
    ids.setflags(write=False)
    return ids


@lru_cache(maxsize=64)
def permutation(seed: int, mixed: int, first: int, stop: int) -> NDArray[np.int64]:
    """The ids `first` to `stop` - 1, shuffled; read-only.

    Args:
        mixed: how many versions are shuffled together; part of the seed.
    """
    ids = first + _shuffled([seed, mixed, first], stop - first)
    ids.setflags(write=False)
    return ids


def _shuffled(draw: Sequence[int], count: int) -> NDArray[np.int64]:
    """0 to `count` - 1, as the numbers `draw` decide."""
    # NumPy keeps PCG64's raw stream stable but not permutation(); sorting random keys depends on the former alone.
    keys = np.random.PCG64(np.random.SeedSequence(draw)).random_raw(count)
    order = np.argsort(keys)  # several times as fast as a stable sort, and the same but for keys that are equal
    ranked = keys[order]
    if (ranked[1:] == ranked[:-1]).any():
        order = np.argsort(keys, kind="stable")
    return order.astype(np.int64)


@lru_cache(maxsize=256)
def _digests(order: Order, stream: Blocks, steps: int) -> NDArray[np.void]:
    digests = stream.batch_digests(lambda start, stop: order.batches(stream, start, stop), repr(order), steps)
    digests.setflags(write=False)
    return digests

"""A run as a trajectory: an initialization, then for each step a learning rate and a batch.

Two trajectories that agree on the initialization and on the first s steps are the same training up to s. The
prefix key at s says so: a SHA-256 over the initialization's identity and what each of the s steps does (the exact
bits of its learning rate, the content of its batch, whether the optimizer is reset first). It hashes effects, not
spellings: names, total lengths and source text never enter it.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from repro.recipes.schedules import Curve, rates

STEP = np.dtype([("lr", "<f8"), ("batch", "V16"), ("reset", "<u8")])
"""What one step does, as it is hashed: 32 bytes."""

Key = str
"""Hex digits of a prefix key."""


class Blocks(Protocol):
    """What a trajectory needs to know of a version stream (`repro.data.stream.Stream`)."""

    versions: int
    blocks_per_version: int

    @property
    def stand_in(self) -> Callable[[str, int], NDArray[np.void]] | None:
        """Where there are no data to plan with: distinct stand-ins for an order's first batches."""
        ...

    @property
    def block_digests(self) -> NDArray[np.uint8]:
        """(blocks, 16): content identity of each training block."""
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """A sequence of training blocks, a pure function of the seed.

    `arrival` visits version after version, each shuffled by itself; `mixed` shuffles versions 1..k together.
    Mixing version 1 alone is its arrival order, so that every paradigm's version 1 can be one run.
    """

    seed: int
    batch_size: int
    mixed: int | None = None
    """k, the number of versions shuffled together; None: arrival order."""

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        """Block ids of the steps `start` to `stop` - 1, shape (steps, batch_size)."""
        if self.mixed is not None and self.mixed > 1:
            ids = _permutation(self.seed, self.mixed, 0, self.mixed * stream.blocks_per_version)
            return ids[start * self.batch_size : stop * self.batch_size].reshape(-1, self.batch_size)
        per_version = stream.blocks_per_version // self.batch_size
        parts = []
        for version in range(start // per_version, -(-stop // per_version)):
            first = version * stream.blocks_per_version
            ids = _permutation(self.seed, 1, first, first + stream.blocks_per_version).reshape(-1, self.batch_size)
            low, high = start - version * per_version, stop - version * per_version
            parts.append(ids[max(low, 0) : min(high, per_version)])
        return np.concatenate(parts)


@lru_cache(maxsize=64)
def _permutation(seed: int, mixed: int, first: int, stop: int) -> NDArray[np.int64]:
    # NumPy keeps PCG64's raw stream stable but not permutation(); sorting random keys depends on the former alone.
    keys = np.random.PCG64(np.random.SeedSequence([seed, mixed, first])).random_raw(stop - first)
    ids = first + np.argsort(keys, kind="stable").astype(np.int64)
    ids.setflags(write=False)
    return ids


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Consecutive steps under one curve."""

    steps: int
    curve: Curve
    reset_optimizer: bool = False
    """Whether AdamW forgets its moments and its step count before the first step."""


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The training that ends in one version of one run."""

    identity: str
    """Canonical JSON of what fixes the initialization and the update rule."""
    numerics: str
    """Canonical JSON of everything that may change bits."""
    order: Order
    phases: tuple[Phase, ...]

    def __len__(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def learning_rates(self) -> NDArray[np.float64]:
        """(steps,)"""
        return np.concatenate([rates(p.curve, 0, p.steps) for p in self.phases])

    @property
    def resets(self) -> NDArray[np.bool_]:
        """(steps,): whether the optimizer is reset before the step."""
        flags = np.zeros(len(self), dtype=np.bool_)
        step = 0
        for phase in self.phases:
            flags[step] |= phase.reset_optimizer
            step += phase.steps
        return flags

    def records(self, stream: Blocks) -> NDArray[np.void]:
        """What each step does: shape (steps,), dtype `STEP`."""
        records = np.empty(len(self), dtype=STEP)
        records["lr"] = self.learning_rates
        records["reset"] = self.resets
        records["batch"] = _batch_digests(self.order, stream, len(self))
        return records


class PrefixChain:
    """A chained hash on its way along the records of a trajectory; a copy can go another way."""

    def __init__(self, seed: tuple[str, ...]) -> None:
        self._hash = hashlib.sha256(json.dumps(seed).encode())
        self._done = 0

    def key(self, records: bytes, step: int) -> Key:
        """The prefix key at `step`, no earlier than the one before."""
        stop = step * STEP.itemsize
        assert self._done <= stop <= len(records)
        self._hash.update(memoryview(records)[self._done : stop])
        self._done = stop
        return self._hash.hexdigest()

    def copy(self) -> "PrefixChain":
        other = copy.copy(self)
        other._hash = self._hash.copy()
        return other


def _batch_digests(order: Order, stream: Blocks, steps: int) -> NDArray[np.void]:
    digests = _all_batch_digests(order, _Same(stream), -(-steps * order.batch_size // stream.blocks_per_version))
    return digests[:steps]


class _Same:
    """Hashes a stream by identity, so that it can stand in a cache's key."""

    def __init__(self, stream: Blocks) -> None:
        self.stream = stream

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.stream is self.stream

    def __hash__(self) -> int:
        return id(self.stream)


@lru_cache(maxsize=256)
def _all_batch_digests(order: Order, same: _Same, versions: int) -> NDArray[np.void]:
    """Content identity of the batches of the first `versions` versions: shape (steps,), dtype V16."""
    stream = same.stream
    steps = versions * stream.blocks_per_version // order.batch_size
    if stream.stand_in is not None:
        return stream.stand_in(f"{order.seed} {order.mixed}", steps)
    blocks = stream.block_digests
    digests = [
        hashlib.blake2b(blocks[ids].tobytes(), digest_size=16).digest() for ids in order.batches(stream, 0, steps)
    ]
    return np.frombuffer(b"".join(digests), dtype="V16")

"""A run as a trajectory: an initialization, then for each step a learning rate and a batch.

Two trajectories that agree on the initialization and the first s steps are the same training up to s. The
prefix key at s says so: a SHA-256 over the initialization's identity and what each of the s steps does (the exact
bits of its learning rate, the content of its batch, whether the optimizer is reset first). It hashes effects, not
spellings: names, total lengths and source text never enter it.
"""

import copy
import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.recipes.orders import Blocks, Order
from repro.recipes.schedules import Curve, rates

STEP = np.dtype([("lr", "<f8"), ("batch", "V16"), ("reset", "<u8")])
"""What one step does, as it is hashed: 32 bytes."""

Key = str
"""Hex digits of a prefix key."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Consecutive steps under one curve."""

    steps: int
    curve: Curve
    reset_optimizer: bool = False
    """Whether the optimizer forgets its moments and its step count before the first step."""
    skip: int = 0
    """Steps of the curve that are over before the phase begins."""
    order: Order | None = None
    """An order of its own; None: the trajectory's."""


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
        return np.concatenate([rates(p.curve, p.skip, p.skip + p.steps) for p in self.phases])

    @property
    def resets(self) -> NDArray[np.bool_]:
        """(steps,): whether the optimizer is reset before the step."""
        flags = np.zeros(len(self), dtype=np.bool_)
        step = 0
        for phase in self.phases:
            flags[step] |= phase.reset_optimizer
            step += phase.steps
        return flags

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        """Block ids of the steps `start` to `stop` - 1, shape (steps, batch size)."""
        spans = (order.batches(stream, max(first, start), min(last, stop)) for order, first, last in self._spans()
                 if max(first, start) < min(last, stop))  # fmt: skip
        return np.concatenate(list(spans))

    def records(self, stream: Blocks) -> NDArray[np.void]:
        """What each step does: shape (steps,), dtype `STEP`."""
        records = np.empty(len(self), dtype=STEP)
        records["lr"] = self.learning_rates
        records["reset"] = self.resets
        for order, first, last in self._spans():
            records["batch"][first:last] = order.digests(stream, last)[first:last]
        return records

    def _spans(self) -> list[tuple[Order, int, int]]:
        """Each phase's order, with the steps at which the phase begins and ends."""
        spans, step = [], 0
        for phase in self.phases:
            spans.append((phase.order or self.order, step, step + phase.steps))
            step += phase.steps
        return spans


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

"""A run as a trajectory: an initialization, then for each step a learning rate and a batch.

Two trajectories that agree on the initialization and the first s steps are the same training up to s. The
prefix key at s says so: a SHA-256 over the initialization's identity and what each of the s steps does (the exact
bits of its learning rate, the content of its batch, whether the optimizer is reset first). It hashes effects, not
spellings: names, total lengths and source text never enter it.

Weights may also be derived from other weights, by an operation and without a step; such weights are keyed by the
operation and their parents' keys. Training may go on from them: then their key stands where the initialization's
identity stands alone, and keys form a Merkle graph.
"""

import copy
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from repro.common.canonical import digest
from repro.config.settings import ModelSettings
from repro.recipes.operations import Operation
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
    """Training from an initialization, random or derived, to its end.

    Steps are numbered from the random initialization, also where training starts from derived weights: those lie at
    the step that their latest parent had reached (`origin`). The phases say what happens from there on; batches are
    the order's from that step on, so that data seen by then are not read again.
    """

    identity: str
    """Canonical JSON of what fixes the initialization and the update rule."""
    numerics: str
    """Canonical JSON of everything that may change bits."""
    order: Order
    phases: tuple[Phase, ...]
    model: ModelSettings | None = None
    """What is trained, where it is not the run's own model; `identity` says so too."""
    start: "Derived | None" = None
    """Weights that it starts from. The optimizer starts afresh, unless the operation gives its state (its `files`).
    None: a random initialization."""

    def __len__(self) -> int:
        """Steps of its own, from `origin` on."""
        return sum(phase.steps for phase in self.phases)

    @property
    def origin(self) -> int:
        """The step at which it starts."""
        return 0 if self.start is None else self.start.end

    @property
    def end(self) -> int:
        """The step at which it ends."""
        return self.origin + len(self)

    @property
    def training(self) -> "Trajectory":
        """See `Derived.training`."""
        return self

    def until(self, step: int) -> "Trajectory":
        """The same training, cut at an earlier step."""
        assert self.origin < step <= self.end, (self.origin, step, self.end)
        phases, left = [], step - self.origin
        for phase in self.phases:
            if left:
                phases.append(replace(phase, steps=min(phase.steps, left)))
                left -= phases[-1].steps
        return replace(self, phases=tuple(phases))

    @property
    def learning_rates(self) -> NDArray[np.float64]:
        """(len(self),)"""
        return np.concatenate([rates(p.curve, p.skip, p.skip + p.steps) for p in self.phases])

    @property
    def resets(self) -> NDArray[np.bool_]:
        """(len(self),): whether the optimizer is reset before the step."""
        flags = np.zeros(len(self), dtype=np.bool_)
        step = 0
        for phase in self.phases:
            flags[step] |= phase.reset_optimizer
            step += phase.steps
        return flags

    def batches(self, stream: Blocks, start: int, stop: int) -> NDArray[np.int64]:
        """Block ids of the steps `start` to `stop` - 1, counted as `origin` is; shape (steps, batch size)."""
        spans = (order.batches(stream, max(first, start), min(last, stop)) for order, first, last in self._spans()
                 if max(first, start) < min(last, stop))  # fmt: skip
        return np.concatenate(list(spans))

    def reads_last(self, stream: Blocks) -> int | None:
        """The first of its own steps that reads the last version's data; None: none does."""
        found = (order.reads_last(stream, first, last) for order, first, last in self._spans() if first < last)
        return next((step for step in found if step is not None), None)

    def records(self, stream: Blocks) -> NDArray[np.void]:
        """What each of its own steps does: shape (len(self),), dtype `STEP`."""
        records = np.empty(len(self), dtype=STEP)
        records["lr"] = self.learning_rates
        records["reset"] = self.resets
        origin = self.origin
        for order, first, last in self._spans():
            records["batch"][first - origin : last - origin] = order.digests(stream, last)[first:last]
        return records

    def _spans(self) -> list[tuple[Order, int, int]]:
        """Each phase's order, with the steps at which the phase begins and ends."""
        spans, step = [], self.origin
        for phase in self.phases:
            spans.append((phase.order or self.order, step, step + phase.steps))
            step += phase.steps
        return spans


@dataclass(frozen=True)
class Derived:
    """Weights made by an operation on other weights, not by training."""

    operation: Operation
    parents: "tuple[Product, ...]"
    """In the operation's order."""

    @cached_property
    def end(self) -> int:
        """The step at which they lie: that of the latest parent."""
        return max(parent.end for parent in self.parents)

    @property
    def training(self) -> Trajectory:
        """The training whose end they stand for in curves and figures: that of the last parent."""
        at: Product = self
        while isinstance(at, Derived):
            at = at.parents[-1]
        return at


Product: TypeAlias = Trajectory | Derived
"""What a version is: the end of some training, or weights derived from such ends."""


def derived_key(operation: Operation, parents: Iterable[Key]) -> Key:
    """The key of derived weights: of the operation and the parents' keys, in order."""
    return digest(["derived", operation.identity, list(parents)])


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

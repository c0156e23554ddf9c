"""Learning rate as a pure function of the step within a cycle.

A cycle is `cycle` steps long, its steps are counted from 0, and every schedule hits its bounds exactly: warm-up
reaches the maximum at its last step; a decay leaves the maximum with its first step and reaches the minimum with the
cycle's last. A cycle may be cut before its end, which changes none of the steps before the cut.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from repro.common.errors import UserError
from repro.config.settings import ScheduleSettings, whole

MULTI_STEP_BOUNDS = ("0.8", "0.9")
"""Shares of the cycle at which the rate drops (DeepSeek LLM, 2024)."""
MULTI_STEP_LEVEL = 0.316
"""The rate between the two drops, as a share of the maximum (DeepSeek LLM, 2024). After the second: the minimum."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A schedule of one cycle. Two curves that give the same rates are the same training, whatever they are called."""

    kind: str
    """`cosine`, `knee`, `multi_step` or `constant`."""
    cycle: int
    """Steps; ignored by `constant`."""
    max_lr: float
    min_lr: float
    warmup: int
    """Steps of linear warm-up at the start of the cycle."""
    bounds: tuple[int, ...]
    """Steps at which the curve changes: knee's end of exploration, multi-step's two drops."""

    def at(self, step: int) -> float:
        """Learning rate at `step` of the cycle."""
        if step < self.warmup:
            return self.max_lr * (step + 1) / self.warmup
        if self.kind == "constant":
            return self.max_lr
        if step >= self.cycle:
            return self.min_lr
        if self.kind == "cosine":
            share = self._decayed(step, self.warmup)
            return self._between((1 - math.cos(math.pi * share)) / 2)
        if self.kind == "knee":
            return self.max_lr if step < self.bounds[0] else self._between(self._decayed(step, self.bounds[0]))
        first, second = self.bounds
        if step < first:
            return self.max_lr
        return max(MULTI_STEP_LEVEL * self.max_lr, self.min_lr) if step < second else self.min_lr

    def _decayed(self, step: int, start: int) -> float:
        """Share of the decay of steps `start` to `cycle` - 1 that is done: above 0 at the first, 1 at the last."""
        return (step - start + 1) / (self.cycle - start)

    def _between(self, share: float) -> float:
        # Not max + share * (min - max): that misses the minimum by a rounding at share 1.
        return self.max_lr * (1 - share) + self.min_lr * share


def curve(settings: ScheduleSettings, cycle: int, *, warm: bool) -> Curve:
    """The curve of one cycle.

    Args:
        cycle: its length in steps.
        warm: whether it begins with the warm-up, as at a random initialization.

    Raises:
        UserError: a bound of the schedule is not a whole step, or warm-up is longer than the undecayed part.
    """
    bounds: tuple[int, ...] = ()
    if settings.kind == "knee":
        bounds = (whole("schedule.explore_share", settings.explore_share, cycle, "cycle", most=cycle - 1),)
    elif settings.kind == "multi_step":
        fractions = [Fraction(bound) for bound in MULTI_STEP_BOUNDS]
        multiple = math.lcm(*(bound.denominator for bound in fractions))
        if cycle % multiple:
            raise UserError(
                f"schedule=multi_step changes at {' and '.join(MULTI_STEP_BOUNDS)} of a cycle, and one of {cycle} "
                f"steps has no such whole steps; multiples of {multiple} have. A branch's cycle is paradigm.alpha "
                "times stream.steps_per_version."
            )
        bounds = tuple(int(bound * cycle) for bound in fractions)
    warmup = settings.warmup_steps if warm else 0
    limit = min((*bounds, cycle))
    if warmup > limit:
        raise UserError(
            f"schedule.warmup_steps={warmup} reaches into the decay of schedule={settings.kind}, which begins at step "
            f"{limit} of a cycle of {cycle}; at most {limit} works."
        )
    return Curve(
        kind=settings.kind,
        cycle=cycle,
        max_lr=settings.max_lr,
        min_lr=settings.floor_lr,
        warmup=warmup,
        bounds=bounds,
    )


def constant(settings: ScheduleSettings, *, warm: bool) -> Curve:
    """The maximum throughout: the main path, and an endless cycle."""
    return Curve(
        kind="constant",
        cycle=0,
        max_lr=settings.max_lr,
        min_lr=settings.floor_lr,
        warmup=settings.warmup_steps if warm else 0,
        bounds=(),
    )


@lru_cache(maxsize=4096)
def rates(curve: Curve, start: int, stop: int) -> NDArray[np.float64]:
    """Learning rates of the steps `start` to `stop` - 1 of the cycle, read-only.

    Evaluated one by one with the C library's cosine: a vectorised one may differ between processors in the last bit.
    """
    if curve.kind == "constant" and start >= curve.warmup:
        values = np.full(stop - start, curve.max_lr)
    else:
        values = np.array([curve.at(step) for step in range(start, stop)], dtype=np.float64)
    values.setflags(write=False)
    return values

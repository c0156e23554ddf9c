"""Learning rate as a pure function of the step within a cycle.

A cycle is `cycle` steps long, its steps are counted from 0, and every schedule hits its bounds exactly: warm-up
reaches the maximum at its last step; a decay leaves the maximum with its first step and reaches the minimum with the
cycle's last. A cycle may be cut before its end, which changes none of the steps before the cut.

A schedule is a class with its own settings as fields: how long it holds the maximum, and how it falls from there.
"""

import math
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from repro.common.errors import UserError
from repro.config.checks import choice, share
from repro.config.exact import MULTIPLE, STEPS, fraction, same, whole
from repro.config.registries import SCHEDULES
from repro.config.settings import ScheduleSettings, Settings

MULTI_STEP_BOUNDS = ("0.8", "0.9")
"""Shares of the cycle at which the rate drops (DeepSeek LLM, 2024)."""
MULTI_STEP_LEVEL = 0.316
"""The rate between the two drops, as a share of the maximum (DeepSeek LLM, 2024). After the second: the minimum."""


@dataclass(frozen=True, kw_only=True)
class Schedule(ScheduleSettings):
    """How the rate moves within a cycle: held at the maximum, then decayed to the minimum."""

    label: ClassVar[str]
    """What readers call it."""
    source: ClassVar[str] = ""
    """Where it comes from: a paper, or `standard`."""
    marker: ClassVar[str] = "x"
    """Its points in figures, as matplotlib names markers."""
    line: ClassVar["str | tuple[int, tuple[int, ...]]"] = "-"
    """Its curves in figures."""

    def held(self, cycle: int) -> int:
        """Steps of a cycle before its decay begins, fewer than `cycle`.

        Raises:
            UserError: that is no whole number; the message gives values that work.
        """
        return 0

    def check_decay(self, steps: int) -> None:
        """Refuse a decay that cannot be as long as this.

        Raises:
            UserError
        """

    def falling(self, done: float, high: float, low: float) -> float:
        """The rate where a share `done` of the decay is done: above 0 at its first step, exactly 1 at its last.

        Args:
            high, low: the rates that the decay leads from and to; `low` has to be reached exactly, also if it is 0.
        """
        raise NotImplementedError

    def step_multiple(self) -> int:
        """Cycles of which every share that the schedule takes is whole: those of a multiple of so many steps.

        Shares are the settings declared as such; a schedule that takes others says so here.
        """
        shares = ((one, getattr(self, one.name)) for one in fields(self) if "share" in one.metadata)
        wholes = (
            fraction(f"schedule.{one.name}", value).denominator
            for one, value in shares
            if value is not None and value != (one.metadata["word"] or None)
        )
        return math.lcm(1, *wholes)

    @property
    def own_settings(self) -> dict[str, str]:
        """The settings that only this schedule has, as written, where they are not its defaults."""
        shared = {one.name for one in fields(ScheduleSettings)}
        own = ((f"schedule.{one.name}", getattr(self, one.name), one) for one in fields(self) if one.name not in shared)
        return {name: str(value) for name, value, one in own if not same(name, value, one.default)}

    # What recipes are built from

    def cycle(self, steps: int, *, warm: bool, high: float | None = None, low: float | None = None) -> "Curve":
        """One whole cycle.

        Args:
            warm: whether it begins with the warm-up, as at a random initialization.
            high, low: other rates than the maximum and the minimum to begin and to end with.

        Raises:
            UserError: a bound of the schedule is not a whole step, or warm-up is longer than the undecayed part.
        """
        held = self.held(steps)
        self.check_decay(steps - held)
        warmup = self.warmup_steps if warm else 0
        limit = held or steps - 1  # a step at least to decay in
        if warmup > limit:
            reaches = (
                f"reaches into the decay of schedule={self.kind}, which begins at step {limit} of a cycle of {steps}"
            )
            leaves = f"leaves schedule={self.kind} nothing to decay in of a cycle of {steps} steps"
            raise UserError(
                f"schedule.warmup_steps={warmup} {reaches if held else leaves}; at most {limit} works.",
                works={"schedule.warmup_steps": str(limit)},
            )
        return self._curve(max(held, warmup), steps, warmup, high, low)

    def rewarmed(self, steps: int, rewarm: int) -> "Curve":
        """A cycle that is first warmed up again, from the minimum to the maximum over `rewarm` steps.

        Raises:
            UserError: as `cycle`.
        """
        held = self.held(steps)
        self.check_decay(steps - held)
        most = held or steps - 1
        if rewarm > most:
            raise UserError(
                f"paradigm.rewarm_steps={rewarm} leaves schedule={self.kind} no decay in a cycle of {steps} steps, or "
                f"too short a one; at most {most} works.",
                works={"paradigm.rewarm_steps": str(most)},
            )
        return replace(self._curve(max(held, rewarm), steps, rewarm, None, None), warm_from=self.floor_lr)

    def decay(self, steps: int, *, high: float | None = None, low: float | None = None) -> "Curve":
        """The decay alone, over all `steps`.

        Raises:
            UserError: it cannot be as long as this.
        """
        self.check_decay(steps)
        return self._curve(0, steps, 0, high, low)

    def constant(self, *, warm: bool, high: float | None = None) -> "Curve":
        """The maximum throughout: the main path, and an endless cycle."""
        return self._curve(None, 0, self.warmup_steps if warm else 0, high, None)

    def _curve(self, held: int | None, cycle: int, warmup: int, high: float | None, low: float | None) -> "Curve":
        high = self.max_lr if high is None else high
        low = self.floor_lr if low is None else low
        return Curve(schedule=self, high=high, low=low, held=held, cycle=cycle, warmup=warmup)


def schedule(settings: Settings) -> Schedule:
    """The schedule that settings choose."""
    assert isinstance(settings.schedule, Schedule)
    return settings.schedule


def between(high: float, low: float, share: float) -> float:
    """The rate a share of the way down from `high` to `low`."""
    # Not high + share * (low - high): that misses the minimum by a rounding at share 1.
    return high * (1 - share) + low * share


@SCHEDULES.register("cosine")
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from the maximum to the minimum."""

    label = "cosine"
    source = "standard"
    marker, line = "o", "-"

    def falling(self, done: float, high: float, low: float) -> float:
        return between(high, low, (1 - math.cos(math.pi * done)) / 2)


@SCHEDULES.register("knee")
@dataclass(frozen=True, kw_only=True)
class Knee(Schedule):
    """Explore at the maximum, then a linear decay."""

    label = "Knee"
    source = "Iyer et al., Wide-minima Density Hypothesis and the Explore-Exploit Learning Rate Schedule"
    marker, line = "s", "--"

    explore_share: str = share(0, 1, "0.5", open_high=True)
    """Share of the cycle spent at the maximum (assumed about the paper)."""

    def held(self, cycle: int) -> int:
        return whole("schedule.explore_share", self.explore_share, cycle, "cycle", most=cycle - 1)

    def falling(self, done: float, high: float, low: float) -> float:
        return between(high, low, done)


@SCHEDULES.register("multi_step")
@dataclass(frozen=True, kw_only=True)
class MultiStep(Schedule):
    """The maximum until 80 % of a cycle, 31.6 % of it until 90 %, then the minimum."""

    label = "multi-step"
    source = "DeepSeek LLM, 2024"
    marker, line = "^", ":"

    def held(self, cycle: int) -> int:
        bounds = [Fraction(bound) for bound in MULTI_STEP_BOUNDS]
        multiple = math.lcm(*(bound.denominator for bound in bounds))
        if cycle % multiple:
            raise UserError(
                f"schedule=multi_step changes at {' and '.join(MULTI_STEP_BOUNDS)} of a cycle, and one of {cycle} "
                f"steps has no such whole steps; multiples of {multiple} have. A branch's cycle is paradigm.alpha "
                "times stream.steps_per_version.",
                works={STEPS: MULTIPLE},
            )
        return int(bounds[0] * cycle)

    def step_multiple(self) -> int:
        return math.lcm(2, *(Fraction(bound).denominator for bound in MULTI_STEP_BOUNDS))

    def check_decay(self, steps: int) -> None:
        if steps % 2:
            raise UserError(
                f"schedule=multi_step decays in two halves, and a decay of {steps} steps has none; an even number has.",
                works={STEPS: MULTIPLE},
            )

    def falling(self, done: float, high: float, low: float) -> float:
        return max(MULTI_STEP_LEVEL * high, low) if done <= 0.5 else low


@SCHEDULES.register("constant")
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The maximum throughout, after warm-up."""

    label = "constant"
    source = "standard"
    marker, line = "D", "-."

    def cycle(self, steps: int, *, warm: bool, high: float | None = None, low: float | None = None) -> "Curve":
        if warm and self.warmup_steps > steps:
            raise UserError(
                f"schedule.warmup_steps={self.warmup_steps} is longer than a cycle of {steps} steps.",
                works={"schedule.warmup_steps": str(steps)},
            )
        return self.constant(warm=warm, high=high)

    def rewarmed(self, steps: int, rewarm: int) -> "Curve":
        return self.constant(warm=False)

    def decay(self, steps: int, *, high: float | None = None, low: float | None = None) -> "Curve":
        return self.constant(warm=False, high=high)


@SCHEDULES.register("linear")
@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """A straight line from the maximum to the minimum."""

    label = "linear"
    source = "2502.15938"
    marker, line = "v", (0, (4, 1, 1, 1))

    def falling(self, done: float, high: float, low: float) -> float:
        return between(high, low, done)


@SCHEDULES.register("sqrt")
@dataclass(frozen=True, kw_only=True)
class Sqrt(Schedule):
    """1 - sqrt of the share that is done: fast at first, slow at the end."""

    label = "1 - sqrt"
    source = "2405.18392"
    marker, line = "P", (0, (3, 1))

    def falling(self, done: float, high: float, low: float) -> float:
        return between(high, low, math.sqrt(done))


EXPONENTIAL_FLOOR = 0.01
"""exponential: the ratio of its curve's ends where the minimum is lower, so that a minimum of 0 is reached too."""


@SCHEDULES.register("exponential")
@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """The same factor at every step; toward a minimum of 0, the same curve shifted down to it."""

    label = "exponential"
    source = "2404.06395"
    marker, line = "X", (0, (1, 1))

    def falling(self, done: float, high: float, low: float) -> float:
        if done == 1:
            return low
        ratio = max(low / high, EXPONENTIAL_FLOOR)
        return between(high, low, (1 - ratio**done) / (1 - ratio)) if ratio < 1 else high


@SCHEDULES.register("wsd")
@dataclass(frozen=True, kw_only=True)
class Wsd(Schedule):
    """Warm-up, stable, decay: the maximum for all but the last share of a cycle."""

    label = "WSD"
    source = "2404.06395"
    marker, line = "*", (0, (6, 1, 1, 1))

    decay_share: str = share(0, 1, "0.1", open_low=True)
    """Share of the cycle that decays."""
    decay_shape: str = choice(("linear", "sqrt", "exponential", "cosine"), "linear")
    """The schedule whose decay it is."""

    def held(self, cycle: int) -> int:
        return cycle - whole("schedule.decay_share", self.decay_share, cycle, "cycle", most=cycle)

    def falling(self, done: float, high: float, low: float) -> float:
        shape = SCHEDULES[self.decay_shape]
        assert issubclass(shape, Schedule)
        return shape.falling(self, done, high, low)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One cycle under a schedule. Two curves that give the same rates are the same training, whatever made them."""

    schedule: Schedule
    high: float
    low: float
    """The rates that it leads from and to."""
    held: int | None
    """Steps before the decay begins; None: it never does."""
    cycle: int
    """Steps; of no meaning where there is no decay."""
    warmup: int
    """Steps of linear warm-up at the start of the cycle."""
    warm_from: float = 0.0
    """The rate that the warm-up leads away from."""

    def at(self, step: int) -> float:
        """Learning rate at `step` of the cycle."""
        high, low = self.high, self.low
        if step < self.warmup - 1:
            if not self.warm_from:
                return high * (step + 1) / self.warmup
            return between(self.warm_from, high, (step + 1) / self.warmup)
        if self.held is None or step < self.held:
            return high  # at the end of warm-up, too: high * warmup / warmup may miss it by a rounding
        if step >= self.cycle:
            return low
        return self.schedule.falling((step - self.held + 1) / (self.cycle - self.held), high, low)


@lru_cache(maxsize=4096)
def rates(curve: Curve, start: int, stop: int) -> NDArray[np.float64]:
    """Learning rates of the steps `start` to `stop` - 1 of the cycle, read-only.

    Evaluated one by one with the C library's cosine: a vectorised one may differ between processors in the last bit.
    """
    if curve.held is None and start >= curve.warmup:
        values = np.full(stop - start, curve.high)
    else:
        values = np.array([curve.at(step) for step in range(start, stop)], dtype=np.float64)
    values.setflags(write=False)
    return values


def leaves_the_maximum(name: str) -> bool:
    """Whether a schedule ever decays; what nothing registered is taken to."""
    return name not in SCHEDULES or getattr(SCHEDULES[name], "falling", None) is not Schedule.falling

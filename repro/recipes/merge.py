"""Merging on the trunk: one main path at the maximum, and every version a weighted mean of its last checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

from repro.common.errors import UserError
from repro.config.checks import choice, share, within
from repro.config.exact import fraction, whole
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.operations import mean
from repro.recipes.recipe import Releases
from repro.recipes.schedules import rates
from repro.recipes.trajectory import Derived
from repro.recipes.trunk import Trunk


@RECIPES.register("merge")
@dataclass(frozen=True, kw_only=True)
class Merge(Trunk):
    """The mean of `count` checkpoints of the trunk, equally spaced over the last `window` T_k steps, the last one at
    the end of version k's data.

    A mean in place of a decay: with checkpoints theta_0 to theta_n, a decay that left the updates as they are but
    scaled those between theta_{j-1} and theta_j by r_j would end at

        theta_0 + sum_j r_j (theta_j - theta_{j-1}) = sum_j (r_j - r_{j+1}) theta_j, with r_0 = 1 and r_{n+1} = 0.

    `weights=decay` takes those of the schedule's own decay over the window: r_j is its rate, as a share of the maximum,
    on average over the interval. So a merge is compared with the branch that it is the dual of (2507.17634).
    """

    label = "merge"
    mechanism = "A main path at the maximum; each version is a mean of its last checkpoints, in place of a decay."
    sources: ClassVar[tuple[str, ...]] = ("2507.17634", "2505.12082")
    lawful = False
    colour = "#AA4499"
    decays = True  # what its means stand for: they are compared with decayed versions
    told_apart_by = ("window", "count", "weights")

    window: str = share(0, 1, "0.2", open_low=True)
    """From the first checkpoint to the last, in units of T_k."""
    count: int = within(2, 32, 6)
    """Checkpoints."""
    weights: str = choice(("uniform", "decay"), "uniform")
    """`uniform`, or the dual of the schedule's decay over the window."""

    def product(self, releases: Releases, version: int) -> Derived:
        trunk = releases.trajectory(self.phases(releases, version), self.data_order(releases, version))
        steps = self.steps(releases, version)
        weights = self.dual(releases, steps) if self.weights == "decay" else [Fraction(1, self.count)] * self.count
        return Derived(mean(weights), tuple(trunk.until(step) for step in steps))

    def step_multiple(self, settings: Settings) -> int:
        intervals = fraction("paradigm.window", self.window) / (self.count - 1)
        return math.lcm(super().step_multiple(settings), intervals.denominator)

    def steps(self, releases: Releases, version: int) -> Sequence[int]:
        """Steps of the checkpoints that a version is the mean of.

        Raises:
            UserError: they are not whole, or lie within the warm-up.
        """
        new, intervals = releases.steps[version - 1], self.count - 1
        window = whole("paradigm.window", self.window, new, most=new)
        if window % intervals:
            below = window // intervals
            near = [steps * intervals for steps in (below, below + 1) if 0 < steps * intervals <= new]
            nearest = " or ".join(str(Fraction(steps, new)) for steps in near)
            raise UserError(
                f"paradigm.window={self.window} of {new} steps is {window} steps, which do not divide into {intervals} "
                f"equal intervals between paradigm.count={self.count} checkpoints. "
                + (f"What works: paradigm.window={nearest}; or a " if near else "What works: a ")
                + f"count of {' or '.join(str(n + 1) for n in range(1, min(window, 31) + 1) if window % n == 0)}."
            )
        last = releases.until(version)
        first, earliest = last - window, max(releases.schedule.warmup_steps, 1)
        if first < earliest:
            raise UserError(
                f"paradigm.window={self.window} makes version {version} a mean from step {first} on, before step "
                f"{earliest}, where schedule.warmup_steps={releases.schedule.warmup_steps} is over; a window of at "
                f"most {Fraction(last - earliest, new)} works."
            )
        return range(first, last + 1, window // intervals)

    def dual(self, releases: Releases, steps: Sequence[int]) -> list[float]:
        """The weight of each checkpoint, so that their mean stands for the schedule's decay.

        Raises:
            UserError: the schedule has no such decay.
        """
        schedule, first = releases.schedule, steps[0]
        decay = rates(schedule.decay(steps[-1] - first), 0, steps[-1] - first).tolist()
        if decay[-1] == schedule.max_lr:
            raise UserError(
                f"paradigm.weights=decay needs a schedule that decays, and schedule={schedule.kind} with a minimum of "
                f"{schedule.floor_lr:g} does not; another schedule, or paradigm.weights=uniform works."
            )
        # Exactly rounded sums: they enter keys.
        left = [math.fsum(decay[a - first : b - first]) / (b - a) / schedule.max_lr for a, b in pairwise(steps)]
        return [before - after for before, after in pairwise([1.0, *left, 0.0])]

    def name_parts(self) -> list[str]:
        return [self.kind, f"w{self.window}", f"n{self.count}", self.weights]

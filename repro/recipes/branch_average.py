"""Averages inside a branch: path switching whose versions are means of their branch's last checkpoints."""

import math
from dataclasses import dataclass
from typing import ClassVar

from repro.common.errors import UserError
from repro.config.checks import share, within
from repro.config.exact import fraction, whole
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.operations import mean
from repro.recipes.path_switching import PathSwitching
from repro.recipes.recipe import Releases
from repro.recipes.trajectory import Derived


@RECIPES.register("branch_average")
@dataclass(frozen=True, kw_only=True)
class BranchAverage(PathSwitching):
    """The mean of `average_count` checkpoints, equally spaced over the last `average_share` of the branch."""

    label = "branch average"
    mechanism = "Path switching; each version is the mean of its branch's last checkpoints."
    sources: ClassVar[tuple[str, ...]] = ("2306.03241", "2502.06761")
    lawful = False
    colour = "#882255"
    told_apart_by: ClassVar[tuple[str, ...]] = ("alpha", "branch", "branch_share", "average_share", "average_count")

    average_share: str = share(0, 1, "0.2", open_low=True)
    """From the first checkpoint to the last, in units of the branch."""
    average_count: int = within(2, 32, 4)
    """Checkpoints."""

    def product(self, releases: Releases, version: int) -> Derived:
        trajectory = super().product(releases, version).training
        branch, intervals = self.branch_steps(releases, version), self.average_count - 1
        window = whole("paradigm.average_share", self.average_share, branch, "a branch", most=branch)
        if window % intervals:
            counts = ", ".join(str(n + 1) for n in range(1, min(window, 31) + 1) if window % n == 0)
            raise UserError(
                f"paradigm.average_share={self.average_share} of a branch of {branch} steps is {window} steps, which "
                f"do not divide into the {intervals} equal intervals between paradigm.average_count="
                f"{self.average_count} checkpoints; a count of {counts} works."
            )
        steps = range(trajectory.end - window, trajectory.end + 1, window // intervals)
        if steps.start < (first := max(1, releases.schedule.warmup_steps)):
            raise UserError(
                f"paradigm.average_share={self.average_share} of a branch of {branch} steps begins at step "
                f"{steps.start} of version {version}, and its first checkpoint can be at step {first}, after the "
                "warm-up; a smaller share works."
            )
        return Derived(mean([1 / self.average_count] * self.average_count), tuple(map(trajectory.until, steps)))

    def step_multiple(self, settings: Settings) -> int:
        """T of which the intervals between checkpoints are whole, too."""
        branch = self.alpha if self.branch_share is None else self.branch_share
        window = fraction("paradigm.alpha", branch) * fraction("paradigm.average_share", self.average_share)
        return math.lcm(super().step_multiple(settings), (window / (self.average_count - 1)).denominator)

    def name_parts(self) -> list[str]:
        return [*super().name_parts(), f"m{self.average_share}", f"n{self.average_count}"]

"""Continual pre-training: every version from the one before, on new data only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.config.checks import Complaint, choice, within
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.schedules import Curve, leaves_the_maximum
from repro.recipes.trajectory import Phase


@RECIPES.register("cpt")
@dataclass(frozen=True, kw_only=True)
class Cpt(Recipe):
    """k full cycles, of T_1 to T_k steps."""

    label = "CPT"
    mechanism = "Every version goes on from the one before with a full cycle on the new data."
    sources = ("2410.04103", "2403.08763", "2407.07263")
    colour = "#D55E00"
    told_apart_by = ("start", "rewarm_steps")

    start: str = choice(("max", "previous_end"), "max")
    """Where an update's cycle begins: at the maximum (assumed about the paper), or at the rate that the version before
    ended with, from which it falls by the same factor again (2407.07263)."""
    rewarm_steps: int = within(0, 10**7, 0)
    """Steps in which an update is first warmed up again, from the minimum to the maximum (2403.08763)."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.start == "previous_end" and self.rewarm_steps:
            yield f"paradigm.start=previous_end has no second warm-up; paradigm.rewarm_steps={self.rewarm_steps} has."
        schedule = settings.schedule.kind
        never_leaves = not leaves_the_maximum(schedule)
        if self.rewarm_steps and never_leaves:
            yield Complaint.of(
                f"schedule={schedule} never leaves the maximum, so that paradigm.rewarm_steps={self.rewarm_steps} "
                "would change nothing; another schedule works, or leave it out.",
                paradigm__rewarm_steps=0,
            )
        if self.start == "previous_end" and never_leaves:
            yield Complaint.of(
                f"schedule={schedule} never leaves the maximum, at which paradigm.start=previous_end would go on; "
                "another schedule works, or paradigm.start=max.",
                paradigm__start="max",
            )
        elif self.start == "previous_end" and settings.schedule.floor_lr == 0:
            yield "paradigm.start=previous_end goes on from the minimum, and with schedule.min_lr=0 there is nothing."

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, reset = releases.schedule, not self.carry_optimizer
        first, *later = releases.steps[:version]
        updates = [self._update(releases, number, steps) for number, steps in enumerate(later, start=1)]
        return [
            Phase(steps=first, curve=schedule.cycle(first, warm=True)),
            *(Phase(steps=t, curve=c, reset_optimizer=reset) for t, c in zip(later, updates, strict=True)),
        ]

    def _update(self, releases: Releases, number: int, steps: int) -> Curve:
        """The curve of an update, counted from 1."""
        schedule = releases.schedule
        if self.rewarm_steps:
            return schedule.rewarmed(steps, self.rewarm_steps)
        if self.start == "max":
            return schedule.cycle(steps, warm=False)
        factor = schedule.floor_lr / schedule.max_lr
        high = schedule.max_lr * factor**number
        return schedule.cycle(steps, warm=False, high=high, low=high * factor)

    def name_parts(self) -> list[str]:
        start = [] if self.start == "max" else [self.start]
        return [self.kind, *start, *([f"rewarm{self.rewarm_steps}"] if self.rewarm_steps else [])]

"""Falling cosines: continual pre-training whose cycles begin lower and lower, where one long cosine would stand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.schedules import between
from repro.recipes.trajectory import Phase


@RECIPES.register("falling_cosine")
@dataclass(frozen=True, kw_only=True)
class FallingCosine(Recipe):
    """Version k's cycle begins where one cosine over versions 1 to k stands when version k's data begin."""

    label = "falling cosines"
    mechanism = "CPT whose cycle for version k begins where one cosine over versions 1 to k would stand by then."
    sources = ("2504.02107",)
    colour = "#8C564B"

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, phases = releases.schedule, []
        for number, steps in enumerate(releases.steps[:version], start=1):
            done = (releases.until(number) - steps) / releases.until(number)
            high = between(schedule.max_lr, schedule.floor_lr, (1 - math.cos(math.pi * done)) / 2)
            curve = schedule.cycle(steps, warm=number == 1, high=high)
            phases.append(Phase(steps=steps, curve=curve, reset_optimizer=number > 1 and not self.carry_optimizer))
        return phases

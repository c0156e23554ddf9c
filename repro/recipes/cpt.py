"""Continual pre-training: every version from the one before, on new data only."""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.trajectory import Phase


@RECIPES.register("cpt")
@dataclass(frozen=True, kw_only=True)
class Cpt(Recipe):
    """k full cycles, of T_1 to T_k steps."""

    label = "CPT"
    mechanism = "Every version goes on from the one before with a full cycle on the new data."
    sources = ("2410.04103",)
    colour = "#D55E00"

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, reset = releases.schedule, not self.carry_optimizer
        first, *later = releases.steps[:version]
        return [
            Phase(steps=first, curve=schedule.cycle(first, warm=True)),
            *(Phase(steps=t, curve=schedule.cycle(t, warm=False), reset_optimizer=reset) for t in later),
        ]

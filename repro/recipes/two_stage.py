"""Two stages: how a checkpoint is prepared, and how training goes on from it; for the paper's studies of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.config.checks import share
from repro.config.exact import whole
from repro.config.registries import RECIPES
from repro.config.settings import AUTO, Settings
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.schedules import Curve
from repro.recipes.trajectory import Phase

ENDLESS = "endless"
"""A cycle that never decays: the learning rate stays at the maximum."""


@RECIPES.register("two_stage")
@dataclass(frozen=True, kw_only=True)
class TwoStage(Recipe):
    """A cycle cut at T_1 steps, then another cut at T_2 steps on the next version's data."""

    label = "two stages"
    mechanism = "A cycle cut at T steps, then another cut at T steps on the next version's data."
    sources = ("2410.04103",)
    asked = False
    colour = "#CC79A7"
    told_apart_by = ("first_cycle", "second_cycle")

    first_cycle: str = share(0, 1000, ENDLESS, open_low=True, word=ENDLESS)
    """Cycle of the first stage in units of T_1, or `endless`."""
    second_cycle: str = share(0, 1000, "1", open_low=True, word=ENDLESS)
    """Cycle of the second stage in units of T_2, or `endless`."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if settings.stream.versions != AUTO and settings.stream.versions < 2:
            yield f"paradigm.kind=two_stage needs stream.versions of at least 2, not {settings.stream.versions}."

    @property
    def fixed(self) -> int:
        return 2

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        first, second = releases.steps[:2]
        stages = [
            Phase(steps=first, curve=_stage(releases, "first_cycle", self.first_cycle, first, warm=True)),
            Phase(
                steps=second,
                curve=_stage(releases, "second_cycle", self.second_cycle, second, warm=False),
                reset_optimizer=not self.carry_optimizer,
            ),
        ]
        return stages[:version]

    def name_parts(self) -> list[str]:
        return [self.kind, self.first_cycle, self.second_cycle]


def _stage(releases: Releases, name: str, cycle: str, steps: int, *, warm: bool) -> Curve:
    if cycle == ENDLESS:
        return releases.schedule.constant(warm=warm)
    return releases.schedule.cycle(whole(f"paradigm.{name}", cycle, steps), warm=warm)

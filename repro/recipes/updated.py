"""The next update of each release of another recipe: how plastic its releases are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from repro.common.registry import suggestion
from repro.config.checks import Complaining
from repro.config.registries import RECIPES
from repro.config.settings import ParadigmSettings, Settings
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Derived, Phase, Product


@RECIPES.register("updated")
@dataclass(frozen=True, kw_only=True)
class Updated(Recipe):
    """Version k is the other recipe's version k - 1 after one full cycle over version k's data, as CPT would update it.

    So all are updated alike, with a complete decay, and differ in what was there to be updated. Version 1 is the other
    recipe's own. From derived weights the optimizer starts afresh.
    """

    label = "next update"
    mechanism = "Another recipe's version k - 1 after one full cycle on version k's data: what it leaves possible."
    sources: ClassVar[tuple[str, ...]] = ("2410.04103", "2505.07796")
    lawful = False
    asked = False
    colour = "#666633"
    told_apart_by: ClassVar[tuple[str, ...]] = ("of",)

    of: str = "path_switching"
    """The other recipe, with its own defaults."""

    @property
    def other(self) -> Recipe:
        """The recipe whose releases are updated."""
        cls = RECIPES.find(self.of)
        assert issubclass(cls, Recipe)
        return cls(kind=self.of, carry_optimizer=self.carry_optimizer, replay=self.replay)

    def adapted(self, settings: Settings) -> Settings:
        if self._unfit:
            return settings  # `complaints` says so
        theirs = self.other.adapted(replace(settings, paradigm=self.other))
        return replace(theirs, paradigm=self)

    def shared(self, settings: Settings) -> Settings:
        return replace(self.other.shared(settings), paradigm=self)

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self._unfit:
            known = [name for name in RECIPES if name != self.kind]
            near = suggestion(self.of, known)
            yield f"paradigm.of={self.of!r} is no recipe to update; {near}choose one of {', '.join(known)}."
            return
        other: ParadigmSettings = self.other
        if isinstance(other, Complaining):
            yield from other.complaints(replace(settings, paradigm=other))

    @property
    def fixed(self) -> int | None:
        return None if self._unfit else self.other.fixed

    def product(self, releases: Releases, version: int) -> Product:
        before = self.other.product(releases, max(version - 1, 1))
        if version == 1:
            return before
        steps = releases.steps[version - 1]
        cycle = Phase(
            steps=steps,
            curve=releases.schedule.cycle(steps, warm=False),
            reset_optimizer=not self.carry_optimizer and not isinstance(before, Derived),
            order=self.data_order(releases, version),
        )
        if isinstance(before, Derived):
            return releases.trajectory([cycle], start=before)
        return replace(before, phases=(*before.phases, cycle))

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        return self.product(releases, version).training.phases

    def step_multiple(self, settings: Settings) -> int:
        return self.other.step_multiple(replace(settings, paradigm=self.other))

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        """The training of the release that is updated, then the update; of derived weights the update alone."""
        end = sum(phase.steps for phase in phases[version - 1])
        if version == 1:
            return [("start", 0, end)]
        before = end - phases[version - 1][-1].steps
        rows: list[Segment] = [("start", 0, before), ("branch", before, end)]
        return [row for row in rows if row[1] < row[2]]

    def name_parts(self) -> list[str]:
        return [self.kind, self.of]

    @property
    def _unfit(self) -> bool:
        return self.of == self.kind or self.of not in RECIPES

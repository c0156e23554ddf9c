"""The trunk itself: every version released undecayed, to be fine-tuned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase


@RECIPES.register("trunk")
@dataclass(frozen=True, kw_only=True)
class Trunk(Recipe):
    """The maximum throughout: version k is the main path at the end of its data.

    Not compared with decayed versions in PPL, which would mislead; it is the arm that is decayed by fine-tuning alone.
    """

    label = "undecayed trunk"
    mechanism = "Every version is the main path at the end of its data, without any decay."
    sources: ClassVar[tuple[str, ...]] = ("2603.16127",)
    colour = "#999933"
    decays = False
    carries = False

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        return [Phase(steps=releases.until(version), curve=releases.schedule.constant(warm=True))]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        before = phases[version - 2][0].steps if version > 1 else 0
        return [("trunk", before, phases[version - 1][0].steps)]

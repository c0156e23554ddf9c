"""Versions as they were some steps before their end: what a measure averaged over a run's last checkpoints is made of.

From the project's root, with nothing trained but what PTFS, CPT and path switching are trained for anyway:

    PYTHONPATH=docs/examples/checkpoints python -m repro.train study=headline scale=proxy extensions=[earlier] \
        'hydra.searchpath=[file://docs/examples/checkpoints/conf]' paradigm=earlier \
        paradigm.of=ptfs,cpt,path_switching paradigm.before=0,20,40,60,80 stream.versions=2 \
        seed=300,301,302,303,304,305,306,307 ledger.path=results/checkpoints/proxy/data -m

Then `python docs/examples/checkpoints/averaged.py results/checkpoints` says what averaging gives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from repro.config.checks import Complaint, within
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.recipe import Releases, Segment
from repro.recipes.trajectory import Phase, Trajectory
from repro.recipes.updated import Updated


@RECIPES.register("earlier")
@dataclass(frozen=True, kw_only=True)
class Earlier(Updated):
    """Another recipe's versions, cut some steps before their end. Later versions go on from where it always does."""

    label = "earlier checkpoint"
    mechanism = "Another recipe's version as it was some steps before its end."
    sources: ClassVar[tuple[str, ...]] = ("2410.04103",)
    colour = "#999933"
    told_apart_by: ClassVar[tuple[str, ...]] = ("of", "before")

    before: int = within(0, 10**7, 0)
    """Steps before the version's end."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        yield from super().complaints(settings)
        if self.before >= (least := min(settings.stream.steps)):
            yield Complaint.of(
                f"paradigm.before={self.before} leaves nothing of a version of {least} steps; fewer work.",
                paradigm__before=0,
            )

    def product(self, releases: Releases, version: int) -> Trajectory:
        whole = self.other.product(releases, version).training
        return whole.until(whole.end - self.before)

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        return self.other.segments(phases, version)

    def name_parts(self) -> list[str]:
        return [*super().name_parts(), f"before{self.before}"]

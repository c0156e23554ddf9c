"""Pre-training from scratch: every version from a random initialization, on old and new data together."""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.config.registries import RECIPES
from repro.recipes.orders import ORDERS, Order
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase


@RECIPES.register("ptfs")
@dataclass(frozen=True, kw_only=True)
class Ptfs(Recipe):
    """One full cycle over the data of versions 1 to k."""

    label = "PTFS"
    mechanism = "Every version is pre-trained from scratch on old and new data, with one full cycle."
    sources = ("2410.04103",)
    colour = "#0072B2"
    told_apart_by = ("order",)

    order: str = "mixed"
    """`mixed` (old and new blocks shuffled together), `arrival` (stream order), or another of `orders.ORDERS`."""

    def data_order(self, releases: Releases, version: int) -> Order:
        return releases.order(ORDERS.find(self.order), version)

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        steps = releases.until(version)
        return [Phase(steps=steps, curve=releases.schedule.cycle(steps, warm=True))]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        return [("start", 0, phases[version - 1][0].steps)]

    def name_parts(self) -> list[str]:
        return [self.kind] if self.order == "mixed" else [self.kind, self.order]

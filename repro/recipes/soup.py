"""A soup: several branches off one main path, over the same data in other orders, averaged."""

from dataclasses import dataclass, replace
from typing import ClassVar

from repro.config.checks import within
from repro.config.registries import RECIPES
from repro.recipes.operations import mean
from repro.recipes.orders import Reshuffled
from repro.recipes.path_switching import PathSwitching
from repro.recipes.recipe import Releases
from repro.recipes.trajectory import Derived


@RECIPES.register("soup")
@dataclass(frozen=True, kw_only=True)
class Soup(PathSwitching):
    """The mean of `branches` branches; the first is path switching's own."""

    label = "soup"
    mechanism = "Path switching with several branches over other orders of the same data; each version is their mean."
    sources: ClassVar[tuple[str, ...]] = ("2203.05482", "2501.00656")
    lawful = False
    colour = "#661100"
    told_apart_by: ClassVar[tuple[str, ...]] = ("alpha", "branch", "branch_share", "branches")

    branches: int = within(2, 32, 3)
    """How many."""

    def product(self, releases: Releases, version: int) -> Derived:
        first = super().product(releases, version).training
        *trunk, branch = first.phases
        order = first.order
        others = []
        for draw in range(1, self.branches):
            shuffled = Reshuffled(
                seed=order.seed,
                batch_size=order.batch_size,
                base=order,
                first=first.end - branch.steps,
                last=first.end,
                draw=draw,
            )
            others.append(replace(first, phases=(*trunk, replace(branch, order=shuffled))))
        return Derived(mean([1 / self.branches] * self.branches), (*others, first))

    def name_parts(self) -> list[str]:
        return [*super().name_parts(), f"x{self.branches}"]

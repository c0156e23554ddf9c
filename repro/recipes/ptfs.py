"""Pre-training from scratch: every version from a random initialization, on old and new data together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from repro.common.errors import UserError
from repro.config.checks import choice, share
from repro.config.exact import fraction
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.orders import ORDERS, Mixed, Order
from repro.recipes.path_switching import PathSwitching
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase

PLAIN = {"order": "mixed", "curve": "cycle"}
"""PTFS as the paper has it, whatever most runs are: in another order it is a twin, with another curve a control."""


@RECIPES.register("ptfs")
@dataclass(frozen=True, kw_only=True)
class Ptfs(Recipe):
    """One full cycle over the data of versions 1 to k."""

    label = "PTFS"
    mechanism = "Every version is pre-trained from scratch on old and new data, with one full cycle."
    sources = ("2410.04103",)
    colour = "#0072B2"
    told_apart_by = ("order", "curve")
    controls = ("curve",)
    lacks: ClassVar[Mapping[str, str]] = {"replay": "reads all old data as it is"}

    order: str = "mixed"
    """`mixed` (old and new blocks shuffled together), `arrival` (stream order), or another of `orders.ORDERS`."""

    curve: str = choice(("cycle", "path_switching"), "cycle")
    """`cycle`: one full cycle. `path_switching`: the maximum, and path switching's own branch at the end, with its
    settings alpha, branch and branch_share. It tells the order of the data from the shape of the schedule."""
    alpha: str = share(0, 1, "0.6", open_low=True)
    """As of path switching, for its curve."""
    branch: str = choice(("decay", "cycle"), "decay")
    """The same."""
    branch_share: str | None = share(0, 1, None, open_low=True)
    """The same."""

    @property
    def mixes(self) -> bool:
        return issubclass(ORDERS.get(self.order, Order), Mixed)

    @property
    def retrains(self) -> bool:
        return all(getattr(self, name) == value for name, value in PLAIN.items())

    @property
    def carries(self) -> bool:
        return self.curve == "path_switching"

    def adapted(self, settings: Settings) -> Settings:
        """Without what its curve does not ask for, so that a sweep over it has one such run."""
        if self.curve == "path_switching":
            return settings
        plain = Ptfs(kind=self.kind, carry_optimizer=self.carry_optimizer, replay=self.replay, order=self.order)
        return replace(settings, paradigm=plain)

    def data_order(self, releases: Releases, version: int) -> Order:
        if fraction("paradigm.replay", self.replay):
            raise UserError(
                f"paradigm.replay={self.replay}: paradigm=ptfs reads all old data as it is; leave replay out of it."
            )
        if self.order == "replay":
            raise UserError("paradigm.order=replay is chosen by paradigm.replay, of the recipes that update a model.")
        return releases.order(ORDERS.find(self.order), version)

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        if self.curve == "path_switching":
            return self._switching.phases(releases, version)
        steps = releases.until(version)
        return [Phase(steps=steps, curve=releases.schedule.cycle(steps, warm=True))]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        return [("start", 0, sum(phase.steps for phase in phases[version - 1]))]

    def name_parts(self) -> list[str]:
        order = [] if self.order == "mixed" else [self.order]
        return [self.kind, *order, *(self._switching.name_parts() if self.curve == "path_switching" else [])]

    @property
    def own_settings(self) -> dict[str, str]:
        return super().own_settings | (self._switching.own_settings if self.curve == "path_switching" else {})

    @property
    def _switching(self) -> PathSwitching:
        return PathSwitching(
            kind="path_switching",
            carry_optimizer=self.carry_optimizer,
            alpha=self.alpha,
            branch=self.branch,
            branch_share=self.branch_share,
        )

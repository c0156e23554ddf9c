"""WSD: a trunk at the maximum, and for every version a decay over a share of all steps so far."""

from dataclasses import dataclass

from repro.config.checks import share
from repro.config.registries import RECIPES
from repro.recipes.path_switching import PathSwitching


@RECIPES.register("wsd")
@dataclass(frozen=True, kw_only=True)
class WsdBranches(PathSwitching):
    """Path switching whose branches grow with the run, as cooldowns are known to need."""

    label = "WSD"
    mechanism = "A trunk at the maximum; each version is a decay over a share of all steps so far."
    sources = ("2404.06395", "2405.18392")
    colour = "#56B4E9"
    told_apart_by = ("branch_share",)

    branch_share: str | None = share(0, 1, "0.1", open_low=True)
    """The branch's share of all steps so far."""

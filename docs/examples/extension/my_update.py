"""A schedule and a recipe of one's own, used without touching the suite's files.

From the project's root:

    PYTHONPATH=docs/examples/extension python -m repro.plan study=headline scale=smoke extensions=[my_update] \
        'hydra.searchpath=[file://docs/examples/extension/conf]' paradigm=ptfs,my_update schedule=one_minus_sqrt

repro.train, repro.finetune, repro.evaluate and repro.export take the same arguments, analysis.report `extensions=`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from repro.config.checks import share
from repro.config.exact import whole
from repro.config.registries import RECIPES, SCHEDULES
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.schedules import Schedule, between
from repro.recipes.trajectory import Phase


@SCHEDULES.register("one_minus_sqrt")
@dataclass(frozen=True, kw_only=True)
class OneMinusSqrt(Schedule):
    """The maximum, then a decay of the form 1 - sqrt; the YAML beside it sets a minimum of zero."""

    label = "1 - sqrt"
    source = "2405.18392"
    marker, line = "P", "--"

    decay_share: str = share(0, 1, "0.2", open_low=True)
    """Share of a cycle that decays."""

    def held(self, cycle: int) -> int:
        return cycle - whole("schedule.decay_share", self.decay_share, cycle, "cycle", most=cycle)

    def falling(self, done: float, high: float, low: float) -> float:
        return between(high, low, math.sqrt(done))


@RECIPES.register("my_update")
@dataclass(frozen=True, kw_only=True)
class MyUpdate(Recipe):
    """A main path at the maximum, and for every version a branch that only decays, over a share of all steps so far."""

    label = "my update"
    mechanism = "A main path at the maximum; each version is a decay over a share of all steps so far."
    sources = ("2405.18392",)
    colour = "#56B4E9"
    told_apart_by = ("branch",)

    branch: str = share(0, 1, "0.2", open_low=True)
    """The branch's share of all steps that lead to its version."""

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, steps = releases.schedule, releases.until(version)
        branch = whole("paradigm.branch", self.branch, steps, "steps so far", most=steps - schedule.warmup_steps)
        return [
            Phase(steps=steps - branch, curve=schedule.constant(warm=True)),
            Phase(steps=branch, curve=schedule.decay(branch), reset_optimizer=not self.carry_optimizer),
        ]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        before = phases[version - 2][0].steps if version > 1 else 0
        trunk, branch = phases[version - 1]
        return [("trunk", before, trunk.steps), ("branch", trunk.steps, trunk.steps + branch.steps)]

    def name_parts(self) -> list[str]:
        return [self.kind, f"b{self.branch}"]

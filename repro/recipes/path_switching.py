"""Path switching: one main path at the maximum, and for every version a branch with a fast, complete decay."""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.common.errors import UserError
from repro.config.checks import share
from repro.config.exact import whole
from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase


@RECIPES.register("path_switching")
@dataclass(frozen=True, kw_only=True)
class PathSwitching(Recipe):
    """The main path for all steps but the last alpha T_k, then a full cycle of alpha T_k steps."""

    label = "path switching"
    mechanism = "A main path at the maximum; each version leaves it for a branch with a fast, complete decay."
    sources = ("2410.04103",)
    colour = "#009E73"
    told_apart_by = ("alpha",)

    alpha: str = share(0, 1, "0.6", open_low=True)
    """The branch's share of a version's steps, in (0, 1]; the paper chose 0.6."""

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, steps = releases.schedule, releases.steps[version - 1]
        branch = whole("paradigm.alpha", self.alpha, steps, most=steps)
        trunk = releases.until(version) - branch
        warmup = schedule.warmup_steps
        if trunk == 0:
            return [Phase(steps=branch, curve=schedule.cycle(branch, warm=True))]
        if trunk < warmup:
            raise UserError(
                f"paradigm.alpha={self.alpha} makes version {version}'s branch leave the main path at step "
                f"{trunk}, within schedule.warmup_steps={warmup}; a warm-up of at most {trunk} steps, an alpha of at "
                f"most {1 - warmup / steps:g}, or alpha=1 works."
            )
        return [
            Phase(steps=trunk, curve=schedule.constant(warm=True)),
            Phase(
                steps=branch,
                curve=schedule.cycle(branch, warm=False),
                reset_optimizer=not self.carry_optimizer,
            ),
        ]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        *trunk, branch = phases[version - 1]
        leaves = sum(phase.steps for phase in trunk)
        before = phases[version - 2][0].steps if version > 1 else 0
        rows: list[Segment] = [
            ("trunk", before if leaves > before else 0, leaves),
            ("branch", leaves, leaves + branch.steps),
        ]
        return [row for row in rows if row[1] < row[2]]

    def name_parts(self) -> list[str]:
        return [self.kind, f"a{self.alpha}"]

"""Path switching: one main path at the maximum, and for every version a branch with a fast, complete decay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from repro.common.errors import UserError
from repro.config.checks import choice, share
from repro.config.exact import whole
from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase


@RECIPES.register("path_switching")
@dataclass(frozen=True, kw_only=True)
class PathSwitching(Recipe):
    """The main path for all steps but those of the branch, then the branch.

    How a Knee or multi-step branch is built is not known (docs/paper.md): both readings are assumed.
    """

    label = "path switching"
    mechanism = "A main path at the maximum; each version leaves it for a branch with a fast, complete decay."
    sources: ClassVar[tuple[str, ...]] = ("2410.04103",)
    colour = "#009E73"
    told_apart_by: ClassVar[tuple[str, ...]] = ("alpha", "branch", "branch_share")

    alpha: str = share(0, 1, "0.6", open_low=True)
    """The branch's share of a version's own steps, in (0, 1]; the paper chose 0.6."""
    branch: str = choice(("decay", "cycle"), "decay")
    """`decay`: all steps of the branch decay. `cycle`: it is a whole cycle, whose first part may be the main path."""
    branch_share: str | None = share(0, 1, None, open_low=True)
    """The branch's share of all steps so far, in place of alpha."""

    def branch_steps(self, releases: Releases, version: int) -> int:
        """Steps of a version's branch.

        Raises:
            UserError: that is no whole number.
        """
        steps = releases.steps[version - 1]
        if self.branch_share is None:
            return whole("paradigm.alpha", self.alpha, steps, most=steps)
        so_far = releases.until(version)
        return whole("paradigm.branch_share", self.branch_share, so_far, "steps so far", most=so_far)

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule, branch = releases.schedule, self.branch_steps(releases, version)
        trunk = releases.until(version) - branch
        warmup = schedule.warmup_steps
        if trunk == 0:
            return [Phase(steps=branch, curve=schedule.cycle(branch, warm=True))]
        if trunk < warmup:
            steps = releases.steps[version - 1]
            most = 1 - warmup / steps
            remedy = (f"an alpha of at most {most:g}, " if most > 0 else "") + "or alpha=1 works."
            raise UserError(
                f"{self._length} makes version {version}'s branch leave the main path at step {trunk}, within "
                f"schedule.warmup_steps={warmup}; a warm-up of at most {trunk} steps, "
                + (remedy if self.branch_share is None else "or a smaller share works."),
                works={"schedule.warmup_steps": str(trunk)},
            )
        decays = self.branch == "decay"
        return [
            Phase(steps=trunk, curve=schedule.constant(warm=True)),
            Phase(
                steps=branch,
                curve=schedule.decay(branch) if decays else schedule.cycle(branch, warm=False),
                reset_optimizer=not self.carry_optimizer,
            ),
        ]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        return trunk_and_branch(phases, version)

    def name_parts(self) -> list[str]:
        length = f"a{self.alpha}" if self.branch_share is None else f"b{self.branch_share}"
        return [self.kind, length] if self.branch == "decay" else [self.kind, length, self.branch]

    @property
    def own_settings(self) -> dict[str, str]:
        unused = "branch_share" if self.branch_share is None else "alpha"
        return {name: value for name, value in super().own_settings.items() if name != unused}

    @property
    def _length(self) -> str:
        if self.branch_share is None:
            return f"paradigm.alpha={self.alpha}"
        return f"paradigm.branch_share={self.branch_share}"


def trunk_and_branch(phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
    """What a version adds to its run's path where its last phase is a branch: a stretch of trunk, and the branch."""
    *trunk, branch = phases[version - 1]
    leaves = sum(phase.steps for phase in trunk)
    before = sum(phase.steps for phase in phases[version - 2][:-1]) if version > 1 else 0
    rows: list[Segment] = [
        ("trunk", before if leaves > before else 0, leaves),
        ("branch", leaves, leaves + branch.steps),
    ]
    return [row for row in rows if row[1] < row[2]]

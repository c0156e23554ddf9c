"""An infinite schedule: the trunk cools once to a constant below the maximum; every release anneals from there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.common.errors import UserError
from repro.config.checks import share
from repro.config.exact import fraction, whole
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.recipes.path_switching import trunk_and_branch
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.schedules import Cosine
from repro.recipes.trajectory import Phase


@RECIPES.register("infinite")
@dataclass(frozen=True, kw_only=True)
class Infinite(Recipe):
    """Warm-up, a cosine down to the constant, the constant; each version leaves it for a decay over alpha T_k."""

    label = "infinite schedule"
    mechanism = "A trunk that cools once to a constant below the maximum; each version anneals from it."
    sources = ("2503.02844",)
    colour = "#7F7F7F"
    told_apart_by = ("alpha", "constant_share", "cooldown_share")

    alpha: str = share(0, 1, "0.6", open_low=True, open_high=True)
    """The annealing's share of a version's own steps."""
    constant_share: str = share(0, 1, "0.5", open_low=True)
    """The constant, as a share of the maximum."""
    cooldown_share: str = share(0, 1, "0.4", open_low=True, open_high=True)
    """Share of T_1 that warm-up and cooling take together."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self._constant(settings.schedule.max_lr) < settings.schedule.floor_lr:
            yield f"paradigm.constant_share={self.constant_share} puts the constant below schedule.min_lr."

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        schedule = releases.schedule
        cool = whole("paradigm.cooldown_share", self.cooldown_share, releases.steps[0], most=releases.steps[0])
        branch = whole("paradigm.alpha", self.alpha, releases.steps[version - 1])
        trunk = releases.until(version) - branch
        if trunk < cool:
            raise UserError(
                f"paradigm.alpha={self.alpha} makes version {version} leave the trunk at step {trunk}, before it has "
                f"cooled at step {cool} (paradigm.cooldown_share={self.cooldown_share}); together they must not "
                "exceed 1."
            )
        if cool <= schedule.warmup_steps:
            raise UserError(
                f"paradigm.cooldown_share={self.cooldown_share} of version 1 is {cool} steps, in which "
                f"schedule.warmup_steps={schedule.warmup_steps} and the cooling after it have to fit; a larger share "
                "works, or a shorter warm-up."
            )
        high = self._constant(schedule.max_lr)
        cosine = Cosine(kind="cosine", max_lr=schedule.max_lr, min_lr=high, warmup_steps=schedule.warmup_steps)
        held = [Phase(steps=trunk - cool, curve=schedule.constant(warm=False, high=high))] if trunk > cool else []
        return [
            Phase(steps=cool, curve=cosine.cycle(cool, warm=True)),
            *held,
            Phase(
                steps=branch,
                curve=schedule.decay(branch, high=high),
                reset_optimizer=not self.carry_optimizer,
            ),
        ]

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        return trunk_and_branch(phases, version)

    def name_parts(self) -> list[str]:
        cooldown = [] if self.cooldown_share == type(self).cooldown_share else [f"cool{self.cooldown_share}"]
        return [self.kind, f"a{self.alpha}", f"c{self.constant_share}", *cooldown]

    def _constant(self, max_lr: float) -> float:
        return float(fraction("paradigm.constant_share", self.constant_share)) * max_lr

"""WSD-S: one path that decays at the end of every version, and goes on at the maximum from the decayed checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.common.errors import UserError
from repro.config.checks import share
from repro.config.exact import whole
from repro.config.registries import RECIPES
from repro.recipes.recipe import Recipe, Releases, Segment
from repro.recipes.trajectory import Phase


@RECIPES.register("wsd_s")
@dataclass(frozen=True, kw_only=True)
class WsdS(Recipe):
    """For every version: the maximum, then a decay over the last share of T_k; the next goes on from there."""

    label = "WSD-S"
    mechanism = "One path: the maximum, a decay at the end of each version, and back to the maximum from there."
    sources = ("2410.05192",)
    colour = "#E69F00"
    told_apart_by = ("decay_share",)

    decay_share: str = share(0, 1, "0.4", open_low=True, open_high=True)
    """Share of T_k that decays."""

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        phases: list[Phase] = []
        for steps in releases.steps[:version]:
            decay = whole("paradigm.decay_share", self.decay_share, steps, most=steps - 1)
            if not phases and steps - decay < releases.schedule.warmup_steps:
                raise UserError(
                    f"paradigm.decay_share={self.decay_share} leaves {steps - decay} steps of version 1, and "
                    f"schedule.warmup_steps={releases.schedule.warmup_steps} have to fit into them; a smaller share "
                    "works, or a shorter warm-up.",
                    works={"schedule.warmup_steps": str(steps - decay)},
                )
            held = releases.schedule.constant(warm=not phases)
            phases += [
                Phase(steps=steps - decay, curve=held, reset_optimizer=bool(phases) and not self.carry_optimizer),
                Phase(steps=decay, curve=releases.schedule.decay(decay)),
            ]
        return phases

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        end = sum(phase.steps for phase in phases[version - 1])
        return [("trunk", end - sum(phase.steps for phase in phases[version - 1][-2:]), end)]

    def name_parts(self) -> list[str]:
        return [self.kind, f"d{self.decay_share}"]

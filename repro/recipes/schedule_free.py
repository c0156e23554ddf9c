"""Schedule-free: a constant rate, and versions that are the optimizer's own running average."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.models.optimizers.adamw import AdamW
from repro.models.optimizers.schedule_free import ScheduleFreeAdamW
from repro.recipes.trunk import Trunk


@RECIPES.register("schedule_free")
@dataclass(frozen=True, kw_only=True)
class ScheduleFree(Trunk):
    """The trunk under schedule-free AdamW, beside runs of AdamW with the same constants."""

    label = "schedule-free"
    mechanism = (
        "A constant rate under schedule-free AdamW: each version is the optimizer's running average. Needs the extra "
        "`schedule_free`."
    )
    sources: ClassVar[tuple[str, ...]] = ("2405.15682",)
    packages: ClassVar[tuple[str, ...]] = ScheduleFreeAdamW.packages
    lawful = False
    colour = "#44AA99"
    decays = True  # its average stands for a decay

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if not isinstance(settings.optimizer, ScheduleFreeAdamW):
            yield (
                f"paradigm=schedule_free is a form of AdamW, and optimizer.kind={settings.optimizer.kind} another "
                "optimizer; leave the recipe out of a sweep under it, or give optimizer=adamw."
            )

    def adapted(self, settings: Settings) -> Settings:
        given = settings.optimizer
        if type(given) is not AdamW:
            return settings
        own = ScheduleFreeAdamW(
            kind="schedule_free",
            clip_norm=given.clip_norm,
            beta1=given.beta1,
            beta2=given.beta2,
            eps=given.eps,
            weight_decay=given.weight_decay,
        )
        return replace(settings, optimizer=own)

    def shared(self, settings: Settings) -> Settings:
        given = settings.optimizer
        if not isinstance(given, ScheduleFreeAdamW):
            return settings
        others = AdamW(
            kind="adamw",
            clip_norm=given.clip_norm,
            beta1=given.beta1,
            beta2=given.beta2,
            eps=given.eps,
            weight_decay=given.weight_decay,
        )
        return replace(settings, optimizer=others)

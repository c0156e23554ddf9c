"""Schedule-free AdamW, of its authors' package `schedulefree`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from repro.common.packages import remedy
from repro.config.checks import within
from repro.config.registries import OPTIMIZERS
from repro.config.settings import Settings
from repro.models.optimizers.adamw import AdamW
from repro.models.optimizers.optimizer import Updates

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRAINED = "y"


@OPTIMIZERS.register("schedule_free")
@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW(AdamW):
    """Iterates z, their running average x, and y between the two, where gradients are taken.

    A version is x: it is what is measured, exported and kept as the model. Training goes on from y and z, which are
    kept with the optimizer's state, since y computed again from x would differ in its last bits. The average's weights
    follow the largest learning rate so far, squared, so that warm-up counts less. It was made for schedule=constant;
    under another schedule the learning rate is that schedule's, and the average is taken all the same.
    """

    label = "schedule-free AdamW"
    sources = ("2405.15682",)
    packages = ("schedulefree",)
    kept = 3
    group_state = ("k", "weight_sum", "lr_max")

    beta1: float = within(1e-3, 1 - 1e-12, 0.9)
    """How near y is to x: 0 would be z."""
    average_power: float = within(0.0, 100.0, 0.0)
    """r: step k counts as k to this power in the average."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if find_spec("schedulefree") is None:
            yield (
                f"optimizer.kind=schedule_free needs the package schedulefree, which is not installed: "
                f"{remedy('schedule_free')}. Other optimizers, and recipes other than schedule_free, work without."
            )

    @property
    def identity(self) -> dict[str, Any]:
        return super().identity | {"kind": "schedule_free", "average_power": self.average_power}

    def build(self, model: PreTrainedModel) -> Updates:
        from schedulefree import AdamWScheduleFree

        updates: Updates = AdamWScheduleFree(
            self.groups(model.parameters()),
            lr=0.0,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            r=self.average_power,
        )
        return updates

    def reset(self, updates: Updates) -> None:
        """The average begins anew, at the average so far: z, y and x are the same again."""
        self.release(updates)
        super().reset(updates)
        for group in updates.param_groups:
            group.update(k=0, weight_sum=0.0, lr_max=-1.0)
        self.resume(updates)

    def resume(self, updates: Updates) -> None:
        import torch

        with torch.no_grad():
            for group in updates.param_groups:
                for parameter in group["params"]:
                    if TRAINED in updates.state.get(parameter, {}):
                        parameter.copy_(updates.state[parameter].pop(TRAINED))
                group["train_mode"] = True

    def release(self, updates: Updates) -> None:
        for group in updates.param_groups:
            for parameter in group["params"] if group["train_mode"] else ():
                if "z" in updates.state.get(parameter, {}):
                    updates.state[parameter][TRAINED] = parameter.detach().clone()
        updates.eval()  # type: ignore[attr-defined]

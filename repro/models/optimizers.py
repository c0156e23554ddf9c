"""Update rules: what makes the next weights of gradients, by name."""

from dataclasses import dataclass
from typing import Any, ClassVar

from repro.config.checks import positive, within
from repro.config.registries import OPTIMIZERS
from repro.config.settings import OptimizerSettings, Settings


@dataclass(frozen=True, kw_only=True)
class Optimizer(OptimizerSettings):
    """What every update rule has to say."""

    label: ClassVar[str]

    @property
    def identity(self) -> dict[str, Any]:
        """What of its settings decides the weights: part of every key."""
        raise NotImplementedError


@OPTIMIZERS.register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """AdamW. The defaults are LLaMA's own (assumed about the paper)."""

    label = "AdamW"

    beta1: float = within(0.0, 1 - 1e-12, 0.9)
    beta2: float = within(0.0, 1 - 1e-12, 0.95)
    eps: float = positive(1e-8)
    weight_decay: float = within(0.0, 1e6, 0.1)

    @property
    def identity(self) -> dict[str, Any]:
        # Without a kind: keys began when there was only this one.
        return {
            "beta1": self.beta1,
            "beta2": self.beta2,
            "eps": self.eps,
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
        }


def optimizer(settings: Settings) -> Optimizer:
    """The update rule that settings choose."""
    assert isinstance(settings.optimizer, Optimizer)
    return settings.optimizer

"""AdamW, torch's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from repro.config.checks import positive, within
from repro.config.registries import OPTIMIZERS
from repro.models.optimizers.optimizer import Optimizer, Updates

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@OPTIMIZERS.register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """AdamW. The defaults are LLaMA's own (assumed about the paper). Norms and biases are not decayed, as is usual."""

    label = "AdamW"
    sources: ClassVar[tuple[str, ...]] = ("1711.05101",)
    kept = 2

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

    def build(self, model: PreTrainedModel) -> Updates:
        import torch

        return torch.optim.AdamW(
            self.groups(model.parameters()), lr=0.0, betas=(self.beta1, self.beta2), eps=self.eps, fused=True
        )

    def groups(self, parameters: Iterable[torch.nn.Parameter]) -> list[dict[str, Any]]:
        """Those that are decayed, and those that are not."""
        every = list(parameters)
        return [
            {"params": [p for p in every if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
        ]

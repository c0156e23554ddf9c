"""Muon, torch's own, for the hidden layers' matrices; AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.config.checks import choice, within
from repro.config.registries import OPTIMIZERS
from repro.config.settings import Settings
from repro.models.optimizers.adamw import AdamW
from repro.models.optimizers.optimizer import Updates

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@OPTIMIZERS.register("muon")
@dataclass(frozen=True, kw_only=True)
class Muon(AdamW):
    """Momentum, orthogonalized by Newton-Schulz iterations.

    Embeddings, the output layer, norms, biases and whatever is not a matrix go to AdamW, with AdamW's constants. Both
    have the schedule's learning rate: `match_rms_adamw` scales Muon's updates to the size of AdamW's, so that one rate
    serves both. Weight decay is the same for both, too.
    """

    label = "Muon"
    sources = ("kellerjordan.github.io/posts/muon", "2502.16982")

    momentum: float = within(0.0, 1 - 1e-12, 0.95)
    nesterov: bool = True
    ns_steps: int = within(1, 99, 5)
    """Newton-Schulz iterations."""
    adjust_lr: str = choice(("match_rms_adamw", "original"), "match_rms_adamw")
    """How a matrix's shape scales its learning rate: 0.2 sqrt(max(rows, columns)), or sqrt(max(1, rows / columns))."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if settings.numerics.parallel == "fsdp" and settings.numerics.world_size > 1:
            yield (
                "optimizer.kind=muon orthogonalizes whole matrices, which numerics.parallel=fsdp shards; "
                "numerics.parallel=ddp would work."
            )

    @property
    def identity(self) -> dict[str, Any]:
        own = {
            "kind": "muon",
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "ns_steps": self.ns_steps,
            "adjust_lr": self.adjust_lr,
        }
        return super().identity | own

    def build(self, model: PreTrainedModel) -> Updates:
        import torch

        ours = matrices(model)
        known = set(map(id, ours))
        muon = torch.optim.Muon(
            ours,
            lr=0.0,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.ns_steps,
            adjust_lr_fn=self.adjust_lr,
        )
        others = self.groups(p for p in model.parameters() if id(p) not in known)
        adamw = torch.optim.AdamW(others, lr=0.0, betas=(self.beta1, self.beta2), eps=self.eps, fused=True)
        return Joint(muon, adamw)


def matrices(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """The hidden layers' matrices: two-dimensional, and neither embeddings nor the output layer's."""
    from torch import nn

    edges = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    if (output := model.get_output_embeddings()) is not None:
        edges.add(id(output.weight))
    return [p for p in model.parameters() if p.ndim == 2 and id(p) not in edges]


class Joint:
    """Optimizers of different parameters that step as one: one list of groups, one state."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.param_groups = [group for part in parts for group in part.param_groups]
        self.state = parts[0].state
        for part in parts:
            part.state = self.state

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()

"""What every update rule has to say: what makes the next weights of gradients, and what of it is kept.

The engine sets each group's learning rate at every step, and saves and restores all tensors and numbers of the
optimizer's state by the parameters' names: a rule that keeps its state where `torch.optim.Optimizer` keeps it is
resumed bit for bit without a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from repro.config.settings import OptimizerSettings, Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Updates(Protocol):
    """What the engine needs of a `torch.optim.Optimizer`."""

    param_groups: list[dict[str, Any]]
    state: Any
    """What each parameter has, by names: tensors, or numbers."""

    def step(self) -> Any: ...

    def zero_grad(self) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Optimizer(OptimizerSettings):
    """An update rule, with its own settings as fields; it adds itself to the registry."""

    label: ClassVar[str]
    """What readers call it."""
    sources: ClassVar[tuple[str, ...]] = ()
    """arXiv numbers and the like."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Whose versions its bits depend on, besides torch."""
    kept: ClassVar[int]
    """Numbers that a checkpoint holds for a weight besides the weight itself, at most."""
    group_state: ClassVar[tuple[str, ...]] = ()
    """What a parameter group has that changes from step to step: numbers, the same after a resumption."""

    @property
    def described(self) -> str:
        """In a ledger: its kind, and the settings in which it departs from the defaults: `adamw beta2=0.99`."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "kind"}
        usual = {each.name: each.default for each in fields(self)}
        return " ".join([self.kind, *(f"{name}={value}" for name, value in own.items() if value != usual[name])])

    @property
    def identity(self) -> dict[str, Any]:
        """What of its settings decides the weights: part of every key."""
        raise NotImplementedError

    def build(self, model: PreTrainedModel) -> Updates:
        """The optimizer of a model's parameters, before its first step."""
        raise NotImplementedError

    def reset(self, updates: Updates) -> None:
        """As before the first step."""
        updates.state.clear()

    def resume(self, updates: Updates) -> None:
        """Put the weights at which gradients are taken in their place: before steps."""

    def release(self, updates: Updates) -> None:
        """Put the weights that are measured and kept in their place: after steps. `resume` takes that back, exactly."""


def optimizer(settings: Settings) -> Optimizer:
    """The update rule that settings choose."""
    assert isinstance(settings.optimizer, Optimizer)
    return settings.optimizer

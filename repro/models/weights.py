"""What a checkpoint holds of a model: its parameters, tied ones once, and the buffers that belong to its state."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def of(model: "PreTrainedModel") -> "dict[str, torch.Tensor]":
    """The tensors themselves, by name, without their graph."""
    buffers = dict(model.named_buffers())
    persistent = {name: buffers[name] for name in model.state_dict() if name in buffers} if buffers else {}
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *persistent.items())}


def load(model: "PreTrainedModel", tensors: "dict[str, torch.Tensor]") -> None:
    """Fill a model with what `of` gave of another of its shape."""
    for name, tensor in of(model).items():
        tensor.copy_(tensors[name])

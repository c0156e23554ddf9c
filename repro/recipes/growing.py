"""Growing a LLaMA-shaped model between versions: more layers, wider inner layers, more of the residual stream, with the
function preserved.

What is new contributes nothing at first: outputs of new layers, and of new inner units, are zero; new dimensions of the
residual stream are never written. It is not dead either, since what reads from it is not zero. Net2Net (1511.05641) and
staged training (2203.06211) preserve functions likewise. The optimizer starts afresh: moments of what is new would be
made up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.recipes.operations import OPERATIONS, Files, Operation

if TYPE_CHECKING:
    import torch

Shape = tuple[int, int, int, int, int]
"""Layers, hidden size, heads, key/value heads, intermediate size."""

WRITES = ("o_proj.weight", "down_proj.weight")
"""Products that write to the residual stream."""


@OPERATIONS.register("grow")
@dataclass(frozen=True)
class Growth(Operation):
    """Weights of one shape as those of a larger one that computes the same.

    Logits stay equal but for roundings. A wider residual stream changes the mean of squares in each norm, which the
    norm's weights make good up to its epsilon.
    """

    kind = "grow"

    before: Shape
    after: Shape

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "before": list(self.before), "after": list(self.after)}

    def apply(self, parents: Iterable[Files]) -> Files:
        """See `Operation`."""
        (parent,) = parents
        old = parent["model"]
        layers, more = self.before[0], self.after[0]
        grown = {name: self._wider(name, weight) for name, weight in old.items() if ".layers." not in name}
        for layer in range(more):
            source = f".layers.{min(layer, layers - 1)}."  # a new layer begins as the one below it, silenced
            for name, weight in old.items():
                if source in name:
                    wider = self._wider(name, weight)
                    silent = layer >= layers and name.endswith(WRITES)
                    grown[name.replace(source, f".layers.{layer}.")] = wider.mul(0) if silent else wider
        return {"model": grown}

    def _wider(self, name: str, weight: "torch.Tensor") -> "torch.Tensor":
        """One tensor in the larger shape."""
        (_, hidden, heads, kv_heads, inner), (_, hidden2, heads2, kv_heads2, inner2) = self.before, self.after
        head = hidden // heads
        stream, queries, keys = (hidden, hidden2), (heads * head, heads2 * head), (kv_heads * head, kv_heads2 * head)
        part = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
        if "norm" in part:
            # The mean of squares is over more dimensions now.
            return _padded(weight, 0, hidden2).mul((hidden / hidden2) ** 0.5)
        if part in ("embed_tokens", "lm_head"):
            wide = _padded(weight, 1, hidden2)
            return _zeroed(wide, 1, hidden) if part == "embed_tokens" else wide
        rows = {"q_proj": queries, "k_proj": keys, "v_proj": keys, "o_proj": stream, "down_proj": stream}
        columns = {"o_proj": queries, "down_proj": (inner, inner2)}
        row_old, row_new = rows.get(part, (inner, inner2))
        wide = _padded(weight, 0, row_new)
        if part in ("o_proj", "down_proj"):
            wide = _zeroed(wide, 0, row_old)
        if weight.ndim == 1:
            return wide
        column_old, column_new = columns.get(part, stream)
        wide = _padded(wide, 1, column_new)
        return _zeroed(wide, 1, column_old) if part in columns else wide


def _padded(weight: "torch.Tensor", axis: int, size: int) -> "torch.Tensor":
    """Longer along one axis, by going round its own entries."""
    places = [place % weight.shape[axis] for place in range(size)]
    return weight[places].clone() if axis == 0 else weight[:, places].clone()


def _zeroed(weight: "torch.Tensor", axis: int, start: int) -> "torch.Tensor":
    """With zeros from `start` on along one axis."""
    weight = weight.clone()
    if axis == 0:
        weight[start:] = 0
    else:
        weight[:, start:] = 0
    return weight

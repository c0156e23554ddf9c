"""Linear layers whose float32 products on a CPU are oneDNN's.

PyTorch has MKL make them, which uses no AVX-512 on AMD's processors and is then half as fast as the oneDNN that PyTorch
holds as well; with AVX2 alone the two are about equal (docs/benchmarks). Bits differ, so that
`numerics.matmul` keys the store. The model stays transformers' own: its linear layers change their class, and with it
where their products are made, and keep weights, names and values.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from repro.config.settings import NumericsSettings
from repro.models import numerics


def install(model: nn.Module, settings: NumericsSettings) -> None:
    """Have a model's linear layers make their products as `settings` say."""
    if numerics.onednn(settings):
        for module in model.modules():
            if type(module) is nn.Linear:
                module.__class__ = OneDnnLinear


# (..., k) times the transpose of (n, k): (..., n). An operator of its own, so that torch.compile leaves it whole; by
# torch's low-level interface, since at 45 calls a step what custom_op adds to each is 3 % of a small model's step.
_operators = torch.library.Library("repro", "DEF")  # type: ignore[no-untyped-call]
_operators.define("product(Tensor left, Tensor right) -> Tensor", tags=torch.Tag.pt2_compliant_tag)  # type: ignore[no-untyped-call]


@torch.library.impl(_operators, "product", "CPU")
def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return result


@torch.library.register_fake("repro::product")  # type: ignore[untyped-decorator]
def _shape(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left.new_empty(*left.shape[:-1], right.shape[0])


product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.ops.repro.product.default


class OneDnnLinear(nn.Linear):
    """What a linear layer becomes."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), float32."""
        output: torch.Tensor = _LinearFunction.apply(input, self.weight)  # type: ignore[no-untyped-call]
        return output if self.bias is None else output + self.bias


class _LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        return product(inputs, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, weight = ctx.saved_tensors
        return _gradients(inputs, weight, gradients[0])


def _gradients(inputs: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    outer, inner = gradient.flatten(0, -2).t(), inputs.flatten(0, -2).t()
    # oneDNN copies its left side where that is a transpose: let it be the smaller of the two.
    wide = weight.shape[0] > weight.shape[1]
    return product(gradient, weight.t()), product(inner, outer).t() if wide else product(outer, inner)


ROUNDS = 12
"""In which the two take turns; of each, the fastest round counts, since other work on a machine only slows it."""
MOST_TOKENS = 4096
"""Beyond which the speed of a product no longer grows."""


def speed(linear: Mapping[str, int], tokens: int, threads: int) -> float:
    """How many times as fast oneDNN makes the products of a model's linear layers as torch does, forward and backward.

    Args:
        linear: how many layers there are of each size, "out x in".
        tokens: of one pass.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        own = theirs = 0.0
        for size, count in linear.items():
            out, into = map(int, size.split(" x "))
            seconds = _seconds(out, into, min(tokens, MOST_TOKENS))
            own, theirs = own + count * seconds[0], theirs + count * seconds[1]
    finally:
        torch.set_num_threads(before)
    return theirs / own


@torch.no_grad()
def _seconds(out: int, into: int, tokens: int) -> tuple[float, float]:
    """What one layer takes by oneDNN, and by torch."""
    some = torch.Generator().manual_seed(0)
    inputs, gradient, weight = (
        torch.randn(shape, generator=some) for shape in ((tokens, into), (tokens, out), (out, into))
    )

    def own() -> None:
        product(inputs, weight)
        _gradients(inputs, weight, gradient)

    def theirs() -> None:
        inputs @ weight.t()
        gradient @ weight
        gradient.t() @ inputs

    # A thread's own time, where there is one, tells less of other work on the machine.
    now = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    least = [math.inf, math.inf]
    for _ in range(ROUNDS):
        for place, compute in enumerate((own, theirs)):
            start = now()
            compute()
            least[place] = min(least[place], now() - start)
    return least[0], least[1]

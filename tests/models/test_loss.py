"""The engine's cross-entropy against PyTorch's."""

import pytest
import torch
from torch.nn import functional

from repro.models.loss import cross_entropy


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_loss_and_gradient_equal_pytorchs_to_rounding(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 17, generator=generator) * scale
    targets = torch.randint(0, 17, (3, 5), generator=generator)
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = cross_entropy(mine, targets)
    (loss / 15).backward()
    expected = functional.cross_entropy(theirs.flatten(0, 1), targets.flatten(), reduction="sum")
    (expected / 15).backward()
    assert torch.allclose(loss, expected, rtol=1e-6)
    assert torch.allclose(mine.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = torch.randn(64, 100, dtype=torch.bfloat16).requires_grad_()
    targets = torch.randint(0, 100, (64,))
    loss = cross_entropy(logits, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    assert logits.grad.dtype == torch.bfloat16
    expected = functional.cross_entropy(logits.detach().float(), targets, reduction="sum")
    assert torch.allclose(loss.detach(), expected)


def test_a_logit_that_is_no_number_makes_the_loss_none() -> None:
    logits = torch.zeros(2, 4).requires_grad_()
    with torch.no_grad():
        logits[0, 0] = float("nan")
    assert cross_entropy(logits, torch.zeros(2, dtype=torch.int64)).isnan()

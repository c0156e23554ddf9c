"""Shapes, parameter counts and FLOPs against the models themselves."""

import dataclasses
import math

import pytest
import torch
from transformers import LlamaForCausalLM, Qwen2ForCausalLM

from repro.config.places import CONF
from repro.models.architectures.architecture import Architecture, architecture
from repro.models.architectures.llama import Llama
from repro.planning import sweeps

SIZES = sorted(path.stem for path in (CONF / "size").glob("*.yaml"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "kind"), [("llama", LlamaForCausalLM), ("qwen", Qwen2ForCausalLM)])
def test_the_parameter_count_is_the_models_own(size: str, name: str, kind: type) -> None:
    (settings,) = sweeps.compose([f"size={size}", f"model={name}"])
    for tied in (False, True):
        shape = dataclasses.replace(settings.model, tie_embeddings=tied)
        assert isinstance(shape, Llama)
        assert type(shape.build_meta(1000, 128)) is kind
        assert shape.shape(1000, 128) == Architecture.shape(shape, 1000, 128)  # by arithmetic, and counted


def test_the_papers_model_has_about_one_point_two_billion_parameters() -> None:
    (settings,) = sweeps.compose(["scale=paper"])
    assert (
        1.15e9
        < architecture(settings.model).parameters(settings.stream.vocab_size, settings.stream.sequence_length)
        < 1.25e9
    )


def test_flops_agree_with_pytorchs_own_count() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    (settings,) = sweeps.compose(["size=w64_l2"])
    tokens = 128
    model = architecture(settings.model).build(1024, tokens, seed=0)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.zeros(1, tokens, dtype=torch.int64)).logits.sum().backward()
    # The counter leaves out the fused attention on a CPU; ours leaves out nothing but elementwise work.
    attention = 12 * settings.model.layers * settings.model.hidden_size * tokens
    ours = architecture(settings.model).shape(1024, tokens).flops_per_token(tokens)
    assert counter.get_total_flops() / tokens == pytest.approx(ours - attention, rel=0.05)


@pytest.mark.slow
def test_the_papers_model_itself_goes_forward_and_backward_once() -> None:
    """1.2 B parameters in float32 and their gradients: 10 GB, so that the block is short."""
    from repro.models.loss import cross_entropy

    (settings,) = sweeps.compose(["scale=paper"])
    vocabulary = settings.stream.vocab_size
    model = architecture(settings.model).build(vocabulary, settings.stream.sequence_length, seed=0)
    tokens = torch.arange(1, 18).unsqueeze(0) * 1000
    loss = cross_entropy(model(input_ids=tokens[:, :-1]).logits, tokens[:, 1:]) / 16
    loss.backward()
    # Every token is about as likely as any other at an initialization.
    assert loss.item() == pytest.approx(math.log(vocabulary), abs=0.5)
    norms = [parameter.grad.norm() for parameter in model.parameters()]
    assert all(torch.isfinite(norm) and norm > 0 for norm in norms)
    assert sum(p.numel() for p in model.parameters()) == architecture(settings.model).parameters(
        vocabulary, settings.stream.sequence_length
    )

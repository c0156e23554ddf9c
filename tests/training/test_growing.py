"""A model that grows at a release computes the same before and after, and trains on from there."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from repro.common.errors import UserError
from repro.config.settings import ModelSettings
from repro.models import weights
from repro.models.architectures.architecture import architecture
from repro.models.architectures.llama import Llama
from repro.models.architectures.qwen2 import Qwen2
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.recipes.grow import _shape
from repro.recipes.growing import Growth
from repro.recipes.trajectory import Derived
from repro.results import measures
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
SMALL = {"hidden_size": 32, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate_size": 40}
SHORT = ["size=w48_l2", "stream.steps_per_version=20", "stream.versions=3", "schedule.warmup_steps=2"]
IDS = torch.arange(24).reshape(2, 12)


def logits(model: ModelSettings, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    built = architecture(model).build(64, 16, seed=1)
    weights.load(built, tensors)
    with torch.no_grad():
        return built.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("kind", [Llama, Qwen2])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "larger",
    [
        {"layers": 3},
        {"intermediate_size": 64},
        {"hidden_size": 64, "heads": 4, "kv_heads": 2},
        {"hidden_size": 64, "heads": 4, "kv_heads": 2, "layers": 2, "intermediate_size": 72},
    ],
    ids=["deeper", "wider inside", "wider", "all"],
)
def test_the_function_is_preserved_at_the_step(kind: type[Llama], tied: bool, larger: dict[str, int]) -> None:
    name = {Llama: "llama", Qwen2: "qwen2"}[kind]
    small = kind(architecture=name, tie_embeddings=tied, **SMALL)
    large = replace(small, **larger)
    # Weights as training leaves them, norms and biases included.
    generator = torch.Generator().manual_seed(0)
    before = {n: w + 0.1 * torch.randn(w.shape, generator=generator) for n, w in weights.of(small_model(small)).items()}
    after = Growth(_shape(small), _shape(large)).apply([{"model": before}])["model"]
    assert {n: w.shape for n, w in after.items()} == {n: w.shape for n, w in weights.of(small_model(large)).items()}
    one, two = logits(small, before), logits(large, after)
    exact = "hidden_size" not in larger
    assert torch.allclose(one, two, rtol=0, atol=1e-5 if exact else 2e-3), (one - two).abs().max()
    assert one.std() > 0.1


def small_model(model: ModelSettings) -> torch.nn.Module:
    return architecture(model).build(64, 16, seed=0)


def test_what_is_new_learns(smoke: Overrides, tmp_path: Path) -> None:
    """The whole way: a small main path, its version, growth, and two versions of the larger model."""
    tree = make(compose(smoke("paradigm=grow", "paradigm.grow_at=2", "paradigm.intermediate_before=64", *SHORT))).tree
    store = Store(tmp_path / "store")
    Worker(tree, 0, store, threading.Event()).work()
    (grown,) = (node for node in tree.nodes.values() if isinstance(node.product, Derived))
    (parent,) = grown.parents
    assert (grown.step, tree.nodes[parent].step) == (20, 20)
    before, after, end = (store.load_weights(key) for key in (parent, grown.key, tree.ends[0][1]))
    assert before["model.layers.0.mlp.up_proj.weight"].shape[0] == 64
    assert "model.layers.1.mlp.up_proj.weight" not in before
    new = after["model.layers.1.self_attn.o_proj.weight"]
    assert not new.any()
    assert end["model.layers.1.self_attn.o_proj.weight"].any()
    losses = [measures.find(tree.runs[0], key, store) for key in tree.ends[0]]
    assert all(losses)
    # The larger model's trunk goes on where the smaller one's stood, on the next version's data.
    assert tree.run_steps(0) == 20 + 12 + (60 - 20 - 12) + 2 * 12


def test_the_branch_of_the_first_larger_version_needs_room_to_warm_up(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"leaves 0 steps after the model grew, .* a smaller one works"):
        make(compose(smoke("paradigm=grow", "paradigm.alpha=1", "paradigm.grow_at=2", *SHORT)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["paradigm.layers_before=9"], r"layers_before=9 is more than the model grows to, which has 2"),
        (["paradigm.layers_before=2"], r"needs a smaller model"),
        (["paradigm.layers_before=null", "paradigm.intermediate_before=null"], r"needs a smaller model"),
    ],
)
def test_shapes_that_do_not_grow_are_refused(smoke: Overrides, given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        compose(smoke("paradigm=grow", *given, *SHORT))

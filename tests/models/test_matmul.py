"""repro.models.matmul: linear layers whose products are oneDNN's."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from repro.config.registries import ARCHITECTURES
from repro.config.settings import NumericsSettings
from repro.models import matmul, numerics
from repro.planning.planner import make
from repro.planning.sweeps import compose

ONEDNN = NumericsSettings(matmul="onednn")

needs_onednn = pytest.mark.skipif(not numerics.onednn(ONEDNN), reason="this torch has no oneDNN for this processor")


def model(architecture: str = "llama") -> PreTrainedModel:
    shape = ARCHITECTURES[architecture](
        name="t", architecture=architecture, hidden_size=16, layers=1, heads=2, kv_heads=1, intermediate_size=40
    )
    return shape.build(vocab_size=64, sequence_length=8, seed=0)


def kinds(of: nn.Module) -> set[type]:
    return {type(module) for module in of.modules() if isinstance(module, nn.Linear)}


@needs_onednn
@pytest.mark.parametrize("shape", [(5, 7, 24), (11, 24)])
@pytest.mark.parametrize("out", [8, 40])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_computes_what_it_computed_before(shape: tuple[int, ...], out: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(shape[-1], out, bias=bias), torch.randn(shape, requires_grad=True)
    results = []
    for kind in (nn.Linear, matmul.OneDnnLinear):
        layer.__class__ = kind
        outputs = layer(inputs)
        weight = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
        results.append([outputs, *torch.autograd.grad((outputs * weight).sum(), [inputs, *layer.parameters()])])
    for before, after in zip(*results, strict=True):
        assert before.shape == after.shape
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@needs_onednn
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_all_linear_layers_of_a_model_and_nothing_else_change(architecture: str) -> None:
    plain, placed = model(architecture), model(architecture)
    matmul.install(placed, ONEDNN)
    assert kinds(placed) == {matmul.OneDnnLinear}
    assert [type(m) for m in placed.modules() if not isinstance(m, nn.Linear)] == [
        type(m) for m in plain.modules() if not isinstance(m, nn.Linear)
    ]
    ours, theirs = placed.state_dict(), plain.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "settings",
    [
        NumericsSettings(),
        NumericsSettings(matmul="onednn", device="cuda"),
        NumericsSettings(matmul="onednn", dtype="bfloat16"),
    ],
)
def test_models_stay_as_they_are_unless_it_is_asked_for_and_applies(settings: NumericsSettings) -> None:
    placed = model()
    matmul.install(placed, settings)
    assert kinds(placed) == {nn.Linear}


def test_where_torch_has_no_onednn_the_setting_changes_neither_model_nor_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_has_onednn", lambda: False)
    placed = model()
    matmul.install(placed, ONEDNN)
    assert kinds(placed) == {nn.Linear}
    with_it, without = (compose(["scale=smoke", f"numerics.matmul={name}"])[0] for name in ("onednn", "torch"))
    assert numerics.describe(with_it) == numerics.describe(without)


@needs_onednn
def test_numerics_name_what_makes_the_products_and_the_processor_model() -> None:
    with_it, without = (compose(["scale=smoke", f"numerics.matmul={name}"])[0] for name in ("onednn", "torch"))
    assert numerics.describe(with_it).keys() - numerics.describe(without).keys() == {"matmul"}
    assert numerics.describe(with_it)["matmul"].startswith("onednn ")


@needs_onednn
def test_what_makes_the_products_keys_the_store(smoke: Callable[..., list[str]]) -> None:
    ends = [make(compose(smoke(f"numerics.matmul={name}"))).tree.ends[0][-1] for name in ("onednn", "torch")]
    assert ends[0] != ends[1]


def test_a_sweep_is_seen_as_the_machine_that_works_on_it_sees_it() -> None:
    """A login node with oneDNN, say, plans for one without."""
    (settings,) = compose(["scale=smoke"])
    there = {"cpu": {"processor": "other"}, "onednn": {}}
    assert "matmul" not in numerics.describe(settings, there)
    assert numerics.describe(settings, there | {"onednn": {"matmul": "x"}})["matmul"] == "x"

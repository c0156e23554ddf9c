"""model=hf_config: models that we do not know are planned, trained, kept and exported as those that we know."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from repro import export, train
from repro.common.errors import UserError
from repro.models.architectures.architecture import Architecture
from repro.models.architectures.hf_config import HfConfig
from repro.models.architectures.llama import Llama
from repro.models.optimizers.muon import matrices
from repro.planning import planner
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training.state import fresh, load_state

Overrides = Callable[..., list[str]]
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "OlmoForCausalLM": {"model_type": "olmo", "num_key_value_heads": 2, **SMALL},
    "Olmo2ForCausalLM": {"model_type": "olmo2", "num_key_value_heads": 2, **SMALL},
    "GemmaForCausalLM": {"model_type": "gemma", "num_key_value_heads": 1, "head_dim": 16, **SMALL},
    "Gemma2ForCausalLM": {"model_type": "gemma2", "num_key_value_heads": 1, "head_dim": 16, **SMALL},
    "GPT2LMHeadModel": json.loads((Path(__file__).parent / "gpt2.json").read_text()),
    "BertLMHeadModel": {"model_type": "bert", **SMALL},
}


def written(place: Path, content: object) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))
    return place


def built(place: Path) -> HfConfig:
    return HfConfig(architecture="hf_config", config=str(place))


@pytest.mark.parametrize("kind", ["OlmoForCausalLM", "Olmo2ForCausalLM", "GemmaForCausalLM", "GPT2LMHeadModel"])
def test_models_of_other_families_are_trained_and_exported(
    smoke: Overrides, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "shape" / "config.json", CONFIGS[kind]).parent
    given = smoke("model=hf_config", f"model.config={folder}", "stream.versions=1", "stream.steps_per_version=15")
    train.main(given)
    plan = make(compose(given))
    assert plan.missing_steps == 0
    run = plan.tree.runs[0]
    assert "-hf_config-shape-" in run.name
    store = Store(tmp_path / "store")
    state = load_state(run, store.load(plan.tree.ends[0][0], "model", "optimizer", "trace"))
    assert state.log[-1, 0] < state.log[0, 0] - 0.3
    assert type(state.model).__name__ == kind

    capsys.readouterr()
    export.main([*given, f"output={tmp_path / 'models'}"])
    loaded = AutoModelForCausalLM.from_pretrained(capsys.readouterr().out.strip().splitlines()[-1])
    assert type(loaded) is type(state.model)
    heldout = torch.from_numpy(run.stream.heldout(1).blocks)
    with torch.no_grad():
        expected = state.model.eval()(input_ids=heldout[:, :-1]).logits
        assert torch.equal(loaded(input_ids=heldout[:, :-1]).logits, expected)


@pytest.mark.parametrize("kind", CONFIGS)
def test_no_token_sees_those_after_it_and_nothing_is_drawn_at_random(tmp_path: Path, kind: str) -> None:
    model = built(written(tmp_path / "config.json", CONFIGS[kind])).build(300, 16, seed=0).train()
    ids = torch.arange(16).unsqueeze(0)
    changed = ids.clone()
    changed[0, -1] = 17
    before = torch.random.get_rng_state()
    one, two = (model(input_ids=each).logits[:, :-1] for each in (ids, changed))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(one, two)
    one.sum().backward()
    table = model.get_input_embeddings().weight
    assert (table.grad[:2] != 0).any(dim=1).all(), "tokens 0 and 1 are trained as others are: none is padding"


def test_no_router_is_jittered(tmp_path: Path) -> None:
    """As Mixtral's is in training, where its configuration says so: a resumed run had been another."""
    shape = {"model_type": "mixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 2, "vocab_size": 300}
    file = written(tmp_path / "config.json", shape | heads | {"router_jitter_noise": 0.5})
    model = built(file).build(300, 16, seed=0).train()
    before = torch.random.get_rng_state()
    model(input_ids=torch.zeros(1, 4, dtype=torch.int64))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("kind", CONFIGS)
def test_flops_count_what_multiplies(tmp_path: Path, kind: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    tokens = 64
    shape = built(written(tmp_path / "config.json", CONFIGS[kind]))
    model = shape.build(300, tokens, seed=0)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.zeros(1, tokens, dtype=torch.int64)).logits.sum().backward()
    fused = 12 * 2 * 32 * tokens if model.config._attn_implementation == "sdpa" else 0
    ours = shape.shape(300, tokens).flops_per_token(tokens)
    # The counter leaves out the fused attention on a CPU; ours leaves out nothing but elementwise work.
    assert counter.get_total_flops() / tokens == pytest.approx(ours - fused, rel=0.05)
    assert shape.parameters(300, tokens) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_a_llama_from_its_config_has_the_shape_of_ours(tmp_path: Path, tied: bool) -> None:
    ours = Llama(
        architecture="llama", hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=80, tie_embeddings=tied
    )
    theirs = built(written(tmp_path / "config.json", ours.configuration(1, 1).to_dict()))
    assert theirs.shape(300, 16) == ours.shape(300, 16) == Architecture.shape(ours, 300, 16)
    for name, weight in theirs.build(300, 16, seed=3).named_parameters():
        assert torch.equal(weight, dict(ours.build(300, 16, seed=3).named_parameters())[name])


def test_keys_follow_what_is_computed(smoke: Overrides, tmp_path: Path) -> None:
    plain = CONFIGS["Olmo2ForCausalLM"]

    def end(place: str, **more: object) -> str:
        file = written(tmp_path / place, plain | more)
        return make(compose(smoke("model=hf_config", f"model.config={file}"))).tree.ends[0][-1]

    first = end("a/config.json")
    assert end("other.json", transformers_version="4.1.0", architectures=["Nope"], torch_dtype="bfloat16") == first
    assert end("b/config.json", vocab_size=7, max_position_embeddings=9, use_cache=True, pad_token_id=2) == first
    assert end("c/config.json", attention_dropout=0.5) == first
    assert end("d/config.json", rms_norm_eps=1e-4) != first
    # The same path with another content, in the same process.
    assert end("a/config.json", num_hidden_layers=1) != first
    run = make(compose(smoke("model=hf_config", f"model.config={tmp_path / 'a'}"))).tree.runs[0]
    assert run.parameters == sum(p.numel() for p in fresh(run).model.parameters())


def test_a_pipe_in_place_of_a_configuration_hangs_nobody(smoke: Overrides, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(UserError, match=r"model\.config=.*is no ordinary file\. A folder with config\.json"):
        make(compose(smoke("model=hf_config", f"model.config={tmp_path}")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"cannot be read \(No such file or directory\)\. A folder with config\.json"),
        ("{", "A folder with config.json"),
        ([1], "its JSON is no object"),
        ({"n_embd": 3}, "it has no model_type"),
        ({"model_type": "gtp2"}, "knows no model_type 'gtp2'; did you mean gpt2"),
        ({"model_type": "t5"}, "model_type t5 is not a causal language model"),
        ({"model_type": "phimoe"}, "model_type phimoe draws its routes at random in training"),
        ({"model_type": "xlm"}, "model_type xlm computes nothing without a padding token"),
        ({"model_type": "xlnet"}, "model_type xlnet reads in an order of its own"),
        ({"model_type": "gpt2", "quantization_config": {}}, "it is quantized"),
        ({"model_type": "gpt2", "n_embd": "wide"}, "n_embd"),
        ({"model_type": "gpt2", "n_embd": 10, "n_head": 3}, "transformers cannot build it"),
    ],
)
def test_what_is_no_configuration_is_refused_before_training(
    smoke: Overrides, tmp_path: Path, content: object, said: str
) -> None:
    place = tmp_path / "config.json"
    if content is not None:
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=said):
        planner.check_models(make(compose(smoke("model=hf_config", f"model.config={place}"))))


def test_a_configuration_comes_from_one_place(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"model.config is missing"):
        compose(smoke("model=hf_config"))
    with pytest.raises(UserError, match=r"model.config=a and model.init=b each bring a configuration"):
        compose(smoke("model=hf_config", "model.config=a", "model.init=b"))
    with pytest.raises(UserError, match=r"data_seed=5: with model.init, seed=0 draws the order .* seed=5 alone says"):
        compose(smoke("model=hf_config", "model.init=b", "data_seed=5"))
    compose(smoke("model=hf_config", "model.init=b", "data_seed=5", "seed=5"))


def test_code_beside_a_configuration_is_not_run(tmp_path: Path) -> None:
    content = CONFIGS["GPT2LMHeadModel"] | {"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (tmp_path / "evil.py").write_text("raise AssertionError('was run')")
    model = built(written(tmp_path / "config.json", content).parent).build(300, 16, seed=0)
    assert type(model).__module__.startswith("transformers.models.gpt2")


def test_muon_takes_the_hidden_matrices(tmp_path: Path) -> None:
    model = built(written(tmp_path / "config.json", CONFIGS["GPT2LMHeadModel"])).build(300, 16, seed=0)
    chosen = set(map(id, matrices(model)))
    names = {name.rpartition("h.")[2] for name, p in model.named_parameters() if id(p) in chosen}
    layer = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert names == {f"{number}.{name}.weight" for number in (0, 1) for name in layer}


@pytest.mark.parametrize(("place", "called"), [("Llama-3.2-1B", "Llama-3.2-1B"), ("a.b/mine.json", "mine")])
def test_a_model_is_called_what_its_folder_is_whatever_dots_are_in_it(tmp_path: Path, place: str, called: str) -> None:
    """Llama-3.1-8B and Llama-3.2-1B were one size in tables."""
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    if path.suffix != ".json":
        path.mkdir()
        path /= "config.json"
    assert built(written(path, CONFIGS["OlmoForCausalLM"])).size == called

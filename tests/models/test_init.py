"""model.init=FOLDER: training begins with weights that there are, under their content's key."""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from repro import export, train
from repro.common import memory
from repro.common.errors import UserError
from repro.downstream import jobs
from repro.launching import job
from repro.models import weights
from repro.models.architectures import initial
from repro.planning import frozen, planner, runs
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training.state import fresh, stored_state
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
SHORT = ["paradigm=cpt", "stream.versions=1", "stream.steps_per_version=10"]


@pytest.fixture
def exported(smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A trained LLaMA of scale smoke, with its tokenizer."""
    train.main(smoke(*SHORT))
    capsys.readouterr()
    export.main([*smoke(*SHORT), f"output={tmp_path / 'models'}"])
    return Path(capsys.readouterr().out.strip().splitlines()[-1])


def end(given: list[str]) -> str:
    return make(compose(given)).tree.ends[0][-1]


@pytest.mark.parametrize("model", ["llama", "hf_config"])
def test_training_begins_with_the_weights_of_the_folder(
    smoke: Overrides, tmp_path: Path, exported: Path, model: str
) -> None:
    given = smoke(*SHORT, f"model={model}", f"model.init={exported}")
    run = make(compose(given)).tree.runs[0]
    store = Store(tmp_path / "store")
    parent = store.load_weights(end(smoke(*SHORT)))
    begin = weights.of(fresh(run).model)
    assert begin.keys() == parent.keys()
    assert all(torch.equal(tensor, parent[name]) for name, tensor in begin.items())

    before = torch.random.get_rng_state()
    train.main(given)
    assert torch.equal(before, torch.random.get_rng_state())
    key = end(given)
    log = store.load(key, "trace")["trace"]["trace"]
    trained = store.load(end(smoke(*SHORT)), "trace")["trace"]["trace"]
    assert log[0, 0] < trained[0, 0] - 0.5, "it goes on from where the folder's training ended"
    # A checkpoint needs no weights but its own.
    assert all(
        torch.equal(tensor, store.load_weights(key)[name])
        for name, tensor in weights.of(stored_state(run, store, key).model).items()
    )


def test_keys_follow_the_weights_and_not_their_place(smoke: Overrides, tmp_path: Path, exported: Path) -> None:
    given = smoke(*SHORT, "model=hf_config")
    first = end([*given, f"model.init={exported}"])
    other = shutil.copytree(exported, tmp_path / "elsewhere")
    assert end([*given, f"model.init={other}"]) == first
    tensors = load_file(other / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    changed = end([*given, f"model.init={other}"])
    assert changed != first
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert end([*given, f"model.init={other}"]) not in (first, changed)
    assert first != end(smoke(*SHORT)) != end(smoke(*SHORT, f"model.init={exported}"))


def test_with_weights_of_its_own_a_seed_decides_the_data_alone(smoke: Overrides, exported: Path) -> None:
    one, two = (make(compose(smoke(*SHORT, f"model.init={exported}", f"seed={seed}"))).tree.runs[0] for seed in (1, 2))
    assert one.identity == two.identity
    assert not (one.trajectories[0].records(one.stream) == two.trajectories[0].records(two.stream)).all()
    assert all(torch.equal(t, weights.of(fresh(two).model)[name]) for name, t in weights.of(fresh(one).model).items())


def refusal(given: list[str]) -> str:
    with pytest.raises(UserError) as refused:
        planner.check_models(make(compose(given)))
    return str(refused.value)


def test_what_cannot_be_begun_with_is_refused_before_training(
    smoke: Overrides, tmp_path: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    llama, own = smoke(*SHORT, f"model.init={exported}"), smoke(*SHORT, "model=hf_config", f"model.init={exported}")
    planner.check_models(make(compose(llama)))
    planner.check_models(make(compose(own)))
    assert "num_attention_heads (its 2, ours 4)" in refusal([*llama, "model.heads=4", "model.kv_heads=4"])
    assert "model=hf_config takes the shape from the folder" in refusal([*llama, "model.rope_theta=5"])
    assert "stream.sequence_length=32 would work" in refusal([*own, "stream.sequence_length=64"])
    assert "its vocabulary has 300 entries, the stream's 320" in refusal([*own, "stream.vocab_size=320"])
    assert "they differ. stream.tokenizer=" in refusal([*own, "stream.vocab_size=290"])
    assert "it lacks model.safetensors" in refusal(smoke(*SHORT, f"model.init={tmp_path / 'nowhere'}"))

    (exported / "tokenizer.json").rename(exported / "set_aside")
    assert "has no tokenizer.json" in refusal(own)
    (exported / "set_aside").rename(exported / "tokenizer.json")
    tensors = load_file(exported / "model.safetensors")
    save_file(tensors | {"model.extra": torch.zeros(2)}, exported / "model.safetensors", metadata={"format": "pt"})
    assert "LlamaForCausalLM it has besides model.extra" in refusal(own)
    del tensors["lm_head.weight"]
    save_file(tensors, exported / "model.safetensors", metadata={"format": "pt"})
    assert "LlamaForCausalLM it lacks lm_head.weight" in refusal(own)
    (exported / "model.safetensors").write_bytes(b"\x00" * 100)
    assert "transformers cannot load it" in refusal(own)
    (exported / "model.safetensors").rename(exported / "pytorch_model.bin")
    assert "other formats than safetensors do not" in refusal(own)


@pytest.mark.parametrize("model", ["llama", "hf_config"])
def test_what_was_made_with_weights_outlives_them(
    smoke: Overrides, tmp_path: Path, exported: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(*SHORT, f"model={model}", f"model.init={exported}", f"stream.tokenizer={exported}")
    train.main(given)
    before = make(compose(given))
    tables = {path.name: path.read_bytes() for path in (tmp_path / "ledger").rglob("*.csv")}
    moved = exported.rename(tmp_path / "moved")
    capsys.readouterr()
    train.main(given)  # which finds all of it
    told = capsys.readouterr().err
    assert told.count(f"note: model.init={exported} does not exist") == 1
    assert told.count("What was prepared from it before is used.") == 2
    assert tables == {path.name: path.read_bytes() for path in (tmp_path / "ledger").rglob("*.csv")}
    after = make(compose(given))
    assert after.tree.ends == before.tree.ends
    assert not after.missing
    assert after.tree.runs[0].name == before.tree.runs[0].name
    assert frozen.name(after) == frozen.name(before)
    export.main([*given, f"output={tmp_path / 'again'}"])
    assert list((tmp_path / "again").glob("*/model.safetensors"))
    # What begins with them needs them, and says what is gone before anything is trained.
    longer = [*given, "schedule.max_lr=0.005"]
    assert "does not exist" in refusal(longer)
    with pytest.raises(SystemExit):
        train.main(longer)
    assert "one with the same weights and configuration has the same keys, wherever it lies" in capsys.readouterr().err
    with pytest.raises(UserError, match="does not exist"):
        jobs.check_trained(make(compose([*given, "finetune.versions=[0]"])), Store(tmp_path / "store"))
    elsewhere = [*given, f"model.init={moved}"]
    assert end(elsewhere) == before.tree.ends[0][-1]
    # Weights that are there and others are others.
    shutil.copytree(moved, exported)
    tensors = load_file(exported / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, exported / "model.safetensors", metadata={"format": "pt"})
    assert end(given) != before.tree.ends[0][-1]


@pytest.mark.parametrize("model", ["llama", "hf_config"])
@pytest.mark.parametrize("when", ["before a worker begins", "while it works"])
def test_a_folder_that_is_rewritten_after_planning_is_refused_and_nothing_is_kept_of_it(
    smoke: Overrides, tmp_path: Path, exported: Path, model: str, when: str
) -> None:
    """Another model had been trained under the keys of the one before, or under keys that nobody looked for."""
    plan = make(compose(smoke(*SHORT, f"model={model}", f"model.init={exported}", f"stream.tokenizer={exported}")))
    (run,) = plan.tree.runs
    store = Store(tmp_path / "store")
    there = set(store.steps())
    name = frozen.freeze(plan, store)
    asked = replace(run.settings, frozen_plan=name)
    job.forget_latest()
    tree = job._opened(asked)[1]
    tensors = load_file(exported / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, exported / "model.safetensors", metadata={"format": "pt"})
    if when == "before a worker begins":
        runs._stream.cache_clear()  # as in another process
        job.forget_latest()
        with pytest.raises(UserError, match=rf"model.init=.* has changed since frozen_plan={name} was made"):
            job._opened(asked)
    else:
        with pytest.raises(UserError, match=r"model.init=.* has changed while this ran"):
            Worker(tree, 0, store, threading.Event()).work()
    assert set(store.steps()) == there


def test_a_branch_of_what_is_stored_needs_no_weights_but_its_own(
    smoke: Overrides, tmp_path: Path, exported: Path
) -> None:
    # (Two versions of a few speeches would have another tokenizer than one.)
    given = smoke("stream.versions=2", f"model.init={exported}", f"stream.tokenizer={exported}")
    train.main(given)
    plan = make(compose(given))
    store = Store(tmp_path / "store")
    branch = plan.tree.ends[0][-1]
    assert plan.tree.nodes[branch].parents
    shutil.rmtree(store.checkpoint_folder(branch, plan.tree.nodes[branch].step))
    shutil.rmtree(exported)
    train.main(given)
    assert Store(tmp_path / "store").has(branch)


def test_a_configuration_that_is_gone_is_taken_for_what_it_was(
    smoke: Overrides, tmp_path: Path, exported: Path
) -> None:
    place = tmp_path / "shape.json"
    shutil.copy(exported / "config.json", place)
    given = smoke(*SHORT, "model=hf_config", f"model.config={place}")
    train.main(given)
    before = end(given)
    place.unlink()
    assert end(given) == before
    longer = [*given, "schedule.max_lr=0.005"]
    train.main(longer)
    assert not make(compose(longer)).missing
    place.write_text((exported / "config.json").read_text().replace('"rope_theta": 10000.0', '"rope_theta": 5.0'))
    assert end(given) != before
    place.unlink()
    data = Path(compose(given)[0].data.path)
    copy = memory.path_of(data, "configuration", memory.absolute(str(place)))
    copy.write_text(copy.read_text().replace('"rope_theta": 10000.0', '"rope_theta": 5.0'))
    with pytest.raises(UserError, match=rf"model\.config={place}"):
        make(compose(given))
    copy.unlink()


def test_weights_may_be_in_several_files(exported: Path, tmp_path: Path) -> None:
    tensors = load_file(exported / "model.safetensors")
    parts = {name: f"model-{1 + index % 2}.safetensors" for index, name in enumerate(sorted(tensors))}
    several = tmp_path / "several"
    several.mkdir()
    for file in set(parts.values()):
        chosen = {name: tensors[name] for name in parts if parts[name] == file}
        save_file(chosen, several / file, metadata={"format": "pt"})
    (several / initial.INDEX).write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    shutil.copy(exported / "config.json", several)
    assert [file.name for file in initial.weight_files(several)] == ["model-1.safetensors", "model-2.safetensors"]
    before = initial.weights_sha256(several)
    save_file({"x": torch.ones(1)}, several / "model-2.safetensors")
    assert initial.weights_sha256(several) != before
    (several / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"it lacks model\.safetensors"):
        initial.weight_files(several)

"""An exported version is the version: transformers' Auto classes load it, with the same logits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, Qwen2ForCausalLM

from repro import export, train
from repro.exports import folder as folders
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training.state import load_state

Overrides = Callable[..., list[str]]


@pytest.mark.parametrize(("model", "kind"), [("llama", LlamaForCausalLM), ("qwen", Qwen2ForCausalLM)])
def test_exported_folders_load_with_the_same_logits(
    smoke: Overrides, tmp_path: Path, model: str, kind: type, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(f"model={model}", "stream.versions=1")
    train.main(given)
    export.main([*given, f"output={tmp_path / 'models'}"])
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    plan = make(compose(given))
    run = plan.tree.runs[0]
    store = Store(tmp_path / "store")
    state = load_state(run, store.load(plan.tree.ends[0][0], "model", "optimizer", "trace"))
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert isinstance(loaded, kind)
    heldout = torch.from_numpy(run.stream.heldout(1).blocks)  # type: ignore[union-attr]
    with torch.no_grad():
        expected = state.model(input_ids=heldout[:, :-1]).logits
        assert torch.equal(loaded(input_ids=heldout[:, :-1]).logits, expected)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "The state of the Union is strong, and our people are at peace."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as refusal:
        export.main(arguments)
    assert refusal.value.code == 2
    return capsys.readouterr().err


def test_what_another_run_of_that_name_exported_is_not_overwritten(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("stream.versions=1", "stream.steps_per_version=5", "schedule.warmup_steps=1", "paradigm=cpt")
    both = [*given, "--multirun", "optimizer.beta2=0.95,0.9"]
    train.main(both)
    keys = [ends[0][:16] for ends in make(compose(both[:-2] + both[-1:], multirun=True)).tree.ends]
    output = f"output={tmp_path / 'models'}"
    said = refused(capsys, *both, output)
    assert all(key in said for key in keys)
    assert not (tmp_path / "models").exists()

    export.main([*given, output])
    (folder,) = (tmp_path / "models").iterdir()
    export.main([*given, output])
    said = refused(capsys, *given, "optimizer.beta2=0.9", output)
    assert f"{folder} holds checkpoint {keys[0]}" in said
    assert keys[1] in said
    (folder / folders.ORIGIN).unlink()
    assert "holds something else" in refused(capsys, *given, output)
    export.main([*given, "optimizer.beta2=0.9", f"output={tmp_path / 'others'}"])

    assert "cannot be written: Not a directory" in refused(capsys, *given, f"output={folder / 'config.json'}")
    path = Store(tmp_path / "store").verified(make(compose(given)).tree.ends[0][0])[0] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "repro.train with the same arguments makes it again" in refused(capsys, *given, f"output={tmp_path / 'new'}")


def test_exporting_what_is_not_trained_is_refused(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        export.main(smoke())
    assert refusal.value.code == 2
    assert "train them first" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.main(smoke("version=9"))
    assert "holds no version 9 of these runs; they have 4." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.main(smoke("version=0"))
    assert "version=0 is no version" in capsys.readouterr().err


def test_all_that_is_wrong_with_an_export_is_said_at_once(
    smoke: Overrides, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as refusal:
        export.main(
            smoke("stream.versions=2", "versoin=4", "dtype=flaot32", "step=3", "version=last", "schedule=cosin")
        )
    assert refusal.value.code == 2
    said = capsys.readouterr().err.splitlines()
    for line in (
        "error: version=last is no version; a number such as 4 works.",
        "dtype=flaot32 is unknown; did you mean float32? float32 and bfloat16 and float16 work.",
        "step=3 is a point of the trunk; add what=trunk.",
        "versoin=4 is unknown; did you mean version=?",
    ):
        assert line in said
    assert any("did you mean cosine?" in line for line in said)
    assert not any(line.startswith("stream.versions") for line in said)  # a setting, however near to an option
    assert not (tmp_path / "store").exists()


def test_what_works_keeps_the_commands_own_options(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(smoke("root=x", "stream.versions=2", "version=2"))
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("All of this works together: ")
    assert last.endswith(" stream.versions=2 version=2")

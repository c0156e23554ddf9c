"""An exported version is the version: transformers' Auto classes load it, with the same logits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, Qwen2ForCausalLM

from repro import export, train
from repro.engine import load_state
from repro.plan import compose, make
from repro.store import Store

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


def test_exporting_what_is_not_trained_is_refused(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        export.main(smoke())
    assert refusal.value.code == 2
    assert "nothing to export" in capsys.readouterr().err

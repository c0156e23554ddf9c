"""The trunk as a product: the lines of docs/export.md, as they stand, continue it as this suite does."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from repro import export, train
from repro.models.loss import cross_entropy
from repro.planning.planner import make
from repro.planning.runs import Run
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training.state import load_state

Overrides = Callable[..., list[str]]
STEPS = 5
LINES = re.search(
    r"```python\n(about, .*?)```",
    (Path(__file__).parents[2] / "docs" / "export.md").read_text(),
    flags=re.DOTALL,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_path: Path) -> list[str]:
    """A store that nothing here changes."""
    place = tmp_path_factory.mktemp("trained")
    given = ["scale=smoke", f"data.path={data_path}", f"store.path={place}/store", f"ledger.path={place}/ledger"]
    given += ["paradigm=path_switching", "stream.versions=3", "stream.steps_per_version=20", "numerics.matmul=torch"]
    train.main(given)
    return given


def exported(given: list[str], output: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    capsys.readouterr()
    export.main([*given, f"output={output}"])
    return Path(capsys.readouterr().out.strip().splitlines()[-1])


def following(run: Run, step: int) -> tuple[list[float], list[torch.Tensor]]:
    """Learning rates and batches of the steps after `step`, on the way to the last version."""
    trajectory = run.trajectories[-1]
    ids = trajectory.batches(run.stream, step, step + STEPS)
    rates = trajectory.learning_rates[step : step + STEPS].tolist()
    return rates, [torch.from_numpy(run.stream.blocks(row)) for row in ids]


def continued(folder: Path, run: Run, loss: Any) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The weights after the documented lines, and the loss of each step."""
    assert LINES is not None
    losses: list[float] = []

    def kept(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = loss(logits, targets)
        losses.append(value.item())
        return value

    rates, batches = following(run, json.loads((folder / "trunk.json").read_text())["step"])
    functions = type("F", (), {"cross_entropy": staticmethod(kept)})
    names = {"folder": folder, "rates": rates, "batches": batches, "json": json, "torch": torch, "F": functions}
    names |= {"load_file": load_file, "AutoModelForCausalLM": AutoModelForCausalLM}
    exec(LINES[1], names)
    return dict(names["model"].named_parameters()), losses  # type: ignore[attr-defined]


def test_the_documented_lines_take_the_same_steps(
    trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported([*trained, "what=trunk"], tmp_path / "models", capsys)
    plan = make(compose(trained))
    run = plan.tree.runs[0]
    store = Store(Path(run.settings.store.path))
    about = json.loads((folder / "trunk.json").read_text())
    assert about["step"] == 28  # where version 2's branch of 0.6 T leaves the trunk; nothing parts at version 3's
    key = json.loads((folder / "checkpoint.json").read_text())["key"]
    state = load_state(run, store.load(key, "model", "optimizer", "trace"))

    ours: list[float] = []
    for rate, tokens in zip(*following(run, 28), strict=True):
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        loss = state.loss(tokens[:, :-1], tokens[:, 1:]) / (tokens.shape[0] * (tokens.shape[1] - 1))
        loss.backward()
        ours.append(loss.item())
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), about["clip_norm"])
        state.optimizer.step()
        state.optimizer.zero_grad()
    weights = dict(state.model.named_parameters())

    def own(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits, targets) / targets.numel()

    same, losses = continued(folder, run, own)
    assert losses == ours
    assert all(torch.equal(same[name], weights[name]) for name in weights)
    plain, losses = continued(folder, run, F.cross_entropy)
    assert losses == pytest.approx(ours, abs=1e-6)
    assert all((plain[name] - weights[name]).abs().max() < 1e-6 for name in weights)
    # Without the optimizer's state it would be another training.
    (folder / "optimizer.safetensors").rename(tmp_path / "taken.safetensors")
    moments = load_file(tmp_path / "taken.safetensors")
    assert {name.rpartition(".")[2] for name in moments} == {"step", "exp_avg", "exp_avg_sq"}
    assert {name.rpartition(".")[0] for name in moments} == set(weights)
    assert moments["lm_head.weight.step"] == 28


def test_what_is_written_is_the_trunks(trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exported([*trained, "what=trunk", "step=8"], tmp_path / "models", capsys)
    assert folder.name.endswith("-trunk-8")
    about = json.loads((folder / "trunk.json").read_text())
    assert (about["step"], about["max_lr"], about["last_lr"]) == (8, 0.01, 0.01)
    assert [group["weight_decay"] for group in about["groups"]] == [0.1, 0.0]
    assert about["groups"][1]["params"] == [
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.norm.weight",
    ]
    assert "trunk at step 8" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["what=trunk", "step=9"], "stored are the steps 8, 28"),
        (["what=trunk", "step=x"], "step=x is no step"),
        (["what=trunk", "paradigm=ptfs"], "a paradigm that has a trunk"),
        (["what=trunk", "dtype=bfloat16"], "keeps float32"),
        (["what=trunk", "version=1"], "what=trunk takes step="),
        (["step=8"], "add what=trunk"),
        (["what=tree"], "what=tree is unknown"),
        (["dtype=int8"], "dtype=int8 is unknown; float32 and bfloat16"),
    ],
)
def test_what_there_is_not_is_refused(
    trained: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each for each in trained if not words[-1].startswith("paradigm") or not each.startswith("paradigm")]
    capsys.readouterr()
    with pytest.raises(SystemExit) as refusal:
        export.main([*given, *words])
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err


def test_ten_lines_are_enough() -> None:
    assert LINES is not None
    lines = LINES[1].splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 120
    assert not any(";" in line for line in lines)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (["paradigm=trunk", "optimizer=muon"], "muon"),
        (["paradigm=trunk", "optimizer=schedule_free"], "schedule_free"),
        (["paradigm=schedule_free"], "schedule_free"),
    ],
)
def test_another_rule_than_adamw_is_refused_with_what_works_for_it(
    rule: list[str], kind: str, smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(*rule, "stream.versions=1", "stream.steps_per_version=10", "schedule.warmup_steps=2")
    train.main(given)
    capsys.readouterr()
    output = tmp_path / "models"
    with pytest.raises(SystemExit, match="2"):
        export.main([*given, "what=trunk", f"output={output}"])
    message = capsys.readouterr().err
    assert f"optimizer.kind={kind}: what=trunk writes AdamW's state" in message
    assert not output.exists()
    # What the message says works: the weights alone, and training on from the store's own checkpoints.
    assert "what=versions" in message
    folder = exported([*given, "what=versions"], output, capsys)
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 0
    longer = make(compose([each.replace("versions=1", "versions=2") for each in given])).summary()
    assert 0 < longer["stored_steps"] < longer["unique_steps"]


def test_the_last_rate_is_that_of_the_trunk_whichever_run_passes_the_point(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Step 40 is where the last of four versions leaves, with branches of half of all steps; version 3 of the others
    passes it, and the rate of this run's own version 3, which decays from step 30 on, was told."""
    given = smoke(
        "paradigm=path_switching", "stream.versions=4", "stream.steps_per_version=20", "numerics.matmul=torch"
    )
    given += ["-m", "paradigm.branch_share=null,1/2"]
    train.main(given)
    folder = exported([*given, "what=trunk", "step=40"], tmp_path / "models", capsys)
    assert json.loads((folder / "trunk.json").read_text())["last_lr"] == 0.01

"""lm-eval over a model in memory: its rows against lm-eval's own results, and against plain arithmetic."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import items
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from repro.config.settings import FinetuneSettings, TaskSettings
from repro.downstream import harness, sft, tasks
from repro.downstream import items as local_items

TOKENIZER = items.tokenizer()
BATCH, LIMIT = 8, 4


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> "tuple[TaskSettings, Path]":
    with pytest.MonkeyPatch.context() as monkeypatch:
        settings, data_path = items.install(tmp_path_factory.mktemp("harness"), monkeypatch)
        local_items.prepare(data_path)
        yield settings, data_path


@pytest.fixture(scope="module")
def rows(installed: tuple[TaskSettings, Path]) -> list[harness.Score]:
    return harness.evaluate(items.model(), TOKENIZER, *installed, BATCH, LIMIT)


def _log_likelihood(model: torch.nn.Module, prompt: str, answer: str) -> float:
    context, whole = TOKENIZER.encode(prompt), TOKENIZER.encode(prompt + answer)
    with torch.no_grad():
        scores = F.log_softmax(model(input_ids=torch.tensor([whole])).logits[0].double(), -1)
    return sum(scores[i - 1, whole[i]].item() for i in range(len(context), len(whole)))


def test_values_errors_and_hashes_are_lm_evals_own(
    rows: list[harness.Score], installed: tuple[TaskSettings, Path]
) -> None:
    settings, data_path = installed
    manager = TaskManager(
        include_path=settings.include_path, include_defaults=False, metadata={"data_path": str(data_path)}
    )
    lm = HFLM(pretrained=items.model(), tokenizer=TOKENIZER, batch_size=BATCH)
    theirs = simple_evaluate(model=lm, tasks=["nine_local"], task_manager=manager, limit=LIMIT)
    assert [row["task"] for row in rows] == settings.names
    for row in rows:
        expected = theirs["results"][row["task"]]
        assert row["value"] == expected[f"{row['metric']},none"]
        assert row["stderr"] == pytest.approx(expected[f"{row['metric']}_stderr,none"])
        assert row["items"] == theirs["n-samples"][row["task"]]["effective"]
        assert row["lm_eval"] == theirs["lm_eval_version"]
    assert len({row["task_hash"] for row in rows}) == 9


def test_chance_and_bits_per_byte_follow_from_the_items(
    rows: list[harness.Score], installed: tuple[TaskSettings, Path]
) -> None:
    model = items.model()
    for row in rows:
        name = row["task"].removesuffix("_local")
        task = tasks.load(*installed)["tasks"][row["task"]]
        path = installed[1] / "tasks" / "nine_local" / f"{name}.test.jsonl"
        docs = [json.loads(line) for line in path.read_text().splitlines()][:LIMIT]
        assert row["chance"] == pytest.approx(sum(1 / len(doc["choices"]) for doc in docs) / len(docs))
        answers = [f" {doc['choices'][doc['gold']]}" for doc in docs]
        nats = -sum(_log_likelihood(model, task.doc_to_text(doc), a) for doc, a in zip(docs, answers, strict=True))
        size = sum(len(answer.encode()) for answer in answers)
        assert row["gold_bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_a_second_evaluation_gives_the_same_rows_and_disturbs_nothing(
    rows: list[harness.Score], installed: tuple[TaskSettings, Path]
) -> None:
    model = items.model().train()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    expected = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    assert harness.evaluate(model, TOKENIZER, *installed, BATCH, LIMIT) == rows
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected  # noqa: NPY002
    assert model.training
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())


def test_bfloat16_gives_nearly_the_same_bits_per_byte(
    rows: list[harness.Score], installed: tuple[TaskSettings, Path]
) -> None:
    rough = harness.evaluate(items.model(), TOKENIZER, *installed, BATCH, LIMIT, dtype="bfloat16")
    bits = [row["gold_bits_per_byte"] for row in rows]
    assert [row["gold_bits_per_byte"] for row in rough] != bits
    assert [row["gold_bits_per_byte"] for row in rough] == pytest.approx(bits, rel=0.02)


def test_evaluation_prints_nothing(
    installed: tuple[TaskSettings, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    harness.evaluate(items.model(sequence_length=16), TOKENIZER, *installed, BATCH, limit=2)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_limit_takes_the_first_items(installed: tuple[TaskSettings, Path]) -> None:
    settings, data_path = installed
    only = replace(settings, names=["mmlu_local"])
    (row,) = harness.evaluate(items.model(), TOKENIZER, only, data_path, BATCH, limit=3)
    assert row["items"] == 3
    docs = list(tasks.load(*installed)["tasks"]["mmlu_local"].test_docs())[:3]
    pairs = [(f"Question: {doc['question']}\nAnswer:", f" {doc['choices'][doc['gold']]}") for doc in docs]
    nats = -sum(_log_likelihood(items.model(), *pair) for pair in pairs)
    size = sum(len(answer.encode()) for _, answer in pairs)
    assert row["gold_bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_a_group_is_the_average_over_its_items(rows: list[harness.Score], installed: tuple[TaskSettings, Path]) -> None:
    settings, data_path = installed
    (group,) = harness.evaluate(
        items.model(), TOKENIZER, replace(settings, names=["nine_local"]), data_path, BATCH, LIMIT
    )
    total = sum(row["items"] for row in rows)
    assert group["items"] == total
    for field in ("value", "chance"):
        assert group[field] == pytest.approx(sum(row[field] * row["items"] for row in rows) / total)
    assert group["stderr"] == pytest.approx(math.hypot(*(row["stderr"] * row["items"] for row in rows)) / total)


def test_a_prompt_beyond_the_window_loses_its_beginning_and_an_answer_nothing() -> None:
    model = items.model(sequence_length=6)
    lm = harness.WindowedLM(pretrained=model, tokenizer=TOKENIZER, batch_size=2, max_length=6)
    prompt, answer, long = [10, 11, 12, 13, 14, 15, 16], [20, 21], list(range(30, 42))
    scores = lm._loglikelihood_tokens([(("a", "b"), prompt, answer), (("a", "c"), prompt, long)], disable_tqdm=True)
    with torch.no_grad():
        for (score, _), ids, tail in ((scores[0], prompt[-5:] + answer, 2), (scores[1], prompt[-1:] + long, 12)):
            logits = F.log_softmax(model(input_ids=torch.tensor([ids[:-1]])).logits[0], -1)
            expected = sum(logits[i - 1, ids[i]].item() for i in range(len(ids) - tail, len(ids)))
            assert score == pytest.approx(expected, rel=1e-5)
    assert lm.max_length == 6


def test_a_model_that_has_learnt_the_answers_scores_full_marks(installed: tuple[TaskSettings, Path]) -> None:
    # Fine-tuning and evaluation must mean the same prompt and the same choice for this to come out.
    settings, data_path = installed
    few = replace(settings, names=["openbookqa_local", "string_operations_local"])
    loaded = tasks.load(few, data_path)["tasks"]
    examples = [
        (loaded[name].doc_to_text(doc), f" {doc['choices'][doc['gold']]}")
        for name in few.names
        for doc in list(loaded[name].test_docs())[:6]
    ]
    model = items.model()
    before = harness.evaluate(model, TOKENIZER, few, data_path, BATCH, limit=6)
    recipe = FinetuneSettings(epochs=80, batch_size=12, max_lr=1e-2)
    sft.finetune(model, TOKENIZER, examples, recipe, seed=0)
    after = harness.evaluate(model, TOKENIZER, few, data_path, BATCH, limit=6)
    for old, new in zip(before, after, strict=True):
        assert old["value"] < new["value"] == 1.0
        assert new["gold_bits_per_byte"] < 0.1 < old["gold_bits_per_byte"]


@pytest.mark.slow
def test_the_lm_eval_command_scores_an_exported_model_as_we_do(
    rows: list[harness.Score], installed: tuple[TaskSettings, Path], tmp_path: Path
) -> None:
    settings, data_path = installed
    items.model().save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    shutil.copytree(settings.include_path, tmp_path / "conf" / "tasks" / "nine_local")
    (tmp_path / "data").symlink_to(data_path)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", "pretrained=model,tokenizer=model"]
    command += ["--include_path", "conf/tasks/nine_local", "--tasks", "nine_local", "--device", "cpu"]
    command += ["--batch_size", str(BATCH), "--limit", str(LIMIT), "--output_path", "scores"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads(next((tmp_path / "scores").rglob("results_*.json")).read_text())["results"]
    for row in rows:
        assert scores[row["task"]][f"{row['metric']},none"] == row["value"]

"""Preparing streams ahead of workers: once, whole, and read without a hub afterwards."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from dumps import dump

from repro import prepare
from repro.common.errors import UserError
from repro.data import tokenizer
from repro.data.opening import open_stream
from repro.launching import job
from repro.planning import asked
from repro.planning.frozen import freeze
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store

Overrides = Callable[..., list[str]]


@pytest.fixture
def hub(tmp_path: Path) -> list[str]:
    """A data set as `datasets` gives it, and a data folder of its own."""
    rows = tmp_path / "rows.jsonl"
    words = random.Random(0)
    texts = (" ".join(words.choices(["alpha", "beta", "gamma", "delta"], k=400)) + f" {n}" for n in range(40))
    rows.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return [
        "corpus=hf",
        "corpus.dataset=json",
        f"corpus.path={rows}",
        "stream.steps_per_version=5",
        "schedule.warmup_steps=2",
    ]


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".lock"}


def test_a_sweeps_streams_are_written_once_and_told(
    smoke: Overrides, hub: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = smoke(*hub, f"data.path={tmp_path / 'data'}", "stream.steps_per_version=3,5", "--multirun")
    prepare.main([*overrides, "output=json"])
    (told,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(told["train_tokens"]) == 4
    assert min(told["train_tokens"]) > 5 * 4 * 32
    assert set(told["used_tokens"]) == {5 * 4 * 32}
    before = files(tmp_path / "data")
    prepare.main(overrides)
    text = capsys.readouterr().out
    assert told["fingerprint"] in text
    assert f"version 4: {told['train_tokens'][3]:,} tokens to train on, 640 of them used" in text
    assert files(tmp_path / "data") == before


def test_what_is_used_is_what_training_uses_where_lengths_are_auto(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        dump(tmp_path / "dumps", number, 40 * number)
    places = [f"corpus.path={tmp_path / 'dumps'}", f"data.path={tmp_path / 'data'}"]
    auto = ["corpus=releases", "stream=releases", "stream.versions=auto", "stream.steps_per_version=auto"]
    given = smoke(*auto, *places, "schedule.warmup_steps=2", "stream.heldout_blocks=4", "stream.global_batch_size=8")
    prepare.main([*given, "output=json"])
    told = json.loads(capsys.readouterr().out)
    (run,) = make(compose(given)).tree.runs
    assert told["used_tokens"] == [steps * 8 * 32 for steps in run.settings.stream.steps]
    assert any(used + 8 * 32 < train for used, train in zip(told["used_tokens"], told["train_tokens"], strict=True))


def test_a_worker_asks_no_hub_for_a_stream_that_is_gone(smoke: Overrides, hub: list[str], tmp_path: Path) -> None:
    """On a cluster, it would tokenize a corpus while it holds a GPU, and every other worker waits."""
    settings = compose(smoke(*hub, f"data.path={tmp_path / 'data'}"))
    store = Store.of(settings[0].store)
    frozen = freeze(make(settings), store)
    settings_of_job = replace(settings[0], frozen_plan=frozen)
    assert job._opened(settings_of_job)[0] == settings
    for manifest in (tmp_path / "data").rglob("manifest.json"):
        manifest.unlink()
    job.forget_latest()
    with pytest.raises(UserError, match=r"python -m repro\.prepare, with the sweep's arguments"):
        job._opened(settings_of_job)


def test_a_hubs_corpus_is_planned_with_a_stand_in_until_it_is_prepared(
    smoke: Overrides, hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = compose(smoke(*hub, f"data.path={tmp_path / 'data'}"))
    stand_in = make(settings, data_optional=True)
    assert not (tmp_path / "data").exists()
    prepare.prepare(settings[0])

    def no_hub(*arguments: object, **more: object) -> None:
        raise AssertionError("asked the hub")

    monkeypatch.setattr(datasets, "load_dataset", no_hub)
    from repro.planning import runs

    runs._stream.cache_clear()
    planned, trained = make(settings, data_optional=True), make(settings)
    assert planned.tree.nodes.keys() == trained.tree.nodes.keys()
    assert planned.tree.unique_steps == stand_in.tree.unique_steps
    assert not planned.tree.nodes.keys() & stand_in.tree.nodes.keys()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("rows.json.gz", b"no gzip", "Not a gzipped file"), ("none.jsonl", b"", "it has no row")],
)
def test_a_plan_looks_whether_local_files_can_be_read(
    smoke: Overrides, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    given = smoke("corpus=hf", "corpus.dataset=json", f"corpus.path={tmp_path / name}")
    with pytest.raises(UserError, match=rf"corpus.path={tmp_path / name} cannot be read: {reason}"):
        asked.plan(given, data_optional=True)
    with pytest.raises(UserError, match=rf"schedule=cosin is unknown.*(?s:.)*{name} cannot be read: {reason}"):
        asked.plan([*given, "schedule=cosin"], data_optional=True)
    assert not (tmp_path / "store").exists()


def test_a_corpus_that_is_too_short_is_refused_with_what_would_work(
    smoke: Overrides, hub: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        prepare.main(smoke(*hub, f"data.path={tmp_path / 'data'}", "stream.steps_per_version=100000"))
    assert refusal.value.code == 2
    assert "is the largest that works" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "message"),
    [("", "Overrides look like group=option"), ("--nope", "--nope: not supported here; -m, --help and --version are.")],
)
def test_an_argument_that_is_none_is_refused(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        prepare.main([argument])
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err


def test_the_tokenizer_of_a_large_corpus_sees_the_beginning_of_it(
    smoke: Overrides, hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings,) = compose(smoke(*hub))
    shape = replace(settings.stream, vocab_size=400)
    corpus = settings.corpus
    whole = open_stream(corpus, shape, tmp_path / "whole")
    monkeypatch.setattr(tokenizer, "TOKENIZER_BYTES", 1)  # then it is the first piece
    first = open_stream(corpus, shape, tmp_path / "first")
    merges = [json.loads(each.tokenizer_file.read_text())["model"]["merges"] for each in (whole, first)]
    assert 0 < len(merges[1]) < len(merges[0])

"""An exported folder in others' hands: other versions of transformers, the lm_eval command, a hub, a colleague."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import items
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from repro import export, train
from repro.data.tokenizer import END_OF_TEXT
from repro.downstream import harness
from repro.downstream import items as local_items
from repro.downstream.loading import load_model
from repro.exports.card import _licence
from repro.exports.folder import _both_spellings, _edit
from repro.models import numerics
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store

Overrides = Callable[..., list[str]]
ARCHITECTURES = ("llama", "qwen")
OTHERS = [each for each in os.environ.get("EXPORT_PYTHONS", "").split(":") if each]
"""Pythons with other versions of transformers (docs/export.md)."""

IN_ANOTHER = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
torch.set_num_threads(1)
folder, given = sys.argv[1], json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype="auto")
with torch.no_grad():
    logits = model(input_ids=torch.tensor(given["ids"])).logits
print(json.dumps({"version": __version__, "ids": [tokenizer(text)["input_ids"] for text in given["texts"]],
                  "logits": logits.tolist(), "dtype": str(model.dtype), "cache": model.config.use_cache}))
"""


def texts() -> list[str]:
    """200 texts of what tokenizers disagree about: digits, spaces, line ends, contractions, accents, other scripts."""
    parts = [
        "2023",
        "650841823",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "people's",
        "DON'T",
        "naïve",
        "e\u0301cole",
        "北京",
    ]
    parts += [
        "Привет",
        "🙂",
        "$12,345.67",
        "...!?",
        "(test)",
        "the union",
        "x_y",
        "مرحبا",
        "\u00a0",
        "<|endoftext|>",
        "ﬁn",
    ]
    draw = random.Random(0)
    return [draw.choice(["", " "]).join(draw.choices(parts, k=12)) for _ in range(200)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data_path: Path) -> Callable[[str], tuple[list[str], Path]]:
    """A trained run of an architecture, as overrides, and its exported folder."""
    known: dict[str, tuple[list[str], Path]] = {}

    def make_one(architecture: str) -> tuple[list[str], Path]:
        if architecture not in known:
            place = tmp_path_factory.mktemp(architecture)
            given = ["scale=smoke", f"model={architecture}", "stream.versions=1", "stream.steps_per_version=6"]
            given += ["schedule.warmup_steps=1", "paradigm=cpt", "stream.sequence_length=128", "numerics.matmul=torch"]
            given += [
                "stream.global_batch_size=2",
                "stream.vocab_size=1024",
                f"store.path={place / 'store'}",
                f"data.path={data_path}",
            ]
            given += [f"ledger.path={place / 'ledger'}", "model.rope_theta=5e5"]
            train.main(given)
            export.main([*given, f"output={place / 'models'}"])
            (folder,) = (place / "models").iterdir()
            known[architecture] = given, folder
        return known[architecture]

    return make_one


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_texts_are_cut_as_training_cut_them(
    made: Callable[[str], tuple[list[str], Path]], architecture: str, tmp_path: Path
) -> None:
    given, folder = made(architecture)
    trained = Tokenizer.from_file(str(make(compose(given)).tree.runs[0].stream.tokenizer_file))
    expected = [trained.encode(text).ids for text in texts()]
    for more in ({}, {"trust_remote_code": True}, {"trust_remote_code": False}, {"use_fast": False}):
        loaded = AutoTokenizer.from_pretrained(folder, **more)
        assert [loaded(text)["input_ids"] for text in texts()] == expected
    assert loaded.model_max_length == 128


def test_both_spellings_are_written(made: Callable[[str], tuple[list[str], Path]]) -> None:
    for architecture in ARCHITECTURES:
        config = json.loads((made(architecture)[1] / "config.json").read_text())
        assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 5e5
        assert config["rope_scaling"] is None
        assert config["dtype"] == config["torch_dtype"] == "float32"
        assert config["use_cache"] is True
        assert config["max_position_embeddings"] == 128
        assert config["num_key_value_heads"] == 2
        tokens = json.loads((made(architecture)[1] / "tokenizer_config.json").read_text())
        assert tokens["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert "backend" not in tokens


@pytest.mark.parametrize(
    ("kind", "rope"),
    [
        ("gpt_neox", {"rope_type": "linear", "factor": 4.0, "rope_theta": 50000, "partial_rotary_factor": 0.5}),
        ("phi", {"rope_type": "default", "rope_theta": 50000, "partial_rotary_factor": 0.25}),
        ("llama", {"rope_type": "linear", "factor": 4.0, "rope_theta": 50000}),
    ],
)
def test_what_is_added_for_transformers_4_changes_nothing_in_5(
    kind: str, rope: dict[str, object], tmp_path: Path
) -> None:
    AutoConfig.for_model(kind, rope_parameters=rope).save_pretrained(tmp_path)
    _edit(tmp_path / "config.json", _both_spellings)
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters == rope
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["rope_theta"] == 50000
    assert written.get("partial_rotary_factor") == rope.get("partial_rotary_factor")


def test_an_export_ends_where_its_own_tokenizer_says(
    smoke: Overrides, few: list[str], data_path: Path, tmp_path: Path
) -> None:
    """Also with a tokenizer whose end of text is another number than this suite's."""
    small = ["paradigm=cpt", "stream.versions=1", "stream.steps_per_version=2", "schedule.warmup_steps=1"]
    own = make(compose(smoke(*few, *small))).tree.runs[0].stream.tokenizer_file
    content = json.loads(own.read_text())
    vocabulary, size = content["model"]["vocab"], len(content["model"]["vocab"])
    (end,) = (each for each in content["added_tokens"] if each["content"] == END_OF_TEXT)
    (last,) = (token for token, number in vocabulary.items() if number == size - 1)
    vocabulary[END_OF_TEXT], vocabulary[last], end["id"] = size - 1, 0, size - 1
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    given = smoke(*few, *small, f"stream.tokenizer={tmp_path / 'tokenizer.json'}")
    train.main(given)
    export.main([*given, f"output={tmp_path / 'models'}"])
    (folder,) = (tmp_path / "models").iterdir()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token_id == size - 1
    for each in (model.config, model.generation_config):
        assert (each.bos_token_id, each.eos_token_id) == (size - 1, size - 1)


@pytest.mark.skipif(not OTHERS, reason="EXPORT_PYTHONS names no Python with another transformers (docs/export.md)")
@pytest.mark.parametrize("python", OTHERS or [""])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_another_transformers_gives_the_same_logits_and_ids(
    made: Callable[[str], tuple[list[str], Path]], architecture: str, python: str
) -> None:
    given, folder = made(architecture)
    run = make(compose(given)).tree.runs[0]
    ids = run.stream.heldout(1).blocks[:4, :-1]
    asked = json.dumps({"ids": ids.tolist(), "texts": texts()})
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", IN_ANOTHER, str(folder)], input=asked, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    trained = Tokenizer.from_file(str(run.stream.tokenizer_file))
    assert theirs["ids"] == [trained.encode(text).ids for text in texts()]
    assert (theirs["dtype"], theirs["cache"]) == ("torch.float32", True)
    torch.set_num_threads(1)
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(folder)(input_ids=torch.from_numpy(ids)).logits
    torch.testing.assert_close(torch.tensor(theirs["logits"]), ours, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=pytest.mark.slow if name == "qwen" else ()) for name in ARCHITECTURES]
)
def test_the_lm_eval_command_gives_our_nine_scores(
    made: Callable[[str], tuple[list[str], Path]],
    architecture: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, folder = made(architecture)
    run, key = make(compose(given)).tree.runs[0], make(compose(given)).tree.ends[0][0]
    settings, data_path = items.install(tmp_path, monkeypatch)
    local_items.prepare(data_path)
    model, tokenizer = load_model(run, Store(Path(run.settings.store.path)).load_weights(key))
    rows = harness.evaluate(model, tokenizer, settings, data_path, 8, 4)
    assert len(rows) == 9

    work = tmp_path / "work"
    shutil.copytree(settings.include_path, work / "conf" / "tasks" / "nine_local")
    (work / "data").symlink_to(data_path)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder}"]
    command += ["--include_path", "conf/tasks/nine_local", "--tasks", "nine_local", "--device", "cpu"]
    command += ["--batch_size", "8", "--limit", "4", "--output_path", "scores", "--log_samples"]
    done = subprocess.run(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads(next((work / "scores").rglob("results_*.json")).read_text())["results"]
    for row in rows:
        assert scores[row["task"]][f"{row['metric']},none"] == row["value"]
    # Scores of so few items may agree by chance; log-likelihoods of differently cut texts do not.
    (path,) = (work / "scores").rglob("samples_openbookqa_local_*.jsonl")
    golds = [(each, int(each["target"])) for each in map(json.loads, path.read_text().splitlines())]
    nats = -sum(float(each["resps"][gold][0][0]) for each, gold in golds)
    size = sum(len(each["arguments"][f"gen_args_{gold}"]["arg_1"].encode()) for each, gold in golds)
    (row,) = (each for each in rows if each["task"] == "openbookqa_local")
    assert nats / math.log(2) / size == pytest.approx(row["gold_bits_per_byte"], rel=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_as_many_bytes_on_request(
    made: Callable[[str], tuple[list[str], Path]], dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, whole = made("llama")
    capsys.readouterr()
    export.main([*given, f"dtype={dtype}", f"output={tmp_path}"])
    out, err = capsys.readouterr()
    folder = Path(out.strip())
    assert folder.name == f"{whole.name}-{dtype}"
    assert err == "context: 128 tokens (stream.sequence_length)\n"
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert loaded.dtype == getattr(torch, dtype)
    exact = dict(AutoModelForCausalLM.from_pretrained(whole).named_parameters())
    for name, parameter in loaded.named_parameters():
        assert torch.equal(parameter, exact[name].to(parameter.dtype))


def test_others_may_read_what_the_umask_lets_them(
    made: Callable[[str], tuple[list[str], Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, _ = made("llama")
    before = os.umask(0o027)
    try:
        export.main([*given, f"output={tmp_path}"])
        export.main([*given, "what=trunk", f"output={tmp_path}"])
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    assert "optimizer.safetensors" in {path.name for path in files}


def test_exporting_again_leaves_what_people_put_there(
    made: Callable[[str], tuple[list[str], Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a folder is that was made a repository, with a card that somebody filled in."""
    given, _ = made("llama")
    export.main([*given, f"output={tmp_path}", "version=1"])
    (folder,) = tmp_path.iterdir()
    (folder / ".git").mkdir(mode=0o755)
    (folder / "upload.sh").write_text("#!/bin/sh\n")
    (folder / "upload.sh").chmod(0o700)
    (folder / "elsewhere").symlink_to(tmp_path / "nowhere")
    (folder / "README.md").write_text("Ours.\n")
    (folder / "model.safetensors").write_bytes(b"cut short")
    export.main([*given, f"output={tmp_path}", "version=1"])
    assert "kept as it is" in capsys.readouterr().err
    assert (folder / "README.md").read_text() == "Ours.\n"
    assert [(folder / name).stat().st_mode & 0o777 for name in (".git", "upload.sh")] == [0o755, 0o700]
    assert load_file(folder / "model.safetensors")


def test_what_another_machine_trained_is_exported(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had been said to be untrained: a compiler, a library or a processor of another kind is enough for that."""
    given = smoke("paradigm=cpt", "stream.versions=1", "stream.steps_per_version=10")
    train.main(given)
    monkeypatch.setattr(numerics, "_processor", lambda device: {"processor": "another"})
    export.main([*given, f"output={tmp_path / 'models'}"])
    (folder,) = (tmp_path / "models").iterdir()
    assert load_file(folder / "model.safetensors")


def test_a_hub_can_read_the_card_and_it_tells_no_paths(made: Callable[[str], tuple[list[str], Path]]) -> None:
    given, folder = made("qwen")
    card = ModelCard.load(folder / "README.md")
    run = make(compose(given)).tree.runs[0]
    assert card.data.library_name == "transformers"
    assert card.data.language == "en"
    assert (card.data.license, card.data.license_name) == ("other", "works-of-the-us-government-package-mit")
    assert {"qwen2", "cpt"} <= set(card.data.tags)
    assert run.stream.fingerprint in card.text
    assert "on held-out text of versions 1 to its own" in card.text
    assert (
        f"{sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters()):,}, float32" in card.text
    )
    line = next(line for line in card.text.splitlines() if line.startswith("python -m repro.train "))
    assert "model=qwen" in line.split()
    again = make(compose([*line.split()[3:], *(each for each in given if ".path=" in each)]))
    assert again.tree.ends[0] == make(compose(given)).tree.ends[0]
    assert not any(each.partition("=")[2] in card.text for each in given if ".path=" in each)


def test_licences_in_a_hubs_words() -> None:
    assert _licence("Apache-2.0") == {"license": "apache-2.0"}
    assert _licence("") == {"license": "unknown"}
    assert _licence("By permission; see NOTICE") == {"license": "other", "license_name": "by-permission-see-notice"}

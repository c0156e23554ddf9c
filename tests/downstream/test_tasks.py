"""Benchmark items, their files, and the lm-eval tasks that read them."""
# ruff: noqa: RUF001 - Chinese has punctuation of its own

import errno
import io
import json
import os
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import items
import lm_eval
import pytest
import yaml
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import TaskIndex

from repro.common.errors import UserError
from repro.config import places
from repro.config.places import CONF
from repro.config.settings import TaskSettings
from repro.downstream import items as local_items
from repro.downstream import readers, tasks

Installed = tuple[TaskSettings, Path]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return _convert()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    return items.install(tmp_path, monkeypatch)


def _convert() -> dict[str, bytes]:
    wheels = (io.BytesIO(items.benchmarks()), io.BytesIO(items.reviews()))
    with zipfile.ZipFile(wheels[0]) as benchmarks, zipfile.ZipFile(wheels[1]) as reviews:
        return local_items.convert(benchmarks, reviews)


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def _questions(files: dict[str, bytes], name: str) -> set[str]:
    return {item["question"] for item in _lines(files[name])}


# Conversion


def test_every_task_has_a_training_and_a_test_file_with_sound_items(files: dict[str, bytes]) -> None:
    assert set(files) == {f"{name}.{split}.jsonl" for name in readers.READERS for split in ("train", "test")}
    for name, content in files.items():
        assert len(_lines(content)) >= 3, name
        for item in _lines(content):
            assert set(item) == {"id", "question", "choices", "gold"}
            assert item["choices"][item["gold"]]


def test_the_right_choice_survives_conversion(files: dict[str, bytes]) -> None:
    numbered = next(item for item in _lines(files["arc_easy.test.jsonl"]) if item["question"].endswith("stove 5?"))
    assert numbered == {
        "id": "id5",
        "question": "What burns in stove 5?",
        "choices": ["hazel", "larch", "maple", "oak"],
        "gold": 1,
    }
    for item in _lines(files["copycolors.test.jsonl"] + files["copycolors.train.jsonl"]):
        assert f"is {item['choices'][item['gold']]}." in item["question"]
    social = {
        item["question"]: item for item in _lines(files["social_iqa.test.jsonl"] + files["social_iqa.train.jsonl"])
    }
    assert social["Kim planted tree 3. What next?"]["gold"] == 7 % 3


def test_a_question_of_any_test_split_is_in_no_training_split(files: dict[str, bytes]) -> None:
    def folded(split: str) -> set[str]:
        names = [name for name in files if f".{split}." in name]
        return {" ".join(question.lower().split()) for name in names for question in _questions(files, name)}

    assert items.TWICE.lower() in folded("test")
    assert not folded("train") & folded("test")


def test_items_of_one_family_stay_on_one_side_of_a_split(files: dict[str, bytes]) -> None:
    for name, family in (
        ("copycolors", lambda item: item["question"].splitlines()[0]),
        ("social_iqa", lambda item: item["question"].split(".")[0]),
    ):
        train = {family(item) for item in _lines(files[f"{name}.train.jsonl"])}
        test = {family(item) for item in _lines(files[f"{name}.test.jsonl"])}
        assert len(train) > 1
        assert len(test) > 1
        assert not train & test
    assert len(_lines(files["copycolors.train.jsonl"] + files["copycolors.test.jsonl"])) == 3 * 16


def test_a_review_that_quotes_a_test_sentence_is_left_out(files: dict[str, bytes]) -> None:
    reviews = _questions(files, "sst2.train.jsonl")
    assert len(reviews) == 40
    assert not any("tale of trees" in review.lower().replace(",", "") for review in reviews)
    assert "A plot." not in reviews


def test_long_questions_and_doubtful_choices_are_left_out(files: dict[str, bytes]) -> None:
    both = _lines(files["commonsense_qa.train.jsonl"] + files["commonsense_qa.test.jsonl"])
    assert len(both) == 16
    for item in both:
        assert len(item["question"].encode()) <= local_items.LONGEST_QUESTION
        assert len(set(item["choices"])) == len(item["choices"])
        assert all(item["choices"])


def test_documents_listed_twice_are_taken_once(files: dict[str, bytes]) -> None:
    both = _lines(files["string_operations.train.jsonl"] + files["string_operations.test.jsonl"])
    assert sorted(int(item["id"]) for item in both) == list(range(16))


def test_conversion_gives_the_same_bytes_again_in_an_order_of_its_own(files: dict[str, bytes]) -> None:
    assert _convert() == files
    # By hash, so that the first items are not all of the first subject.
    subjects = [item["question"].split()[0] for item in _lines(files["mmlu.test.jsonl"])]
    assert len(subjects) == 32
    assert set(subjects[:8]) == {"botany", "law"}


# Preparation


def test_preparation_fetches_converts_and_then_leaves_the_files_alone(
    installed: Installed, files: dict[str, bytes]
) -> None:
    _, data_path = installed
    folder = local_items.prepare(data_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    shutil.rmtree(data_path / "packages")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    local_items.prepare(data_path)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_lost_or_torn_file_is_written_again(
    installed: Installed, files: dict[str, bytes], damage: Callable[[Path], None]
) -> None:
    _, data_path = installed
    path = local_items.prepare(data_path) / "mmlu.test.jsonl"
    damage(path)
    local_items.prepare(data_path)
    assert path.read_bytes() == files["mmlu.test.jsonl"]


def test_sound_items_are_used_where_nothing_can_be_written(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, data_path = installed
    place = local_items.prepare(data_path)

    def refuse(*given: object, **more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "touch", "write_bytes", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(local_items.locks, "held", refuse)
    assert local_items.prepare(data_path) == place
    (place / "mmlu.test.jsonl").unlink()
    with pytest.raises(UserError, match=r"cannot be kept there.*mmlu\.test\.jsonl is missing there, or not as pinned"):
        local_items.prepare(data_path)


def test_items_that_may_not_be_read_are_named(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    _, data_path = installed
    local_items.prepare(data_path)

    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(local_items.disk, "sha256", refuse)
    with pytest.raises(UserError, match=r"Permission denied: .*\.jsonl"):
        local_items.prepare(data_path)


def test_a_data_path_that_cannot_be_written_is_refused(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"data\.path=.*file: the tasks' items cannot be kept there"):
        local_items.prepare(tmp_path / "file")


def test_lm_eval_without_preparation_says_which_command_prepares(installed: Installed, tmp_path: Path) -> None:
    settings, data_path = installed
    manager = TaskManager(
        include_path=settings.include_path, include_defaults=False, metadata={"data_path": str(tmp_path / "elsewhere")}
    )
    with pytest.raises(FileNotFoundError, match=r"python -m repro\.tasks data\.path=.*elsewhere"):
        manager.load(["mmlu_local"])
    altered = local_items.prepare(data_path) / "mmlu.test.jsonl"
    altered.write_bytes(altered.read_bytes().replace(b"oak", b"yew", 1))
    manager = TaskManager(
        include_path=settings.include_path, include_defaults=False, metadata={"data_path": str(data_path)}
    )
    with pytest.raises(FileNotFoundError, match=r"mmlu\.test\.jsonl is missing or not as it should be"):
        manager.load(["mmlu_local"])


# The tasks as lm-eval knows them


def test_settings_task_files_and_items_name_the_same_nine(installed: Installed) -> None:
    settings, data_path = installed
    loaded = tasks.load(settings, data_path)
    assert list(loaded["tasks"]) == settings.names == [f"{name}_local" for name in readers.READERS]
    for name, task in loaded["tasks"].items():
        assert task.config.dataset_kwargs == {"items": name.removesuffix("_local")}
        assert len(task.aggregation()) == 1
        assert task.has_training_docs()
        assert task.has_test_docs()
    shipped = json.loads((items.NINE_LOCAL / "checksums.json").read_text())
    assert set(shipped) == {f"{name}.{split}.jsonl" for name in readers.READERS for split in ("train", "test")}


PROMPTS = {
    "arc_easy_local": ("Question: What grows in wood 5?\nAnswer:", " larch"),
    "openbookqa_local": ("A forest 5 is made of", " larch"),
    "sst2_local": ("Review: Number 5: always a shadow in the wood\nThe film is", " good"),
    "mmlu_local": ("Question: law dev: Which tree bears the number 5?\nAnswer:", " larch"),
}


def test_training_examples_read_as_the_task_files_say(installed: Installed) -> None:
    settings, data_path = installed
    examples = set(tasks.training_examples(settings, data_path, None))
    assert set(PROMPTS.values()) <= examples
    assert all(answer.startswith(" ") and answer[1:].strip() == answer[1:] for _, answer in examples)


def test_loading_tasks_leaves_the_global_random_state_alone(installed: Installed) -> None:
    state = random.getstate()
    tasks.training_examples(*installed, None)
    assert random.getstate() == state


def test_training_examples_are_lm_evals_own_requests_for_the_right_choice(installed: Installed) -> None:
    settings, data_path = installed
    local_items.prepare(data_path)
    manager = TaskManager(
        include_path=settings.include_path, include_defaults=False, metadata={"data_path": str(data_path)}
    )
    for name in settings.names:
        # The training split in the place of the test split, built as lm-eval builds what it evaluates.
        task = manager.load({"task": name, **_config(settings, name), "test_split": "train"})["tasks"][name]
        task.build_all_requests(limit=None, rank=0, world_size=1)
        gold = [task.doc_to_target(doc) for doc in task.training_docs()]
        expected = [request.args for request in task.instances if request.idx == gold[request.doc_id]]
        mine = tasks.training_examples(replace(settings, names=[name]), data_path, None)
        assert mine == expected


def _config(settings: TaskSettings, name: str) -> dict[str, Any]:
    """A task file's content with what it includes, as lm-eval reads it."""
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(Path(settings.include_path) / f"{name.removesuffix('_local')}.yaml")


def test_a_cap_on_examples_is_shared_evenly_and_small_tasks_leave_theirs_to_others(installed: Installed) -> None:
    settings, data_path = installed
    every = tasks.training_examples(settings, data_path, None)
    sizes = {
        name: len(tasks.training_examples(replace(settings, names=[name]), data_path, None)) for name in settings.names
    }
    assert sum(sizes.values()) == len(every)
    smallest = min(sizes.values())
    capped = tasks.training_examples(settings, data_path, 9 * smallest)
    assert len(capped) == 9 * smallest
    assert capped == every[: 9 * smallest]
    reviews = [prompt for prompt, _ in capped if prompt.startswith("Review:")]
    assert len(reviews) == smallest
    more = tasks.training_examples(settings, data_path, 9 * smallest + 20)
    assert len(more) == 9 * smallest + 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"include_path": "conf/tasks/nowhere"}, r"tasks\.include_path=conf/tasks/nowhere is no folder"),
        ({"group": "ten_local"}, r"tasks\.group=ten_local is no group.*nine_local"),
        ({"names": ["mmlu_local", "chess_local"]}, r"tasks\.names has chess_local.*string_operations_local"),
    ],
)
def test_settings_that_name_nothing_are_refused(installed: Installed, changes: dict[str, Any], message: str) -> None:
    settings, data_path = installed
    with pytest.raises(UserError, match=message):
        tasks.load(replace(settings, **changes), data_path)


def test_items_outside_the_folder_of_task_files_are_refused(tmp_path: Path) -> None:
    """Nothing would tell results over them from those over others that took their place."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "items.jsonl").write_text('{"question": "1 + 1 =", "answer": "2"}\n' * 8)
    task = """task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
"""
    settings = TaskSettings(group="ours", names=["mine"], include_path=str(tmp_path / "tasks"))
    (tmp_path / "tasks" / "_ours.yaml").write_text("group: ours\ntask: [mine]\n")
    (tmp_path / "tasks" / "mine.yaml").write_text(task % (tmp_path / "items.jsonl"))
    with pytest.raises(UserError, match=rf"mine reads {tmp_path}/items.jsonl, outside of it"):
        tasks.load(settings, tmp_path)
    (tmp_path / "tasks" / "items.jsonl").symlink_to(tmp_path / "items.jsonl")
    (tmp_path / "tasks" / "mine.yaml").write_text(task % (tmp_path / "tasks" / "items.jsonl"))
    assert "mine" in tasks.load(settings, tmp_path)["tasks"]
    # A link to a folder, a way around and a pattern lead out of it as well.
    (tmp_path / "tasks" / "linked").symlink_to(tmp_path, target_is_directory=True)
    for place in ("tasks/linked/items.jsonl", "tasks/../items.jsonl", "*.jsonl"):
        (tmp_path / "tasks" / "mine.yaml").write_text(task % f"'{tmp_path}/{place}'")
        with pytest.raises(UserError, match="outside of it"):
            tasks.load(settings, tmp_path)


def test_tasks_that_were_edited_are_read_anew(tmp_path: Path) -> None:
    """By a process that has read them: it would give what the edited ones say under the names of those before."""
    task = """task: mine
dataset_path: json
dataset_kwargs: {data_files: {train: %s}}
training_split: train
test_split: train
output_type: generate_until
doc_to_text: "%s {{question}}"
doc_to_target: "{{answer}}"
"""
    (tmp_path / "items.jsonl").write_text('{"question": "1 + 1 =", "answer": "2"}\n')
    (tmp_path / "_ours.yaml").write_text("group: ours\ntask: [mine]\n")
    settings = TaskSettings(group="ours", names=["mine"], include_path=str(tmp_path))
    for word in ("Add:", "Sum:"):
        (tmp_path / "mine.yaml").write_text(task % (tmp_path / "items.jsonl", word))
        assert tasks.training_examples(settings, tmp_path, None) == [(f"{word} 1 + 1 =", " 2")]


def test_a_relative_folder_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.tasks(items.shipped("nine_local").include_path) == items.NINE_LOCAL


# The paper's nine, without their data


def test_the_papers_nine_are_tasks_of_ours_or_of_lm_eval() -> None:
    settings = items.shipped("nine_paper")
    shipped = Path(lm_eval.__file__).parent / "tasks"
    folders = [shipped / name for name in ("agieval", "bbh/cot_fewshot", "ceval", "cmmlu", "gsm8k", "mmlu/default")]
    index = TaskIndex.build([*folders, places.tasks(settings.include_path)])
    group = yaml.safe_load((places.tasks(settings.include_path) / "_nine_paper.yaml").read_text())
    assert group["task"] == settings.names
    assert len(settings.names) == 9
    gaokao = yaml.safe_load((places.tasks(settings.include_path) / "_gaokao.yaml").read_text())
    assert {*group["task"], *gaokao["task"], settings.group} <= set(index)


CLUE = {
    "c3": [
        {
            "id": 0,
            "context": ["男：你今天晚上有时间吗？", "女：今天晚上恐怕不行。"],
            "question": "女的是什么意思？",
            "choice": ["今晚有时间", "今晚没时间", "想看电影"],
            "answer": "今晚没时间",
        },
        {"id": 1, "context": ["下雨了。"], "question": "天气怎么样？", "choice": ["晴天", "雨天"], "answer": "雨天"},
    ],
    "csl": [
        {"idx": 0, "corpus_id": 9, "abst": "本文研究学习率。", "label": 1, "keyword": ["学习率", "预训练"]},
        {"idx": 1, "corpus_id": 8, "abst": "本文研究水稻。", "label": 0, "keyword": ["水稻", "钢铁"]},
    ],
}
READ = {
    "c3": [
        ("男：你今天晚上有时间吗？\n女：今天晚上恐怕不行。\n问题：女的是什么意思？\n答案：", "今晚没时间"),
        ("下雨了。\n问题：天气怎么样？\n答案：", "雨天"),
    ],
    "csl": [
        ("摘要：本文研究学习率。\n关键词：学习率，预训练\n问题：这些关键词都是这篇论文的关键词吗？\n答案：", "是"),
        ("摘要：本文研究水稻。\n关键词：水稻，钢铁\n问题：这些关键词都是这篇论文的关键词吗？\n答案：", "不是"),
    ],
}


@pytest.mark.parametrize("name", ["c3", "csl"])
def test_records_in_clues_format_become_the_right_requests(name: str, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in CLUE[name]))
    config = yaml.safe_load((CONF / "tasks" / "nine_paper" / f"{name}.yaml").read_text())
    assert (config["dataset_path"], config["dataset_name"]) == ("clue/clue", name)
    local = {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {
            "data_files": {"train": str(path), "validation": str(path)},
            "cache_dir": str(tmp_path / "cache"),
        },
    }
    task = TaskManager(include_defaults=False).load({**config, **local})["tasks"][name]
    task.build_all_requests(limit=None, rank=0, world_size=1)
    gold = [tasks.gold_index(task, doc) for doc in task.test_docs()]
    assert [request.args for request in task.instances if request.idx == gold[request.doc_id]] == READ[name]
    choices = [len(record["choice"]) if name == "c3" else 2 for record in CLUE[name]]
    assert len(task.instances) == sum(choices)


# The real packages


@pytest.mark.network
def test_the_pinned_packages_give_the_pinned_files_and_disjoint_splits(data_path: Path) -> None:
    folder = local_items.prepare(data_path)
    found = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
    assert local_items.checksums(found) == json.loads(local_items.CHECKSUMS.read_text())
    questions = {name: {question.lower() for question in _questions(found, name)} for name in found}
    for name in readers.READERS:
        assert len(questions[f"{name}.train.jsonl"]) >= 430, name
        assert len(questions[f"{name}.test.jsonl"]) >= 495, name
        for other in readers.READERS:
            assert not questions[f"{name}.train.jsonl"] & questions[f"{other}.test.jsonl"], (name, other)
    loaded = tasks.load(items.shipped("nine_local"), data_path)
    assert all(len(task.test_docs()) >= 497 for task in loaded["tasks"].values())


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("task: [one\n", "tasks.include_path="),
        ("task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: nowhere.jsonl}}\n", "nowhere.jsonl"),
        ("task: mine\noutput_type: guess\n", "tasks.group=my_group: lm-eval cannot load it"),
    ],
    ids=["no YAML", "no such items", "no such kind of output"],
)
def test_a_users_own_task_that_cannot_be_loaded_is_refused_in_words(tmp_path: Path, task: str, expected: str) -> None:
    (tmp_path / "mine.yaml").write_text(task)
    (tmp_path / "group.yaml").write_text("group: my_group\ntask: [mine]\n")
    settings = TaskSettings(group="my_group", names=["mine"], include_path=str(tmp_path))
    with pytest.raises(UserError, match=re.escape(expected)):
        tasks.load(settings, tmp_path / "data")

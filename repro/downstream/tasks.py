"""The lm-eval tasks of a group: how a question is put to a model, in training and in evaluation alike.

That is the business of the group's task files (conf/tasks) alone: the evaluation and the training examples both come
from them, so the two cannot differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.errors import UserError
from repro.config import places
from repro.config.settings import TaskSettings
from repro.downstream.items import GROUP, prepare

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.tasks.manager import TaskDict

Example = tuple[str, str]
"""(prompt, answer); the answer carries its leading delimiter."""


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


def load(settings: TaskSettings, data_path: Path) -> TaskDict:
    """The group's lm-eval tasks, as `TaskManager.load` gives them; the local items are prepared first if need be.

    Raises:
        UserError: the folder, the group or a task does not exist, or the data sets cannot be had.
    """
    path = places.tasks(settings.include_path)
    if settings.group == GROUP:
        prepare(data_path)
    loaded = _load(settings.group, path, settings.offline, data_path, content(settings))
    known = [*loaded["tasks"], *loaded.get("groups", {})]
    unknown = [name for name in settings.names if name not in known]
    if unknown:
        raise UserError(
            f"tasks.names has {', '.join(unknown)}, which tasks.group={settings.group} does not; "
            f"these would work: {', '.join(known)}."
        )
    if outside := [f"{name} reads {file}" for name in settings.names for file in _outside(loaded, name, path)]:
        raise UserError(
            f"tasks.include_path={settings.include_path}: {', '.join(dict.fromkeys(outside))}, outside of it. Results "
            "are told apart by what lies in that folder alone; the items, or links to their files, would work there."
        )
    return loaded


def content(settings: TaskSettings) -> str:
    """SHA-256 of what the files in the tasks' folder hold, the checksums of the items among them."""
    files = []
    for path in sorted(places.tasks(settings.include_path).rglob("*")):
        # What a file manager, an editor or Python leaves is no task.
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".pyc":
            status = path.stat()
            files.append((path, status.st_size, status.st_mtime_ns))
    return _sha256(tuple(files))


@lru_cache(maxsize=8)
def _sha256(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Of what files hold, read once by a process while their sizes and times of change stay: each item asks."""
    found = hashlib.sha256()
    for path, *_ in files:
        found.update(path.read_bytes())
    return found.hexdigest()


def _outside(loaded: TaskDict, name: str, folder: Path) -> Iterator[Path]:
    """Local files and folders that tasks take their items from, and that are not in the folder of task files."""
    for task in leaves(loaded, name):
        config: Any = task.config
        source, given = config.dataset_path or "", config.dataset_kwargs or {}
        at_hub = "/" in source and not Path(source).exists()  # where paths are the data set's own
        named: list[Any] = [source] if at_hub else [source, given.get("data_dir"), given.get("data_files")]
        while named:
            one = named.pop()
            if isinstance(one, dict):
                named += one.values()
            elif isinstance(one, (list, tuple)):
                named += one
            elif one and (place := _place(str(one))).exists() and not _lies_in(place, _place(str(folder))):
                yield place


def _place(given: str) -> Path:
    """A local path, without following links; of a pattern, the folder that it looks in."""
    plain, wildcard, _ = given.partition("*")
    folder = plain.rpartition("/")[0] or ("/" if plain.startswith("/") else ".")
    return Path(os.path.normpath(Path(folder if wildcard else plain).absolute()))


def _lies_in(place: Path, folder: Path) -> bool:
    """Whether what is there counts as the folder's: a link to a file does, and what lies behind one to a folder not."""
    folders = [each for each in (place, *place.parents) if each.is_relative_to(folder) and each != folder]
    return place.is_relative_to(folder) and not any(each.is_symlink() and each.is_dir() for each in folders)


@lru_cache(maxsize=4)
def _load(group: str, include_path: Path, offline: bool, data_path: Path, content: str) -> TaskDict:
    """Takes a second or more, and a process may evaluate many models. `content` is what the folder's files hold."""
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
    load(settings, data_path)  # says what is wrong with them, and is kept
    place = (settings.group, places.tasks(settings.include_path), settings.offline, data_path, content(settings))
    return list(_training_examples(*place, tuple(settings.names), max_examples))


@lru_cache(maxsize=4)
def _training_examples(
    group: str,
    include_path: Path,
    offline: bool,
    data_path: Path,
    content: str,
    names: tuple[str, ...],
    max_examples: int | None,
) -> tuple[Example, ...]:
    """Takes seconds, as lm-eval compiles a task's template for every item, and a process may fine-tune many models."""
    loaded = _load(group, include_path, offline, data_path, content)
    sources = [_in_turn([_examples(task) for task in leaves(loaded, name)]) for name in names]
    return tuple(itertools.islice(_in_turn(sources), max_examples))


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

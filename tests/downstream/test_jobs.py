"""Fine-tuning and evaluating a sweep's versions: what one item, or a request to stop, does to the others."""

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from stops import StopAfter

from repro import evaluate, finetune
from repro.common.disk import clear_errors
from repro.common.errors import Preempted, UserError
from repro.config.settings import TaskSettings
from repro.downstream import harness, jobs, sft, tasks
from repro.downstream.jobs import Job
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.store.leases import Lease
from repro.store.store import Store
from repro.training.state import fresh
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
UPDATES = ("anew", "transfer", "continue")
EXAMPLES = [(f"Question: tree number {n}?\nAnswer:", f" birch {n}") for n in range(20)]


class Items:
    """Three items to work on, and what was done of them."""

    def __init__(self, store: Store) -> None:
        self.store, self.done, self.tried = store, set[str](), list[str]()
        self.errors: dict[str, Exception] = {}
        self.todo = [Job(0, 1, "base", seed, f"weights{seed}", f"result{seed}", "") for seed in range(3)]

    def do(self, item: Job, lease: Lease) -> None:
        self.tried.append(item.weights)
        if item.weights in self.errors:
            raise self.errors[item.weights]
        self.done.add(item.weights)

    def drain(self, stop: threading.Event) -> None:
        key = attrgetter("weights")
        jobs.drain(self.todo, key, lambda: self.done, self.do, self.store, stop)


@pytest.fixture
def three(tmp_path: Path) -> Items:
    return Items(Store(tmp_path / "store"))


def test_what_is_there_is_evaluated_whether_or_not_what_it_was_made_from_is(three: Items) -> None:
    """The fine-tuned model of the version before may have been damaged, and is needed to make this one alone."""
    (first, *_) = three.todo
    (item,) = three.todo = [Job(0, 2, "base2", 0, "tuned2", "result2", "", before=first)]
    tried: list[str] = []

    def do(item: Job, lease: Lease) -> None:
        tried.append(item.result)

    jobs.drain([item], attrgetter("result"), lambda: set(tried), do, three.store, StopAfter(5))
    assert tried == ["result2"]
    with pytest.raises(Preempted):  # it waits
        jobs.drain([item], attrgetter("weights"), lambda: set(tried), do, three.store, StopAfter(2))


def test_what_fine_tuning_changed_in_a_smaller_model_is_not_added_to_a_larger_one(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = smoke("paradigm=grow", "model.layers=2", "stream.versions=3", "paradigm.grow_at=3")
    with pytest.raises(SystemExit, match="2"):
        finetune.main([*grown, "finetune.versions=[3]", "finetune.update=transfer"])
    assert "version 3 of run" in (said := capsys.readouterr().err) or "is not trained yet" in said
    plan = make(compose([*grown, "finetune.versions=[3]", "finetune.update=transfer"]))
    trained = replace(plan, stored=dict.fromkeys(plan.tree.nodes, 1))
    with pytest.raises(UserError, match=r"version 3 of run .* is larger than version 2.*update=anew works"):
        jobs.check_trained(trained, Store(Path(plan.tree.runs[0].settings.store.path)))


def test_versions_that_no_recipe_releases_are_named(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=two_stage", "finetune.versions=[4]"))).tree
    with pytest.raises(UserError, match=r"finetune\.versions=\[4\]: paradigm=two_stage releases 2 versions"):
        jobs.check_any(tree)


def test_a_stop_with_items_left_is_said_and_one_after_the_last_is_not(three: Items) -> None:
    with pytest.raises(Preempted):
        three.drain(StopAfter(1))
    assert three.tried == ["weights0"]
    three.drain(threading.Event())
    assert three.tried == ["weights0", "weights1", "weights2"]
    stop = threading.Event()
    stop.set()
    three.drain(stop)


def test_an_item_that_fails_holds_up_no_other_and_is_not_tried_by_the_next_job(three: Items) -> None:
    three.errors["weights0"] = UserError("the loss became nan")
    for _ in range(2):
        with pytest.raises(UserError, match=r"^the loss became nan$"):
            three.drain(threading.Event())
        assert three.tried == ["weights0", "weights1", "weights2"]
    three.done.add("weights0")  # someone else could
    three.drain(threading.Event())


def test_a_disk_that_refuses_one_item_is_not_asked_for_the_others(three: Items) -> None:
    def full() -> None:
        with clear_errors(three.store.root):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError) as refused:
        full()
    three.errors["weights0"] = refused.value
    with pytest.raises(UserError, match="No space left"):
        three.drain(threading.Event())
    assert three.tried == ["weights0"]


@pytest.fixture
def trained(smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Tree, Store]:
    """A run of two versions, and examples to fine-tune them on."""
    given = smoke("paradigm=cpt", "stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=2")
    tree = make(compose([*given, "finetune.versions=[1,2]", "finetune.seeds=[0]", "numerics.micro_batch_size=2"])).tree
    store = Store(tmp_path / "store")
    Worker(tree, 0, store, threading.Event()).work()
    monkeypatch.setattr(tasks, "training_examples", lambda settings, path, most: EXAMPLES)
    return tree, store


def test_how_a_batch_of_examples_is_split_keys_what_is_fine_tuned(smoke: Overrides) -> None:
    """Equal for pre-training, whose batch is not split either way: smoke's has 4 blocks, fine-tuning's 8 examples."""
    whole, split, larger = (
        jobs.jobs_of(make(compose(smoke(f"numerics.micro_batch_size={micro}", *more))).tree)
        for micro, more in (("null", []), ("4", []), ("4", ["finetune.batch_size=4"]))
    )
    unsplit = jobs.jobs_of(make(compose(smoke("finetune.batch_size=4"))).tree)
    assert [item.base for item in whole] == [item.base for item in split]
    assert whole[-1].weights != split[-1].weights
    assert larger[-1].weights == unsplit[-1].weights


def test_version_0_is_the_model_before_any_training_and_all_recipes_share_it(
    trained: tuple[Tree, Store], smoke: Overrides
) -> None:
    """A control: fine-tuned as the others are, and never scored as it was drawn."""
    _, store = trained
    given = smoke("paradigm=ptfs,cpt", "stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=2")
    tree = make(compose([*given, "finetune.versions=[0]", "finetune.seeds=[0]"], multirun=True)).tree
    (weights,) = {job.weights for job in jobs.fine_tunings(tree)}
    assert {(job.version, job.seed) for job in jobs.jobs_of(tree)} == {(0, 0)}
    begin = jobs.start(tree, jobs.jobs_of(tree)[0], store)
    drawn = fresh(tree.runs[0]).tensors()["model"]
    assert all(torch.equal(begin[name], drawn[name]) for name in drawn)
    finetune._work(tree, 0, store, threading.Event())
    tuned = store.load_weights(weights)
    assert any(not torch.equal(tuned[name], drawn[name]) for name in drawn)
    # What it is fine-tuned on is cut by the stream's tokenizer, which another cut of the text trains on other words.
    other = make(compose([*given, "stream.split_seed=9", "finetune.versions=[0]", "finetune.seeds=[0]"], multirun=True))
    assert other.tree.runs[0].identity == tree.runs[0].identity
    assert weights not in {job.weights for job in jobs.fine_tunings(other.tree)}


def test_a_fine_tuning_that_is_asked_to_stop_keeps_nothing_and_starts_again(trained: tuple[Tree, Store]) -> None:
    tree, store = trained
    before = store.steps()
    with pytest.raises(Preempted):
        finetune._work(tree, 0, store, StopAfter(2))  # looked at before it begins, and after each of its three steps
    assert store.steps() == before
    assert store.leases() == {}
    finetune._work(tree, 0, store, threading.Event())
    assert len(store.steps()) == len(before) + 2
    assert [len(store.manifest(key)["losses"]) for key in store.steps().keys() - before.keys()] == [3, 3]


@pytest.mark.parametrize(("command", "module", "name"), [(finetune, sft, "finetune"), (evaluate, harness, "evaluate")])
def test_what_came_of_tasks_that_were_edited_meanwhile_is_not_kept(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Any, module: Any, name: str
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text("task: mine\n")
    given = smoke("paradigm=cpt", f"tasks.include_path={tmp_path}/tasks", "tasks.group=mine", "tasks.names=[mine]")
    tree, store = make(compose([*given, "finetune.seeds=[0]", "finetune.versions=[1]"])).tree, Store(tmp_path / "store")
    Worker(tree, 0, store, threading.Event()).work()
    monkeypatch.setattr(tasks, "training_examples", lambda settings, path, most: EXAMPLES)
    keys = {item.weights for item in jobs.fine_tunings(tree)} | {item.result for item in jobs.jobs_of(tree)}

    def edited(*args: Any, **more: Any) -> list[float]:
        (tmp_path / "tasks" / "mine.yaml").write_text("task: mine\nnum_fewshot: 1\n")
        return []

    if command is evaluate:
        finetune._work(tree, 0, store, threading.Event())
        keys -= store.steps().keys()
    monkeypatch.setattr(module, name, edited)
    with pytest.raises(UserError, match=r"tasks\.include_path=.*/tasks: its files changed while this ran"):
        command._work(tree, 0, store, threading.Event())
    assert not keys & (store.steps().keys() | set(store.results(jobs.KIND)))


def test_fine_tuning_takes_no_more_examples_at_once_than_training_takes_blocks(
    trained: tuple[Tree, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, store = trained
    sizes, collate = set[int](), sft.collate
    monkeypatch.setattr(sft, "collate", lambda batch, device: sizes.add(len(batch)) or collate(batch, device))
    finetune._work(tree, 0, store, threading.Event())
    assert sizes == {2}


def updated(smoke: Overrides, update: str) -> Tree:
    given = smoke("paradigm=cpt", "stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=2")
    more = ["finetune.versions=[2]", "finetune.seeds=[0]", "numerics.micro_batch_size=2", f"finetune.update={update}"]
    return make(compose([*given, *more])).tree


def test_an_update_adds_what_fine_tuning_changed_in_the_version_before(
    trained: tuple[Tree, Store], smoke: Overrides
) -> None:
    _, store = trained
    for update in ("anew", "transfer", "continue"):
        finetune._work(updated(smoke, update), 0, store, threading.Event())
    anew, transferred, continued = (jobs.jobs_of(updated(smoke, u))[1] for u in ("anew", "transfer", "continue"))
    assert transferred.before is not None
    tuned, base, new = (store.load_weights(k) for k in (transferred.before.weights, transferred.before.base, anew.base))
    expected = {name: new[name] + (tuned[name] - base[name]) for name in new}
    made = store.load_weights(transferred.weights)
    assert all(torch.equal(made[name], expected[name]) for name in expected)
    assert store.manifest(transferred.weights)["losses"] == []
    losses = {update: store.manifest(job.weights)["losses"] for update, job in (("anew", anew), ("on", continued))}
    assert len(losses["on"]) == len(losses["anew"]) == 3
    assert losses["on"][0] < losses["anew"][0]  # it has been at these tasks before
    assert jobs.start(updated(smoke, "continue"), continued, store).keys() == made.keys()
    assert all(torch.equal(jobs.start(updated(smoke, "continue"), continued, store)[n], made[n]) for n in made)


def test_the_first_version_is_fine_tuned_anew_whatever_comes_later(smoke: Overrides) -> None:
    first = [jobs.jobs_of(make(compose(smoke(f"finetune.update={u}", "finetune.versions=[1]"))).tree) for u in UPDATES]
    assert len({job.weights for found in first for job in found}) == 2


def test_a_version_whose_predecessor_cannot_be_fine_tuned_fails_with_its_reason(
    trained: tuple[Tree, Store], smoke: Overrides
) -> None:
    _, store = trained
    tree = updated(smoke, "transfer")
    before = jobs.jobs_of(tree)[1].before
    assert before is not None
    _damage(store, before.base)
    with pytest.raises(UserError, match=r"version 1 of run .* was damaged and was quarantined"):
        finetune._work(tree, 0, store, threading.Event())


def _damage(store: Store, key: str) -> None:
    path = store.checkpoint_folder(key, store.steps()[key]) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def test_a_damaged_checkpoint_is_set_aside_and_the_other_versions_go_on(
    trained: tuple[Tree, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, store = trained
    scored = []
    monkeypatch.setattr(harness, "evaluate", lambda *args, **kwargs: scored.append(args) or [])
    damaged = tree.ends[0][0]
    again = "was damaged and was quarantined; give repro.{} the same arguments again"
    _damage(store, damaged)
    with pytest.raises(UserError, match=r"version 1 of run .* " + again.format("train")):
        finetune._work(tree, 0, store, threading.Event())
    made = {item.version: item.weights for item in jobs.jobs_of(tree) if item.seed is not None}
    assert store.has(made[2])
    assert not store.has(made[1])

    _damage(store, made[2])
    with pytest.raises(UserError) as refused:
        evaluate._work(tree, 0, store, threading.Event())
    message = str(refused.value)
    assert "version 2 of run" in message
    assert "fine-tuned under finetune.seeds=0, " + again.format("finetune") in message
    assert len(scored) == 1, "version 2 as it was pre-trained"

    store.failed.clear()  # what the messages say is given to new processes
    Worker(tree, 0, store, threading.Event()).work()
    finetune._work(tree, 0, store, threading.Event())
    evaluate._work(tree, 0, store, threading.Event())
    assert len(scored) == 4


def test_what_a_file_manager_leaves_among_the_tasks_changes_no_key(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("task: one\n")
    settings = TaskSettings(group="one", names=["one"], include_path=str(tmp_path))
    before = tasks.content(settings)
    (tmp_path / ".DS_Store").write_bytes(b"layout")
    assert tasks.content(settings) == before
    (tmp_path / "task.yaml").write_text("task: another\n")
    assert tasks.content(settings) != before


@pytest.mark.parametrize(("group", "alike"), [("nine_local", True), ("nine_paper", False)])
def test_what_is_fine_tuned_on_tasks_that_lm_eval_brings_is_keyed_by_its_version(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, group: str, alike: bool
) -> None:
    tree = make(compose(smoke("paradigm=cpt", f"tasks={group}"))).tree
    (before,) = {job.weights for job in jobs.jobs_of(tree) if job.seed == 0}
    monkeypatch.setattr(jobs, "installed", lambda name: "another")
    (after,) = {job.weights for job in jobs.jobs_of(tree) if job.seed == 0}
    assert (before == after) is alike


def test_the_items_of_a_users_own_task_are_part_of_its_identity(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("task: one\n")
    (tmp_path / "items.jsonl").write_text('{"question": "one"}\n')
    settings = TaskSettings(group="one", names=["one"], include_path=str(tmp_path))
    before = tasks.content(settings)
    (tmp_path / "items.jsonl").write_text('{"question": "another"}\n')
    assert tasks.content(settings) != before


def test_without_a_seed_there_is_nothing_to_fine_tune_and_versions_are_still_evaluated(smoke: Overrides) -> None:
    plan = make(compose(smoke("paradigm=cpt", "finetune.seeds=[]")))
    assert {job.seed for job in jobs.jobs_of(plan.tree)} == {None}
    with pytest.raises(UserError, match=r"finetune\.seeds=\[\]: there is nothing to fine-tune"):
        finetune.check(plan, Store(Path(plan.tree.runs[0].settings.store.path)))

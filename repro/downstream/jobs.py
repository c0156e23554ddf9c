"""What fine-tuning and lm-eval have to do for a sweep, and where its results are kept.

One item is one version under one fine-tuning seed, or as it was pre-trained. Its keys say what it is made from: the
version's checkpoint, the recipe, the tasks' files and what evaluates them.
"""

import threading
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.common.canonical import digest
from repro.common.errors import Preempted, UserError
from repro.common.packages import installed
from repro.config.settings import ModelSettings, TaskSettings
from repro.downstream import tasks
from repro.models.architectures.architecture import architecture
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.planning.tree import Tree
from repro.recipes.trajectory import Key
from repro.store.layout import Damaged, Tensors
from repro.store.leases import Lease
from repro.store.store import Store

KIND = "downstream"
RECIPE = 1
"""Raised by hand whenever fine-tuning or evaluation itself computes something else."""
UNTRAINED = 0
"""The version that stands for the model before any training."""
WAIT_SECONDS = 0.5
"""Between two looks at what others have finished."""


@dataclass(frozen=True)
class Job:
    """One model to make and to evaluate."""

    run: int
    """The run, by its place in the tree."""
    version: int
    """0: the model before any training, a control for what training taught."""
    base: Key
    """The version's checkpoint; of version 0 what stands for the initialization, which is drawn again."""
    seed: int | None
    """Fine-tuning's seed; None: as it was pre-trained."""
    weights: Key
    """Where the store keeps the model: `base`, or its fine-tuned weights."""
    result: Key
    """Where the store keeps its scores."""
    tasks: str
    """What the files of the tasks held when the keys were worked out."""
    before: "Job | None" = None
    """The version before, fine-tuned: what fine-tuning changed there is added to this version's weights first."""
    tunes: bool = True
    """Whether it is fine-tuned then."""


def jobs_of(tree: Tree) -> list[Job]:
    """All jobs of a sweep: each chosen version, as it was pre-trained and under each fine-tuning seed."""
    found = []
    for index, ends in enumerate(tree.ends):
        run = tree.runs[index]
        settings, content = run.settings, tasks.content(run.settings.tasks)
        for version in settings.finetune.versions or [len(ends)]:
            if version <= len(ends):
                base = _base(tree, index, version)
                if version != UNTRAINED:
                    result = digest([base, _evaluation(run, content)])
                    found.append(Job(index, version, base, None, base, result, content))
                update = settings.finetune.update
                found += [_tuned(tree, index, version, seed, update, content) for seed in settings.finetune.seeds]
    return found


def fine_tunings(tree: Tree) -> list[Job]:
    """Of those, the models that have to be made, those they are made from first."""
    tuned = [job for job in jobs_of(tree) if job.seed is not None]
    return list({job.weights: job for each in tuned for job in (each.before, each) if job is not None}.values())


def _tuned(tree: Tree, index: int, version: int, seed: int, update: str, content: str) -> Job:
    """A version under one fine-tuning seed; version 1 has none before it, and is fine-tuned anew."""
    run, base = tree.runs[index], _base(tree, index, version)
    before = _tuned(tree, index, version - 1, seed, "anew", content) if version > 1 and update != "anew" else None
    added = [] if before is None else [["added", before.weights, before.base]]
    tunes = before is None or update == "continue"
    weights = digest([base, *added, *([_recipe(run, content), seed] if tunes else [])])
    result = digest([weights, _evaluation(run, content)])
    return Job(index, version, base, seed, weights, result, content, before, tunes)


def _base(tree: Tree, index: int, version: int) -> Key:
    """What a version's fine-tuning begins with."""
    if version != UNTRAINED:
        return tree.ends[index][version - 1]
    run = tree.run_at(index, tree.ends[index][0])
    # Nothing was read in training; fine-tuning reads by the stream's tokenizer, which version 1's tokens tell.
    return digest(["untrained", run.identity, list(run.model_shape), run.stream.version_fingerprint(1)])


def run_of(tree: Tree, job: Job) -> Run:
    """A job's run, with the model that it fine-tunes or evaluates."""
    return tree.run_at(job.run, job.base if job.version != UNTRAINED else tree.ends[job.run][0])


def _recipe(run: Run, content: str) -> list[Any]:
    """What of the settings decides the fine-tuned weights."""
    recipe = {
        name: value
        for name, value in asdict(run.settings.finetune).items()
        if name not in ("seeds", "versions", "update")
    }
    recipe["batch_examples"] = recipe.pop("batch_size")  # as keys have spelled it since the first ones
    micro = run.settings.numerics.micro_batch_size
    # Numerics say how a batch of blocks is split, not one of examples.
    split = [] if micro is None or micro >= run.settings.finetune.batch_size else [micro]
    # Tasks that lm-eval brings are its own, examples included.
    theirs = [] if run.settings.tasks.offline else [["lm_eval", installed("lm_eval")]]
    return [RECIPE, recipe, _tasks(run.settings.tasks, content), run.numerics, *split, *theirs]


def _evaluation(run: Run, content: str) -> list[Any]:
    """What of the settings decides a model's scores."""
    e, asked = run.settings.evaluation, _tasks(run.settings.tasks, content)
    return [RECIPE, e.task_batch_size, e.task_limit, asked, installed("lm_eval"), run.numerics]


def _tasks(settings: TaskSettings, content: str) -> list[str]:
    """The tasks' identity: their names, and their files with the checksums of the items."""
    return [settings.group, *settings.names, content]


def check_unchanged(tree: Tree, item: Job) -> None:
    """Refuse to keep what came of other tasks than the item's keys were worked out of.

    Raises:
        UserError: somebody edited the tasks' files since then.
    """
    settings = run_of(tree, item).settings.tasks
    if tasks.content(settings) != item.tasks:
        raise UserError(
            f"tasks.include_path={settings.include_path}: its files changed while this ran, and nothing of it is kept "
            "under the names of what they were before; the same command takes them as they are now."
        )


def _model(tree: Tree, item: Job) -> ModelSettings:
    return run_of(tree, item).settings.model


def check_any(tree: Tree) -> None:
    """
    Raises:
        UserError: no version that was asked for is released by any recipe here.
    """
    if jobs_of(tree):
        return
    run = tree.runs[0]
    versions = ",".join(map(str, run.settings.finetune.versions or ()))
    raise UserError(
        f"finetune.versions=[{versions}]: paradigm={run.settings.paradigm.kind} releases {run.versions} versions; "
        f"finetune.versions=[{run.versions}] works."
    )


def check_trained(plan: Plan, store: Store) -> None:
    """Refuse versions that have not been trained, weights that are gone, and a store that cannot be written.

    Raises:
        UserError
    """
    for item in jobs_of(plan.tree):
        if item.version != UNTRAINED and item.base not in plan.stored:
            raise UserError(
                f"version {item.version} of run {plan.tree.runs[item.run].name} is not trained yet; "
                f"give repro.train the same arguments first."
            )
        if item.version == UNTRAINED and item.weights not in plan.stored:
            architecture(run_of(plan.tree, item).settings.model).check_weights()
        if item.before is not None and _model(plan.tree, item) != _model(plan.tree, item.before):
            run = plan.tree.runs[item.run]
            raise UserError(
                f"finetune.update={run.settings.finetune.update}: version {item.version} of run {run.name} is larger "
                f"than version {item.before.version}, and what fine-tuning changed there cannot be added to it; "
                "finetune.update=anew works.",
                works={"finetune.update": "anew"},
            )
    store.check_writable()


def check_tasks(plan: Plan) -> None:
    """Prepare the tasks once, before any worker needs them.

    Raises:
        UserError: there is no such task, or its items cannot be had.
    """
    seen = []
    for run in plan.tree.runs:
        wanted = (run.settings.tasks, run.settings.data.path)
        if wanted not in seen:
            seen.append(wanted)
            tasks.load(run.settings.tasks, Path(run.settings.data.path))


def start(tree: Tree, job: Job, store: Store) -> Tensors:
    """Weights that fine-tuning begins with: the version's, with what it changed in the version before.

    Raises:
        UserError: as `load`.
    """
    if job.version == UNTRAINED:
        return untrained(run_of(tree, job))
    weights = load(tree, job, job.base, store)
    if job.before is None:
        return weights
    tuned, base = (load(tree, job.before, key, store) for key in (job.before.weights, job.before.base))
    return {name: weights[name] + (tuned[name] - base[name]) for name in weights}


def untrained(run: Run) -> Tensors:
    """Weights as a run's training begins with them."""
    from repro.models import weights

    return {name: tensor.contiguous() for name, tensor in weights.of(run.initialize()).items()}


def load(tree: Tree, item: Job, key: Key, store: Store) -> Tensors:
    """Weights that an item begins with: the version's, or fine-tuned ones.

    Raises:
        UserError: they are damaged, and were quarantined; or there are none.
    """
    there = store.has(key)
    try:
        return store.load_weights(key)
    except Damaged:
        fine_tuned, command = "", "repro.train"
        if key != item.base:
            fine_tuned, command = f", fine-tuned under finetune.seeds={item.seed},", "repro.finetune"
        reason = "was damaged and was quarantined" if there else "is not in the store (under this machine's numerics)"
        raise UserError(
            f"version {item.version} of run {tree.runs[item.run].name}{fine_tuned} {reason}; "
            f"give {command} the same arguments again."
        ) from None


def drain(
    todo: Sequence[Job],
    key: Callable[[Job], Key],
    done: Callable[[], Set[Key]],
    do: Callable[[Job, Lease], None],
    store: Store,
    stop: threading.Event,
) -> None:
    """Do every item that nobody else does, then wait for those that others do.

    Raises:
        Preempted: asked to stop with items left.
        UserError: some could not be done, after all others were; or the disk refuses, which it would again.
    """
    failed = store.failed

    def first(item: Job) -> Key | None:
        """What has to be there before an item is made; one that is there is evaluated without."""
        return item.before.weights if item.before is not None and key(item) == item.weights else None

    while True:
        finished = done()
        left = [item for item in todo if key(item) not in finished and key(item) not in failed]
        if not left:
            break
        if stop.is_set():
            raise Preempted
        stored = store.steps() if any(map(first, left)) else {}
        for item in left:
            if (needed := first(item)) is not None and needed not in stored:
                if (reason := failed.get(needed)) is not None:
                    failed[key(item)] = reason
                continue
            with store.lease(key(item), item.base, item.weights) as lease:
                if lease is not None:
                    if key(item) not in done():
                        try:
                            do(item, lease)
                        except UserError as error:
                            if error.__cause__ is not None:
                                raise  # the disk's doing
                            failed[key(item)] = UserError(str(error))  # without what its traceback holds
                    break
        else:
            stop.wait(WAIT_SECONDS)
    if messages := dict.fromkeys(str(failed[key(item)]) for item in todo if key(item) in failed.keys() - finished):
        raise UserError("\n".join(messages))

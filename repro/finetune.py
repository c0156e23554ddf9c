"""Fine-tune a study's versions on the tasks' training splits: python -m repro.finetune study=downstream scale=quick

Takes the arguments that repro.train took. Each chosen version (`finetune.versions`, the last one by default) is
fine-tuned under each of `finetune.seeds`; what is in the store already is not done again.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from repro.common.errors import Preempted, UserError
from repro.config.places import CONF
from repro.downstream import jobs
from repro.downstream.jobs import Job
from repro.launching.job import work
from repro.launching.launch import Command, launch
from repro.planning.planner import Plan
from repro.planning.tree import Tree
from repro.store.leases import Lease
from repro.store.store import Store


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def job(config: DictConfig) -> None:
    """One Hydra job: fine-tune whatever version can be taken until all are."""
    work(config, _work)


def _work(tree: Tree, own: int, store: Store, stop: threading.Event) -> None:
    from repro.downstream import tasks

    def do(item: Job, lease: Lease) -> None:
        from repro.downstream import sft
        from repro.downstream.loading import load_model
        from repro.models import weights
        from repro.training.engine import configure

        jobs.check_unchanged(tree, item)
        run = jobs.run_of(tree, item)
        s = run.settings
        assert item.seed is not None
        configure(run)
        about = {"finetuned": item.base, "seed": item.seed, "name": run.name, "version": item.version}
        begin = jobs.start(tree, item, store)
        if not item.tunes:
            store.save(item.weights, 0, {"model": begin}, about | {"losses": []})
            return
        examples = tasks.training_examples(s.tasks, Path(s.data.path), s.finetune.max_examples)
        model, tokenizer = load_model(run, begin)

        def progress(step: int, total: int, loss: float) -> None:
            lease.beat({"step": step})
            if stop.is_set() and step < total:
                raise Preempted  # nothing is kept half way: it is small next to pre-training, and starts again

        losses = sft.finetune(
            model,
            tokenizer,
            examples,
            s.finetune,
            item.seed,
            progress,
            dtype=s.numerics.dtype,
            micro_batch=s.numerics.micro_batch_size,
        )
        tensors = {name: tensor.contiguous() for name, tensor in weights.of(model).items()}
        jobs.check_unchanged(tree, item)
        store.save(item.weights, len(losses), {"model": tensors}, about | {"losses": losses})

    jobs.drain(jobs.fine_tunings(tree), lambda item: item.weights, lambda: store.steps().keys(), do, store, stop)


def check(plan: Plan, store: Store) -> None:
    """Refuse versions that are not trained, and tasks that cannot be had."""
    jobs.check_any(plan.tree)
    if not jobs.fine_tunings(plan.tree):
        raise UserError("finetune.seeds=[]: there is nothing to fine-tune; one seed or more works.")
    jobs.check_trained(plan, store)
    if left(plan, store):
        jobs.check_tasks(plan)


def left(plan: Plan, store: Store) -> int:
    """Fine-tunings still to do."""
    stored = store.steps()
    # With the versions themselves: a machine that has them is nearer to the end.
    made = (*jobs.jobs_of(plan.tree), *jobs.fine_tunings(plan.tree))
    return len({item.weights for item in made} - stored.keys())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command = Command("finetune", "fine-tuning", "models", job, check, left)
    launch(command, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    # Under its importable name, so that launchers which pickle the job find it in their workers.
    from repro.finetune import main as importable_main

    importable_main()

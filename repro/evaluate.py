"""Evaluate the versions of a study with lm-eval: python -m repro.evaluate study=downstream scale=quick

Takes the arguments that repro.train and repro.finetune took. Each chosen version is scored as it was pre-trained and
under each fine-tuning seed, on the tasks of `tasks`; what is in the store already is not done again. (Perplexity on the
held-out slices is measured in training.)
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from repro.common.errors import UserError
from repro.config.places import CONF
from repro.downstream import jobs
from repro.downstream.jobs import KIND, Job
from repro.launching.job import work
from repro.launching.launch import Command, launch
from repro.planning.planner import Plan
from repro.planning.tree import Tree
from repro.store.leases import Lease
from repro.store.store import Store


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def job(config: DictConfig) -> None:
    """One Hydra job: evaluate whatever model can be taken until all are."""
    work(config, _work)


def _work(tree: Tree, own: int, store: Store, stop: threading.Event) -> None:
    def do(item: Job, lease: Lease) -> None:
        from repro.downstream import harness
        from repro.downstream.loading import load_model
        from repro.training.engine import configure

        jobs.check_unchanged(tree, item)
        run = jobs.run_of(tree, item)
        s = run.settings
        configure(run)
        model, tokenizer = load_model(run, jobs.load(tree, item, item.weights, store))
        rows = harness.evaluate(
            model,
            tokenizer,
            s.tasks,
            Path(s.data.path),
            s.evaluation.task_batch_size,
            s.evaluation.task_limit,
            dtype=s.numerics.dtype,
        )
        jobs.check_unchanged(tree, item)
        store.put_result(KIND, item.result, {"weights": item.weights, "rows": rows})

    todo = jobs.jobs_of(tree)
    jobs.drain(todo, lambda item: item.result, lambda: store.results(KIND), do, store, stop)


def check(plan: Plan, store: Store) -> None:
    """Refuse versions that are not trained or not fine-tuned."""
    jobs.check_any(plan.tree)
    jobs.check_trained(plan, store)
    stored = store.steps()
    for item in jobs.jobs_of(plan.tree):
        if item.weights not in stored:
            raise UserError(
                f"version {item.version} of run {plan.tree.runs[item.run].name} is not fine-tuned yet under "
                f"finetune.seeds={item.seed}; give repro.finetune the same arguments first."
            )
    if left(plan, store):
        jobs.check_tasks(plan)


def left(plan: Plan, store: Store) -> int:
    """Models still to evaluate. One that is not even there counts twice: a machine that has it is nearer to the end."""
    stored, results = store.steps(), store.results(KIND)
    todo = {item.result: item.weights for item in jobs.jobs_of(plan.tree) if item.result not in results}
    return len(todo) + sum(weights not in stored for weights in todo.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    launch(
        Command("evaluate", "evaluation", "models", job, check, left), sys.argv[1:] if arguments is None else arguments
    )


if __name__ == "__main__":
    # Under its importable name, so that launchers which pickle the job find it in their workers.
    from repro.evaluate import main as importable_main

    importable_main()

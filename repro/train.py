"""Train and measure the runs of a study: python -m repro.train study=alpha scale=quick paradigm.alpha=0.3,0.5 seed=0,1

Any override of Hydra's works, any launcher too (`hydra/launcher=joblib`). The whole sweep is composed and checked
first, and frozen to the store; each Hydra job then works on the frozen plan until its own run is finished. Run again,
it finds what is in the store and goes on from there. For exit statuses see repro.launching.launch.
"""

import math
import sys
import threading
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig

from repro.config.places import CONF
from repro.launching.job import work
from repro.launching.launch import Command, launch
from repro.planning import planner
from repro.planning.planner import Plan
from repro.planning.tree import Tree
from repro.results import measures
from repro.store.store import Store
from repro.training import parallel


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def job(config: DictConfig) -> float:
    """One Hydra job: train whatever edge of the plan can be taken until this run is finished.

    Returns:
        The last version's held-out loss, in nats a token; NaN where the run is not finished.
    """

    def do(tree: Tree, own: int, store: Store, stop: threading.Event) -> float:
        from repro.training.worker import Worker

        Worker(tree, own, store, stop, parallel.join()).work()
        run, ends = tree.runs[own], tree.ends[own]
        slices = measures.find(run, ends[-1], store)
        return math.nan if slices is None else measures.loss(slices, len(ends))

    loss = work(config, do)
    return math.nan if loss is None else loss


def check(plan: Plan, store: Store) -> None:
    """Refuse models that cannot be built, disks without room, and more or fewer processes than the numerics say."""
    parallel.check([run.settings.numerics for run in plan.tree.runs], parallel.join())
    planner.check_models(plan)
    store.check_writable(plan.missing_bytes)


def left(plan: Plan, store: Store) -> int:
    """Steps still to train, and one for each operation and each version still to measure.

    What the store holds decides, nobody's word.
    """
    stored = store.steps()
    missing = plan.tree.missing(stored)
    nodes = [plan.tree.nodes[key] for key in missing]
    steps = sum(node.steps + node.derived for node in nodes)
    return steps + len(missing & plan.tree.releases.keys()) + len(measures.unmeasured(plan.tree, stored, store))


def begun(plan: Plan, store: Store) -> int:
    """Steps trained of edges that are under way, as their workers say."""
    leases, stored = store.leases(), store.steps()
    nodes = (plan.tree.nodes[key] for key in leases.keys() & plan.tree.nodes.keys() - stored.keys())
    return sum(max(0, leases[node.key].get("step", 0) - node.parent_step) for node in nodes)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command = Command("training", "steps", job, check, left, begun, together=True)
    launch(command, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    # Under its importable name, so that launchers which pickle the job find it in their workers.
    from repro.train import main as importable_main

    importable_main()

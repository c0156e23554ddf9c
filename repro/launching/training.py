"""What training is to a launcher: the body of a job, what is checked before, and how much is left."""

import math
import threading

import hydra
from omegaconf import DictConfig

from repro.config.places import CONF
from repro.launching.job import work
from repro.launching.launch import Command
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
        The last version's loss (`measures.loss`), in nats per token; NaN where the run is not finished.
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
    """Steps trained of edges that are under way, as their workers say, or from which they can be resumed."""
    leases, stored, steps = store.leases(), store.steps(), 0
    for key in plan.tree.missing(stored):
        node = plan.tree.nodes[key]
        at = max([leases.get(key, {}).get("step", 0), *store.partial_steps(key)])
        steps += max(0, at - node.parent_step)
    return steps


def command() -> Command:
    """The command that a launcher carries out."""
    return Command("train", "training", "steps", job, check, left, begun, together=True)

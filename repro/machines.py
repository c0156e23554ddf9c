"""One sweep on machines that differ: planned on a cluster's login node, say, and trained on its nodes.

Bits depend on the processor, and so do keys. Each worker plans the frozen sweep with the numerics of the machine it is
on, and notes in the store which machine that is; whoever launched the sweep reads the notes, and counts what is left
and writes what is known as those machines see it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from repro import numerics, plan
from repro.plan import Plan
from repro.store import Store
from repro.trajectory import Key, canonical
from repro.tree import Tree, merge

KIND = "machine"
"""The notes, by `<frozen plan>.<machine>`."""


def note(tree: Tree, planned: Mapping[Key, int], store: Store) -> None:
    """Say that this machine works on a frozen sweep.

    Args:
        tree: the sweep as this machine sees it.
        planned: the nodes of the sweep as machines before this one saw it.
    """
    if tree.nodes.keys() <= planned.keys():
        return
    first = tree.runs[0].settings
    seen = Plan(first.study or "none", first.scale, tree, dict(planned))
    machine = numerics.here(r.settings for r in tree.runs)
    digest = hashlib.sha256(canonical(machine).encode()).hexdigest()[:16]
    store.put_result(KIND, f"{plan.name(seen)}.{digest}", machine)
    plan.freeze(seen, store)  # so that its nodes are nobody's garbage


def nearest(here: Plan, left: Callable[[Plan, Store], int], store: Store) -> Plan:
    """A sweep as that machine sees it, of this one and all that worked on it, on which least is left to do."""
    frozen = plan.name(here)
    notes = sorted(name for name in store.results(KIND) if name.startswith(f"{frozen}."))
    machines = [machine for name in notes if (machine := store.get_result(KIND, name)) is not None]
    views = [here, *(replace(here, tree=_tree(here.tree, canonical(machine), store)) for machine in machines)]
    return min(views, key=lambda view: left(view, store)) if machines else here


@lru_cache(maxsize=8)
def _tree(here: Tree, machine: str, store: Store) -> Tree:
    return merge([replace(r, machine=json.loads(machine)) for r in here.runs], store.steps())

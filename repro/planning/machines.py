"""One sweep on machines that differ: planned on a cluster's login node, say, and trained on its nodes.

Bits depend on the processor, and so do keys. Each worker plans the frozen sweep with the numerics of the machine it is
on, and notes in the store which machine that is. Whoever launches this sweep, or one of the same versions (under other
fine-tuning seeds, say, or into another ledger), reads the notes, and counts what is left and writes what is known as
those machines see it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from repro.common.canonical import canonical, digest
from repro.models import numerics
from repro.planning import frozen, planner
from repro.planning.planner import Plan
from repro.planning.tree import Tree, merge
from repro.recipes.trajectory import Key
from repro.store.store import Store

KIND = "machine"
"""The notes: one for each machine's part in numerics, by its hash, whatever it worked on."""


def note(tree: Tree, planned: Mapping[Key, int], store: Store) -> None:
    """Say that this machine works on a frozen sweep.

    Args:
        tree: the sweep as this machine sees it.
        planned: the nodes of the sweep as machines before this one saw it.
    """
    machine = numerics.here(r.settings for r in tree.runs)
    name = digest(machine)[:16]
    if store.get_result(KIND, name) is None:
        store.put_result(KIND, name, machine)
    if tree.nodes.keys() <= planned.keys():
        return
    every = [r.settings for r in tree.runs]
    # So that its nodes are nobody's garbage.
    frozen.freeze(Plan(planner.study_name(every), every[0].scale, tree, dict(planned)), store)


def nearest(here: Plan, left: Callable[[Plan, Store], int], store: Store) -> Plan:
    """A sweep as that machine sees it, of this one and all that were noted, on which least is left to do."""
    ours = numerics.here(r.settings for r in here.tree.runs)
    notes = [note for name in sorted(store.results(KIND)) if (note := store.get_result(KIND, name)) is not None]
    # Only the parts that this sweep uses count; who was noted without one of them (a GPU) cannot have worked on it.
    parts = [{part: note[part] for part in ours} for note in notes if ours.keys() <= note.keys()]
    others = {canonical(each): None for each in parts if each != ours}
    views = [here, *(replace(here, tree=_tree(here.tree, machine, store)) for machine in others)]
    return min(views, key=lambda view: left(view, store)) if others else here


@lru_cache(maxsize=8)
def _tree(here: Tree, machine: str, store: Store) -> Tree:
    return merge([replace(r, machine=json.loads(machine)) for r in here.runs], store.steps())

"""Checked sweeps in the store: what workers read, and what tells which checkpoints are kept."""

import hashlib
import json
import re
from dataclasses import asdict
from typing import Any

from repro.common.errors import UserError
from repro.config.resolve import from_dict
from repro.config.settings import Settings
from repro.planning.planner import Plan
from repro.store.store import Store


def freeze(plan: Plan, store: Store) -> str:
    """Write the checked sweep to the store for its workers to read; its id.

    The plan file names every node of the tree: that is what collecting garbage keeps (repro.store.upkeep). Other
    machines that share the store may freeze the same sweep under other numerics, hence under other keys: all stay.
    """
    tree = plan.tree
    frozen = name(plan)
    nodes = {
        node.key: [node.step, node.run.name, node.version, node.key in tree.releases] for node in tree.nodes.values()
    }
    with store.keeping():
        before = store.get_plan(frozen)
        nodes = (before["nodes"] if before is not None else {}) | nodes
        content = {"study": plan.study, "scale": plan.scale, "settings": _settings(plan), "nodes": nodes}
        if content != before:
            store.put_plan(frozen, content)
    return frozen


def name(plan: Plan) -> str:
    """The id under which a sweep is frozen: a hash of its settings, the same on every machine.

    It begins with a letter that no number has: Hydra takes a bare `12e4567890123456` for one.
    """
    return "p" + hashlib.sha256(json.dumps(_settings(plan), sort_keys=True).encode()).hexdigest()[:15]


def _settings(plan: Plan) -> list[dict[str, Any]]:
    return [asdict(r.settings) for r in plan.tree.runs]


def thaw(name: str, store: Store) -> tuple[list[Settings], dict[str, int]]:
    """The settings of a frozen sweep, and the nodes its tree has, with their steps.

    Raises:
        UserError: the store holds no such plan, or a damaged one.
    """
    content = store.get_plan(name) if re.fullmatch("p[0-9a-f]{15}", name) else None
    if content is None:
        raise UserError(f"frozen_plan={name}: store.path={store.root} holds no such plan; start the sweep again.")
    return [from_dict(each) for each in content["settings"]], {key: node[0] for key, node in content["nodes"].items()}

"""Checked sweeps in the store: what workers read, and what tells which checkpoints are kept."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repro.common.canonical import digest
from repro.common.disk import Flaw
from repro.common.errors import UserError
from repro.config.resolve import from_dict
from repro.config.settings import Settings
from repro.data import opening
from repro.models.architectures import remembered
from repro.models.architectures.architecture import architecture
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.store.plans import described, parse
from repro.store.store import Store


def freeze(plan: Plan, store: Store, commands: Mapping[str, str] = MappingProxyType({})) -> str:
    """Write the checked sweep to the store for its workers to read; its id.

    Args:
        commands: what was typed to work on it, by verb (`train`), for whoever wants to make it again.

    The plan file names every node of the tree: that is what collecting garbage keeps (repro.store.upkeep). Other
    machines that share the store may freeze the same sweep under other numerics, hence under other keys: all stay.
    """
    tree = plan.tree
    for model, place in {(r.settings.model, r.settings.data.path) for r in tree.runs}:
        remembered.remember(architecture(model), Path(place))
    for corpus, stream, place in {(s.corpus, s.stream, s.data.path) for s in (r.settings for r in tree.runs)}:
        opening.keep(corpus, stream, Path(place))
    frozen = name(plan)
    nodes = {
        node.key: [node.step, _label(node.run), node.version, node.key in tree.releases] for node in tree.nodes.values()
    }
    with store.keeping():
        before = store.get_plan(frozen)
        nodes = _nodes(before) | nodes
        content = {"study": plan.study, "scale": plan.scale, "settings": _settings(plan), "nodes": nodes}
        content |= {"commands": _commands(before) | dict(commands)}
        content |= {"streams": [r.stream.fingerprint for r in tree.runs], "models": list(map(_model, tree.runs))}
        if content != before:
            store.put_plan(frozen, content)
    return frozen


def commands(frozen: str, store: Store) -> dict[str, str]:
    """What was typed last to work on a sweep, by verb; empty for one that was frozen by nobody, or long ago."""
    return _commands(store.get_plan(frozen))


def check_unchanged(frozen: str, runs: Sequence[Run], store: Store) -> None:
    """Refuse to work on a plan with other text, weights or configurations than it was made with: all would be trained
    under other keys.

    Args:
        runs: the plan's, as they are here and now.

    Raises:
        UserError: one of them is another.
    """
    plan = store.get_plan(frozen) or {}
    streams, models = (then if isinstance(then := plan.get(name), list) else [] for name in ("streams", "models"))
    for r, before in zip(runs, models, strict=False):  # older plans have none
        if _model(r) != before:
            raise r.changed(f"since frozen_plan={frozen} was made")
    for r, before in zip(runs, streams, strict=False):
        if r.stream.fingerprint != before:
            text = described(asdict(r.settings.corpus))
            raise UserError(
                f"corpus {text} has changed since frozen_plan={frozen} was made: its stream was {before} and is "
                f"{r.stream.fingerprint} here. Nothing is trained; put the text back, or start the sweep again."
            )


def _model(run: Run) -> str:
    return digest(run.identity)


def _commands(content: dict[str, Any] | None) -> dict[str, str]:
    found = (content or {}).get("commands")
    return {str(verb): str(line) for verb, line in found.items()} if isinstance(found, dict) else {}


def _nodes(before: dict[str, Any] | None) -> dict[str, Any]:
    """What the plan kept so far, on whatever machine; not what another version of the suite wrote in its place."""
    try:
        return {} if before is None else {key: list(node) for key, node in parse(before).nodes.items()}
    except Flaw:
        return {}


def _label(run: Run) -> str:
    return f"{run.name}, {described(asdict(run.settings.corpus))}"


def name(plan: Plan) -> str:
    """The id under which a sweep is frozen: a hash of its settings, the same on every machine.

    It begins with a letter that no number has: Hydra takes a bare `12e4567890123456` for one.
    """
    return _id(_settings(plan))


def _id(settings: list[dict[str, Any]]) -> str:
    return "p" + hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:15]


def _settings(plan: Plan) -> list[dict[str, Any]]:
    """As reading a plan gives them: with lists for tuples."""
    return list(json.loads(json.dumps([asdict(r.settings) for r in plan.tree.runs])))


def thaw(name: str, store: Store) -> tuple[list[Settings], dict[str, int]]:
    """The settings of a frozen sweep, and the nodes its tree has, with their steps.

    Raises:
        UserError: the store holds no such plan, a damaged one, or one that was rewritten; or it is of another version
            of the suite.
    """
    content = store.get_plan(name) if re.fullmatch("p[0-9a-f]{15}", name) else None
    if content is None:
        raise UserError(f"frozen_plan={name}: store.path={store.root} holds no such plan; start the sweep again.")
    try:
        plan = parse(content)
    except Flaw as flaw:
        raise UserError(f"frozen_plan={name} in store.path={store.root} {flaw}; start the sweep again.") from None
    if _id(plan.settings) != name:
        # Whoever named it on a command line named these settings, and what they let run.
        raise UserError(
            f"frozen_plan={name} in store.path={store.root} has other settings than it was frozen with, and is not "
            f"used; start the sweep again."
        )
    return [from_dict(each) for each in plan.settings], {key: node.step for key, node in plan.nodes.items()}

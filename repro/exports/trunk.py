"""The trunk as a product: a stored branch point with its optimizer's state, for plain PyTorch to go on from.

A folder as any other export, and beside it:
    optimizer.safetensors   for each parameter <name>.step, <name>.exp_avg and <name>.exp_avg_sq, all float32
    trunk.json              AdamW's parameter groups, as PyTorch takes them but for names, and where training is
docs/export.md has the ten lines that load and continue it; a test executes them.
"""

import json
from pathlib import Path
from typing import Any

from repro.common.disk import clear_errors
from repro.common.errors import UserError
from repro.exports import folder as folders
from repro.models.optimizers.adamw import AdamW
from repro.models.optimizers.optimizer import optimizer
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.planning.tree import Node
from repro.recipes.recipe import recipe
from repro.recipes.trajectory import Derived, Key
from repro.store.layout import Tensors

ABOUT = "trunk.json"
OPTIMIZER = "optimizer.safetensors"
STATE = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter."""


def points(plan: Plan, run: int) -> dict[int, Node]:
    """The stored points of a run's trunk that a plan knows, by step: where branches leave it, or versions end on it.

    Empty for a recipe without a trunk, or where nothing is trained.
    """
    found = {}
    at = plan.tree.runs[run]
    chosen = recipe(at.settings)
    for version, (trajectory, end) in enumerate(zip(at.trajectories, plan.tree.ends[run], strict=True), start=1):
        segments = chosen.segments([each.phases for each in at.trajectories[:version]], version)
        last = max((stop for kind, _, stop in segments if kind == "trunk"), default=0)
        for node in plan.tree.path(end):
            if node.key in plan.stored and not node.derived and node.step <= trajectory.origin + last:
                found[node.step] = node
    return found


def choose(plan: Plan, step: int | None) -> list[tuple[int, Node]]:
    """The trunk points to export: for each run its number and a point, each point once.

    Args:
        step: of the point; None: each run's last.

    Raises:
        UserError: no run has such a point; the message lists those there are.
    """
    chosen: dict[Key, tuple[int, Node]] = {}
    known: set[int] = set()
    for run in range(len(plan.tree.runs)):
        stored = points(plan, run)
        known |= set(stored)
        wanted = max(stored, default=None) if step is None else step
        if wanted in stored:
            chosen.setdefault(stored[wanted].key, (run, stored[wanted]))
    if not chosen:
        there = f"stored are the steps {', '.join(map(str, sorted(known)))}" if known else (
            "none is stored: give repro.train the same arguments first, with a paradigm that has a trunk "
            "(paradigm=path_switching, for one)"
        )  # fmt: skip
        raise UserError(f"what=trunk{'' if step is None else f' step={step}'}: no such point of the trunk; {there}.")
    return list(chosen.values())


def check(run: Run) -> None:
    """
    Raises:
        UserError: the run's optimizer is none that plain PyTorch goes on with.
    """
    if type(optimizer(run.settings)) is not AdamW:  # others derive from it
        raise UserError(
            f"optimizer.kind={run.settings.optimizer.kind}: what=trunk writes AdamW's state for plain PyTorch to go on "
            "from, and this rule keeps another. what=versions writes the weights alone, and repro.train goes on from "
            "its checkpoints; a trunk that was trained with optimizer=adamw can be written."
        )


def write(folder: Path, run: Run, node: Node, files: dict[str, Tensors]) -> Any:
    """Write a trunk point; returns the model.

    Args:
        files: the checkpoint's `model` and `optimizer`.

    Raises:
        UserError: the disk refuses.
    """
    from safetensors.torch import save_file

    model = folders.write(folder, run, node.key, files["model"])
    with clear_errors(folder, setting="output"):
        save_file(files["optimizer"], folder / OPTIMIZER)
        (folder / ABOUT).write_text(json.dumps(_about(run, node, model), indent=2) + "\n")
        folders.follow_umask(folder)
    return model


def _about(run: Run, node: Node, model: Any) -> dict[str, Any]:
    rule = optimizer(run.settings)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert not isinstance(node.product, Derived), "a point of a trunk was trained"
    fields = ("betas", "eps", "weight_decay", "fused")
    groups = [
        {"params": [names[id(parameter)] for parameter in group["params"]]} | {name: group[name] for name in fields}
        for group in rule.build(model).param_groups
    ]
    return {
        "step": node.step,
        "optimizer": "torch.optim.AdamW",
        "groups": groups,
        "state": STATE,
        "clip_norm": run.settings.optimizer.clip_norm,
        "max_lr": run.settings.schedule.max_lr,
        "last_lr": float(node.product.learning_rates[node.step - node.product.origin - 1]),
        "global_batch_size": run.settings.stream.global_batch_size,
        "sequence_length": run.settings.stream.sequence_length,
        "seed": run.settings.seed,
        "data_seed": run.settings.order_seed,
        "data_fingerprint": run.stream.fingerprint,
    }

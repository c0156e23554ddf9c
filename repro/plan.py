"""What a sweep would train and cost, checked before anything runs: python -m repro.plan study=headline scale=quick

Time comes from FLOPs (repro.models) at `estimate.flops_per_second` on each device, which the output states.
Options besides Hydra's overrides: `output=json` prints one JSON object, `figure=FILE` draws the learning-rate curves,
`study=all` merges every study.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import models, numerics, sweeps
from repro.disk import Flaw, clear_errors
from repro.errors import UserError, refusals
from repro.runs import Run, labels, run
from repro.settings import Settings, from_dict
from repro.store import Store, read_manifest
from repro.trajectory import Key
from repro.tree import Tree, merge

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Plan:
    """A checked sweep."""

    study: str
    scale: str
    tree: Tree
    stored: dict[str, int]
    """Checkpoints the store holds, with their steps."""

    @cached_property
    def missing(self) -> set[str]:
        return self.tree.missing(self.stored)

    @property
    def missing_steps(self) -> int:
        return sum(self.tree.nodes[key].steps for key in self.missing)

    @property
    def checkpoint_bytes(self) -> int:
        """Of all checkpoints the plan keeps."""
        return self._bytes(self.tree.nodes)

    @property
    def missing_bytes(self) -> int:
        return self._bytes(self.missing)

    @property
    def seconds(self) -> float:
        """Of the missing steps on one worker."""
        total = 0.0
        for node in map(self.tree.nodes.__getitem__, self.missing):
            total += self._hours(node.run, node.steps) / self.tree.runs[node.run].settings.numerics.world_size
        return 3600 * total

    def _hours(self, run: int, steps: int) -> float:
        """What steps of a run take, in hours of one device."""
        at = self.tree.runs[run]
        return steps * at.step_flops / at.settings.estimate.flops_per_second / 3600

    def studies(self) -> list[dict[str, Any]]:
        """What each study takes, and all of them: every trajectory alone, or the tree of its runs (`unique`)."""
        tree = self.tree
        members: dict[str, list[int]] = {}
        for index, r in enumerate(tree.runs):
            members.setdefault(r.settings.study or "none", []).append(index)
        if len(members) > 1:
            members["all"] = list(range(len(tree.runs)))
        rows = []
        for study, indices in members.items():
            lengths = {index: sum(len(t) for t in tree.runs[index].trajectories) for index in indices}
            nodes = {key: node for index in indices for key, node in tree.own(index).items()}.values()
            rows.append(
                {
                    "study": study,
                    "runs": len(indices),
                    "logical_steps": sum(lengths.values()),
                    "unique_steps": sum(node.steps for node in nodes),
                    "logical_hours": sum(self._hours(index, steps) for index, steps in lengths.items()),
                    "unique_hours": sum(self._hours(node.run, node.steps) for node in nodes),
                }
            )
        return rows

    def _bytes(self, keys: Any) -> int:
        return sum(self.tree.runs[self.tree.nodes[key].run].checkpoint_bytes for key in keys)

    def summary(self) -> dict[str, Any]:
        """The plan in JSON's own types."""
        tree = self.tree
        nodes = tree.nodes.values()
        first = tree.runs[0].settings
        return {
            "study": self.study,
            "scale": self.scale,
            "runs": [
                {
                    "name": r.name,
                    "paradigm": r.settings.paradigm.kind,
                    "schedule": r.settings.schedule.kind,
                    "seed": r.settings.seed,
                    "steps": tree.run_steps(index),
                    "relative_cost": tree.relative_cost(index),
                }
                for index, r in enumerate(tree.runs)
            ],
            "logical_steps": tree.logical_steps,
            "unique_steps": tree.unique_steps,
            "stored_steps": tree.unique_steps - self.missing_steps,
            "branch_points": tree.branch_points,
            "checkpoints": len(tree.nodes),
            "checkpoint_bytes": self.checkpoint_bytes,
            "tokens": sum(node.steps * tree.runs[node.run].step_tokens for node in nodes),
            "flops": sum(node.steps * tree.runs[node.run].step_flops for node in nodes),
            "estimated_seconds": self.seconds,
            "estimated_hours": sum(self._hours(tree.nodes[key].run, tree.nodes[key].steps) for key in self.missing),
            "estimate": {"device": first.numerics.device, "processes": first.numerics.world_size}
            | asdict(first.estimate),
            "studies": self.studies(),
        }


def make(sweep: Sequence[Settings], *, data_optional: bool = False) -> Plan:
    """Check every run of a sweep and merge them into a plan. Trains and writes nothing.

    Raises:
        UserError: what cannot work, before anything is trained.
    """
    runs = [run(settings, data_optional=data_optional) for settings in sweep]
    first = sweep[0]
    stored = Store(Path(first.store.path)).steps()
    tree = merge(runs, stored)
    return Plan(study_name(sweep), first.scale, tree, stored)


def study_name(sweep: Sequence[Settings]) -> str:
    """What a sweep is called: its study, or `all` of several."""
    studies = {settings.study or "none" for settings in sweep}
    return studies.pop() if len(studies) == 1 else "all"


def check_models(plan: Plan) -> None:
    """Build each model that has to be trained, on the meta device.

    Raises:
        UserError: transformers refuses the shape.
    """
    shapes = {}
    for key in plan.missing:
        r = plan.tree.runs[plan.tree.nodes[key].run]
        shapes[r.settings.model, r.stream.vocab_size, r.settings.stream.block_tokens] = r
    for (model, vocab_size, block_tokens), r in shapes.items():
        try:
            models.build_meta(model, vocab_size, block_tokens)
        except (ValueError, RuntimeError, TypeError) as error:
            raise UserError(f"model={r.settings.model.name}: transformers cannot build it: {error}") from None


MOST_LOOKS = 2000
"""Manifests, at most, that are read in search of checkpoints made under other numerics."""


def counterparts(plan: Plan, store: Store) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Missing nodes, each with the manifest of a checkpoint that is the same computation under other numerics."""
    wanted = {plan.tree.nodes[key].identity_key: key for key in plan.missing}
    steps = {plan.tree.nodes[key].step for key in plan.missing}
    others = ((key, step) for key, step in plan.stored.items() if step in steps and key not in plan.tree.nodes)
    for key, step in islice(others, MOST_LOOKS):
        try:
            manifest = read_manifest(store.checkpoint_folder(key, step), key)
        except Flaw:
            continue  # nothing of ours; whoever reads it will say so
        if (ours := wanted.get(manifest.get("identity_key", ""))) is not None:
            yield ours, manifest


def foreign(plan: Plan, store: Store) -> list[str]:
    """How stored checkpoints that would otherwise serve differ from this machine's numerics: a line a difference."""
    found: dict[str, int] = {}
    for ours, manifest in counterparts(plan, store):
        run = plan.tree.runs[plan.tree.nodes[ours].run]
        difference = numerics.difference(run.numerics, manifest["numerics"])
        found[difference] = found.get(difference, 0) + 1
    return [
        f"store.path={store.root} holds checkpoints of this plan ({count} found) that were made under other numerics "
        f"and are not used: {difference}. (python -m repro.adopt would use them.)"
        for difference, count in found.items()
    ]


def freeze(plan: Plan, store: Store) -> str:
    """Write the checked sweep to the store for its workers to read; its id.

    The plan file names every node of the tree: that is what collecting garbage keeps (repro.upkeep). Other machines
    that share the store may freeze the same sweep under other numerics, hence under other keys: all of them stay.
    """
    tree = plan.tree
    frozen = name(plan)
    nodes = {
        node.key: [node.step, tree.runs[node.run].name, node.version, node.key in tree.releases]
        for node in tree.nodes.values()
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        given = list(sys.argv[1:] if arguments is None else arguments)
        output, given = take(given, "output", "text")
        figure, given = take(given, "figure", "")
        if output not in ("text", "json"):
            raise UserError(f"output={output} is unknown; text and json work.")
        if figure and Path(figure).suffix not in (".png", ".pdf", ".svg"):
            raise UserError(f"figure={figure}: no figure has that suffix; .png, .pdf and .svg work.")
        if any(argument in ("-h", "--help") for argument in given):
            print(__doc__)
            return
        plan = make(from_arguments(given), data_optional=True)
        check_models(plan)
        for line in foreign(plan, Store(Path(plan.tree.runs[0].settings.store.path))):
            print(f"note: {line}", file=sys.stderr)
        if figure:
            from analysis.planned import draw

            with clear_errors(Path(figure), setting="figure"):
                draw(plan.tree.runs, Path(figure))
        if output == "json":
            print(json.dumps(plan.summary()))
        else:
            from rich.console import Console

            console = Console(markup=False, emoji=False)
            if not console.is_terminal:
                console = Console(width=max(console.width, 120), markup=False, emoji=False)  # a file has room
            console.print(table(plan))


def compose(overrides: Sequence[str], *, multirun: bool = False) -> list[Settings]:
    """Settings of a sweep; `study=all` stands for every study."""
    names = sweeps.studies() if "study=all" in overrides else [None]
    result = []
    for name in names:
        result += sweeps.compose(
            [f"study={name}" if name and override == "study=all" else override for override in overrides],
            multirun=multirun,
        )
    return result


def from_arguments(arguments: Sequence[str]) -> list[Settings]:
    """As `compose`, of what was typed: `-m` or `--multirun` may be among it."""
    overrides = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    return compose(overrides, multirun=len(overrides) < len(arguments))


def table(plan: Plan) -> "RenderableType":
    """The plan for a terminal."""
    from rich.console import Group
    from rich.table import Table

    summary = plan.summary()
    runs = Table(title=f"study {plan.study}, scale {plan.scale}")
    runs.add_column("run", no_wrap=True)
    for name in ("M params", "steps", "cost over PTFS"):
        runs.add_column(name, justify="right")
    runs.add_column("learning rate", no_wrap=True)
    for r, label, row in zip(plan.tree.runs, labels(plan.tree.runs), summary["runs"], strict=True):
        parameters = models.parameters(r.settings.model, r.stream.vocab_size)
        cost = f"{row['relative_cost']:.2f}"
        runs.add_row(label, f"{parameters / 1e6:,.2f}", f"{row['steps']:,}", cost, _sparkline(r))
    estimate = summary["estimate"]
    unit = "GPU" if estimate["device"].startswith("cuda") else "worker"
    costs = Table(title="with every trajectory trained alone, and with what a study's runs share trained once")
    costs.add_column("study", no_wrap=True)
    for name in ("runs", "steps alone", "shared", f"{unit}-hours alone", "shared"):
        costs.add_column(name, justify="right")
    for row in summary["studies"]:
        steps = (f"{row[name]:,}" for name in ("runs", "logical_steps", "unique_steps"))
        hours = (_figure(row[name]) for name in ("logical_hours", "unique_hours"))
        costs.add_row(row["study"], *steps, *hours)
    totals = Table.grid(padding=(0, 2))
    stored = summary["stored_steps"]
    unique = summary["unique_steps"]
    processes = estimate["processes"]
    workers = "worker" if processes == 1 else f"worker of {processes} processes"
    time = f"about {_duration(summary['estimated_seconds'])} on one {workers}"
    for name, value in (
        ("logical steps", f"{summary['logical_steps']:,}"),
        ("unique steps", f"{unique:,} ({unique / summary['logical_steps']:.0%}), {stored:,} of them stored"),
        ("branch points", f"{summary['branch_points']:,}"),
        ("tokens", f"{summary['tokens']:,}"),
        ("FLOPs", f"{summary['flops']:.2e}"),
        ("checkpoints", f"{summary['checkpoints']:,}, {_figure(summary['checkpoint_bytes'] / 1e9)} GB"),
        ("to train", f"{unique - stored:,} steps, {_figure(summary['estimated_hours'])} {unit}-hours, {time}"),
        ("assumed", f"{estimate['flops_per_second'] / 1e12:g} TFLOP/s a {unit}: {estimate['basis']}"),
    ):
        totals.add_row(name, value)
    return Group(runs, costs, totals)


def _sparkline(r: Run, width: int = 16) -> str:
    rates = r.trajectories[-1].learning_rates
    top = r.settings.schedule.max_lr
    picked = [rates[min(len(rates) - 1, (2 * i + 1) * len(rates) // (2 * width))] for i in range(width)]
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(rate / top * 8))] for rate in picked)


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def take(arguments: list[str], name: str, default: str) -> tuple[str, list[str]]:
    """The value of an option that is none of Hydra's, and the other arguments."""
    values = [argument.split("=", 1)[1] for argument in arguments if argument.startswith(f"{name}=")]
    return (values or [default])[-1], [argument for argument in arguments if not argument.startswith(f"{name}=")]


if __name__ == "__main__":
    main()

"""A sweep as a whole: checked, merged into one tree, counted and priced, before anything is trained."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from repro.common.disk import Flaw
from repro.common.errors import Gone, UserError
from repro.config.settings import Settings
from repro.data.stream import Stream
from repro.models import numerics
from repro.models.architectures.architecture import architecture
from repro.planning import again, choices, lengths, prices
from repro.planning.runs import Run, run
from repro.planning.tree import Tree, merge
from repro.recipes.trajectory import Key
from repro.store.layout import read_manifest
from repro.store.store import Store

FEW = 0.05
"""A share of a release's new text that is not worth a word if it stays unread."""


def left_over_text(row: Mapping[str, Any]) -> str:
    """What of a version's new text its steps do not reach, of a row of `Plan.left_over`."""
    share = row["unused_blocks"] / (row["unused_blocks"] + row["used_blocks"])
    order = f" {row['order']}" if row["order"] else ""
    return f"{row['unused_blocks']:,} blocks ({share:.0%}) after {row['steps']:,} steps{order}"


@dataclass(frozen=True)
class Plan:
    """A checked sweep."""

    study: str
    scale: str
    tree: Tree
    stored: dict[str, int]
    """Checkpoints the store holds, with their steps."""
    notes: Sequence[str] = ()
    """What was chosen where settings say `auto`, a line each."""

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
        """Of the missing steps on one worker, each as its own model takes."""
        total = 0.0
        for node in map(self.tree.nodes.__getitem__, self.missing):
            total += _hours(node.run, node.flops) / node.run.settings.numerics.world_size
        return 3600 * total

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
            nodes = {key: node for index in indices for key, node in tree.own(index).items()}.values()
            rows.append(
                {
                    "study": study,
                    "runs": len(indices),
                    "logical_steps": sum(map(tree.run_logical_steps, indices)),
                    "unique_steps": sum(node.steps for node in nodes),
                    "logical_hours": sum(_hours(tree.runs[i], tree.run_logical_flops(i)) for i in indices),
                    "unique_hours": sum(_hours(node.run, node.flops) for node in nodes),
                }
            )
        return rows

    def left_over(self) -> list[dict[str, Any]]:
        """Of each stream, and of each order that reads less of it, the new data of every version that are not used."""
        rows: dict[tuple[object, ...], dict[str, Any]] = {}
        for r in self.tree.runs:
            order = r.trajectories[-1].order
            unread = order.unread(r.stream)
            beyond = r.stream.unused_blocks or [0] * len(unread)
            if r.stream.unused_blocks is None and not any(unread):
                continue
            how = order.label if any(unread) else ""
            used = zip(r.releases.steps, beyond, unread, r.stream.version_blocks, strict=True)
            for version, (steps, more, less, blocks) in enumerate(used, start=1):
                row = {"version": version, "steps": steps, "order": how}
                row |= {"unused_blocks": more + less, "used_blocks": blocks - less}
                rows.setdefault((id(r.stream), how, less, version), row)
        return list(rows.values())

    def unread(self) -> list[str]:
        """Of the last of one's own releases, text that no step will read, if it is more than a small share."""
        if not self.missing or self.tree.runs[0].settings.stream.order != "releases":
            return []
        rows = self.left_over()
        last = max((row["version"] for row in rows), default=0)
        return [
            f"of version {last}'s new text, {left_over_text(row)} stay unread"
            for row in rows
            if row["version"] == last and row["unused_blocks"] > FEW * (row["unused_blocks"] + row["used_blocks"])
        ]

    def _bytes(self, keys: Iterable[Key]) -> int:
        return sum(self.tree.nodes[key].bytes for key in keys)

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
                    "recipe": r.settings.paradigm.kind,
                    "paradigm": r.settings.paradigm.kind,
                    "schedule": r.settings.schedule.kind,
                    "seed": r.settings.seed,
                    "steps": tree.run_steps(index),
                    "relative_cost": tree.relative_cost(index),
                    "flops": tree.run_flops(index),
                    "relative_flops": tree.relative_flops(index),
                    **_next(r),
                }
                for index, r in enumerate(tree.runs)
            ],
            "logical_steps": tree.logical_steps,
            "unique_steps": tree.unique_steps,
            "stored_steps": tree.unique_steps - self.missing_steps,
            "branch_points": tree.branch_points,
            "checkpoints": len(tree.nodes),
            "checkpoint_bytes": self.checkpoint_bytes,
            "tokens": sum(node.steps * node.run.step_tokens for node in nodes),
            "flops": sum(node.flops for node in nodes),
            "estimated_seconds": self.seconds,
            "estimated_hours": sum(_hours(tree.nodes[key].run, tree.nodes[key].flops) for key in self.missing),
            "estimate": {"device": first.numerics.device, "processes": first.numerics.world_size}
            | asdict(first.estimate),
            "studies": self.studies(),
            "left_over": self.left_over(),
        }


def _next(r: Run) -> dict[str, Any]:
    """The price of one more release, where the settings allow one."""
    try:
        price = prices.next_release(r)
    except UserError:
        price = None
    return {"next_release_cost": price and price.cost, "delay": price and price.delay}


def _hours(run: Run, flops: int) -> float:
    """What a run's FLOPs take, in hours of one device."""
    return flops / run.settings.estimate.flops_per_second / 3600


def make(
    sweep: Sequence[Settings], *, data_optional: bool = False, prepare: bool = True, keep_choices: bool = False
) -> Plan:
    """Check every run of a sweep and merge them into a plan. Trains nothing, and writes nothing but prepared text.

    Args:
        data_optional, prepare: as of `runs.run`; without preparing, nothing is measured either.
        keep_choices: also write to the store what `auto` was measured to be (repro.planning.choices).

    Raises:
        UserError: what cannot work, before anything is trained.
    """
    sweep = lengths.resolved(sweep)
    first = sweep[0]
    store = Store.of(first.store)
    asked = [run(settings, data_optional=data_optional, prepare=prepare) for settings in sweep]
    runs, notes = choices.resolved(asked, store, keep=keep_choices, measure=prepare)
    stored = store.steps()
    tree = merge(runs, stored)
    return Plan(study_name(sweep), first.scale, tree, stored, notes)


def study_name(sweep: Sequence[Settings]) -> str:
    """What a sweep is called: its study, or `all` of several."""
    studies = {settings.study or "none" for settings in sweep}
    return studies.pop() if len(studies) == 1 else "all"


def check_models(plan: Plan) -> None:
    """Check each model that has to be trained: one that was never built here is, on the meta device.

    Raises:
        UserError: transformers refuses the shape, or `model.init` does not fit it.
    """
    shapes, begun = {}, set()
    for key in plan.missing:
        node = plan.tree.nodes[key]
        shapes[node.run.settings.model, *node.run.model_shape] = node.run
        if not node.parents:
            begun.add(node.run.settings.model)
    for r in shapes.values():
        tokenizer = r.stream.tokenizer_file if isinstance(r.stream, Stream) else None
        _ = r.shape  # which cannot be counted where it cannot be built
        try:
            architecture(r.settings.model).check(*r.model_shape, tokenizer)
        except Gone:
            if r.settings.model in begun:  # all else goes on from checkpoints
                raise


MOST_MANIFESTS = 2000
"""Manifests, at most, that are read to say that there are checkpoints made under other numerics."""


def counterparts(plan: Plan, store: Store, most: int | None = None) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Missing nodes, each with the manifest of a checkpoint that is the same computation under other numerics.

    Args:
        most: manifests to read; None: all.
    """
    wanted = {plan.tree.nodes[key].identity_key: key for key in plan.missing}
    steps = {plan.tree.nodes[key].step for key in plan.missing}
    others = ((key, step) for key, step in plan.stored.items() if step in steps and key not in plan.tree.nodes)
    for key, step in islice(others, most):
        try:
            manifest = read_manifest(store.checkpoint_folder(key, step), key)
        except Flaw:
            continue  # nothing of ours; whoever reads it will say so
        if (ours := wanted.get(manifest.get("identity_key", ""))) is not None:
            yield ours, manifest


def foreign(plan: Plan, store: Store, arguments: Sequence[str]) -> list[str]:
    """How stored checkpoints that would otherwise serve differ from this machine's numerics: a line a difference.

    Args:
        arguments: the sweep's command line, for the command that would use them.
    """
    found: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    for ours, manifest in counterparts(plan, store, MOST_MANIFESTS):
        run = plan.tree.nodes[ours].run
        difference = numerics.difference(run.numerics, manifest["numerics"])
        found[difference] = found.get(difference, 0) + 1
        names[difference] = list(map(numerics.called, numerics.differing(run.numerics, manifest["numerics"])))
    return [
        f"store.path={store.root} holds checkpoints of this plan ({count} found) that were made under other numerics "
        f"and are not used: {difference}. To use them: "
        + again.command("repro.adopt", [f"differ={','.join(names[difference])}", *arguments])
        for difference, count in found.items()
    ]

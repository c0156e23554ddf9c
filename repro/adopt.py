"""Start from checkpoints of other numerics, on request: python -m repro.adopt differ=world_size study=main scale=paper

Takes the arguments of repro.train, and in `differ` the numerics that may differ (`differ=world_size,parallel`), as a
manifest lists them. For whatever of the plan is missing and the store holds as the same computation under other
numerics, finished or under way, a copy is kept under the key that training will look for. A branch taken on four GPUs
then goes on on two.

Bits are promised under one numerics. The copy's manifest therefore says in `adopted` what it was made from, and so does
that of every checkpoint that is trained from it; the store it lies in is no longer one of a single numerics.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from repro.common.errors import UserError, refusals
from repro.common.registry import suggestion
from repro.models import numerics
from repro.planning import planner
from repro.planning.arguments import CommandLine
from repro.planning.planner import Plan
from repro.recipes.trajectory import Key
from repro.store.layout import FILES, KEY_NAME, Damaged, entries, files_of
from repro.store.store import Store

COPIED = ("identity_key", "identity", "numerics", "stream", "name", "version", "vocab_size", "sessions", "operation")
"""What a copy's manifest says as the original's does."""


def adopt(plan: Plan, store: Store, differ: Sequence[str]) -> list[str]:
    """Copy what may be used; a line about each copy.

    Raises:
        UserError: there is nothing, or only what differs in more than `differ` names.
    """
    adopted, others = [], set()
    done: set[tuple[Key, bool]] = set()
    for key, manifest, partial in _candidates(plan, store):
        node = plan.tree.nodes[key]
        run = node.run
        theirs = manifest["numerics"]
        differing = sorted(map(numerics.called, numerics.differing(run.numerics, theirs)))
        if not set(differing) <= set(differ):
            others.add(",".join(differing))
        elif (key, partial) not in done:
            step = manifest["step"]
            made_from = {"key": manifest["key"], "step": step, "numerics": theirs}
            about = {name: manifest[name] for name in COPIED if name in manifest}
            if node.derived:
                about |= {"parents": list(node.parents)}
            else:
                about |= {"parent": node.parents[0] if node.parents else None}
            about |= {"adopted": [*manifest.get("adopted", []), made_from]}
            try:
                if partial:
                    store.save_partial(key, step, store.load_partial(manifest["key"], step, *FILES), about)
                else:
                    store.save(key, step, store.load(manifest["key"], *files_of(manifest)), about)
            except Damaged:
                continue
            done.add((key, partial))
            adopted.append(f"{run.name}, step {step:,}: differs in {', '.join(differing)}")
    if not adopted:
        reason = f"what there is differs in {' or in '.join(sorted(others))}" if others else "there is nothing to adopt"
        remedy = "; differ= has to name all of that" if others else ""
        raise UserError(
            f"differ={','.join(differ)}, store.path={store.root}: {reason}{remedy}.{_strange(plan, differ)}"
        )
    return adopted


def _strange(plan: Plan, differ: Sequence[str]) -> str:
    """What to say of names that are none of these runs' numerics."""
    known = sorted({*map(numerics.called, (name for run in plan.tree.runs for name in run.numerics)), "parallel"})
    strange = [name for name in differ if name not in known]
    near = "".join(suggestion(name, known) for name in strange)
    return f" {', '.join(strange)} is none of their numerics; {near}those are {', '.join(known)}." if strange else ""


def _candidates(plan: Plan, store: Store) -> Iterator[tuple[Key, dict[str, Any], bool]]:
    """Missing nodes, with the manifest of what is the same computation, and whether that is still under way."""
    for key, manifest in planner.counterparts(plan, store):
        yield key, manifest, False
    wanted = {plan.tree.nodes[key].identity_key: key for key in plan.missing if not store.has(key)}
    for folder in entries(store.root / "partial", KEY_NAME):
        for step in reversed(store.partial_steps(folder.name) if folder.name not in plan.tree.nodes else []):
            try:
                manifest = store.partial_manifest(folder.name, step)
            except Damaged:
                continue
            if (key := wanted.get(manifest["identity_key"], "")) and step > plan.tree.nodes[key].parent_step:
                yield key, manifest, True


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        differ = line.take("differ")
        if not differ:
            line.refuse("differ= is missing: the numerics that may differ, such as differ=world_size,parallel.")
        plan = line.plan()
        for run in plan.tree.runs:
            numerics.check_here(run.settings.numerics.device)
        lines = adopt(plan, Store.of(plan.tree.runs[0].settings.store), differ.split(","))
        print("\n".join(lines))


if __name__ == "__main__":
    main()

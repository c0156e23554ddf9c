"""What a person has to know of a release: what it cost, what it gained and lost, what the next one takes and needs."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from repro.common import grid
from repro.common.errors import UserError, printable
from repro.common.grid import Grid
from repro.data import counts
from repro.exports.release import Release
from repro.planning import prices
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.planning.tree import Node
from repro.results import measures
from repro.store import upkeep
from repro.store.store import Store

if TYPE_CHECKING:
    from rich.table import Table

LONGEST = 86_400 * 36_500
"""Seconds that are told in days alone beyond."""
SHOWN = 4
"""Releases side by side, at most: the last ones."""


def show(
    plan: Plan, every: Sequence[Release], new: Collection[str], store: Store, *, trained: int = 0, dry: bool = False
) -> None:
    """Print it.

    Args:
        new: names of the releases that this command makes.
        trained: steps that it took.
        dry: whether all of this lies ahead.
    """
    console = grid.console()
    console.print(_gains(every, store))
    facts = _facts()
    for name, value in (
        *_costs(plan, every, new, trained, dry),
        *_next(every[-1].run),
        ("times", _assumed(every[-1].run)),
        *_keep(plan, every, store),
    ):
        facts.add_row(printable(name), printable(value))
    console.print(facts)


def _facts() -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def _gains(every: Sequence[Release], store: Store) -> Grid:
    """PPL by slice and release, and how the last one differs from the one before."""
    shown = every[-SHOWN:]
    head = ["held-out text of", *(printable(release.name) for release in shown), "change"]
    table = Grid("PPL by slice (rows) and release (columns)", head)
    known = [measures.known(release.run, release.node.key, store) for release in shown]
    slices = [measures.by_slice(rows) for rows in known]
    for each in every:
        _row(table, each.name, [found.get(each.version) for found in slices])
    last = every[-1].version
    whole = [measures.perplexity(rows, last) if len(rows) == last else None for rows in known]
    _row(table, "all of these", whole)
    return table


def _row(table: Grid, name: str, values: Sequence[float | None]) -> None:
    table.add(name, *("-" if value is None else f"{value:.2f}" for value in values), _change(values))


def _change(values: Sequence[float | None]) -> str:
    """The last value, relative to the one before."""
    before, now = ([None, *values])[-2:]
    return "" if before is None or now is None else f"{now / before - 1:+.1%}"


def _costs(
    plan: Plan, every: Sequence[Release], new: Collection[str], trained: int, dry: bool
) -> Iterator[tuple[str, str]]:
    made = [each for each in every if each.name in new]
    yield "new", _names(made) if made else "no release"
    yield "folder", str(every[-1].folder)
    for each in made[-SHOWN:]:
        if report := each.run.stream.report(each.version):
            yield f"data of {each.name}", counts.told(report)
    if dry:
        ahead = f"{plan.missing_steps:,} steps, about {_span(plan.seconds)}" if plan.missing_steps else "nothing"
        yield "to train", ahead
    else:
        yield "trained now", f"{trained:,} steps" if trained else "nothing: all of it was in the store"
    for each in made[-SHOWN:] or every[-1:]:
        share = f"{each.cost:,} steps, {each.share:.0%} of training it from scratch"
        yield f"cost of {each.name}", share


def _next(run: Run) -> Iterator[tuple[str, str]]:
    try:
        price = prices.next_release(run)
    except UserError as error:
        yield "the next one", str(error)
        return
    if price is None:
        yield "the next one", "none: this recipe releases no more"
        return
    yield (
        "the next one",
        f"with as much data: {price.steps:,} steps, {price.cost:.0%} of training it from scratch; released "
        f"{price.delay:,} steps after its data are there, about {_time(run, price.delay)}",
    )


def _keep(plan: Plan, every: Sequence[Release], store: Store) -> Iterator[tuple[str, str]]:
    """Checkpoints that the next release begins with, those that it is compared with, and what can go."""
    run = every[-1].run
    try:
        needed = prices.needed_next(run, plan.stored)
    except UserError:
        needed = []
    for node in needed:
        yield "keep, to go on", _checkpoint(node, store)
    if not needed:
        yield "keep, to go on", "nothing: the next release begins anew"
    keys = {node.key for node in needed}
    others = [each for each in every if each.node.key not in keys]
    size = sum(_bytes(each.node, store) for each in others)
    if others:
        yield "keep, to compare", f"those of {_names(others)}: {size / 1e6:,.1f} MB"
    gone = sum(entry.bytes for entry in upkeep.collect(store, delete=False))
    yield (
        "may go",
        f"{gone / 1e6:,.1f} MB (python -m repro.store gc {shlex.quote(f'store.path={store.root}')} delete=true)",
    )


def _names(every: Sequence[Release]) -> str:
    """The last ones' names, and how many there are before them."""
    more = f"{len(every) - SHOWN:,} more and " if len(every) > SHOWN else ""
    return more + ", ".join(each.name for each in every[-SHOWN:])


def _checkpoint(node: Node, store: Store) -> str:
    size = f"{_bytes(node, store) / 1e6:,.1f} MB"
    return f"{node.key[:16]}, step {node.step:,}, {size}{'' if store.has(node.key) else ', to be made'}"


def _bytes(node: Node, store: Store) -> int:
    """What a checkpoint takes, or is expected to."""
    return upkeep.size(store.checkpoint_folder(node.key, node.step)) or node.bytes


def _assumed(run: Run) -> str:
    """What times rest on."""
    estimate = run.settings.estimate
    return f"assumed, not measured: {estimate.flops_per_second / 1e12:g} TFLOP/s ({estimate.basis})"


def _time(run: Run, steps: int) -> str:
    """What steps take on one worker, as the settings estimate it."""
    return _span(steps * run.step_flops / run.settings.estimate.flops_per_second / run.settings.numerics.world_size)


def _span(seconds: float) -> str:
    if seconds > LONGEST:
        return f"{seconds / 86_400:,.0f} days"
    return str(timedelta(seconds=max(1, round(seconds))))

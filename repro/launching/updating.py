"""The next release of a stream that grows: checked, trained, measured, written and summed up."""

from collections.abc import Sequence
from pathlib import Path

from repro.common.disk import check_folder
from repro.common.errors import UserError, refusals
from repro.exports import release as releases
from repro.launching import outlook, training
from repro.launching.launch import launch
from repro.launching.signals import leaving
from repro.planning import machines
from repro.planning.arguments import CommandLine
from repro.planning.planner import Plan
from repro.store.store import Store
from repro.training import parallel

DEFAULTS = {"corpus": "releases", "stream": "releases"}
"""Groups that are chosen where the command line does not."""


def completed(given: Sequence[str]) -> list[str]:
    """A command line with the groups that it leaves to the default."""
    chosen = {each.partition("=")[0] for each in given}
    return [*(f"{group}={name}" for group, name in DEFAULTS.items() if group not in chosen), *given]


def update(given: Sequence[str], output: Path, *, dry: bool, options: Sequence[str] = ()) -> None:
    """Make every release of the stream that is not made yet.

    Args:
        given: overrides, as repro.train takes them.
        dry: only say what would be done.
        options: what was typed that is no override, for a line that is said to work.

    Raises:
        SystemExit: with the statuses of repro.launching.launch.
    """
    words = completed(given)
    with leaving(), refusals():
        check_folder(output, "output")
        plan, store = _seen(given, options)
        every = releases.of(plan, output)
        new = {each.name for each in releases.check(every, plan.stored, words)}
        if dry:
            outlook.show(plan, every, new, store, dry=True)
            return
    steps = plan.missing_steps
    launch(training.command(), words)
    if parallel.join().rank:
        return  # the leader writes
    with leaving(), refusals(status=1, answers=False):
        plan, store = _seen(given)
        every = releases.of(plan, output)
        for release in releases.check(every, plan.stored, words):
            releases.write(release, every[: release.version - 1], store, given)
        releases.tidy(every)
        outlook.show(plan, every, new, store, trained=steps)


def _seen(given: Sequence[str], options: Sequence[str] = ()) -> tuple[Plan, Store]:
    """The plan, as that machine sees it which has done most of it, and its store.

    Raises:
        UserError: there is more than one run.
    """
    line = CommandLine(None, given)
    line.taken = list(options)
    plan = line.plan(complete=completed)
    if len(plan.tree.runs) > 1:
        raise UserError(
            f"{' '.join(given)}: {len(plan.tree.runs)} runs; an update is one of one run. Leave the sweep out."
        )
    store = Store.of(plan.tree.runs[0].settings.store)
    return machines.nearest(plan, training.left, store), store

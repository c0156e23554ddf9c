"""The body of one Hydra job: it works on the frozen plan of the whole sweep until its own run is finished."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from omegaconf import DictConfig

from repro.common import process
from repro.common.errors import Preempted, UserError, printable
from repro.config.resolve import from_config
from repro.config.settings import Settings
from repro.data.corpora.corpus import corpus as chosen
from repro.data.opening import is_prepared
from repro.launching.signals import hand_on, stopping
from repro.planning import choices, frozen, lengths, machines
from repro.planning.runs import run
from repro.planning.tree import Tree, merge
from repro.store.store import Store
from repro.training import parallel

T = TypeVar("T")
Opened = tuple[list[Settings], Tree, Store]
"""The sweep, its tree, and where it is stored."""


@dataclass
class _Latest:
    """The plan that this process worked on last: many jobs of one sweep may run in it."""

    frozen: str | None = None
    opened: Opened | None = None


_LATEST = _Latest()


def work(config: DictConfig, do: Callable[[Tree, int, Store, threading.Event], T]) -> T | None:
    """The body of one Hydra job.

    Args:
        do: works on a tree for one run of it (by its place) until that run is finished or the event is set.

    Returns:
        What `do` does; None where it was not finished.
    """
    process.begin()
    preempted = False
    with stopping(counting=False) as stop, stop.working():
        try:
            settings = from_config(config)
            every, tree, store = _opened(settings)
            # Nodes may spell a ledger's folder in two ways.
            asked = replace(settings, frozen_plan=None)
            seen = (replace(each, ledger=asked.ledger) for each in every)
            own = next((i for i, each in enumerate(seen) if lengths.answers(each, asked)), 0)
            _check_tasks(every[own], settings)
            return do(tree, own, store, stop)
        except Preempted:
            stop.set()  # of several processes, one may have been asked for all
            print("asked to stop: what was done is kept, and the same command goes on", file=sys.stderr)
            preempted = True
        except UserError as error:
            # The sweep's other jobs go on; the command line reports what is left.
            print(printable(f"error: {error}"), file=sys.stderr)
            if parallel.join().size > 1 and not error.everywhere:
                raise SystemExit(1) from None  # the others may be waiting for this process
    if preempted:
        hand_on(stop)
    return None


def _check_tasks(planned: Settings, asked: Settings) -> None:
    """lm-eval executes Python that lies beside task files, so only a folder that this command line named is read: a
    plan may come from a store that others write to.

    Raises:
        UserError: the plan names another one.
    """
    if planned.tasks.include_path != asked.tasks.include_path:
        raise UserError(
            f"frozen_plan={asked.frozen_plan} takes its task files, which may hold Python, from "
            f"tasks.include_path={planned.tasks.include_path}, and this command line names {asked.tasks.include_path}; "
            f"give tasks.include_path={planned.tasks.include_path} if you trust it."
        )


def forget_latest() -> None:
    """Have the next job read its plan anew."""
    _LATEST.frozen = _LATEST.opened = None


def _opened(settings: Settings) -> Opened:
    store = Store.of(settings.store)
    if settings.frozen_plan is None:
        asked = [run(each) for each in lengths.resolved([settings])]
        runs, _ = choices.resolved(asked, store, keep=True)
        return [each.settings for each in runs], merge(runs, store.steps()), store
    if _LATEST.frozen != settings.frozen_plan:
        every, planned = frozen.thaw(settings.frozen_plan, store)
        for corpus, stream, place in {(each.corpus, each.stream, each.data.path) for each in every}:
            if chosen(corpus).remote and not is_prepared(corpus, stream, Path(place)):
                raise UserError(
                    f"data.path={place} holds no sound stream of {chosen(corpus).place} any more. "
                    "A worker asks no hub for it: python -m repro.prepare, with the sweep's arguments, makes it again."
                )
        runs = [run(each) for each in every]
        frozen.check_unchanged(settings.frozen_plan, runs, store)
        tree = merge(runs, planned)
        machines.note(tree, planned, store)
        _LATEST.frozen, _LATEST.opened = settings.frozen_plan, (every, tree, store)
    assert _LATEST.opened is not None
    return _LATEST.opened

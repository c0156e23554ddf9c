"""How every sweep is launched: composed and checked as a whole, frozen, handed to Hydra, watched, summed up.

Exit status: 0 finished; 1 something could not be done; 2 refused, nothing was started; 75 asked to stop (SIGTERM,
SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU): the steps under way were finished and kept, and the same command goes on. A
second signal ends the launcher and its workers at once (128 + its number); the store stays whole, as it does under
SIGKILL. Whether anybody reads what is printed changes neither results nor status.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import dataclass

from repro.common import output, process
from repro.common.errors import UserError, printable, refusals
from repro.common.options import VERSION, version
from repro.config.settings import Settings
from repro.launching import console, launchers
from repro.launching.job import forget_latest
from repro.launching.signals import PREEMPTED_STATUS, held_back, leaving, stopping
from repro.models import numerics
from repro.planning import again, asked, frozen, machines, planner, sweeps
from repro.planning.places import as_typed
from repro.planning.planner import Plan
from repro.results import ledger, trackers
from repro.store.store import Store
from repro.training import parallel
from repro.training.parallel import Processes

ASKED_TO_STOP = "asked to stop: what was done is kept; jobs on other machines go on, if there are any"


@dataclass(frozen=True)
class Command:
    """What differs between the commands that work through a sweep."""

    verb: str
    """The module of `repro` that does it: `train`."""
    name: str
    """What it does, for the progress bar: `training`."""
    unit: str
    """What it counts: `steps`."""
    job: Callable[[], None]
    """Hydra's main function for one job."""
    check: Callable[[Plan, Store], None]
    """Refuses what cannot work, before anything starts."""
    left: Callable[[Plan, Store], int]
    """Units still to do, by whichever worker, as the store alone says: whether a command has finished rests on it."""
    begun: Callable[[Plan, Store], int] = lambda plan, store: 0
    """Of those, units that workers say they have done and not kept yet: for the progress bar alone."""
    together: bool = False
    """Whether several processes, started by torchrun, can do it together."""


INFORMING = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i"}
"""Hydra's flags that only show something."""


@dataclass(frozen=True)
class _Sweep:
    """A checked sweep under a command."""

    command: Command
    plan: Plan
    store: Store

    @property
    def seen(self) -> Plan:
        """The plan, as that machine sees it which has done most of it."""
        return machines.nearest(self.plan, self.command.left, self.store)

    def left(self) -> int:
        return self.command.left(self.seen, self.store)

    def outstanding(self) -> int:
        """What is left but for what workers have under way, for the progress bar."""
        seen = self.seen
        return self.command.left(seen, self.store) - self.command.begun(seen, self.store)

    def check(self, arguments: Sequence[str]) -> str:
        """Refuse what cannot work, and freeze the plan; its id."""
        command, plan, store = self.command, self.plan, self.store
        store.tidy()
        unread = plan.unread() if command.verb == "train" else []
        for line in (*plan.notes, *unread, *planner.foreign(plan, store, arguments)):
            print(printable(f"note: {line}"), file=sys.stderr)
        ledger.check(plan)
        command.check(self.seen, store)
        return frozen.freeze(plan, store, {command.verb: again.command(f"repro.{command.verb}", arguments)})


def launch(command: Command, typed: Sequence[str]) -> None:
    """Carry out a command for a whole sweep; ends the process with a status other than 0 where it is not finished."""
    process.begin()
    arguments = as_typed(typed)
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    flags = [argument for argument in arguments if argument.startswith("-")]
    names = {flag.partition("=")[0] for flag in flags} - {"-m", "--multirun"}
    if VERSION in names:
        print(version())
        output.deliver()
        return
    if names & INFORMING:
        try:
            _inform(command, arguments, names)
        except SystemExit as end:  # Hydra's way to end well, too
            if end.code:
                raise
        output.deliver()
        return
    with refusals(answers=False):
        if names:
            raise UserError(f"{', '.join(sorted(names))}: not supported; -m, --help, --version, --cfg and --info are.")
    forget_latest()
    with leaving(), refusals(answers=False):
        handed: dict[tuple[str, ...], list[str]] = {}

        def hand(given: Sequence[str], sweep: Sequence[Settings]) -> None:
            handed[tuple(given)] = launchers.handed(given, flags)
            if launchers.chosen(given) in ("basic", "joblib"):  # which work on this machine
                for device in dict.fromkeys(each.numerics.device for each in sweep):
                    numerics.check_here(device)
            if os.environ.get("RANK", "0") == "0":  # the others show no tracker anything
                trackers.check(sweep)

        plan = asked.plan(overrides, multirun=bool(flags), keep_choices=True, also=hand)
        processes = _joined(command, overrides)
        sweep = _Sweep(command, plan, Store.of(plan.tree.runs[0].settings.store))
        plan_id = processes.on_rank_zero(lambda: sweep.check(typed))
    # torchrun and what started it may each hand a signal on.
    with stopping(counting=processes.size == 1) as stop:
        with refusals(status=1, answers=False):
            try:
                if processes.on_rank_zero(sweep.left):
                    bar = console.progress(command.name, command.unit, sweep.outstanding)
                    with nullcontext() if processes.rank else bar:
                        _run(command, [*handed[tuple(overrides)], f"frozen_plan={plan_id}"], stop)
            except KeyboardInterrupt:  # as `stopping` raises where no job is under way: looks take seconds, too
                print(ASKED_TO_STOP, file=sys.stderr)
        if not processes.rank:  # which reports
            with stop.working():
                _sum_up(sweep, stop)


def _sum_up(sweep: _Sweep, stop: threading.Event) -> None:
    """Write and show what is done; ends the process with a status other than 0 where something is left."""
    command, store = sweep.command, sweep.store
    with refusals(status=1, answers=False):
        seen = sweep.seen
        ledger.write(seen, store)
        remaining = sweep.left()  # now, since what was found damaged on the way is left to be done
        shown = trackers.publish(seen.tree, store)
        console.summary(seen, store)
    if remaining:
        if stop.is_set():
            raise SystemExit(PREEMPTED_STATUS)
        print(f"{command.name}: {remaining:,} {command.unit} are not done; see the messages above", file=sys.stderr)
    if remaining or not shown:
        raise SystemExit(1)


def _inform(command: Command, arguments: Sequence[str], names: AbstractSet[str]) -> None:
    """Have Hydra show something. Its own parser takes overrides on one side of a flag alone."""
    overrides = [argument for argument in arguments if (argument[:1] != "-" and "=" in argument) or argument[:1] == "~"]
    rest = [argument for argument in arguments if argument not in (*overrides, "-m", "--multirun")]  # nothing to do
    with refusals(answers=False):
        sweeps.check_single(overrides)
        if sweeps.ALL_STUDIES in overrides:
            raise UserError(f"{sweeps.ALL_STUDIES} is every study, and what is shown is one job's; give one of them.")
        if not names & {"--help", "-h", "--hydra-help"}:
            asked.settings(overrides)
    shown = [*overrides, *rest]
    if names & {"--help", "-h"}:
        usage = (
            f"python -m repro.{command.verb} study=NAME scale=NAME [group=option] [setting=value] ...: see README.md"
        )
        shown.append(f"hydra.help.header='{usage}'")
    _hydra(command, shown)


def _joined(command: Command, overrides: Sequence[str]) -> Processes:
    """The processes that carry out the command together, which are one where torchrun started no others.

    Raises:
        UserError: it started others, for something that takes one.
    """
    processes = parallel.join()
    if processes.size > 1 and not command.together:
        raise UserError(f"{command.name} takes one process, and torchrun started {processes.size}; start it without.")
    launcher = launchers.chosen(overrides)
    if processes.size > 1 and launcher != "basic":
        raise UserError(f"hydra/launcher={launcher} starts workers of one process each; leave it out under torchrun.")
    return processes


def _run(command: Command, arguments: Sequence[str], stop: threading.Event) -> None:
    """Have Hydra launch the jobs. What ends a job early leaves something to do, which the caller reports."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, for a message of our own
    try:
        with held_back() if "hydra/launcher=joblib" in arguments else nullcontext():
            _hydra(command, arguments)
            _end_workers()
    except OSError as error:
        print(f"error: {error}. What was kept before stays usable.", file=sys.stderr)
    except Exception as error:
        name = type(error).__name__
        if name in ("UncompletedJobError", "FailedJobError"):  # submitit's word for a job that was cancelled, or broke
            print(f"error: {error}\nOther jobs of the sweep go on; the same command goes on with all.", file=sys.stderr)
        # joblib's word for a worker that was killed, by the system (no memory left) or by whoever asked to stop.
        elif name != "TerminatedWorkerError":
            if not launchers.is_to_blame(error):
                raise
            print(printable(f"error: {launchers.chosen(arguments)}: {name}: {error}"), file=sys.stderr)
        elif not stop.is_set():
            print("error: a worker was killed; is there too little memory for so many?", file=sys.stderr)
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _end_workers() -> None:
    """Joblib keeps its workers for a next sweep in this process, where one that a signal reached would take no job."""
    loky = sys.modules.get("joblib.externals.loky")
    if loky is not None:
        loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _hydra(command: Command, arguments: Sequence[str]) -> None:
    """Let Hydra parse, sweep and launch."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        command.job()
    finally:
        sys.argv = before

"""What Hydra and its launchers are given, and what they cannot work with, refused before anything is frozen."""

import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.types import RunMode

from repro.common.errors import UserError
from repro.planning import sweeps

AT_LEAST = {
    **dict.fromkeys(("timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "mem_gb", "array_parallelism"), 1),
    **dict.fromkeys(("gpus_per_node", "gpus_per_task", "signal_delay_s", "max_num_timeout"), 0),
}
"""The lowest numbers that launchers' settings take."""
PRE_DISPATCH = re.compile(r"all|[\d.*+ ]*(n_jobs)?[\d.*+ ]*")
"""What joblib reads as a number of jobs to send ahead."""


def chosen(overrides: Sequence[str]) -> str:
    """The launcher's name."""
    name = "hydra/launcher="
    return next((each.removeprefix(name) for each in reversed(overrides) if each.startswith(name)), "basic")


def handed(overrides: Sequence[str], flags: Sequence[str]) -> list[str]:
    """What Hydra is given.

    `study=all` is no study of Hydra's: a job for each study then works on the one plan of all of them. Joblib is told
    to start no more workers than there are jobs: one that never has any takes processors and heeds no signal.

    Raises:
        UserError: the launcher cannot work.
    """
    if sweeps.ALL_STUDIES in overrides:
        every = "study=" + ",".join(sweeps.studies(overrides))
        overrides = [every if override == sweeps.ALL_STUDIES else override for override in overrides]
        flags = ["-m"]
    name = chosen(overrides)
    if name == "basic":
        return [*flags, *overrides]
    hydra, jobs = sweeps.launched(overrides, multirun=bool(flags))
    _check(hydra.launcher)
    if hydra.mode != RunMode.MULTIRUN:
        flags = ["-m"]  # Hydra has no launcher start a single run
    if name != "joblib":
        return [*flags, *overrides]
    return [*flags, *overrides, f"hydra.launcher.n_jobs={min(_workers(hydra.launcher), jobs)}"]


def is_to_blame(error: BaseException) -> bool:
    """Whether an error comes from a launcher, and not out of one of our jobs that it ran, here or in a worker."""
    ours = str(Path(__file__).resolve().with_name("job.py"))
    text = "".join(traceback.format_exception(error))
    return ours not in text and "hydra_plugins" in text


def _check(launcher: Mapping[str, Any]) -> None:
    for name, low in AT_LEAST.items():
        value = launcher.get(name)
        if isinstance(value, int | float) and value < low:
            setting = f"hydra.launcher.{name}"
            raise UserError(f"{setting}={value} must be at least {low}.", works={setting: str(low)})


def _workers(launcher: Mapping[str, Any]) -> int:
    """How many joblib would start."""
    from joblib import Parallel, cpu_count

    asked = launcher["n_jobs"]
    if not isinstance(asked, int) or isinstance(asked, bool) or asked == 0:
        raise UserError(
            f"hydra.launcher.n_jobs={asked} starts no worker; a number from 1, or -1 for all processors.",
            works={"hydra.launcher.n_jobs": "1"},
        )
    size = str(launcher["batch_size"])
    try:
        Parallel(
            n_jobs=1,
            **{name: launcher[name] for name in ("backend", "prefer", "require")},
            batch_size=int(size) if size.isdecimal() else size,
        )
    except (ValueError, TypeError) as error:
        given = {f"hydra.launcher.{name}": None for name in ("backend", "prefer", "require", "batch_size")}
        raise UserError(f"hydra/launcher=joblib: {error}", works=given) from None
    if not PRE_DISPATCH.fullmatch(ahead := str(launcher["pre_dispatch"])):
        setting = "hydra.launcher.pre_dispatch"
        raise UserError(f"{setting}={ahead} is no number of jobs; all or 2*n_jobs works.", works={setting: None})
    return asked if asked > 0 else max(1, int(cpu_count()) + 1 + asked)

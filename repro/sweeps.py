"""From a command line to the settings of every run it asks for: what Hydra would launch, composed before it does.

Hydra composes each job of a sweep when it launches it, so that an error in the last one shows after days. Here the
whole sweep is composed first, with Hydra's own parser and sweeper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.errors import UserError
from repro.settings import Settings, from_config

CONF = Path(__file__).resolve().parent.parent / "conf"
MOST_JOBS = 20_000
"""More runs than this in one sweep are taken for a mistake."""


@dataclass(frozen=True)
class Sweep:
    """All runs that one command line asks for."""

    overrides: list[str]
    multirun: bool
    settings: list[Settings]


def compose(overrides: Sequence[str], *, multirun: bool = False) -> Sweep:
    """Compose every job of a sweep.

    Args:
        overrides: as given on the command line: `study=alpha`, `seed=0,1`, ...
        multirun: `--multirun` was given (a study says so itself).

    Raises:
        UserError, hydra.errors.HydraException, omegaconf.errors.OmegaConfBaseException: what is wrong with it.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    parser = OverridesParser.create()
    parsed = parser.parse_overrides(list(overrides))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        # A swept group has no single value: the first look at the sweep leaves swept overrides out.
        fixed = [override.input_line for override in parsed if not override.is_sweep_override()]
        master = hydra_compose("config", overrides=[line for line in fixed if line], return_hydra_config=True)
        if not multirun and master.hydra.mode != RunMode.MULTIRUN:
            return Sweep(list(overrides), False, [_settings(hydra_compose("config", overrides=list(overrides)))])
        swept = [f"{name}={value}" for name, value in (master.hydra.sweeper.params or {}).items()]
        lines = parser.parse_overrides([*swept, *overrides])
        count = 1
        for override in lines:
            if override.is_sweep_override():
                count *= sum(1 for _ in override.sweep_string_iterator())
        if count > MOST_JOBS:
            raise UserError(f"the sweep has {count} runs; at most {MOST_JOBS} are taken at once.")
        jobs = BasicSweeper.split_arguments(lines, max_batch_size=None)[0]
        return Sweep(list(overrides), True, [_settings(hydra_compose("config", overrides=job)) for job in jobs])


def studies() -> list[str]:
    """Names of the studies there are."""
    return sorted(path.stem for path in (CONF / "study").glob("*.yaml"))


def _settings(config: object) -> Settings:
    from omegaconf import DictConfig

    assert isinstance(config, DictConfig)
    return from_config(config)

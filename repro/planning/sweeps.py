"""From a command line to the settings of every run it asks for: what Hydra would launch, composed before it does.

Hydra composes each job of a sweep when it launches it, so that an error in the last one shows after days. Here the
whole sweep is composed first, with Hydra's own parser and sweeper.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import repro.data
import repro.models
import repro.recipes  # noqa: F401  (they fill the registries)
from repro.common import progress
from repro.common.errors import UserError
from repro.config import registries
from repro.config.parts import Part, parts, unchanged
from repro.config.places import CONF
from repro.config.registries import OPEN, chooser
from repro.config.resolve import check_name, checked, has, typed
from repro.config.settings import Settings
from repro.planning.complaints import NO_SWEEPER, settings_of, translated
from repro.planning.overrides import check_swept
from repro.planning.places import as_typed

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

ALL_STUDIES = "study=all"
BASE = "base"
"""The file of a group that its others have in common."""
MOST_JOBS = 20_000
"""More runs than this in one sweep are taken for a mistake."""
MOST_VALUES = 1000
"""Of one swept setting, that are looked at where something is wrong with it."""


def compose(overrides: Sequence[str], *, multirun: bool = False) -> list[Settings]:
    """The settings of every run of a sweep, in Hydra's order; `study=all` stands for every study, one after another.

    Args:
        overrides: as given on the command line: `study=alpha`, `seed=0,1`, ...
        multirun: `--multirun` was given (a study says so itself).

    Raises:
        UserError, hydra.errors.HydraException, omegaconf.errors.OmegaConfBaseException: what is wrong with it.
    """
    overrides = as_typed(overrides)
    _parsed([each for each in overrides if each.startswith("extensions=")])
    registries.load(listed("extensions", overrides))
    if ALL_STUDIES not in overrides:
        return _sweep(overrides, multirun)
    rest = [override for override in overrides if override != ALL_STUDIES]
    return [settings for name in studies(overrides) for settings in _sweep([f"study={name}", *rest], multirun)]


def _sweep(overrides: Sequence[str], multirun: bool) -> list[Settings]:
    typed = {each.key_or_group for each in _parsed(overrides)}
    return _all(_jobs(overrides, multirun), typed)


def launched(overrides: Sequence[str], *, multirun: bool) -> "tuple[DictConfig, int]":
    """Hydra's own configuration for what is handed to it, and how many jobs it will launch.

    Raises:
        UserError: as `compose`.
    """
    given = as_typed(overrides)
    return _master(_parsed(given)).hydra, len(_jobs(given, multirun))


def _parsed(overrides: Sequence[str]) -> "list[Override]":
    given = []
    for override in overrides:
        check_name(override.partition("=")[0].lstrip("+~"))
        with translated([override]):
            given.append(_parse(override))
    for each in given:
        _check_hydras(each)
    check_swept(given)
    return given


@lru_cache(maxsize=1024)  # one is looked at for extensions, for what was typed, and for the jobs
def _parse(override: str) -> "Override":
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides([override])
    return parsed


def check_single(overrides: Sequence[str]) -> None:
    """
    Raises:
        UserError: one of them is a sweep, where one job is shown.
    """
    for each in _parsed(overrides):
        if each.is_sweep_override():
            key = each.key_or_group
            raise UserError(f"{each.input_line} is a sweep, and what is shown is one job's; give {key} one value.")


def _check_hydras(given: "Override") -> None:
    """Refuse what Hydra takes here and cannot work with later."""
    from hydra.core.override_parser.types import ValueType

    key, line = given.key_or_group, given.input_line
    if key in ("hydra.launcher", "hydra.sweeper"):
        raise UserError(
            f"{line}: {key} is settings, and no value; {key.replace('.', '/')}=NAME chooses which, {key}.NAME=VALUE "
            "sets one.",
            works={key: None},
        )
    if key == "hydra.job.chdir" and given.value():
        raise UserError(
            f"{line}: each job would look for the store, and all other places, in a folder of its own; "
            "hydra.job.chdir=false works.",
            works={key: "false"},
        )
    if (CONF / key).is_dir() and not given.is_sweep_override() and not given.is_delete() and given.value() is None:
        raise UserError(
            f"{line}: {key} is a group, of which one option is chosen; without {key}=, its default is.",
            works={key: None},
        )
    if given.value_type == ValueType.INTERVAL_SWEEP:
        ends = given.input_line.partition("(")[2].rstrip(")'\" ") if given.input_line else "1,2"
        raise UserError(
            f"{line}: an interval names no values to run; {key}={ends} runs its ends, and range(FROM,TO,STEP) those "
            "between.",
            works={key: ends.partition(",")[0]},
        )
    if key == "hydra.sweeper.max_batch_size":
        size = given.value()
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise UserError(f"{line} must be a whole number from 1, or null.", works={key: "null"})


def _master(given: "Sequence[Override]") -> "DictConfig":
    """A swept override has no single value: the first look, for the study's own sweep, leaves them out."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    single = [each for each in given if not each.is_sweep_override()]
    config: DictConfig = pickle.loads(_untyped(_lines(each for each in single if not _is_value(each))))
    try:
        for each in filter(_is_value, single):
            OmegaConf.update(config, each.key_or_group, each.value(), merge=True)
    except OmegaConfBaseException:
        return _compose(_lines(single))  # raises Hydra's own complaint
    return config


def _jobs(overrides: Sequence[str], multirun: bool) -> "list[list[Override]]":
    """The overrides of each job that Hydra would launch."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    given = _parsed(overrides)
    master = _master(given)
    if not multirun and master.hydra.mode != RunMode.MULTIRUN:
        return [given]
    if not str(master.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
        raise UserError(f"{' '.join(overrides)}: {NO_SWEEPER}")
    with translated(overrides), _initialized() as loader:
        parser = OverridesParser.create(config_loader=loader)  # which glob() asks for a group's options
        swept = [f"{name}={value}" for name, value in (master.hydra.sweeper.params or {}).items()]
        every = parser.parse_overrides([*swept, *overrides])
        check_swept(every)
        count = 1
        for last in {each.get_key_element(): each for each in every}.values():
            if last.is_sweep_override():
                count *= sum(1 for _ in islice(last.sweep_string_iterator(), MOST_JOBS + 1))
        if count > MOST_JOBS:
            raise UserError(f"{' '.join(overrides)}: the sweep has more than {MOST_JOBS:,} runs, the most at once.")
        jobs = BasicSweeper.split_arguments(every, max_batch_size=None)[0]
        parsed = {line: parser.parse_overrides([line])[0] for line in dict.fromkeys(chain(*jobs))}
        return [[parsed[line] for line in job] for job in jobs]


def elements(override: str) -> list[str]:
    """The values of an override, several of a sweep's; all that a `glob` matches."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        with _initialized() as loader:
            (parsed,) = OverridesParser.create(config_loader=loader).parse_overrides([override])
            check_swept([parsed])
            if parsed.is_sweep_override():
                return list(map(str, islice(parsed.sweep_string_iterator(), MOST_VALUES)))
    except Exception:  # whatever it chokes on; an element of its own then
        pass
    return [override.partition("=")[2]]


def studies(overrides: Sequence[str] = ()) -> list[str]:
    """Names of the studies there are, in our configuration and in the folders that `hydra.searchpath` adds."""
    folders = [CONF, *(Path(place.removeprefix("file://")) for place in listed("hydra.searchpath", overrides))]
    return sorted({path.stem for folder in folders for path in (folder / "study").glob("*.yaml")})


def listed(setting: str, overrides: Sequence[str]) -> list[str]:
    """The values of a setting that is a list, as it was given last: `extensions=[one,two]`."""
    start = f"{setting}="
    given = [each.removeprefix(start) for each in overrides if each.startswith(start)]
    return [each.strip().strip("'\"") for each in given[-1].strip("[]").split(",") if each.strip()] if given else []


def _all(jobs: "Sequence[Sequence[Override]]", typed: Set[str]) -> list[Settings]:
    """The settings of each job, the same ones once: a sweep over a setting that a choice lacks asks for it repeatedly.

    Args:
        typed: settings that were given on the command line. A study sweeps over others, for some of its recipes.

    Raises:
        UserError: a setting was typed that belongs to what none of them chose.
    """
    if not jobs:
        raise UserError("The sweep has no run: a glob that matches no option, or a list that is empty.")
    unused: dict[str, list[str]] = {}
    sweep = []
    with progress.steps("Composing the sweep", len(jobs)) as done:
        for job in jobs:
            sweep.append(_settings(job, unused))
            done()
    for setting, reasons in unused.items():
        if len(reasons) == len(jobs) and setting in typed:
            group, _, name = setting.partition(".")
            choices = [choice for choice, cls in OPEN[group].items() if has(group, cls, name)]
            raise UserError(
                f"{setting} is a setting of {', '.join(choices)}, and {OPEN[group].setting} is none of them "
                f"in any run here{''.join(sorted({f'; {reason}' for reason in reasons if reason}))}.",
                works={setting: None},
            )
    if len(places := {each.store.path for each in sweep}) > 1:
        raise UserError(f"store.path must be one for a whole sweep, and here it is {', '.join(sorted(places)[:3])}.")
    return list({repr(one): one for one in sweep}.values())


def _settings(overrides: "Sequence[Override]", unused: dict[str, list[str]]) -> Settings:
    """Compose one job. Jobs that choose the same groups share that part, since it takes most of the time.

    Args:
        unused: takes the settings that were given and that this job's choices do not have, with reasons if there are.
    """
    from omegaconf import OmegaConf

    if swept := [each for each in overrides if each.is_sweep_override()]:
        _refuse_sweep(swept[0])
    for each in overrides:
        if (group := each.key_or_group) in OPEN and each.value() == BASE and (CONF / group / f"{BASE}.yaml").exists():
            without = f"glob(*,exclude={BASE})"
            raise UserError(
                f"{group}={BASE} is what others begin with, and none itself; {group}='{without}' leaves it out.",
                works={group: None},
            )
    with translated(_lines(overrides), _names(_lines(overrides))):
        untouched, known = _typed(_lines(each for each in overrides if not _is_value(each)))
        config = pickle.loads(untouched)
        for each in overrides:
            if not _is_value(each):
                continue
            group, _, name = each.key_or_group.partition(".")
            if group in OPEN and not has(group, cls := OPEN[group].find(config[group][chooser(group)]), name):
                reason = getattr(cls, "lacks", {}).get(name)
                said = f"{group}={config[group][chooser(group)]} {reason}" if reason else ""
                unused.setdefault(each.key_or_group, []).append(said)
            else:
                with _named(each):
                    OmegaConf.update(config, each.key_or_group, each.value(), merge=True)
    with _resolved(overrides):
        return checked(config, unchanged(known, [each.key_or_group for each in overrides if _is_value(each)]))


def _refuse_sweep(override: "Override") -> None:
    """
    Raises:
        UserError: several values, where one run was asked for.
    """
    line, key = override.input_line, override.key_or_group
    first = elements(line or "")[0]
    raise UserError(
        f"{line} is a sweep: with -m each of its values is run, and {key}={first} is one.", works={key: first}
    )


@contextmanager
def _named(override: "Override") -> Iterator[None]:
    """Have a value of a wrong type refused by its setting's name, and a name that is none by what was meant."""
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    try:
        yield
    except OmegaConfBaseException as error:
        key, said = override.key_or_group, str(error).splitlines()[0]
        if isinstance(error, ConfigKeyError | ConfigAttributeError):
            _compose((override.input_line or "",))  # which knows what there is, and what was meant
        if "is not a ListConfig" in said:
            listed = f"[{override.get_value_element_as_str()}]"
            raise UserError(f"{override.input_line} must be a list; {key}={listed} is.", works={key: listed}) from None
        raise UserError(f"{override.input_line}: {said}", works={key: None}) from None


@contextmanager
def _resolved(overrides: "Sequence[Override]") -> Iterator[None]:
    """Have a setting refused by its name that refers to another which is not there, or has a value of a wrong type."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except OmegaConfBaseException as error:
        key = str(error.full_key or "").partition("[")[0]
        given = [each.input_line for each in overrides if each.key_or_group == key]
        raise UserError(f"{given[-1] if given else key}: {str(error).splitlines()[0]}.", works={key: None}) from None


def _is_value(override: "Override") -> bool:
    """Whether it sets a value there is, which changes nothing else in the composition."""
    from hydra.core.override_parser.types import OverrideType

    key = override.key_or_group
    if key in (registry.setting for registry in OPEN.values()):
        return False  # it decides which settings there are
    return override.type == OverrideType.CHANGE and "/" not in key and key[:6] != "hydra." and not (CONF / key).is_dir()


def _lines(overrides: "Iterable[Override]") -> tuple[str, ...]:
    return tuple(each.input_line or "" for each in overrides)


@lru_cache(maxsize=256)
def _typed(overrides: tuple[str, ...]) -> tuple[bytes, dict[str, Part]]:
    """A configuration to change: kept in bytes, which become another one in a third of the time of a deep copy, and
    what its parts become where they are not changed."""
    config = typed(_compose(overrides))
    return pickle.dumps(config), parts(config)


@lru_cache(maxsize=256)
def _untyped(overrides: tuple[str, ...]) -> bytes:
    """As `_typed`, with Hydra's own part, and not yet under the schema."""
    return pickle.dumps(_compose(overrides))


@lru_cache(maxsize=256)
def _compose(overrides: tuple[str, ...]) -> "DictConfig":
    from hydra import compose

    with translated(overrides, _names(overrides), _choosable), _initialized():
        return compose("config", overrides=list(overrides), return_hydra_config=True)


def _names(overrides: Sequence[str]) -> Iterator[str]:
    """What there is without any override, but for Hydra's own choices, and the studies: it tells what was meant by one
    that names nothing. Nothing is composed until the first is asked for."""
    alone = tuple(line for line in overrides if line.startswith("hydra/"))
    if tuple(overrides) != alone:
        yield from settings_of(_compose(alone))
        yield from (f"study={name}" for name in studies(overrides))


def _choosable() -> dict[str, list[str]]:
    """Settings of everything that can be chosen, extensions' included, with the choices that have them."""
    found: dict[str, list[str]] = {}
    for group, registry in OPEN.items():
        for choice, cls in registry.items():
            for each in fields(cls):
                found.setdefault(f"{group}.{each.name}", []).append(choice)
    return found


@contextmanager
def _initialized() -> "Iterator[ConfigLoader]":
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from repro.config.files import parse_once

    parse_once()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()

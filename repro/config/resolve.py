"""From a composed configuration, or a stored one, to settings: typed, checked, and whole."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from repro.common.errors import UserError
from repro.common.registry import nearest, suggestion
from repro.config import checks, registries, resolvers
from repro.config.parts import made
from repro.config.registries import OPEN, chooser
from repro.config.settings import Settings

resolvers.register()

RENAMED = {
    "stream.block_tokens": "stream.sequence_length",
    "stream.batch_blocks": "stream.global_batch_size",
    "numerics.micro_batch_blocks": "numerics.micro_batch_size",
    "evaluation.batch_blocks": "evaluation.batch_size",
    "evaluation.task_batch": "evaluation.task_batch_size",
    "finetune.batch_examples": "finetune.batch_size",
    "model.width": "model.hidden_size",
    "model.ffn_width": "model.intermediate_size",
}
"""Settings that had another name in 0.1. Keys of the store hash effects, so that renaming changed none."""


def check_name(setting: str) -> None:
    """Refuse a setting's old name.

    Raises:
        UserError
    """
    if setting in RENAMED:
        raise UserError(f"{setting} is now called {RENAMED[setting]}.", meant={setting: RENAMED[setting]})


def from_config(config: DictConfig) -> Settings:
    """Check a composed configuration against the schema.

    Raises:
        UserError: a value out of range, or in contradiction with another.
        omegaconf.errors.OmegaConfBaseException: a wrong type, an unknown key or a missing value.
    """
    return checked(typed(config))


def typed(config: DictConfig) -> DictConfig:
    """A composed configuration, without Hydra's own part, under the schema: values set later are checked for type."""
    registries.load(config.get("extensions") or ())
    given = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    chosen = {}
    for group in OPEN:
        chosen[group] = cls = OPEN[group].find(str(OmegaConf.select(given, OPEN[group].setting) or ""))
        given[group] = {name: value for name, value in _raw(given[group]).items() if has(group, cls, name)}
    for group in map(str, given):
        for name in given[group] if OmegaConf.is_dict(given[group]) else ():
            check_name(f"{group}.{name}")
    schema: DictConfig = pickle.loads(_schema(tuple(chosen.items())))
    schema.merge_with(given)
    return schema


@lru_cache(maxsize=256)
def _schema(chosen: tuple[tuple[str, type], ...]) -> bytes:
    """Of settings with these choices of the open groups: kept in bytes, which become another one sooner than it is
    made."""
    schema = OmegaConf.structured(Settings)
    OmegaConf.set_readonly(schema, False)
    for group, cls in chosen:
        schema[group] = OmegaConf.structured(cls)
    # OmegaConf takes a frozen dataclass for a read-only node, at every level.
    for node in (schema._get_node(name) for name in schema):
        if isinstance(node, DictConfig):
            OmegaConf.set_readonly(node, False)
    return pickle.dumps(schema)


def has(group: str, cls: type, name: str) -> bool:
    """Whether a choice of an open group has a setting; one that it lacks and another choice has is for that one.

    Raises:
        UserError: no choice has it.
    """
    if name in _names(cls):
        return True
    known = {each for choice in OPEN[group].values() for each in _names(choice)}
    if name not in known:
        check_name(f"{group}.{name}")
        near = nearest(name, sorted(known))
        raise UserError(
            f"{group}.{name} is unknown; {suggestion(name, sorted(known))}{OPEN[group].setting} has "
            f"{', '.join(_names(cls))}.",
            works=None if near else {f"{group}.{name}": None},
            meant={f"{group}.{name}": f"{group}.{near}"} if near else None,
        )
    return False


def checked(config: DictConfig, known: Mapping[str, Any] = MappingProxyType({})) -> Settings:
    """The settings that a typed configuration holds; raises as `from_config` does.

    Args:
        known: what parts of it become, where that is known (repro.config.parts).
    """
    try:
        settings = Settings(**{name: known[name] if name in known else made(config, name) for name in map(str, config)})
    except InterpolationResolutionError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):  # of one of our resolvers
            cause = cause.__cause__ or cause.__context__
        raise cause or error from None
    settings = settings.paradigm.adapted(settings)
    checks.check(settings)
    return replace(settings, ledger=replace(settings.ledger, path=_one_place(settings.ledger.path)))


def _one_place(path: str) -> str:
    """One spelling of a folder, wherever a command was started: other commands look for it later, from elsewhere."""
    try:
        return os.path.realpath(path)
    except ValueError:  # what no file system encodes; writing there says so
        return path


def from_dict(content: dict[str, Any]) -> Settings:
    """Settings from what `dataclasses.asdict` made of checked ones.

    Raises:
        UserError: they are of another version of the suite, or of an extension that is not loaded.
    """
    groups: dict[str, Any] = {f.name: f.type for f in fields(Settings) if is_dataclass(f.type)}
    values: dict[str, Any] = {}
    try:
        for name, value in content.items():
            if name in OPEN:
                values[name] = OPEN[name].find(value[chooser(name)])(**value)
            else:
                values[name] = groups[name](**value) if name in groups else value
        return Settings(**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"its settings are of another version of this suite ({error})") from None


def _raw(group: DictConfig) -> dict[str, Any]:
    """Without resolving references and missing values."""
    return {str(name): group._get_node(name) for name in group}


def _names(cls: type) -> list[str]:
    return [f.name for f in fields(cls) if f.name not in getattr(cls, "lacks", ())]

"""Parts of a configuration that do not change with a few of its settings, made into objects once.

Making objects of a configuration takes most of the time of composing a job, and the jobs of a sweep differ in little.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repro.common.errors import UserError
from repro.config.resolvers import RESOLVERS

INNERMOST = re.compile(r"\$\{([^${}]*)\}")
SETTING = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


@dataclass(frozen=True)
class Part:
    """A group, or a setting outside of all groups.

    Attributes:
        value: the object it becomes.
        needs: the settings that it takes values from, by their whole names.
    """

    value: Any
    needs: frozenset[str]


def made(config: DictConfig, name: str) -> Any:
    """The object that a part of a typed configuration becomes.

    Raises:
        omegaconf.errors.OmegaConfBaseException: a value is missing, or refers to what there is not.
    """
    value = config[name]
    return OmegaConf.to_object(value) if isinstance(value, Container) else value


def parts(config: DictConfig) -> dict[str, Part]:
    """Those that follow from settings alone; not what the environment decides, and what cannot be made yet."""
    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    found = {}
    for name in map(str, raw):
        needs: set[str] = set()
        try:
            _collect(raw[name], raw, needs)
            found[name] = Part(made(config, name), frozenset(needs))
        except (_Elsewhere, OmegaConfBaseException, UserError):
            continue
    return found


def unchanged(known: Mapping[str, Part], changed: Iterable[str]) -> dict[str, Any]:
    """The objects of those parts that stay as they are when these settings change."""
    names = list(changed)
    return {
        name: part.value
        for name, part in known.items()
        if not any(_overlap(one, other) for one in names for other in (name, *part.needs))
    }


class _Elsewhere(Exception):
    """A value depends on something else than settings."""


def _collect(value: object, raw: Mapping[Any, Any], needs: set[str]) -> None:
    """Add the settings that a value refers to, and those that they refer to."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _collect(each, raw, needs)
    if isinstance(value, str):
        for name in _references(value) - needs:
            needs.add(name)
            _collect(_at(name, raw), raw, needs)


def _references(text: str) -> set[str]:
    found = set()
    while "${" in text:
        if (inner := INNERMOST.search(text)) is None:
            raise _Elsewhere
        if SETTING.fullmatch(inner[1]):
            found.add(inner[1])
        elif inner[1].partition(":")[0] not in RESOLVERS:
            raise _Elsewhere
        text = text.replace(inner[0], "\0")  # no name has that: what is named by a value is not known from here
    return found


def _at(name: str, raw: Mapping[Any, Any]) -> object:
    value: Any = raw
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise _Elsewhere
        value = value[key]
    return value


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")

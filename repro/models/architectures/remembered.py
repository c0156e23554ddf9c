"""Weights and configurations of a user's own, as they were when a plan was frozen: enough for what was made with them.

Of weights there is their hash, of a configuration a copy.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from repro.common import memory
from repro.common.disk import Flaw, read_document, sha256, write_atomically
from repro.common.errors import UserError
from repro.models.architectures import configurations, initial
from repro.models.architectures.architecture import Architecture

PLACES = ("init", "config")
"""Settings of architectures that name a place with a configuration."""


def known(of: Architecture, data_path: Path) -> Architecture:
    """The architecture, with copies in place of configurations that are gone. It cannot begin with weights that are."""
    copies = {name: str(_copy(place, data_path)) for name, place in places(of).items() if memory.is_gone(Path(place))}
    copies = {name: copy for name, copy in copies.items() if _is_sound(Path(copy))}
    return replace(of, **copies) if copies else of


def weights_sha256(of: Architecture, data_path: Path) -> str | None:
    """What the weights of `init` are, or were when they were last there; None: it has none.

    Raises:
        UserError: as `initial.weights_sha256`; or they are gone, and were never seen.
    """
    if of.init is None:
        return None
    folder = Path(of.init)
    found: str = memory.recalled(_note(of.init, data_path), lambda: initial.weights_sha256(folder))
    return found


def remember(of: Architecture, data_path: Path) -> None:
    """Note what there is, for a plan that is frozen now."""
    for name, place in places(of).items():
        with contextlib.suppress(UserError, OSError):  # a place that is read-only is as good to read from
            own, copy = configurations.file(Path(place)), _copy(place, data_path)
            if not copy.exists() or copy.read_bytes() != own.read_bytes():
                write_atomically(copy, own.read_bytes())
            memory.remember(_sum(copy), {"is": sha256(copy)})
            if name == "init":
                memory.remember(_note(place, data_path), {"is": initial.weights_sha256(Path(place))})


def places(of: Architecture) -> dict[str, str]:
    """By setting: where a user's own weights and configuration are."""
    return {name: place for name in PLACES if (place := getattr(of, name, None)) is not None}


def _is_sound(copy: Path) -> bool:
    """Whether a copy is there, and as it was written."""
    with contextlib.suppress(Flaw, OSError):
        before = read_document(_sum(copy))
        return before is not None and before["is"] == sha256(copy)
    return False


def _sum(copy: Path) -> Path:
    """The note of a copy's hash."""
    return copy.with_name(f"{copy.name}.sha256")


def _note(place: str, data_path: Path) -> Path:
    return memory.path_of(data_path, "weights", memory.absolute(place))


def _copy(place: str, data_path: Path) -> Path:
    return memory.path_of(data_path, "configuration", memory.absolute(place))

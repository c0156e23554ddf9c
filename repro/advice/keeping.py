"""Advice that is kept beside the tables of a ledger, for the report: with its checksum, since the report prints it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from repro.common.disk import Flaw, read, write_atomically
from repro.common.errors import UserError
from repro.store import leftovers

KEPT = "advice.json"
"""Its file."""
CHECKSUM = "sha256"
"""Of all else in it."""


def keep(folder: Path, told: dict[str, Any]) -> None:
    """
    Raises:
        UserError: the disk refuses.
    """
    leftovers.tidy(folder, leftovers.unfinished(KEPT))
    whole = told | {CHECKSUM: _checksum(told)}
    write_atomically(folder / KEPT, (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())


def kept(folder: Path) -> dict[str, Any]:
    """What was kept.

    Raises:
        UserError: it is not as it was written.
    """
    path = folder / KEPT
    try:
        told: dict[str, Any] = json.loads(read(path))
        if told.pop(CHECKSUM) == _checksum(told):
            return told
        reason = "it does not match its checksum"
    except Flaw as flaw:
        reason = f"it {flaw}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = repr(error)
    raise UserError(f"{path} is not what repro.advise keep=true writes ({reason}); write it again, or remove it.")


def _checksum(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

"""What a place held when something was made from it: a note of it, by which that is found once the place is gone."""

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from repro.common.canonical import digest
from repro.common.disk import Flaw, expanded, read_document, unreadable, write_document
from repro.common.errors import Gone, UserError, say_once

NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What a system says where nothing is; all else is a disk that does not answer, or a folder that may not be entered."""


def path_of(data_path: Path, kind: str, what: object) -> Path:
    """Where the note of what something held lies, if there is one."""
    return data_path / "identities" / f"{kind}-{digest(what)[:32]}.json"


def absolute(place: str) -> str:
    """A place as notes know it, wherever a command is given."""
    return os.path.abspath(expanded(place))  # noqa: PTH100  (links stay links)


def is_gone(place: Path) -> bool:
    """Whether there is nothing.

    Raises:
        PermissionError: nobody can tell, since a folder before it may not be entered.
        UserError: nobody can tell, since the disk does not answer.
    """
    try:
        place.stat()
    except PermissionError:
        raise
    except OSError as error:
        if error.errno not in NOTHING:
            raise unreadable(place, error) from error
        return True
    return False


def recalled(note: Path, look: Callable[[], Any]) -> Any:
    """What is there; where that is gone, what a note says of it.

    Raises:
        Gone: it is gone, and there is no sound note.
    """
    try:
        return look()
    except Gone as error:
        with contextlib.suppress(Flaw):
            if (before := read_document(note)) is not None:
                say_once(f"note: {error.fact} What was prepared from it before is used.")
                return before["is"]
        raise


def remember(note: Path, content: Mapping[str, Any]) -> None:
    """Write a note, unless it is there. A place that is read-only is as good to read from."""
    with contextlib.suppress(UserError, Flaw):
        if read_document(note) != content:
            write_document(note, dict(content))

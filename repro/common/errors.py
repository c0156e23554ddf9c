"""One way to refuse: a message that names the setting, its value and what would work."""

import errno
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar

from repro.common import output, process

USAGE_STATUS = 2
"""Exit status for input that was refused before anything was trained."""

INTERRUPTED_STATUS = 130
"""As shells have it: 128 and the number of the signal that Ctrl-C sends."""

REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "It needs other rights, or another place."),
    errno.ENAMETOOLONG: "A shorter name works.",
}
"""What works where a place cannot be looked at, by number."""

LONGEST = 4000
"""Characters of a message: who gives a value of a million does not want it back."""


class UserError(ValueError):
    """Input that cannot work. Its message is all a user sees: no traceback, exit status 2."""

    works: Mapping[str, str | None] = MappingProxyType({})
    """By setting, a value in place of the refused one; None: leave it out."""
    meant: Mapping[str, str] = MappingProxyType({})
    """By a name that is none, the one that was probably meant."""

    everywhere: ClassVar[bool] = False
    """Whether each of several processes meets it, so that none waits for another."""

    def __init__(
        self, message: str, *, works: Mapping[str, str | None] | None = None, meant: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        if works:
            self.works = dict(works)
        if meant:
            self.meant = dict(meant)


class Gone(UserError):
    """What was there before, and was prepared from, is not there any more."""

    def __init__(self, fact: str, remedy: str = "") -> None:
        """
        Args:
            fact: a sentence that says what is gone.
            remedy: what to do where what was prepared from it is not enough.
        """
        super().__init__(f"{fact} {remedy}".rstrip())
        self.fact = fact


class Preempted(Exception):
    """Work was asked to stop; what was done so far is kept and the next run goes on from there."""


def printable(text: str) -> str:
    """Text for a terminal, whoever wrote it: what would control the terminal is spelled out."""
    text = text.replace("\t", "  ")
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


@lru_cache
def say_once(line: str) -> None:
    """A line on standard error, once in a process, however often there is reason for it."""
    print(printable(line), file=sys.stderr)


@contextmanager
def refusals(status: int = USAGE_STATUS, *, answers: bool = True) -> Iterator[None]:
    """Turn a `UserError`, Hydra's and OmegaConf's own complaints, a place that may not be entered, and Ctrl-C into a
    message and an exit status.

    Args:
        answers: whether what is printed is the result, so that failing to print it is a failure.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    process.begin()
    try:
        yield
    except OSError as error:  # whichever look at a place met it first
        if error.filename is None or error.errno not in REMEDIES:
            raise
        where = printable(str(error.filename))
        where = where if len(where) <= LONGEST else f"{where[:LONGEST]} ..."
        print(f"error: {where}: {error.strerror}. {REMEDIES[error.errno]}", file=sys.stderr)
        raise SystemExit(status) from None
    except (UserError, HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        detail = f"\n{cause}" if isinstance(cause, OmegaConfBaseException) else ""
        message = printable(f"error: {str(error).strip()}{detail}")
        print(message if len(message) <= LONGEST else f"{message[:LONGEST]} ...", file=sys.stderr)
        raise SystemExit(status) from None
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED_STATUS) from None
    if answers:
        output.deliver()

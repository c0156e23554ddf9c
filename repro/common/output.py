"""Standard output and error that never decide what becomes of results.

Whoever reads may leave (`| head`), be closed (`>&-`), be a full disk, or a terminal that is gone; and may take no
UTF-8. Work goes on all the same: what cannot be written is dropped and remembered, what cannot be encoded is spelled
out, and a command whose output is its result says in the end that it could not be delivered.
"""

import contextlib
import errno
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

PIPE_STATUS = 128 + signal.SIGPIPE
"""As of a program that a closed pipe ended."""


class _Outlet(io.FileIO):
    """A file descriptor that takes everything, and remembers what went wrong first."""

    failure: OSError | None = None

    def write(self, data: "Buffer", /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes


class _Failures:
    """What went wrong with this process's standard output."""

    outlet: _Outlet | None = None


_failures = _Failures()


def secure() -> None:
    """Make this process's standard output and error such streams; whatever stands in their place already is kept."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number, and its messages
            _open_null(number)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout, _failures.outlet = _stream(1, sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr, _ = _stream(2, sys.stderr)


def deliver() -> None:
    """In the end of a command whose output is its result: ends the process with a status where it was not written."""
    if sys.stdout is not None:
        sys.stdout.flush()
    failure = None if _failures.outlet is None else _failures.outlet.failure
    if failure is None:
        return
    if failure.errno == errno.EPIPE:  # whoever reads has seen enough: `... | head`
        raise SystemExit(PIPE_STATUS)
    print(f"error: standard output cannot be written: {failure.strerror}", file=sys.stderr)
    raise SystemExit(1)


def _stream(number: int, before: TextIO | None) -> tuple[TextIO, _Outlet]:
    with contextlib.suppress(OSError):
        if before is not None:
            before.flush()
    outlet = _Outlet(number, "w", closefd=False)
    encoding = "utf-8" if before is None else before.encoding
    lines = number == 2 or outlet.isatty()
    buffer: io.BufferedWriter = io.BufferedWriter(outlet)
    text = io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
    return text, outlet


def _open_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)

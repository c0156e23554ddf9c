"""What a command is told beside settings: `output=json`. All that is wrong with it is refused at once."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from repro import __version__
from repro.common import output
from repro.common.disk import expanded
from repro.common.errors import UserError
from repro.common.registry import nearest, suggestion

T = TypeVar("T")
FLAG = ("true", "false")
HELP, VERSION = {"-h", "--help"}, "--version"


def version() -> str:
    """What `--version` shows, whichever command is asked."""
    return f"lr-path-switching {__version__}"


class Options:
    """What was typed after a command's name. What is wrong is kept until all options are taken."""

    def __init__(self, document: str | None, arguments: Sequence[str] | None) -> None:
        """
        Args:
            document: what --help shows, after which the process ends, as after --version.
            arguments: None: those of this process.
        """
        self.given = list(sys.argv[1:] if arguments is None else arguments)
        """What is left: no option took it yet."""
        self.known: list[str] = []
        """Names of the options so far."""
        self.taken: list[str] = []
        """Options as they were given."""
        self.wrong: list[str] = []
        if HELP & set(self.given) or VERSION in self.given:
            print((document or "").strip() if HELP & set(self.given) else version())
            output.deliver()
            raise SystemExit(0)

    def take(self, name: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """The value of an option, the last one if it was given twice. A value that is none of `choices` is refused, and
        the default goes on."""
        start = f"{name}="
        values = [each.removeprefix(start) for each in self.given if each.startswith(start)]
        value = values[-1] if values else default
        if values and not value:
            self.refuse(f"{name}= is empty; give it a value, or leave it out.")
            value = default
        if value == "~" or value.startswith("~/"):  # which a shell expands in front of a word alone
            value = str(expanded(value))
        self.taken += [each for each in self.given if each.startswith(start)]
        self.given = [each for each in self.given if not each.startswith(start)]
        self.known.append(name)
        if choices and value not in choices:
            self.refuse(f"{name}={value} is unknown; {suggestion(value, choices)}{' and '.join(choices)} work.")
            return default
        return value

    def flag(self, name: str) -> bool:
        """Whether an option is `true`; without it, it is not."""
        return self.take(name, "false", FLAG) == "true"

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """What an option's value says; None if it was not given, or is refused.

        Args:
            parse: raises `UserError` where a value cannot be.
        """
        value = self.take(name)
        try:
            return parse(value) if value else None
        except UserError as error:
            self.refuse(str(error))
            return None

    def refuse(self, line: str) -> None:
        """Keep a complaint."""
        self.wrong.append(line)

    def words(self) -> list[str]:
        """What is left."""
        return self.given

    def check(self) -> None:
        """
        Raises:
            UserError: something is wrong.
        """
        if self.wrong:
            raise UserError("\n".join(self.wrong))

    def end(self) -> None:
        """Nothing may be left.

        Raises:
            UserError: something is, or something is wrong.
        """
        there = ", ".join(f"{name}=" for name in self.known)
        for word in self.given:
            near = nearest(word.partition("=")[0], self.known)
            meant = f"did you mean {near}=? " if near else ""
            self.refuse(f"{word} is unknown; {meant}there {'is' if len(self.known) == 1 else 'are'} {there}.")
        self.given = []
        self.check()

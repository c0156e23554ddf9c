"""A command line: options of the command itself (`output=json`), and overrides of the settings."""

import sys
from collections.abc import Sequence

from repro.common import output
from repro.common.errors import UserError
from repro.config.settings import Settings
from repro.planning import asked
from repro.planning.planner import Plan


class CommandLine:
    """What was typed after a command's name."""

    def __init__(self, document: str | None, arguments: Sequence[str] | None) -> None:
        """
        Args:
            document: what --help shows, after which the process ends.
            arguments: None: those of this process.
        """
        self._given = list(sys.argv[1:] if arguments is None else arguments)
        if {"-h", "--help"} & set(self._given):
            print((document or "").strip())
            output.deliver()
            raise SystemExit(0)

    def take(self, name: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """The value of an option of the command, the last one if it was given twice; removed from what was typed.

        Raises:
            UserError: it is none of `choices`.
        """
        start = f"{name}="
        value = next((each.removeprefix(start) for each in reversed(self._given) if each.startswith(start)), default)
        self._given = [each for each in self._given if not each.startswith(start)]
        if choices and value not in choices:
            raise UserError(f"{name}={value} is unknown; {' and '.join(choices)} work.")
        return value

    def words(self) -> list[str]:
        """What is left."""
        return self._given

    def settings(self) -> list[Settings]:
        """The sweep that is left, of which `-m` or `--multirun` may be a part; raises as `plan`."""
        overrides, multirun = self._overrides()
        return asked.settings(overrides, multirun=multirun)

    def plan(self, *, data_optional: bool = False) -> Plan:
        """Its plan.

        Raises:
            UserError: there are other flags, or as `asked.plan`.
        """
        overrides, multirun = self._overrides()
        return asked.plan(overrides, multirun=multirun, data_optional=data_optional)

    def _overrides(self) -> tuple[list[str], bool]:
        overrides = [each for each in self._given if each not in ("-m", "--multirun")]
        if flags := [each for each in overrides if each.startswith("-")]:
            raise UserError(
                f"{' '.join(flags)}: not supported here; -m and --help are. "
                "python -m repro.train --cfg job, with the same arguments, shows what they lead to."
            )
        return overrides, len(overrides) < len(self._given)

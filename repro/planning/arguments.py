"""A command line: options of the command itself, and overrides of the settings."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TypeVar

from repro.common.errors import UserError
from repro.common.options import Options
from repro.common.registry import nearest
from repro.config.settings import Settings
from repro.planning import asked
from repro.planning.planner import Plan

T = TypeVar("T")


class CommandLine(Options):
    """What was typed after a command's name. What is wrong with options and with settings is refused together."""

    def settings(self) -> list[Settings]:
        """The sweep that is left, of which `-m` or `--multirun` may be a part; raises as `plan`."""
        return self._made(asked.settings)

    def plan(self, *, data_optional: bool = False, complete: Callable[[Sequence[str]], Sequence[str]] = list) -> Plan:
        """Its plan; `complete` as in `asked.plan`.

        Raises:
            UserError: something about the options is wrong, there are other flags, or as `asked.plan`.
        """
        self.check_all(complete)
        return self._made(
            lambda overrides, multirun: asked.plan(
                overrides, multirun=multirun, data_optional=data_optional, complete=complete
            )
        )

    def check(self) -> None:
        """As `Options.check`, words that are nearly an option included."""
        self._misspelled()
        super().check()

    def check_all(self, complete: Callable[[Sequence[str]], Sequence[str]] = list) -> None:
        """The same, with what is wrong with the settings: for what is refused, no text is prepared. `complete` as in
        `asked.plan`."""
        self._misspelled()
        if self.wrong:
            self._made(lambda overrides, multirun: asked.settings(overrides, multirun=multirun, complete=complete))

    def _made(self, make: Callable[..., T]) -> T:
        self._misspelled()
        try:
            overrides, multirun = self._overrides()
            made = make(overrides, multirun=multirun)
        except UserError as error:
            # What works is of settings alone; options that were refused have said themselves what does.
            refused = "\n".join(self.wrong)
            sound = [each for each in self.taken if f"{each.partition('=')[0]}=" not in refused]
            more = f" {shlex.join(sound)}" if sound and asked.WORKS in str(error) else ""
            raise UserError("\n".join([*self.wrong, f"{error}{more}"])) from error.__cause__
        self.check()
        return made

    def _misspelled(self) -> None:
        """Refuse words that are no setting and nearly an option: `versoin=`, but not `stream.versions=`."""
        groups = [each.name for each in fields(Settings)]
        for word in list(self.given):
            name, equals, _ = word.partition("=")
            near = nearest(name, [*groups, *(option for option in self.known if "." not in option)])
            if equals and "." not in name and name not in groups and near in self.known:
                self.given.remove(word)
                self.refuse(f"{word} is unknown; did you mean {near}=?")

    def _overrides(self) -> tuple[list[str], bool]:
        overrides = [each for each in self.given if each not in ("-m", "--multirun")]
        if flags := [each for each in overrides if each.startswith("-")]:
            raise UserError(
                f"{' '.join(flags)}: not supported here; -m, --help and --version are. "
                "python -m repro.train --cfg job, with the same arguments, shows what they lead to."
            )
        return overrides, len(overrides) < len(self.given)

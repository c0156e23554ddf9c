"""Things of one kind by name, filled where each is defined: what there is to choose from, open to users' modules.

A setting names one of them; a module that a user names in `extensions` adds to them as ours do.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TypeVar

from repro.common.errors import UserError

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(dict[str, T]):
    """A dictionary that knows which setting chooses from it."""

    def __init__(self, setting: str) -> None:
        super().__init__()
        self.setting = setting

    def add(self, name: str, entry: T) -> T:
        """
        Raises:
            UserError: the name is taken, by something that is defined elsewhere.
        """
        before = self.get(name)
        if before is not None and _home(before) != _home(entry):
            raise UserError(f"{self.setting}={name} is defined twice: in {_home(before)[0]} and in {_home(entry)[0]}.")
        self[name] = entry
        return entry

    def register(self, name: str) -> Callable[[C], C]:
        """A class decorator: the class is what `name` stands for."""

        def decorate(cls: C) -> C:
            self.add(name, cls)  # type: ignore[arg-type]
            return cls

        return decorate

    def lead(self, *names: str) -> None:
        """Put these first, in this order: that of tables and figures."""
        first = {name: self.pop(name) for name in names}
        rest = dict(self)
        self.clear()
        self.update(first | rest)

    def find(self, name: str) -> T:
        """
        Raises:
            UserError: there is none of that name; the message says which there are.
        """
        if name in self:
            return self[name]
        raise UserError(
            f"{self.setting}={name!r} is unknown; {suggestion(name, self)}choose one of {', '.join(self)}.",
            works={self.setting: nearest(name, self)},
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """What is spelled nearly so, if anything is."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean ...? ` where something known is spelled nearly so; else nothing."""
    near = nearest(name, known)
    return f"did you mean {near}? " if near else ""


def _home(entry: object) -> tuple[str, str]:
    """Where something is defined: a module that is read a second time may register it again."""
    return getattr(entry, "__module__", type(entry).__module__), getattr(entry, "__qualname__", repr(entry))

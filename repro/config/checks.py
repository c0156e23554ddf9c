"""Ranges of settings: each field declares its own, and one loop checks them all.

A group of settings adds what one field cannot say in a method `complaints`, beside its fields.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Protocol, get_args, get_origin, runtime_checkable

from omegaconf import MISSING

from repro.common.errors import UserError
from repro.common.registry import nearest, suggestion
from repro.config.exact import fraction


def within(low: float, high: float, default: Any = MISSING, *, word: str = "", several: bool = False) -> Any:
    """A number from `low` to `high`, both included.

    Args:
        word: something else that may stand in place of a whole number.
        several: whether there may be several whole numbers.
    """
    words = {"word": word, "several": several} if word else {}
    return field(default=default, metadata={"low": low, "high": high, **words})


def positive(default: Any = MISSING) -> Any:
    """A finite number above 0."""
    return field(default=default, metadata={"positive": True})


def choice(options: Sequence[str], default: Any = MISSING) -> Any:
    """One of a few words."""
    return field(default=default, metadata={"options": tuple(options)})


def flag(default: Any = MISSING, *, words: Sequence[str]) -> Any:
    """True or false, or a word in their place."""
    return field(default=default, metadata={"flag": tuple(words), "several": False})


def share(
    low: float, high: float, default: Any = MISSING, *, open_low: bool = False, open_high: bool = False, word: str = ""
) -> Any:
    """A decimal or a fraction, kept as it was written, so that it stays exact.

    Args:
        open_low, open_high: whether the bounds themselves are excluded.
        word: something else that may stand in its place, such as `endless`.
    """
    bounds = {"share": (low, high), "open_low": open_low, "open_high": open_high, "word": word}
    return field(default=default, metadata=bounds)


def name(default: Any = MISSING) -> Any:
    """A label that reaches terminals, tables and folders' names."""
    return field(default=default, metadata={"name": True})


def path(default: Any = MISSING) -> Any:
    """A place."""
    return field(default=default, metadata={"path": True})


class Complaint(str):
    """What does not work together, with values that do."""

    works: Mapping[str, str | None] = MappingProxyType({})
    """As of `UserError`."""

    @classmethod
    def of(cls, text: str, **works: object) -> "Complaint":
        """
        Args:
            works: by setting, with `__` for its dot: `schedule__warmup_steps=5`.
        """
        complaint = cls(text)
        complaint.works = {name.replace("__", "."): str(value) for name, value in works.items()}
        return complaint


@runtime_checkable
class Complaining(Protocol):
    """Settings that have more to check than one field each."""

    def complaints(self, settings: Any) -> Iterator[str]:
        """What does not work together, a sentence each; a `Complaint` where there are values to say.

        Args:
            settings: all of them (`repro.config.settings.Settings`).
        """
        ...


def check(settings: Any) -> None:
    """Check every field of every group, and what the groups say of themselves.

    Raises:
        UserError: all that is wrong, a line each.
    """
    ranges = list(complaints_of(settings, ""))
    groups = [settings, *(getattr(settings, f.name) for f in fields(settings))]
    # What fields cannot say rests on their ranges.
    lines = ranges or [
        line for group in groups if isinstance(group, Complaining) for line in group.complaints(settings)
    ]
    if lines:
        works: dict[str, str | None] = {}
        for line in lines:
            works |= getattr(line, "works", {})
        raise UserError("\n".join(lines), works=works)


def complaints_of(group: Any, prefix: str) -> Iterator[str]:
    """What is out of range in a group of settings and in the groups within it, a sentence each.

    Args:
        prefix: of its settings' names: `advise.`.
    """
    for one in fields(group):
        value, label = getattr(group, one.name), f"{prefix}{one.name}"
        if is_dataclass(value):
            yield from complaints_of(value, f"{label}.")
        if isinstance(value, str) and _is_list(one.type):  # what `${...}` became
            yield f"{label}={value!r} is no list; one as [1,2] works."
            continue
        several = isinstance(value, list | tuple) and one.metadata.get("several", True)
        if several and not value and one.default_factory is not list and not one.metadata.get("empty"):
            yield f"{label}=[] is empty; at least one value works."
        for each in value if several else [value]:
            if isinstance(each, str) and not _is_text(each):
                yield f"{label}={each!r} is not UTF-8, as what is written of it has to be; rename it."
            elif one.metadata and each is not None:
                yield from _complaint(label, each, one.metadata)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(each) is list for each in (annotation, *get_args(annotation)))


def _is_text(value: str) -> bool:
    """Whether it can be encoded: what a command line or a folder says in other bytes than UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _complaint(label: str, value: Any, rule: Any) -> Iterator[str]:
    if "low" in rule and "word" in rule and (isinstance(value, bool) or not isinstance(value, int)):
        if value != rule["word"]:
            several = ", several of them ([20,40,10])," if rule["several"] else ""
            yield f"{label}={value!r} must be a whole number{several} or {rule['word']}."
    elif "low" in rule and not rule["low"] <= value <= rule["high"]:
        yield f"{label}={value} must lie between {rule['low']} and {rule['high']}."
    elif "positive" in rule and not 0 < value < math.inf:
        yield f"{label}={value} must be a positive number."
    elif "options" in rule and value not in rule["options"]:
        near = suggestion(value, rule["options"])
        complaint = Complaint(f"{label}={value!r} is unknown; {near}choose one of {', '.join(rule['options'])}.")
        complaint.works = {label: nearest(value, rule["options"])}
        yield complaint
    elif "flag" in rule and not isinstance(value, bool) and value not in rule["flag"]:
        yield f"{label}={value!r} must be true, false, {' or '.join(rule['flag'])}."
    elif "share" in rule and value != (rule["word"] or None):
        yield from _share(label, value, rule)
    elif "name" in rule and (not value.isprintable() or len(value) > 100):
        yield f"{label}={value!r} is no name; up to 100 printable characters work."
    elif "path" in rule and (not value or "\0" in value):
        yield f"{label}={value!r} is no path."


def _share(label: str, value: str, rule: Any) -> Iterator[str]:
    low, high = rule["share"]
    try:
        exact = fraction(label, value)
    except UserError as error:
        yield str(error)
        return
    above = low < exact if rule["open_low"] else low <= exact
    below = exact < high if rule["open_high"] else exact <= high
    if not (above and below):
        span = f"{'(' if rule['open_low'] else '['}{low:g}, {high:g}{')' if rule['open_high'] else ']'}"
        word = f", or be {rule['word']}" if rule["word"] else ""
        yield f"{label}={value} must lie in {span}{word}."


def divisors(n: int) -> str:
    """The divisors of `n` up to 256, for a message."""
    return ", ".join(str(d) for d in range(1, min(n, 256) + 1) if n % d == 0)

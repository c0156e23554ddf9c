"""Dates as people write them, as instants in UTC: what orders documents in time."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FORMATS = ("%Y/%m/%d", "%Y.%m.%d", "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%B %Y", "%b %Y",
           "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d%z")  # fmt: skip
"""Beside ISO 8601 and the format of e-mail. None in which a day could be taken for a month: 03/04/2021 is refused."""


def instant(date: str) -> datetime:
    """When it begins, in UTC; without an offset, it is taken for UTC.

    Raises:
        ValueError: no format fits, or there is no such day.
    """
    date = date.strip()
    if match := re.fullmatch(r"(\d{4})(?:-(\d\d))?", date):
        return datetime(int(match[1]), int(match[2] or 1), 1, tzinfo=UTC)
    # The library would complete a year and a week of its own.
    # Nor is an offset after the day a time, for which the library takes it.
    fits = re.match(r"\d{4}-\d\d-\d\d(?![+\-Z])|\d{8}(T|$)", date)
    parsed = datetime.fromisoformat(date) if fits and _iso(date) else None
    if parsed is None:
        parsed = _spelled(date)
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC)
    except OverflowError:  # such as 9999-12-31T23:59:59-05:00
        raise ValueError(f"{date!r} is in no year from 1 to 9999 in UTC") from None


def _iso(date: str) -> bool:
    try:
        datetime.fromisoformat(date)
    except ValueError:
        return False
    return True


def _spelled(date: str) -> datetime:
    for form in FORMATS:
        try:
            return datetime.strptime(date, form)
        except ValueError:
            continue
    try:
        return parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ValueError(f"{date!r} is no date") from None


def earlier(one: str | None, other: str | None) -> str | None:
    """Of two dates the one that comes first; one that is none comes last."""
    known = [date for date in (one, other) if date is not None]
    return min(known, key=_place, default=None)


def _place(date: str) -> tuple[bool, datetime, str]:
    try:
        return False, instant(date), date
    except ValueError:
        return True, datetime.max.replace(tzinfo=UTC), date

"""Numbers and names as readers see them: in cells, sentences, Markdown and LaTeX."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analysis import stats

ENDLESS = "endless"


def text(value: object) -> str:
    """A setting's value as a person would write it."""
    if isinstance(value, float):
        return ENDLESS if np.isinf(value) else f"{value:g}"
    return str(value)


def number(value: float, digits: int = 3) -> str:
    """To `digits` significant digits, never as a power of ten below a million."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "unbounded"
    places = digits - 1 - int(np.floor(np.log10(abs(value)))) if value else 0
    return f"{value:.{max(places, 0)}f}" if abs(value) < 1e6 else f"{value:.{digits}g}"


def plus_minus(interval: stats.Interval, decimals: int = 2) -> str:
    if np.isnan(interval.estimate):
        return "diverged"
    half = "" if np.isnan(interval.half) else f" ± {interval.half:.{decimals}f}"
    return f"{interval.estimate:.{decimals}f}{half}"


def bounds(interval: stats.Interval, decimals: int = 2, *, scale: float = 1, unit: str = "") -> str:
    """A signed difference with its interval's ends; without them where it has none."""
    ends = (interval.low, interval.estimate, interval.high)
    low, middle, high = (f"{scale * value:+.{decimals}f}" for value in ends)
    return f"{middle}{unit}" + ("" if np.isnan(interval.low) else f" [{low}, {high}]")


def percent(nats: stats.Values) -> str:
    """The mean over seeds of a difference in nats, as per cent of PPL (100 x nats)."""
    return bounds(stats.mean_interval(nats), scale=100, unit=" %")


def paired(nats: stats.Values, n: int) -> str:
    """A paired difference, with how many seeds it has where they are not the `n` of its row."""
    return percent(nats) + ("" if len(nats) == n else f" (n = {len(nats)})")


def cycle(cycles: float) -> str:
    """A cycle's length as a cell."""
    return text(cycles) if np.isinf(cycles) else f"{cycles:g} T"


def listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in sorted(set(values)))


def spoken(parts: Sequence[str]) -> str:
    """Parts of a sentence, one after another."""
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def file_name(name: str) -> str:
    """A study's name as part of a file's: a name is data, and no path."""
    plain = re.sub(r"[^\w.-]", "_", name)[:60]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def escape_markdown(value: str) -> str:
    """Names are data: nothing in one becomes markup."""
    for character in "\\`*_[]<>|#":
        value = value.replace(character, "\\" + character)
    return " ".join(value.split())


def escape_latex(value: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special |= {character: "\\" + character for character in "&%$#_{}"} | {c: f"${c}$" for c in "<>|"}
    return " ".join("".join(special.get(character, character) for character in value).split())


def millions(parameters: float) -> str:
    """A number of parameters, to two digits: 0.23 M, 120 M, 1.2 B."""
    return f"{parameters / 1e9:g} B" if parameters >= 1e9 else f"{float(f'{parameters / 1e6:.2g}'):g} M"

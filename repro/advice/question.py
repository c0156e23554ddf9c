"""What is asked: how many releases of how much data, for which model, under what limits."""

import math
import re
from dataclasses import dataclass, fields, replace
from functools import partial

from repro.common.errors import UserError
from repro.common.options import Options
from repro.common.registry import suggestion
from repro.config import checks
from repro.config.checks import within
from repro.config.settings import AUTO, MOST_STEPS, StreamSettings
from repro.planning.runs import Run

UNITS = ("steps", "tokens", "flops", "device-hours")
AMOUNT = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z-]+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Amount:
    """So many steps, tokens, FLOPs or device-hours."""

    number: float
    unit: str

    def steps(self, run: Run, weight: float = 1.0) -> float:
        """What it buys of a run's steps.

        Args:
            weight: how many times the FLOPs of the run's own model a step takes.
        """
        if self.unit == "tokens":
            return self.number / run.step_tokens
        if self.unit == "flops":
            return self.number / (run.step_flops * weight)
        if self.unit == "device-hours":
            return self.number * 3600 * run.settings.estimate.flops_per_second / (run.step_flops * weight)
        return self.number

    def other(self, steps: float, run: Run, weight: float = 1.0) -> "Amount":
        """So many of a run's steps, in this amount's unit."""
        return Amount(steps / Amount(1, self.unit).steps(run, weight), self.unit)

    def __str__(self) -> str:
        return f"{self.number:,.10g} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Question:
    """`advise.*` of the command line. None: as the settings of the runs say."""

    releases: int | None = within(1, 100, None)
    """N"""
    tokens: tuple[float, ...] | None = None
    """Of new data: one number for all releases, or one per release."""
    parameters: int | None = within(1, 10**13, None)
    """Of the model to be trained; another number than the settings' is predicted by the size law."""
    budget: Amount | None = None
    """What all releases together may take; None: no limit."""
    delay: Amount | None = None
    """What may lie between the arrival of data and their release; None: no limit."""
    margin: float = within(0.0, 20.0, 0.5)
    """Per cent of PPL: recipes that are predicted so near to each other count as equally good, and the cheaper wins."""

    def stream(self, settings: StreamSettings, step_tokens: int) -> tuple[int, tuple[int, ...]]:
        """N and T_k.

        Raises:
            UserError: tokens are no whole number of steps, or there are more or fewer numbers than releases.
        """
        if self.releases is None and settings.versions == AUTO and len(self.tokens or ()) < 2:
            raise UserError(f"stream.versions={AUTO} is of data that are there; say advise.releases=N.")
        given = self.tokens or ()
        releases = self.releases or (len(given) if len(given) > 1 else int(settings.versions))
        if len(given) > 1 and len(given) != releases:
            raise UserError(f"advise.tokens has {len(given)} numbers and advise.releases={releases}; one each works.")
        if given:
            steps = tuple(_whole(tokens, step_tokens) for tokens in given)
            return releases, steps if len(steps) > 1 else steps * releases
        if settings.steps_per_version == AUTO:
            raise UserError(f"stream.steps_per_version={AUTO} is of data that are there; say advise.tokens=NUMBER.")
        known = settings.steps if settings.versions != AUTO else replace(settings, versions=releases).steps
        return releases, (*known, *[known[-1]] * releases)[:releases]


def _whole(tokens: float, step_tokens: int) -> int:
    steps = tokens / step_tokens
    if steps > MOST_STEPS:
        raise UserError(
            f"advise.tokens={tokens:g} is {steps:.3g} steps of {step_tokens} tokens, and the most for a version are "
            f"{MOST_STEPS:,}; {MOST_STEPS * step_tokens:_} works, or a larger stream.global_batch_size."
        )
    if steps >= 1 and steps == int(steps):
        return int(steps)
    near = sorted({max(1, math.floor(steps)), math.ceil(steps)})
    works = " or ".join(f"{each * step_tokens:,}".replace(",", "_") for each in near)
    raise UserError(
        f"advise.tokens={tokens:g} is {steps:.10g} steps of {step_tokens} tokens, which is not whole. "
        f"The nearest that work: {works}."
    )


def take(line: Options) -> Question:
    """The question that a command line asks; its words are removed from it, and what is wrong with them is refused."""
    names = [each.name for each in fields(Question)]
    values = {name: line.read(f"advise.{name}", partial(_value, name)) for name in names}
    there = ", ".join(f"advise.{each}" for each in names)
    for name in dict.fromkeys(word.partition("=")[0] for word in line.words() if word.startswith("advise.")):
        line.take(name)
        line.refuse(f"{name} is unknown; {suggestion(name, [f'advise.{each}' for each in names])}there are {there}.")
    question = Question(**{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]
    for complaint in checks.complaints_of(question, "advise."):
        line.refuse(complaint)
    return question


def _value(name: str, text: str) -> object:
    if text == "null":
        return None
    if name in ("budget", "delay"):
        return _amount(name, text)
    if name == "tokens":
        return tuple(_number(name, each) for each in text.strip("[]").split(","))
    number = _number(name, text)
    if name == "margin":
        return number
    if number != int(number):
        raise UserError(f"advise.{name}={text} is not whole; {math.floor(number)} or {math.ceil(number)} works.")
    return int(number)


def _number(name: str, text: str) -> float:
    try:
        number = float(text.strip())
    except ValueError:
        raise UserError(f"advise.{name}={text} is no number; 4, 1e6 or 600_000 works.") from None
    if not (math.isfinite(number) and number >= 0 and (name != "tokens" or number > 0)):
        least = "above 0" if name == "tokens" else "at least 0"
        raise UserError(f"advise.{name}={text} must be {least}.")
    return number


def _amount(name: str, text: str) -> Amount:
    found = AMOUNT.fullmatch(re.sub(r"(?<=\d)[_,](?=\d)", "", text))
    unit = f"{found[2].lower().removesuffix('s')}s" if found else ""
    if not found or unit not in UNITS:
        raise UserError(
            f"advise.{name}={text} is no amount; say a number and one of {', '.join(UNITS)}: '1200 steps' or "
            "'1e9 tokens'."
        )
    number = _number(name, found[1])
    if number <= 0 and name == "budget":
        raise UserError(f"advise.{name}={text} must be above 0.")
    return Amount(number, unit)

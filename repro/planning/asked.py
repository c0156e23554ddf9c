"""What a command line asks for, checked; where it cannot work, all that is wrong with it at once, and what would work.

Checks stand in stages: names, then values, then what goes together, then lengths against the text. So each complaint is
mended as it says itself (`UserError.works`), and what is then asked for is checked again, until all is accepted. The
values of the last round are shown as one set, which was tried as a whole.
"""

import math
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from repro.common.errors import UserError
from repro.config import places
from repro.config.exact import MULTIPLE, STEPS
from repro.config.settings import AUTO, Settings
from repro.data.opening import check_dates, is_prepared
from repro.planning import planner, sweeps
from repro.planning.places import PLACES
from repro.planning.planner import Plan
from repro.recipes.recipe import recipe

ROUNDS = 16
"""Complaints that are mended, one after another, at most."""

NOT_PREPARED = "Whether there is text enough shows once it is prepared, which it is not yet."

WORKS = "All of this works together: "

T = TypeVar("T")
_OF_ANOTHER = re.compile(r"((\w+)\.\w+) is a setting of ")
"""How a complaint begins about a setting of what is not chosen: said of what was typed, not of what mending left."""
_NAMED = re.compile(r"(?<![\w.])([a-z_]\w*(?:\.[a-z_]\w*)?)=('[^']*'|[^\s;,]+)")
"""A setting with its value, as complaints name them."""


def settings(
    overrides: Sequence[str], *, multirun: bool = False, complete: Callable[[Sequence[str]], Sequence[str]] = list
) -> list[Settings]:
    """The settings of every run; arguments, and what is raised, as of `plan`."""

    def compose(given: Sequence[str]) -> list[Settings]:
        return sweeps.compose(complete(given), multirun=multirun)

    def attempt(given: Sequence[str]) -> bool:
        return bool(compose(given))

    return _checked(overrides, compose, attempt, multirun)


def plan(
    overrides: Sequence[str],
    *,
    multirun: bool = False,
    data_optional: bool = False,
    keep_choices: bool = False,
    complete: Callable[[Sequence[str]], Sequence[str]] = list,
    also: Callable[[Sequence[str], list[Settings]], object] = lambda given, sweep: None,
) -> Plan:
    """The plan of a sweep.

    Args:
        complete: adds what the command that it is typed for leaves to defaults of its own.
        also: refuses overrides, and the sweep that they lead to, that cannot be carried out where it is asked for.

    Raises:
        UserError: it cannot work; all that is wrong, a line each, and overrides that work, if any were found.
    """

    def make(given: Sequence[str]) -> Plan:
        sweep = sweeps.compose(complete(given), multirun=multirun)
        also(given, sweep)
        return planner.make(sweep, data_optional=data_optional, keep_choices=keep_choices)

    def attempt(given: Sequence[str]) -> bool:
        sweep = sweeps.compose(complete(given), multirun=multirun)
        also(given, sweep)
        texts = dict.fromkeys((s.corpus, s.stream, Path(s.data.path)) for s in sweep)
        unknown = [text for text in texts if not is_prepared(*text)]
        if all(AUTO not in (stream.versions, stream.steps_per_version) for _, stream, _ in unknown):
            planner.make(sweep, prepare=False)
        for text in unknown:
            check_dates(*text)
        for folder in dict.fromkeys(s.tasks.include_path for s in sweep):
            places.tasks(folder)
        return not unknown

    return _checked(overrides, make, attempt, multirun)


def _checked(
    overrides: Sequence[str],
    make: Callable[[Sequence[str]], T],
    attempt: Callable[[Sequence[str]], bool],
    multirun: bool,
) -> T:
    """What is made of overrides; where they are refused, all that is wrong.

    Args:
        attempt: raises where other overrides would be refused; says whether it knew the text's length, for which it
            prepares none.
    """
    try:
        return make(overrides)
    except UserError as error:
        raise _whole(error, overrides, attempt, multirun) from error.__cause__


def _whole(
    error: UserError, overrides: Sequence[str], attempt: Callable[[Sequence[str]], bool], multirun: bool
) -> UserError:
    """All that is wrong, and what works."""
    typed = {_name(each): set(sweeps.elements(each)) for each in overrides}
    lines = str(error).splitlines()
    given, changed = list(overrides), set[str]()
    for _ in range(ROUNDS):
        before = given
        given = _mended(given, error, multirun)
        if given == before:
            break
        typed |= {meant: typed.get(name, set()) for name, meant in error.meant.items()}
        changed |= {_name(each) for each in {*given} ^ {*before}}
        try:
            certain = attempt(given)
        except UserError as next_error:
            error = next_error
            lines += [
                line
                for line in str(error).splitlines()
                if line not in lines
                and not ((of := _OF_ANOTHER.match(line)) and {of[1], of[2]} & changed)
                and all(_is_one(value, typed.get(name, ())) for name, value in _mentioned(line) if name in changed)
            ]
        except (HydraException, OmegaConfBaseException):
            break
        else:
            if not certain and any(name.partition(".")[0] in ("corpus", "stream") for name in typed):
                lines.append(NOT_PREPARED)
            if given:
                lines.append(f"{WORKS}{shlex.join(['-m', *given] if multirun else given)}")
            break
    return UserError("\n".join(lines))


def _mended(given: Sequence[str], error: UserError, multirun: bool) -> list[str]:
    """The overrides with what a complaint says in place of what it refuses; the same where it says nothing that helps.

    Where it names values and says none that work, the first one that was typed is left out, since defaults work. (Not
    a place: what there is on this machine only the user knows.)
    """
    named = _mentioned(str(error))
    works = dict(error.works)
    if STEPS in works:
        works[STEPS] = _steps(given, works[STEPS], multirun)
    result = [_renamed(each, error.meant) for each in given]
    for setting, value in works.items():
        result = _replaced(result, setting, value, [each for name, each in named if name == setting])
    if result != list(given):
        return result
    there = set(map(_name, given)) - {*PLACES, "corpus"}
    settings = [name for name, _ in named]
    for setting in (*settings, *(name.partition(".")[0] for name in settings)):
        if setting in there:
            return _replaced(given, setting, None, [each for name, each in named if name == setting])
    return list(given)


def _replaced(given: Sequence[str], setting: str, works: str | None, refused: Sequence[str]) -> list[str]:
    """The overrides with another value of a setting in place of those refused, or of all if none is there."""
    result, found = [], False
    for each in given:
        if _name(each) != setting:
            result.append(each)
            continue
        found = True
        elements = sweeps.elements(each)
        good = [works if value in refused else value for value in elements]
        if len(elements) < 2 or good == elements:
            good = [works]
        kept = list(dict.fromkeys(value for value in good if value is not None))
        if kept:
            result.append(f"{each.partition('=')[0]}={','.join(kept)}")
    return result if found or works is None else [*result, f"{setting}={works}"]


def _steps(given: Sequence[str], most: str | None, multirun: bool) -> str | None:
    """T of which every share of these runs is whole: the largest multiple up to `most`, or up to what is asked for."""
    try:
        sweep = sweeps.compose(given, multirun=multirun)
    except (UserError, HydraException, OmegaConfBaseException):
        return None
    multiple = math.lcm(*(recipe(each).step_multiple(each) for each in sweep))
    given_steps = [each.stream.steps_per_version for each in sweep if each.stream.steps_per_version != AUTO]
    asked = [each if isinstance(each, tuple) else (int(each),) for each in given_steps]
    if not asked:
        return None
    lengths = min(asked) if most in (MULTIPLE, None) else [int(str(most))]
    rounded = [length // multiple * multiple or multiple for length in lengths]
    return str(rounded[0]) if len(set(rounded)) == 1 else f"[{','.join(map(str, rounded))}]"


def _renamed(override: str, meant: Mapping[str, str]) -> str:
    _, equals, value = override.partition("=")
    return f"{meant[_name(override)]}{equals}{value}" if _name(override) in meant else override


def _name(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _is_one(value: str, typed: Collection[str]) -> bool:
    """Whether a value is one that was typed, however it was spelled."""
    try:
        return value in typed or float(value) in map(float, typed)
    except ValueError:
        return False


def _mentioned(text: str) -> list[tuple[str, str]]:
    """Settings with their values, as a complaint names them."""
    return [(name, value.strip("'").rstrip(".:")) for name, value in _NAMED.findall(text)]

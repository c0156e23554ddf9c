"""What recipes and schedules are called and how they look, from the registries; names that nothing registered, too.

A ledger may hold what an extension made that is not loaded here: that goes by its own name, with a look that follows
from the name, and from the others that it is shown with (`told_apart`). A *variant*, `cpt, carry_optimizer=false`, is a
recipe or schedule with settings other than most runs'.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from matplotlib.lines import Line2D

import repro.recipes  # noqa: F401  (it fills the registries)
from repro.config.registries import RECIPES, SCHEDULES
from repro.recipes.recipe import Recipe
from repro.recipes.schedules import Schedule, leaves_the_maximum

COLOURS = ("#B15928", "#6A3D9A", "#E7298A", "#1F9E89", "#A6761D", "#80B1D3", "#FB8072", "#B3A100")
MARKERS = ("p", "h", "<", ">", "d", "8", "H")
LINES = ("-", "--", ":", "-.")
"""Looks to choose from where a registry names none."""
_APART: ContextVar[Mapping[tuple[str, Sequence[str]], str]] = ContextVar("_APART", default={})  # noqa: B039 (read only)
"""The looks of names that are shown together."""
VARIANT = ", "
"""Between a name and the settings that make it a variant."""


def variant(name: str, settings: Sequence[str]) -> str:
    """A name with the settings in which it departs from what most runs share."""
    return VARIANT.join([name, *settings])


def later(last: int) -> str:
    """What the versions after the first are called together."""
    return f"versions 2 to {last}" if last > 2 else "version 2"


def span(last: int) -> str:
    """`later` where there is little room."""
    return f"v2 to v{last}" if last > 2 else "v2"


def recipe_name(recipe: str) -> str:
    """What readers call a recipe."""
    return _called(recipe, {name: getattr(each, "label", name) for name, each in RECIPES.items()})


def decays(recipe: str) -> bool:
    """Whether a recipe's versions end at the minimum, or stand for ones that do."""
    return bool(getattr(RECIPES.get(recipe.split(VARIANT)[0]), "decays", True))


def control(recipe: str) -> bool:
    """Whether it is no way to update, but was trained to tell apart what makes another one what it is."""
    kind, *settings = recipe.split(VARIANT)
    telling = getattr(RECIPES.get(kind), "controls", ())
    return any(setting.partition("=")[0] in telling for setting in settings)


def schedule_decays(schedule: str) -> bool:
    """Whether a schedule, or a variant of one, ever leaves the maximum."""
    return leaves_the_maximum(schedule.split(VARIANT)[0])


def schedule_name(schedule: str) -> str:
    """What readers call a schedule."""
    return _called(schedule, {name: getattr(each, "label", name) for name, each in SCHEDULES.items()})


def colour(recipe: str) -> str:
    own = getattr(RECIPES.get(recipe), "colour", Recipe.colour)
    return _fallback(recipe, COLOURS) if own == Recipe.colour else str(own)


def marker(schedule: str) -> str:
    own = getattr(SCHEDULES.get(schedule), "marker", Schedule.marker)
    return _fallback(schedule, MARKERS) if own == Schedule.marker else str(own)


def line(schedule: str) -> Any:
    """As matplotlib takes it: a word, or dashes as numbers."""
    registered = SCHEDULES.get(schedule)
    return _fallback(schedule, LINES) if registered is None else getattr(registered, "line", Schedule.line)


def edge(schedule: str, colour: str) -> str:
    """The edge of a schedule's points: white around what has a face, else the colour itself (a cross is all edge)."""
    return "white" if marker(schedule) in Line2D.filled_markers else colour


def handle(schedule: str, colour: str, label: str = "") -> Line2D:
    """A legend's entry for a schedule's curves, in a colour that means something else than a recipe."""
    one = Line2D([], [], color=colour, marker=marker(schedule), label=label or schedule_name(schedule))
    one.set(linestyle=line(schedule))
    return one


@contextmanager
def told_apart(recipes: Iterable[str], schedules: Iterable[str]) -> Iterator[None]:
    """Within it no two names that nothing registered look alike, as far as there are looks."""
    recipes, schedules = set(recipes) - set(RECIPES), set(schedules) - set(SCHEDULES)
    apart: dict[tuple[str, Sequence[str]], str] = {}
    for looks, names in ((COLOURS, recipes), (MARKERS, schedules), (LINES, schedules)):
        free: list[str] = []
        for name in sorted(names):
            free = free or list(looks)
            first = looks.index(_hashed(name, looks))
            apart[name, looks] = next(look for look in (*looks[first:], *looks[:first]) if look in free)
            free.remove(apart[name, looks])
    before = _APART.set(apart)
    try:
        yield
    finally:
        _APART.reset(before)


def recipes(names: Iterable[str]) -> list[str]:
    """In the registry's order, the rest by name; each once."""
    return _ordered(names, list(RECIPES))


def schedules(names: Iterable[str]) -> list[str]:
    """In the registry's order, the rest by name; each once."""
    return _ordered(names, list(SCHEDULES))


def _called(name: str, labels: dict[str, str]) -> str:
    kind, *settings = name.split(VARIANT)
    return variant(labels.get(kind, kind), settings)


def _ordered(names: Iterable[str], known: list[str]) -> list[str]:
    """Variants right after what they are variants of."""

    def key(name: str) -> tuple[int, str]:
        kind = name.split(VARIANT)[0]
        return known.index(kind) if kind in known else len(known), name

    return sorted(set(names), key=key)


def _fallback(name: str, looks: Sequence[str]) -> str:
    return _APART.get().get((name, looks)) or _hashed(name, looks)


def _hashed(name: str, looks: Sequence[str]) -> str:
    """The same for a name in every process."""
    return looks[int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(looks)]

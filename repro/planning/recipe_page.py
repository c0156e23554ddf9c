"""The page of all recipes and schedules, made from the registries: mechanism, sources, cost, settings, learning rates.

Nothing on it is typed in. Costs and delays are those of plans over four versions of T steps whose data are stand-ins.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from repro.config.registries import RECIPES, SCHEDULES
from repro.config.settings import ParadigmSettings, ScheduleSettings
from repro.data.stream import VirtualStream
from repro.planning import prices, sweeps
from repro.planning.drawing import draw_recipe, draw_schedules
from repro.planning.runs import Run
from repro.planning.tree import merge
from repro.recipes.recipe import Recipe
from repro.recipes.schedules import Schedule, schedule

T = 100
"""Steps of each of the four versions that the page is planned with."""
GIVEN = [
    *(f"stream.steps_per_version={T}", "stream.versions=4", "schedule=cosine", "schedule.warmup_steps=10"),
    *("numerics.matmul=torch", "numerics.compile=false"),  # a page is no machine's
]
HEAD = """# Recipes

How versions come to be: every recipe of the registry, with four versions of T steps each. This page is made from the
code (`python -m repro.pages`), and a test compares the two.

*Cost*: steps to release four versions, over those of pre-training each from scratch. *Next release*: steps of one more
version, over those of pre-training it. *Delay*: steps from its data's arrival to its release. Numbers are of the
defaults; `python -m repro.plan` prints yours. Figures show a cosine, with the maximum as 1; a branch is dashed, and
dots are the checkpoints that a version is a mean of.

How the rate moves within a cycle or a branch is [the schedule's](#schedules) business.
Every recipe also takes """
SCHEDULES_HEAD = """## Schedules

`schedule=NAME` says how the rate moves within a cycle: held at `schedule.max_lr` for a while, then decayed to
`schedule.min_lr`, which is a tenth of the maximum unless it is set. `schedule=sqrt schedule.min_lr=0` is "1 - sqrt down
to 0". A branch is the decay alone, stretched over all of it (`paradigm.branch=decay`), or a whole cycle (`cycle`).
`schedule.warmup_steps` counts once, at a random initialization.

| `schedule=` | called | within a cycle | settings of its own | source |
|---|---|---|---|---|"""
ARXIV = re.compile(r"\d{4}\.\d{5}")


def runs() -> dict[str, Run]:
    """A run of every recipe of the suite, over stand-ins for data."""
    found = {}
    for name, recipe in RECIPES.items():
        if recipe.__module__.startswith("repro."):
            (settings,) = sweeps.compose([f"paradigm={name}", *GIVEN])
            found[name] = Run(settings, VirtualStream(settings.corpus, settings.stream))
    return found


def schedules() -> list[Schedule]:
    """Every schedule of the suite, with its defaults."""
    names = [name for name, one in SCHEDULES.items() if one.__module__.startswith("repro.")]
    return [schedule(one) for name in names for one in sweeps.compose([*GIVEN, f"schedule={name}"])]


def page(figures: str = "figures/recipes") -> str:
    """The page in Markdown.

    Args:
        figures: the folder of its figures, as a link from it.
    """
    every = runs()
    common = {one.name for one in fields(ParadigmSettings)} - {"kind"}
    shared = " and ".join(f"`paradigm.{name}`{_but_for(name, every)}" for name in sorted(common))
    lines = [
        f"{HEAD}{shared}.",
        "",
        "| recipe | | cost | next release | delay | decayed or averaged |",
        "|---|---|---|---|---|---|",
    ]
    for name, run in every.items():
        lines.append(f"| [{name}](#{name}) | {_recipe(run).label} | {' | '.join(_prices(run))} |")
    for name, run in every.items():
        lines += ["", *_section(name, run, common, figures)]
    lines += ["", SCHEDULES_HEAD, *map(_schedule_row, schedules())]
    lines += ["", f"![Learning rate within a cycle under each schedule]({figures}/schedules.png)"]
    return "\n".join(lines) + "\n"


def _but_for(setting: str, every: Mapping[str, Run]) -> str:
    """Recipes that a shared setting means nothing to."""
    without = [f"`{name}`" for name, run in every.items() if setting in _recipe(run).lacks]
    return f" (but for {', '.join(without)})" if without else ""


def draw(folder: Path) -> None:
    """Every recipe's learning rates, NAME.png each, and all schedules', schedules.png."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_schedules(schedules(), folder / "schedules.png")
    for name, run in runs().items():
        draw_recipe(run, T, folder / f"{name}.png")


def _recipe(run: Run) -> Recipe:
    recipe = run.settings.paradigm
    assert isinstance(recipe, Recipe)
    return recipe


def _prices(run: Run) -> list[str]:
    tree = merge([run])
    price = prices.next_release(run)
    after = [f"{100 * price.cost:.3g} %", f"{price.delay / T:.2g} T"] if price else ["", ""]
    steps, flops = tree.relative_cost(0), tree.relative_flops(0)
    of = [f"{100 * flops:.3g} % in FLOPs"] if flops != steps else []
    of += [f"{run.versions} versions"] if run.versions != run.settings.stream.versions else []
    cost = f"{100 * steps:.3g} %" + (f" ({', '.join(of)})" if of else "")
    return [cost, *after, "yes" if _recipe(run).decays else "**no**"]


def _section(name: str, run: Run, common: set[str], figures: str) -> Iterator[str]:
    recipe = _recipe(run)
    yield from (f"## {name}", "", recipe.mechanism, "")
    sources = ", ".join(_source(each) for each in recipe.sources)
    yield f"`paradigm={name}`, called {recipe.label}. Sources: {sources}." if sources else f"`paradigm={name}`."
    own = [one for one in fields(recipe) if one.name not in {*common, "kind"}]
    if own:
        yield from ("", "| setting | default | values | meaning |", "|---|---|---|---|")
        meanings = _meanings(type(recipe))
        for one in own:
            default = one.default if one.default is not MISSING else ""
            cells = (f"`paradigm.{one.name}`", _code(default), _values(one), meanings.get(one.name, ""))
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield from ("", f"![Learning rates of {recipe.label}, version by version]({figures}/{name}.png)")


def _schedule_row(one: Schedule) -> str:
    shared = {each.name for each in fields(ScheduleSettings)}
    meanings = _meanings(type(one))
    own = [
        f"`schedule.{each.name}`: {meanings[each.name]} {_values(each)}; {_code(each.default)} by default."
        for each in fields(one)
        if each.name not in shared
    ]
    how = inspect.getdoc(type(one)) or ""
    return f"| `{one.kind}` | {one.label} | {how} | {' '.join(own)} | {_source(one.source)} |"


def _source(source: str) -> str:
    return f"[arXiv {source}](https://arxiv.org/abs/{source})" if ARXIV.fullmatch(source) else source


def _code(value: object) -> str:
    return "null" if value is None else f"`{value}`"


def _values(one: "Field[Any]") -> str:
    """A setting's range, as `repro.config.checks` declared it."""
    rule = one.metadata
    if "options" in rule:
        return ", ".join(f"`{option}`" for option in rule["options"])
    if "share" in rule:
        low, high = rule["share"]
        span = f"{'(' if rule['open_low'] else '['}{low:g}, {high:g}{')' if rule['open_high'] else ']'}"
        return f"{span} or `{rule['word']}`" if rule["word"] else span
    return f"{rule['low']:,} to {rule['high']:,}" if "low" in rule else ""


def _meanings(cls: type) -> dict[str, str]:
    """What stands below each field in its class, nearest class first."""
    found: dict[str, str] = {}
    for each in cls.__mro__:
        if each.__module__.startswith("repro.recipes."):
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(body, ast.ClassDef)
            for one, after in zip(body.body, body.body[1:], strict=False):
                text = (
                    after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
                )
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(text, str):
                    found.setdefault(one.target.id, " ".join(text.split()))
    return found

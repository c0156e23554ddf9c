"""How a fine-tuned model follows a new version best."""

import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS
from analysis.formats import bounds, spoken
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import Sentences
from analysis.tables.future import DECIMALS, MEASURES, WAYS, differences, scores

OTHER_WAYS = {"continue": "going on", "transfer": "taking over"}
"""Ways that are compared with fine-tuning anew."""


def future(view: View) -> list[str]:
    """Levels over all versions, then what was compared at the last one: over the seeds that all recipes have."""
    found = {unit: scores(view, column) for column, unit in MEASURES.items()}
    schedules = found["points"].index.get_level_values("schedule")
    sentences = []
    for schedule in dict.fromkeys(schedules):
        mine = {
            unit: _shared(table[table.index.get_level_values("schedule") == schedule]) for unit, table in found.items()
        }
        points = mine["points"]
        if points.empty:
            continue
        parts = []
        for recipe in recipes(points.index.get_level_values("paradigm")):
            means = points.xs(recipe, level="paradigm").groupby(level="seed").mean()
            said = ", ".join(f"{means[way].mean():.2f} {way}" for way in WAYS if way in means)
            parts.append(f"{recipe_name(recipe)} {said}")
        versions = sorted(set(points.index.get_level_values("version")))
        many = f"version{'s' if len(versions) > 1 else ''} {', '.join(map(str, versions))}"
        seeds = f"(n = {points.index.get_level_values('seed').nunique()})"
        name = schedule_name(schedule)
        sentences.append(f"With {name}, average score in points by way of updating, {many}: {spoken(parts)} {seeds}.")
        less = {unit: differences(table) for unit, table in mine.items()}
        less = {unit: at[at.index.get_level_values("version") == versions[-1]] for unit, at in less.items()}
        for way, called in OTHER_WAYS.items():
            if parts := _said(less, way, "anew"):
                sentences.append(
                    f"With {name}, {called} less fine-tuning anew at version {versions[-1]}: {spoken(parts)} {seeds}."
                )
        for way in WAYS:
            if parts := _said(less, way, PTFS.upper()):
                beside = f"less PTFS in the same way ({way}) at version {versions[-1]}"
                sentences.append(f"With {name}, {beside}: {spoken(parts)} {seeds}.")
    return sentences


def _shared(found: pd.DataFrame) -> pd.DataFrame:
    """Of the seeds that all recipes and versions have."""
    cells = found.groupby(level=["paradigm", "version"]).ngroups
    having = found.groupby(level="seed").size()
    return found[found.index.get_level_values("seed").isin(having.index[having == cells])]


def _said(less: dict[str, pd.DataFrame], way: str, beside: str) -> list[str]:
    """Each recipe's difference, in both measures."""
    parts = []
    for recipe in recipes(less["points"].index.get_level_values("paradigm")):
        told = []
        for unit, called in (("points", "points"), ("bits", "bits a byte")):
            table = less[unit]
            at = table.index.get_level_values("paradigm") == recipe
            values = table.loc[at & (table.index.get_level_values("way") == way), beside].dropna()
            if len(values):
                told.append(f"{bounds(stats.mean_interval(values.to_numpy(dtype=float)), DECIMALS[unit])} {called}")
        if told:
            parts.append(f"{recipe_name(recipe)} {' and '.join(told)}")
    return parts


FINDINGS = Sentences("future_findings", make=future)

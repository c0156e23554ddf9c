"""Each recipe's best maximum learning rate, chosen on the tuning seeds of study `rates` by the rule of the protocol.

By schedule, recipe and reading of the branch: the lowest mean over the tuning seeds of ln PPL of version 2. None of
these seeds enters a claim. A schedule whose tuning has not run takes the cosine's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import names, plans, readings
from repro.recipes.ptfs import PLAIN
from repro.results.columns import settings_of

STUDY, GRID = "rates", "rates"
"""The study, and the entry of a scale's `sweep` that lists its maxima."""
VERSION = 2
COSINE, PTFS = "cosine", "ptfs"
AS_PUBLISHED = {(PTFS, name): value for name, value in PLAIN.items()}


@dataclass(frozen=True)
class Best:
    """The best maximum of a recipe under a schedule."""

    schedule: str
    recipe: str
    reading: str
    """Of the branch, where the two are two trainings."""
    loss: "pd.Series[float]"
    """Mean over the tuning seeds, nats per token, by maximum; infinite: a run diverged."""
    seeds: tuple[int, ...]
    of: str
    """The schedule that it was tuned under."""

    @property
    def max_lr(self) -> float:
        return float(str(self.loss.idxmin()))

    @property
    def end(self) -> str:
        """Which end of the grid it lies at: there may be a better one beyond."""
        rates = list(self.loss.index)
        return "lowest" if self.max_lr == min(rates) else "highest" if self.max_lr == max(rates) else ""


def best_rates(scale: str, rows: pd.DataFrame, scores: pd.DataFrame, setting: Mapping[str, object]) -> list[Best]:
    """Of every recipe and schedule whose tuning is complete; empty where a scale plans no tuning.

    Args:
        rows: a ledger's runs, by study.
        scores: `run`, `version` and `loss`.
        setting: columns of runs.csv that tuning must share.
    """
    seeds, grid = plans.seeds(scale, STUDY), {float(rate) for rate in plans.listed(scale, GRID)}
    if not seeds:
        return []
    schedules = sorted(set(rows["schedule"]))
    rows = rows[(rows["study"] == STUDY) & rows["seed"].isin(seeds)]
    rows = rows[(rows[list(setting)] == pd.Series(dict(setting))).all(axis=1)]
    rows = rows.merge(scores[scores["version"] == VERSION], on="run")
    if rows.empty:
        return []
    rows = rows[[as_published(str(row["paradigm"]), str(row["settings"])) for row in rows.to_dict("records")]]
    rows = rows.assign(reading=[_reading(row) for row in rows.to_dict("records")])
    found = {}
    for key, group in rows.groupby(["schedule", "paradigm", "reading"]):
        schedule, recipe, reading = map(str, key)
        alike = _alike(group)
        ran = alike.groupby("max_lr")["seed"].agg(set)
        whole = [rate for rate, there in ran.items() if set(seeds) <= there]
        if grid <= set(whole):
            wide = _of_one_numerics(alike).pivot_table(index="seed", columns="max_lr", values="loss", dropna=False)
            loss = wide[whole].replace(np.nan, np.inf).mean()  # of a rate that some seeds lack, nothing is known yet
            found[schedule, recipe, reading] = Best(schedule, recipe, reading, loss, seeds, schedule)
    return _with_the_cosines(found, schedules)


def _alike(group: pd.DataFrame) -> pd.DataFrame:
    """Those of a recipe's runs that differ in their maximum and seed alone: of several sets, the largest, which is the
    plan's; the first by its settings among equals."""
    floors = (group["min_lr"] / group["max_lr"]).round(9)
    known = [group[name].fillna("").astype(str) for name in ("settings", "carry_optimizer", "warmup_steps", "versions")]
    sets = pd.Series(list(zip(*known, floors, strict=True)), index=group.index)
    counts = sets.value_counts()
    chosen: pd.DataFrame = group[sets == min(counts[counts == counts.max()].index)]
    return chosen


def _of_one_numerics(group: pd.DataFrame) -> pd.DataFrame:
    """One run for each seed and maximum: of the numerics that most of the seed's have, where there are several."""
    counts = group.groupby(["seed", "numerics"])["max_lr"].transform("nunique")
    ranked = group.assign(_counts=-counts).sort_values(["_counts", "numerics", "run"])
    return ranked.drop_duplicates(["seed", "max_lr"]).drop(columns="_counts")


def _with_the_cosines(found: dict[tuple[str, str, str], Best], schedules: list[str]) -> list[Best]:
    every = dict(found)
    for one in found.values():
        for schedule in schedules if one.schedule == COSINE else ():
            two = one.recipe == readings.RECIPE and readings.differ(schedule)
            for reading in readings.READINGS if two else ("",):
                taken = replace(one, schedule=schedule, reading=reading)
                every.setdefault((schedule, one.recipe, reading), taken)
    order = {recipe: place for place, recipe in enumerate(names.recipes(one.recipe for one in every.values()))}
    ranks = {schedule: place for place, schedule in enumerate(names.schedules(one.schedule for one in every.values()))}
    return sorted(every.values(), key=lambda one: (ranks[one.schedule], order[one.recipe], one.reading))


def shared(every: list[Best]) -> float | None:
    """The shared maximum: PTFS's best under a cosine."""
    return next((one.max_lr for one in every if (one.schedule, one.of, one.recipe) == (COSINE, COSINE, PTFS)), None)


def as_published(recipe: str, settings: str) -> bool:
    """Whether PTFS is as the paper has it; other recipes are, whatever they are."""
    own = settings_of(settings)
    return all(own.get(name, usual) == usual for (of, name), usual in AS_PUBLISHED.items() if of == recipe)


def _reading(row: Mapping[object, object]) -> str:
    if row["paradigm"] != readings.RECIPE or not readings.differ(str(row["schedule"])):
        return ""
    return settings_of(str(row["settings"])).get(readings.SETTING, readings.CYCLE)

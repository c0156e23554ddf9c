"""Updating the fine-tuned model: anew, going on, or with what fine-tuning changed in the version before."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import downstream_scores
from analysis.formats import number, plus_minus
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table, numerics_note

STUDY = "future"
WAYS = ("anew", "continue", "transfer")
"""Values of `finetune.update`."""
KEYS = ["schedule", "paradigm", "version", "seed"]


def scores(view: View) -> pd.DataFrame:
    """Average score in points over tasks and fine-tuning seeds: (schedule, recipe, version, seed; ways)."""
    return by_task(view).groupby(level=KEYS).mean()


def by_task(view: View) -> pd.DataFrame:
    """The same before averaging over tasks."""
    rows = downstream_scores(view, STUDY)
    rows = rows[rows["version"] >= 2]
    way = rows["settings"].str.extract(r"\bupdate=(\w+)")[0].fillna(WAYS[0])
    wide = rows.assign(way=way).pivot_table(index=[*KEYS, "task"], columns="way", values="value")
    return 100 * wide.reindex(columns=list(WAYS)).dropna(axis=1, how="all").dropna()


def future(view: View) -> Table | None:
    found = scores(view)
    if found.empty:
        return None
    ways = list(found.columns)
    rows, data = [], []
    for schedule in dict.fromkeys(found.index.get_level_values("schedule")):
        mine = found.xs(schedule, level="schedule")
        for recipe in recipes(mine.index.get_level_values("paradigm")):
            for version, at in mine.xs(recipe, level="paradigm").groupby(level="version"):
                intervals = [stats.mean_interval(at[way].to_numpy(dtype=np.float64)) for way in ways]
                best = ways[int(np.argmax([interval.estimate for interval in intervals]))]
                rows.append([schedule_name(schedule), recipe_name(recipe), f"v{version!s}",
                             *(plus_minus(interval) for interval in intervals), best, str(len(at))])  # fmt: skip
                data += [
                    {"schedule": schedule, "paradigm": recipe, "version": version, "update": way}
                    | {"score": interval.estimate, "n": interval.n}
                    for way, interval in zip(ways, intervals, strict=True)
                ]
    tasks = sorted(set(by_task(view).index.get_level_values("task")))
    chance = downstream_scores(view, STUDY).groupby("task")["chance"].first().fillna(0).loc[tasks]
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", "version", *ways, "highest", "n"],
        caption=f"Average score after fine-tuning in points, over {len(tasks)} tasks and the fine-tuning seeds that "
        "all ways have. anew: each version is fine-tuned by itself; continue: what fine-tuning changed in the version "
        "before is added, and fine-tuning goes on, so that it has had twice the steps; transfer: it is added, and that "
        "is all. Chance is "
        f"{number(100 * float(chance.mean()))}. {numerics_note(view, STUDY)}",
    )  # fmt: skip


FUTURE = TableOf(STUDY, make=future)

"""Updating the fine-tuned model: anew, going on, or with what fine-tuning changed in the version before."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS, downstream_scores
from analysis.formats import bounds, number, plus_minus
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_of

STUDY = "future"
WAYS = ("anew", "continue", "transfer")
"""Values of `finetune.update`."""
SAYS = {
    "anew": "anew: each version is fine-tuned by itself.",
    "continue": "continue: what fine-tuning changed in the version before is added, and fine-tuning goes on, so that "
    "it has had twice the steps.",
    "transfer": "transfer: it is added, and that is all.",
}
KEYS = ["schedule", "paradigm", "version", "seed"]
MEASURES = {"value": "points", "gold_bits_per_byte": "bits"}
"""Columns of downstream.csv, and what they are called in columns of tables: higher is better of the first alone."""
DECIMALS = {"points": 2, "bits": 3}


def scores(view: View, column: str = "value") -> pd.DataFrame:
    """Average over tasks and fine-tuning seeds: (schedule, recipe, version, seed; ways).

    Args:
        column: one of `MEASURES`; scores (`value`) in points.
    """
    return by_task(view, column).groupby(level=KEYS).mean()


def by_task(view: View, column: str = "value") -> pd.DataFrame:
    """The same before averaging over tasks: of the fine-tuning seeds that all ways have, and of the tasks that a
    schedule's recipes, versions and seeds all have."""
    rows = _rows(view)
    way = rows["settings"].str.extract(r"\bupdate=(\w+)")[0].fillna(WAYS[0])
    wide = rows.assign(way=way).pivot_table(index=[*KEYS, "task", "finetune_seed"], columns="way", values=column)
    wide = wide.reindex(columns=list(WAYS)).dropna(axis=1, how="all").dropna().groupby(level=[*KEYS, "task"]).mean()
    cells = wide.reset_index(level="task").index.unique().get_level_values("schedule").value_counts()
    having = wide.iloc[:, :1].groupby(level=["schedule", "task"]).transform("size")
    everywhere = having.to_numpy() == cells.reindex(wide.index.get_level_values("schedule")).to_numpy()
    found: pd.DataFrame = wide[everywhere] * (100 if column == "value" else 1)
    return found


def _rows(view: View) -> pd.DataFrame:
    """Version 1 has none before it to follow."""
    rows = downstream_scores(view, STUDY)
    return rows[rows["version"] >= 2]


def _about(view: View, found: pd.DataFrame) -> str:
    """For captions: what is averaged, of which seeds."""
    rows = _rows(view)
    rows = rows[rows["seed"].isin(found.index.get_level_values("seed"))]
    tasks, seeds = by_task(view).index.get_level_values("task").nunique(), rows["finetune_seed"].nunique()
    return (
        f"Averages are over {tasks} tasks, also those by which D1 is not judged, and {seeds} fine-tuning "
        f"seed{'s' * (seeds > 1)}; intervals over seeds, 95 %. {numerics_of(rows)}"
    )


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
                rows.append([schedule_name(schedule), recipe_name(recipe), f"v{version!s}",
                             *map(plus_minus, intervals), str(len(at))])  # fmt: skip
                data += [
                    {"schedule": schedule, "paradigm": recipe, "version": version, "update": way}
                    | ends("score", interval)
                    for way, interval in zip(ways, intervals, strict=True)
                ]
    tasks = sorted(set(by_task(view).index.get_level_values("task")))
    chance = _rows(view).groupby("task")["chance"].first().fillna(0).loc[tasks]
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", "version", *ways, "n"],
        caption="Average score after fine-tuning in points, ± half a 95 % interval of the level; ways are compared in "
        f"pairs, in {STUDY}_paired. {' '.join(SAYS[way] for way in ways)} Chance is "
        f"{number(100 * float(chance.mean()))}. {_about(view, found)}",
    )  # fmt: skip


def differences(found: pd.DataFrame) -> pd.DataFrame:
    """Of `scores`, each way less fine-tuning anew, and less PTFS in the same way: (... seed, way; beside)."""
    found = found.reindex(columns=list(WAYS))
    ptfs = found[found.index.get_level_values("paradigm") == PTFS].droplevel("paradigm")
    ptfs = ptfs.reindex(found.droplevel("paradigm").index).set_axis(found.index)
    less = {"anew": found.sub(found[WAYS[0]], axis=0).drop(columns=WAYS[0])}
    less["PTFS"] = (found - ptfs).drop(index=PTFS, level="paradigm", errors="ignore")
    return pd.DataFrame({beside: table.stack() for beside, table in less.items()}).dropna(how="all")  # noqa: PD013


def paired(view: View) -> Table | None:
    """`differences` with intervals over seeds, in points of the score and in bits a byte of the gold answer."""
    less = pd.concat({unit: differences(scores(view, column)) for column, unit in MEASURES.items()}, axis=1)
    if less.empty:
        return None
    less = less.reindex(recipes(less.index.get_level_values("paradigm")), level="paradigm")
    columns = [(unit, beside) for unit in MEASURES.values() for beside in ("anew", "PTFS")]
    rows, data = [], []
    for key, at in less.groupby(level=[*KEYS[:3], "way"], sort=False):
        schedule, recipe, version, way = map(str, key)
        cells = []
        data.append({"schedule": schedule, "paradigm": recipe, "version": int(version), "update": way})
        for unit, beside in columns:
            values = at[unit, beside].dropna().to_numpy(dtype=np.float64)
            if not len(values):
                cells.append("")
                continue
            interval, name = stats.mean_interval(values), f"{unit}_less_{beside.lower()}"
            fewer = "" if interval.n == len(at) else f" (n = {interval.n})"
            cells.append(f"{bounds(interval, DECIMALS[unit])}{fewer}")
            of = ends(name, interval)
            data[-1] |= {f"{name}_n" if each == "n" else each: value for each, value in of.items()}
        rows.append([schedule_name(schedule), recipe_name(recipe), f"v{version}", way, *cells, str(len(at))])
    return Table(
        name=f"{STUDY}_paired", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", "version", "way", *(f"{unit} less {beside}" for unit, beside in columns), "n"],
        caption="Ways of updating a fine-tuned model, paired by seed; intervals are not corrected for their number. "
        "Points: of the average score, where more is better. Bits: a byte of the gold answer, where less is better. "
        f"Less anew: of the same recipe. Less PTFS: in the same way. {_about(view, less)}",
    )  # fmt: skip


FUTURE = TableOf(STUDY, make=future)
FUTURE_PAIRED = TableOf(f"{STUDY}_paired", make=paired)

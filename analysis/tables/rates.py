"""Every recipe at its own best maximum learning rate."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS
from analysis.formats import paired, percent, plus_minus
from analysis.frames import View
from analysis.names import recipe_name, schedule_name
from analysis.rates import STUDY, Tried, tried, tuned_note
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note
from repro.results.measures import EVERY


def rates(view: View) -> Table | None:
    every = tried(view)
    versions = sorted({one.version for one in every})
    last_version = max(versions, default=view.last)
    rows, data = [], []
    for schedule, recipe in dict.fromkeys((one.schedule, one.recipe) for one in every):
        mine = {one.version: one for one in every if (one.schedule, one.recipe) == (schedule, recipe)}
        best = [_rate(mine[version]) if version in mine else "" for version in versions]
        data += [_line(one) for one in mine.values()]
        if last_version not in mine:
            continue
        last = mine[last_version]
        at = stats.mean_interval(np.exp(last.loss[last.best].to_numpy(dtype=np.float64)))
        beside = _to_ptfs(every, schedule, recipe, last_version) if recipe != PTFS else ""
        rows.append([schedule_name(schedule), recipe_name(recipe), *best, plus_minus(at), _off(last, 0.5),
                     _off(last, 2.0), beside, str(at.n)])  # fmt: skip
    if not rows:
        return None
    scores = view.scores(STUDY)
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "recipe", *(f"best rate v{version}" for version in versions),
              f"PPL v{last_version} at its best", "half of it", "twice of it", "PPL to PTFS, each at its best", "n"],
        caption=f"PPL {EVERY}. Best: the lowest mean PPL of that version among the maximum rates tried; * lies at the "
        f"end of what was tried. Half and twice: what such a rate costs version {last_version}, paired by seed. To "
        f"PTFS: mean over versions {min(2, last_version)} to {last_version}, each recipe at the rate "
        f"that is best for this mean. {tuned_note(view, scores)}{numerics_note(view, STUDY)}",
    )  # fmt: skip


def _rate(one: Tried) -> str:
    return f"{one.best:g}{'' if one.bracketed else '*'}"


def _off(one: Tried, factor: float) -> str:
    cost = one.off(factor)
    if cost is None:
        return "not tried"
    return "diverges" if np.isinf(cost).any() else percent(np.asarray(cost, dtype=np.float64))


def _line(one: Tried) -> dict[str, object]:
    at = stats.mean_interval(np.exp(one.loss[one.best].to_numpy(dtype=np.float64)))
    line: dict[str, object] = {"schedule": one.schedule, "recipe": one.recipe, "version": one.version}
    line |= {"best_max_lr": one.best, "bracketed": one.bracketed, "rates_tried": len(one.loss.columns)}
    for name, factor in (("half", 0.5), ("twice", 2.0)):
        cost = one.off(factor)
        line[f"{name}_costs_nats"] = np.nan if cost is None else cost.mean()
    return line | ends("ppl", at)


def _to_ptfs(every: list[Tried], schedule: str, recipe: str, last: int) -> str:
    """Mean over versions 2 to N, each of the two at the rate that is best for it."""
    means = {}
    for name in (PTFS, recipe):
        mine = [o for o in every if (o.schedule, o.recipe) == (schedule, name) and o.version > 1]
        if len(mine) < last - 1 or not mine:
            return ""
        total = sum((one.loss for one in mine[1:]), mine[0].loss).dropna(axis=1) / len(mine)
        if total.empty:
            return ""
        means[name] = total[total.mean().idxmin()]
    difference = (means[recipe] - means[PTFS]).dropna().to_numpy(dtype=np.float64)
    return paired(difference, len(means[recipe])) if len(difference) else ""


RATES = TableOf(STUDY, make=rates)

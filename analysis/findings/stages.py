"""What the two-stage studies found."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import ppl, two_stage
from analysis.formats import spoken
from analysis.frames import View


def first_stage(view: View) -> list[str]:
    tables = (
        ("The checkpoint", two_stage(view, "first_stage", 1)),
        ("The updated model", two_stage(view, "first_stage", 2)),
    )
    return [extremes(what, table) for what, table in tables if len(table)]


def second_stage(view: View) -> list[str]:
    table = two_stage(view, "second_stage", 2)
    return [extremes("The updated model", table)] if len(table) else []


def extremes(what: str, table: pd.DataFrame) -> str:
    """Best and worst cycle, and which cannot be told from the best; `table` holds losses, (seeds, cycles)."""
    mean = ppl(table).mean()
    best, worst = (float(str(cycle)) for cycle in (mean.idxmin(), mean.idxmax()))
    ends = (f"{_cycle(cycle)} (PPL {mean[cycle]:.2f})" for cycle in (best, worst))
    sentence = f"{what} is best with {' and worst with '.join(ends)}"
    cycles = [float(str(cycle)) for cycle in table.columns]
    intervals = {c: stats.mean_interval((table[c] - table[best]).to_numpy()) for c in cycles if c != best}
    alike = [cycle for cycle, interval in intervals.items() if interval.low <= 0]
    if len(table) == 1:
        return f"{sentence} (one seed, so that nothing is told apart)."
    return f"{sentence}; not told apart from the best: {spoken([*map(_cycle, alike)])}." if alike else f"{sentence}."


def _cycle(cycle: float) -> str:
    return "an endless cycle" if np.isinf(cycle) else f"a cycle of {cycle:g} T"


def gaps_of(study: str) -> Callable[[View], list[str]]:
    """Seeds that lack a cycle which another has."""

    def gaps(view: View) -> list[str]:
        lacking = sorted(set(view.scores(study)["seed"]) - set(two_stage(view, study, 2).index))
        which = f"seed{'s' if len(lacking) > 1 else ''} {', '.join(map(str, lacking))}"
        return [f"{study}: {which} without some cycle that another seed has, left out of it."] if lacking else []

    return gaps

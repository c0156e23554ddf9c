"""Each recipe's best maximum learning rate, as claims take it: tables/best_rates.csv."""

import numpy as np
import pandas as pd

from analysis.best import VERSION, Best
from analysis.formats import listed
from analysis.frames import View
from analysis.names import recipe_name, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table


def best(view: View) -> Table | None:
    every = view.best
    if not every:
        return None
    rows = [
        [schedule_name(one.schedule), recipe_name(one.recipe), one.reading, f"{one.max_lr:g}", one.end, _beside(one),
         schedule_name(one.of)]
        for one in every
    ]  # fmt: skip
    seeds = listed(sorted({seed for one in every for seed in one.seeds}))
    return Table(
        name="best_rates", data=pd.DataFrame([_line(one) for one in every]), rows=rows,
        head=["schedule", "recipe", "branch read as", "best maximum", "end of the grid", "next best costs",
              "tuned under"],
        caption=f"The maximum with the lowest mean ln PPL of version {VERSION} over the tuning seeds ({seeds}), which "
        "enter no claim. One at an end of the grid may have a better one beyond it. Schedules whose tuning has not run "
        "take the cosine's; PTFS in order of arrival takes PTFS's.",
    )  # fmt: skip


def _beside(one: Best) -> str:
    """What the second best of the grid costs."""
    first, second = np.sort(one.loss.to_numpy(dtype=np.float64))[:2]
    return f"{100 * (second - first):+.2f} %"


def _line(one: Best) -> dict[str, object]:
    return {
        "schedule": one.schedule, "paradigm": one.recipe, "reading": one.reading, "max_lr": one.max_lr,
        "end_of_grid": one.end, "tuned_under": one.of, "version": VERSION, "seeds": " ".join(map(str, one.seeds)),
        "grid": " ".join(f"{float(str(rate)):g}" for rate in one.loss.index),
        "mean_loss": " ".join(f"{loss:.8g}" for loss in one.loss),
    }  # fmt: skip


BEST_RATES = TableOf("best_rates", make=best)

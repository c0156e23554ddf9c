"""PPL and cost by alpha."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import SWITCH, alpha_means, alpha_to_cpt
from analysis.formats import paired, plus_minus, text
from analysis.frames import View
from analysis.names import later, recipe_name, recipes, schedule_name, span
from analysis.tables.table import Table, ends, numerics_note, relative_cost, uneven
from repro.results.measures import EVERY


def alpha(view: View) -> Table | None:
    """PPL and cost by alpha."""
    scores = view.scores("alpha")
    rows, data = [], []
    scores = scores[scores["alpha"].notna()]
    cells = [(s, p) for s in dict.fromkeys(scores["schedule"]) for p in recipes(scores["paradigm"])]
    for schedule, recipe in cells:
        mean = alpha_means(view, schedule, recipe)
        beside = alpha_to_cpt(view, schedule, recipe).reindex(columns=mean.columns)
        mine = (scores["schedule"] == schedule) & (scores["paradigm"] == recipe)
        final = scores[mine & (scores["version"] == view.last)]
        name = schedule_name(schedule) if recipe == SWITCH else f"{schedule_name(schedule)}, {recipe_name(recipe)}"
        for value in mean.columns:
            known = mean[value].dropna()
            if known.empty:
                continue
            at = final[(final["alpha"] == value) & final["seed"].isin(known.index)]
            pairs = beside[value].dropna().to_numpy(dtype=np.float64)
            to_cpt = paired(pairs, len(known)) if len(pairs) else ""
            average = stats.mean_interval(np.exp(known.to_numpy(dtype=np.float64)))
            last = stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64))
            cost = relative_cost(view, at, view.last)
            rows.append(
                [
                    name,
                    text(value),
                    plus_minus(average),
                    plus_minus(last),
                    to_cpt,
                    f"{100 * cost:.0f} %",
                    str(average.n),
                ]
            )
            data.append(
                {"schedule": schedule if recipe == SWITCH else f"{schedule}, {recipe}", "alpha": value}
                | ends("mean_ppl", average)
                | ends("last_ppl", last)
                | {"relative_cost": cost, "mean_nats_above_cpt": beside[value].mean()}
            )
    if not rows:
        return None
    return Table(
        name="alpha", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "alpha", f"PPL {span(view.last)}", f"PPL v{view.last}", "PPL to CPT", "cost", "n"],
        caption=f"Path switching: alpha is the branch's share of a version's steps. PPL {EVERY}; to CPT: mean over "
        f"{later(view.last)}, paired by seed. Cost: steps of the run's own tree "
        f"over PTFS's.{uneven({int(row[-1]) for row in rows})} {numerics_note(view, 'alpha')}",
    )  # fmt: skip

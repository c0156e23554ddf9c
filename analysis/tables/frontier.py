"""Every recipe: regret by slice, and what the next update makes of its releases."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.formats import percent, plus_minus
from analysis.frames import View
from analysis.frontiers import FRONTIER, PLASTICITY, regret, schedules, updates
from analysis.names import decays, recipe_name, schedule_name, span
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note
from repro.results.measures import EVERY

REFERENCE = "cpt"
"""What the next update is compared with: its own is the full cycle that all are updated with."""


def regrets(view: View, study: str, name: str) -> Table | None:
    rows, data = [], []
    for schedule in schedules(view, study):
        found = regret(view, schedule, study)
        if found is None:
            continue
        for recipe, nats in found.by_slice.iterrows():
            worst = np.asarray(found.worst[str(recipe)], dtype=np.float64)
            cells = [f"{100 * value:.2f} %" for value in nats]
            mean = f"{100 * nats.mean():.2f} %"
            rows.append([schedule_name(schedule), recipe_name(str(recipe)), *cells, mean, percent(worst),
                         str(found.seeds)])  # fmt: skip
            data += [
                {"schedule": schedule, "recipe": recipe, "slice": part, "regret_nats": value, "n": found.seeds}
                for part, value in nats.items()
            ]
    if not rows:
        return None
    slices = sorted({str(line["slice"]) for line in data})
    return Table(
        name=name, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "recipe", *(f"slice {part}" for part in slices), "mean", "worst slice", "n"],
        caption=f"Regret of version {view.last}: PPL above that of the best recipe on each version's held-out slice, "
        "over seeds that all have; worst slice: paired by seed. Undecayed recipes are left out. "
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def regret_of(study: str) -> TableOf:
    """`regrets` as a study shows it."""
    name = "regret" if study == FRONTIER else f"regret_{study}"
    return TableOf(name, make=lambda view: regrets(view, study, name), per_setting=True)


def plasticity(view: View) -> Table | None:
    rows, data = [], []
    for schedule in schedules(view, PLASTICITY):
        means = updates(view, schedule)
        for recipe in means.columns:
            at = stats.mean_interval(np.exp(means[recipe].to_numpy(dtype=np.float64)))
            beside = ""
            if REFERENCE in means and recipe != REFERENCE:
                beside = percent((means[recipe] - means[REFERENCE]).to_numpy(dtype=np.float64))
            released = "" if decays(recipe) else "undecayed"
            rows.append([schedule_name(schedule), recipe_name(recipe), released, plus_minus(at), beside, str(at.n)])
            data.append({"schedule": schedule, "of": recipe} | ends("updated_ppl", at))
    if not rows:
        return None
    return Table(
        name=PLASTICITY, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "releases of", "released", f"PPL of the next update, {span(view.last)}", "to CPT's", "n"],
        caption="The next update, the same for all: version k - 1 as each recipe releases it, then one full cycle on "
        f"version k's data. PPL {EVERY}, mean over versions; to CPT's: paired by seed. All of these end "
        "decayed. From derived weights (means of checkpoints) the optimizer starts afresh. "
        f"{numerics_note(view, PLASTICITY)}",
    )  # fmt: skip


REGRET = regret_of(FRONTIER)
UPDATES = TableOf(PLASTICITY, make=plasticity)

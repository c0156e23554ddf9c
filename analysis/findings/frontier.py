"""Which recipes none beats on both PPL and cost, and which does least badly on its worst slice."""

import numpy as np

from analysis.figures.drawing import front
from analysis.formats import spoken
from analysis.frames import View
from analysis.frontiers import FRONTIER, points, regret, schedules
from analysis.names import recipe_name, schedule_name
from analysis.registries import Sentences


def frontier(view: View) -> list[str]:
    sentences = []
    for schedule in schedules(view, FRONTIER):
        table, seeds = points(view, schedule)
        if len(table) < 2:
            continue
        best = table.iloc[front(table["cost"].to_numpy(dtype=np.float64), table["ppl"].to_numpy(dtype=np.float64))]
        parts = [
            f"{recipe_name(str(one['paradigm']))}, {one['ppl']:.2f} at {100 * float(one['cost']):.3g} % of PTFS's steps"
            for one in best.to_dict("records")
        ]
        sentences.append(
            f"With {schedule_name(schedule)}, of {len(table)} recipes that decay or average, none beats these on both "
            f"PPL of version {view.last} and cost: {spoken(parts)} (n = {seeds})."
        )
        if found := regret(view, schedule):
            above = (100 * found.by_slice).max(axis=1).sort_values()
            least, most = (f"{recipe_name(str(above.index[at]))} ({above.iloc[at]:.2f} %)" for at in (0, -1))
            sentences.append(
                f"With {schedule_name(schedule)}, regret on a recipe's worst slice is least with {least} and largest "
                f"with {most}."
            )
    return sentences


FINDINGS = Sentences("frontier_findings", make=frontier)

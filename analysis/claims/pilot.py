"""P1 to P3: how CPT falls behind PTFS, and what it costs."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.parts import THREE_SCHEDULES, by_schedule, exact, measured, role
from analysis.contrasts import CPT, PTFS, tree_costs, versions_after_first
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Claim, pooled
from analysis.verdicts import Evidence

FAR_LESS = 0.5
"""CPT costs "far less" when it costs at most this share of PTFS at the last version."""


def p1(view: View) -> Evidence:
    cells, missing = by_schedule(view, view.scores(*pooled()), (PTFS, CPT), THREE_SCHEDULES, "pilot")
    parts = []
    for schedule, loss in cells.items():
        gap = (loss[CPT] - loss[PTFS]).mean(axis=1)
        parts.append(measured(f"CPT above PTFS, {schedule_name(schedule)}", gap, role=role(schedule)))
    return parts, missing


def p2(view: View) -> Evidence:
    if view.last < 3:
        return [], ["a trend over versions 2 to N needs at least 3 versions"]
    cells, missing = by_schedule(view, view.scores(*pooled()), (PTFS, CPT), THREE_SCHEDULES, "pilot")
    parts = []
    for schedule, loss in cells.items():
        gap = loss[CPT] - loss[PTFS]
        slope = pd.Series(stats.slopes(gap.to_numpy(), versions_after_first(view)), index=gap.index)
        what = f"growth of CPT's gap to PTFS, {schedule_name(schedule)}"
        parts.append(measured(what, slope, unit="% of PPL a version", role=role(schedule)))
    return parts, missing


def p3(view: View) -> Evidence:
    costs = tree_costs(view)
    parts = []
    for cpt in (one for one in costs if one.paradigm == CPT):
        for ptfs in (one for one in costs if one.paradigm == PTFS and set(one.schedules) & set(cpt.schedules)):
            ratio = 100 * float(cpt.steps[-1] / ptfs.steps[-1])
            saved = np.diff(ptfs.steps - cpt.steps)
            if not len(saved):
                continue
            what = f"CPT's cost over PTFS's ({cpt.label})"
            parts.append(exact(what, ratio, ratio <= 100 * FAR_LESS, unit="%", needs=f"<= {100 * FAR_LESS:g}"))
            least = float(saved.min())
            what = f"least growth of the cost gap with one version ({cpt.label})"
            parts.append(exact(what, least, least > 0, unit="T", needs="> 0"))
    return parts, []


CLAIMS = (
    Claim(
        id="P1", statement="PTFS reaches a lower PPL than CPT, for each of three schedules, over four versions",
        source="[article], [review]", study="pilot", evaluate=p1, equal_versions=True,
        estimator="ln PPL of CPT less PTFS, mean over versions 2 to N; paired by seed; each schedule",
        margin="above 0 for every schedule",
    ),
    Claim(
        id="P2", statement="That gap widens as versions accumulate",
        source="[article]", study="pilot", evaluate=p2, equal_versions=True,
        estimator="slope of that difference over versions 2 to N, one a seed (version 1 is the same run in both)",
        margin="above 0 for every schedule",
    ),
    Claim(
        id="P3", statement="CPT costs far less than PTFS, and the cost gap widens too",
        source="[article]", study="pilot", evaluate=p3, equal_versions=True,
        estimator="steps of CPT's own tree against PTFS's steps, over versions 1 to k",
        margin="at most half of PTFS's at version N, and a larger gap with every version; exact",
    ),
)  # fmt: skip

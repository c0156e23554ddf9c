"""P1 to P3: how CPT falls behind PTFS, and what it costs."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.parts import by_schedule, called, exact, measured, role
from analysis.contrasts import CPT, PTFS, losses, tree_costs, versions_after_first
from analysis.evidence import Evidence, Part
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Claim, pooled

FAR_LESS = 0.5
"""CPT costs "far less" when it costs at most this share of PTFS at the last version."""


def p1(view: View) -> Evidence:
    cells, missing = by_schedule(view, view.scores(*pooled()), (view.reference, CPT), "pilot")
    parts = [
        measured(
            f"CPT above {called(view.reference)}, version {version}, {schedule_name(schedule)}",
            (loss[CPT] - loss[view.reference])[version],
            role=role(schedule),
        )
        for schedule, loss in cells.items()
        for version in versions_after_first(view)
    ]
    return parts, missing


def p2(view: View) -> Evidence:
    if view.last < 3:
        return [], ["a trend over versions 2 to N needs at least 3 versions"]
    cells, missing = by_schedule(view, view.scores(*pooled()), (view.reference, CPT), "pilot")
    parts = []
    for schedule, loss in cells.items():
        slope = _growth(loss, view)
        what = f"growth of CPT's gap to {called(view.reference)}, {schedule_name(schedule)}"
        parts.append(measured(what, slope, unit="% of PPL a version", role=role(schedule)))
    return parts + _over_more_versions(view), missing


def _growth(loss: dict[str, pd.DataFrame], view: View) -> "pd.Series[float]":
    gap = loss[CPT] - loss[view.reference]
    return pd.Series(stats.slopes(gap.to_numpy(), [float(str(version)) for version in gap.columns]), index=gap.index)


def _over_more_versions(view: View) -> list[Part]:
    """The same in settings of study `versions`, which has more of them: it decides nothing."""
    parts = []
    for other in () if view.differs else view.ledger.views:
        if other.last <= view.last:
            continue
        there = replace(other, equal=view.equal, planned=view.planned, own_best=view.own_best, reference=view.reference)
        rows = there.scores("versions")
        for schedule in dict.fromkeys(rows["schedule"]):
            loss = losses(rows[rows["schedule"] == schedule], (view.reference, CPT), versions_after_first(there))
            if loss:
                what = (
                    f"growth of CPT's gap to {called(view.reference)}, {other.last} versions, {schedule_name(schedule)}"
                )
                parts.append(measured(what, _growth(loss, view), unit="% of PPL a version", role="shown"))
    return parts


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
        estimator="ln PPL of CPT less PTFS, by version; paired by seed; each schedule", twin=True,
        margin="above 0 for every version from 2 to N and every schedule",
    ),
    Claim(
        id="P2", statement="That gap widens as versions accumulate",
        source="[article]", study="pilot", evaluate=p2, equal_versions=True,
        estimator="slope of that difference over versions 2 to N, one per seed, on all slices (version 1 is the same "
        "run in both)", twin=True,
        margin="above 0 for every schedule",
    ),
    Claim(
        id="P3", statement="CPT costs far less than PTFS, and the cost gap widens too",
        source="[article]", study="pilot", evaluate=p3, equal_versions=True, exact=True,
        estimator="steps of CPT's own tree against PTFS's steps, over versions 1 to k",
        margin="at most half of PTFS's at version N, and a larger gap with every version; exact",
    ),
)  # fmt: skip

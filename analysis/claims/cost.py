"""T1: how costs grow with the number of versions."""

import numpy as np

from analysis.claims.parts import exact
from analysis.contrasts import PTFS, THREE, tree_costs
from analysis.evidence import Evidence
from analysis.frames import View
from analysis.names import recipe_name
from analysis.registries import Claim


def t1(view: View) -> Evidence:
    if view.last < 3:
        return [], ["telling linear from quadratic needs at least 3 versions"]
    costs = [one for one in tree_costs(view) if one.paradigm in THREE]
    if {one.paradigm for one in costs} != set(THREE):
        return [], []
    parts = []
    for cost in costs:
        bend = np.diff(cost.steps, 2).round(9)
        if cost.paradigm == PTFS:
            steady = bool(bend.min() > 0 and np.ptp(bend) == 0)
            what, needs = "PTFS: second difference of its cost", "> 0, always the same"
            parts.append(exact(what, float(bend.min()), steady, unit="T", needs=needs))
        else:
            what = f"{recipe_name(cost.paradigm)}: largest second difference of its cost ({cost.label})"
            most = float(np.abs(bend).max())
            parts.append(exact(what, most, most == 0, unit="T", needs="0"))
    return parts, []


CLAIMS = (
    Claim(
        id="T1",
        statement="Its cost, like CPT's, grows linearly with the number of versions; PTFS's grows quadratically",
        source="[article], [review]", study="headline", evaluate=t1, equal_versions=True, exact=True,
        estimator="second differences of steps over versions 1 to N, in units of T",
        margin="0 for CPT and path switching, a positive constant for PTFS; exact",
    ),
)  # fmt: skip

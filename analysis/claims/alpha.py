"""A1: what a longer branch buys."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.main import PUBLISHED_ALPHA
from analysis.claims.parts import exact, measured
from analysis.contrasts import SWITCH, alpha_losses, versions_after_first
from analysis.evidence import Evidence, Part
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Claim


def a1(view: View) -> Evidence:
    parts: list[Part] = []
    missing: list[str] = []
    costs = view.costs("alpha")
    costs = costs[costs["paradigm"] == SWITCH]
    for schedule in dict.fromkeys(costs["schedule"]):
        found, why = _falls(view, schedule)
        if why:
            missing.append(f"{why}, {schedule_name(schedule)}")
            continue
        parts += found
        final = costs[(costs["schedule"] == schedule) & (costs["version"] == view.last)]
        rise = np.diff(final.groupby("alpha")["relative_cost"].first().to_numpy(dtype=np.float64))
        what = f"least rise of cost from one alpha to the next, {schedule_name(schedule)}"
        least = 100 * float(rise.min())
        parts.append(exact(what, least, least > 0, unit="% of PTFS's cost", needs="> 0"))
    return parts, missing


def _falls(view: View, schedule: str) -> tuple[list[Part], str]:
    """How PPL falls with alpha, version by version; or why that cannot be said."""
    parts = []
    for version in versions_after_first(view):
        loss = alpha_losses(view, schedule, version)
        several = loss[loss.notna().sum(axis=1) > 1]
        if len(loss.columns) < 3 or several.empty:
            return [], "no seed has two alphas" if len(loss.columns) >= 3 else "a trend needs at least 3 alphas"
        # Each seed over the alphas that it has: none is dropped because another seed has more.
        slopes = {
            seed: stats.slopes(row.dropna().to_numpy(), list(row.dropna().index)) for seed, row in several.iterrows()
        }
        fall = pd.Series({seed: -float(slope) / 10 for seed, slope in slopes.items()})
        where = f"version {version}, {schedule_name(schedule)}"
        parts.append(measured(f"fall of PPL for each 0.1 of alpha, {where}", fall))
        parts += _balance(loss, where)
    return parts, ""


def _balance(loss: pd.DataFrame, where: str) -> list[Part]:
    """What alpha gains up to the published one, beside what it gains beyond."""
    alphas = [float(alpha) for alpha in loss.columns]
    if PUBLISHED_ALPHA not in alphas[1:-1]:
        return []
    ends = loss[[alphas[0], PUBLISHED_ALPHA, alphas[-1]]].dropna()
    before = (ends[alphas[0]] - ends[PUBLISHED_ALPHA]) / (PUBLISHED_ALPHA - alphas[0])
    after = (ends[PUBLISHED_ALPHA] - ends[alphas[-1]]) / (alphas[-1] - PUBLISHED_ALPHA)
    what = f"gain for 0.1 of alpha up to {PUBLISHED_ALPHA}, less the gain beyond it, {where}"
    return [measured(what, (before - after) / 10, role="shown")] if len(ends) else []


CLAIMS = (
    Claim(
        id="A1", statement="A higher alpha gives a lower PPL and a higher cost",
        source="[article]", study="alpha", evaluate=a1, equal_versions=True,
        estimator="slope of ln PPL against alpha, one per seed, by version from 2 on; relative cost by alpha",
        margin="PPL falls at every version (apart from 0) and cost rises with alpha; that 0.6 is the balance is a "
        "choice, not judged",
    ),
)  # fmt: skip

"""What claims are made of: quantities with a margin, from losses paired by seed.

Margins are those of docs/protocol.md, fixed before any run that they judge; changing one changes a verdict and belongs
in a commit of its own. Differences are in nats per token, shown as per cent of PPL (100 x nats).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from analysis import stats
from analysis.commands import command
from analysis.contrasts import CPT, SWITCH, losses, recovery, versions_after_first
from analysis.evidence import Part
from analysis.frames import View
from analysis.names import VARIANT, recipe_name, schedule_name
from analysis.registries import Role

Series: TypeAlias = "pd.Series[float]"
"""One entry per seed."""
Losses: TypeAlias = "Mapping[str, pd.DataFrame]"
"""By recipe: (seeds, versions)."""

MATCH = 0.01
"""Path switching "matches" PTFS when its PPL lies less than this above it, in nats per token: 1 %."""
STRICTER_AND_LOOSER = (0.005, 0.02)
"""Margins that are shown beside it and decide nothing."""
THREE_SCHEDULES = ("cosine", "knee", "multi_step")
"""Those that the paper's claims speak of."""
PER_CENT = "% of PPL"


def measured(
    what: str,
    values: Series,
    *,
    unit: str = PER_CENT,
    above: float | None = None,
    below: float | None = None,
    tie: float = 0.0,
    equal: float | None = None,
    moves: bool = True,
    role: Role = "decides",
) -> Part:
    """The mean over seeds of `values` must be above `above`, or below `below`; above 0 where neither is given.

    Values and margins are nats per token where the unit is per cent of PPL.

    Args:
        tie: that far on the wrong side of `above` still counts.
        equal, moves: see `Part`.
    """
    nats = np.asarray(values, dtype=np.float64)
    interval = stats.mean_interval(nats)
    scale = 100.0 if unit.startswith(PER_CENT) else 1.0
    least = (above or 0.0) - tie
    contrast = nats - least if below is None else below - nats
    needs = f"> {scale * least:.3g}" if below is None else f"< {scale * below:.3g}"
    return Part(
        what=what, unit=unit, needs=needs, estimate=scale * interval.estimate, low=scale * interval.low,
        high=scale * interval.high, contrast=contrast, seeds=tuple(int(seed) for seed in values.index), role=role,
        tie=tie, equal=equal, moves=moves,
    )  # fmt: skip


def recovered(where: str, gained: Series, gap: Series) -> list[Part]:
    """The share of `gap` that `gained` is, both in nats per token, with Fieller's interval; none without a gap."""
    found = recovery(gained, gap)
    if not found.established:
        return []
    share = found.share
    return [
        Part(
            what=f"gap recovered, {where}", unit="% of the gap", needs="", estimate=100 * share.estimate,
            low=100 * share.low, high=100 * share.high, contrast=np.asarray(gained, dtype=np.float64),
            seeds=tuple(int(seed) for seed in gained.index), role="shown",
        )
    ]  # fmt: skip


def exact(what: str, estimate: float, holds: bool, *, unit: str, needs: str, role: Role = "decides") -> Part:
    return Part(
        what=what, unit=unit, needs=needs, estimate=estimate, low=estimate, high=estimate,
        contrast=np.array([1.0 if holds else -1.0]), role=role,
    )  # fmt: skip


def beats(where: str, loss: Losses, gap: "pd.DataFrame | None", version: int, role: Role = "decides") -> Part:
    """CPT's PPL lies above path switching's at a version.

    Args:
        gap: of CPT to PTFS: how far that would be if path switching equalled PTFS.
    """
    equal = None if gap is None else float(gap[version].mean())
    lead = (loss[CPT] - loss[SWITCH])[version]
    return measured(f"CPT above path switching, version {version}, {where}", lead, equal=equal, role=role)


def matches(
    where: str, loss: Losses, reference: str, version: int, role: Role = "decides", with_cpt: "Losses | None" = None
) -> list[Part]:
    """Path switching's PPL lies less than 1 % above PTFS's at a version; beside it other margins, and the share of the
    gap that it recovers.

    Args:
        with_cpt: of seeds that have CPT, too, which the share alone needs; None: `loss`.
    """
    behind = (loss[SWITCH] - loss[reference])[version]
    what = f"path switching above {called(reference)}, version {version}, {where}"
    others = [
        measured(f"{what}, margin {100 * margin:g} %", behind, below=margin, role="shown")
        for margin in STRICTER_AND_LOOSER
    ]
    three = loss if with_cpt is None else with_cpt
    cpt = [] if CPT not in three else recovered(f"version {version}, {where}",
                                                (three[CPT] - three[SWITCH])[version],
                                                (three[CPT] - three[reference])[version])  # fmt: skip
    return [measured(what, behind, below=MATCH, equal=MATCH, role=role), *others, *cpt]


def called(reference: str) -> str:
    """PTFS or its twin, in words."""
    return "PTFS in order of arrival" if VARIANT in reference else recipe_name(reference)


def by_schedule(
    view: View, scores: pd.DataFrame, paradigms: Sequence[str], study: str
) -> tuple[dict[str, dict[str, pd.DataFrame]], list[str]]:
    """Losses of versions 2 to N by schedule, others than the paper's too; and which of the paper's have none."""
    found = {}
    plain = [schedule for schedule in dict.fromkeys(scores["schedule"]) if VARIANT not in schedule]
    for schedule in dict.fromkeys([*THREE_SCHEDULES, *plain]):
        loss = losses(scores[scores["schedule"] == schedule], paradigms, versions_after_first(view))
        if loss:
            found[schedule] = loss
    lacking = [schedule for schedule in THREE_SCHEDULES if schedule not in found]
    asked = scores[scores["paradigm"].isin(paradigms) & ~np.isfinite(scores["loss"])]
    lost = [schedule for schedule in lacking if schedule in set(asked["schedule"])]
    notes = [f"{schedule_name(schedule)}: no seed has all of them, and runs diverged" for schedule in lost]
    absent = ", ".join(schedule_name(schedule) for schedule in lacking if schedule not in lost)
    asking = command(study, view.ledger.scale, replace(view, equal=False))  # whose setting some run has
    return found, [*notes, *([f"not run: {absent} ({asking})"] if absent else [])]


def role(schedule: str) -> Role:
    """The claims speak of three schedules; what another one does is shown."""
    return "decides" if schedule in THREE_SCHEDULES else "shown"

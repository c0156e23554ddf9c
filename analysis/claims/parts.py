"""What claims are made of: quantities with a margin, from losses paired by seed.

Margins were fixed before any run was looked at; changing one changes a verdict and belongs in a commit of its own.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from analysis import stats
from analysis.commands import command
from analysis.contrasts import CPT, PTFS, SWITCH, losses, recovery, versions_after_first
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Role
from analysis.verdicts import Part

Series: TypeAlias = "pd.Series[float]"
"""One entry a seed."""

RECOVERED = 0.8
"""Path switching "matches" PTFS when it recovers more than this share of the gap between CPT and PTFS."""
THREE_SCHEDULES = ("cosine", "knee", "multi_step")
"""Those that the paper's claims speak of."""


def measured(what: str, values: Series, *, unit: str = "% of PPL", above: float = 0.0, role: Role = "decides") -> Part:
    """The mean over seeds of `values` (nats a token where the unit is per cent of PPL) must be above `above`."""
    contrast = np.asarray(values, dtype=np.float64)
    interval = stats.mean_interval(contrast)
    show = _percent if unit.startswith("% of PPL") else float
    return Part(
        what=what, unit=unit, needs=f"> {show(above):.3g}", estimate=show(interval.estimate), low=show(interval.low),
        high=show(interval.high), contrast=contrast - above, seeds=_seeds(values), role=role,
    )  # fmt: skip


def recovered(where: str, gained: Series, gap: Series, role: Role = "decides") -> Part:
    """The share of `gap` that `gained` is, both in nats a token.

    Decided on the linear contrast gained - RECOVERED x gap, which is sound for any gap; shown as a share with Fieller's
    interval where there is a gap to recover, as that contrast otherwise.
    """
    contrast, seeds = np.asarray(gained - RECOVERED * gap, dtype=np.float64), _seeds(gained)
    found = recovery(gained, gap)
    if not found.established:
        point = stats.mean_interval(contrast)
        return Part(
            what=f"point {100 * RECOVERED:g} % of the way from CPT to PTFS above path switching, {where} "
            "(no gap is established, so no share is shown)",
            unit="% of PPL", needs="> 0", estimate=_percent(point.estimate), low=_percent(point.low),
            high=_percent(point.high), contrast=contrast, seeds=seeds, role=role,
        )  # fmt: skip
    share = found.share
    return Part(
        what=f"gap recovered, {where}", unit="% of the gap", needs=f"> {100 * RECOVERED:g}",
        estimate=100 * share.estimate, low=100 * share.low, high=100 * share.high, contrast=contrast, seeds=seeds,
        role=role,
    )  # fmt: skip


def exact(what: str, estimate: float, holds: bool, *, unit: str, needs: str, role: Role = "decides") -> Part:
    return Part(
        what=what, unit=unit, needs=needs, estimate=estimate, low=estimate, high=estimate,
        contrast=np.array([1.0 if holds else -1.0]), role=role,
    )  # fmt: skip


def _percent(nats: float) -> float:
    return 100 * float(np.expm1(nats))


def _seeds(values: Series) -> tuple[int, ...]:
    return tuple(int(seed) for seed in values.index)


def by_schedule(
    view: View, scores: pd.DataFrame, paradigms: Sequence[str], wanted: Sequence[str], study: str
) -> tuple[dict[str, dict[str, pd.DataFrame]], list[str]]:
    """Losses by schedule, others than the wanted ones too; and which of the wanted ones have none."""
    found = {}
    for schedule in dict.fromkeys([*wanted, *scores["schedule"]]):
        loss = losses(scores[scores["schedule"] == schedule], paradigms, versions_after_first(view))
        if loss:
            found[schedule] = loss
    absent = ", ".join(schedule_name(schedule) for schedule in wanted if schedule not in found)
    return found, [f"not run: {absent} ({command(study, view.ledger.scale, view)})"] if absent else []


def role(schedule: str) -> Role:
    """The claims speak of three schedules; what another one does is shown."""
    return "decides" if schedule in THREE_SCHEDULES else "shown"


def matches(where: str, loss: dict[str, pd.DataFrame], role: Role = "decides") -> list[Part]:
    mean = {paradigm: frame.mean(axis=1) for paradigm, frame in loss.items()}
    return [
        measured(f"CPT above path switching, {where}", mean[CPT] - mean[SWITCH], role=role),
        recovered(where, mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS], role),
        measured(f"PTFS above path switching, {where}", mean[PTFS] - mean[SWITCH], role="shown"),
    ]

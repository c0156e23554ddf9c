"""Claims with their evidence and verdicts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.tables.table import Table, quantity
from analysis.verdicts import Judged

POWER = ("power_equal", "power_half_worse", "power_one_worse")
"""Columns of `Judged.power`: path switching equals PTFS, is 0.5 % worse, 1 % worse."""


def scorecard(judged: Sequence[Judged], name: str = "scorecard") -> Table:
    """Every claim with its weakest evidence and verdict."""
    rows = []
    for one in judged:
        part = one.weakest
        evidence = f"{part.what}: {quantity(part)}; needs {part.needs}" if part else ""
        rows.append([one.claim.id, one.statement, one.claim.source, evidence, one.verdict, one.reason])
    return Table(
        name=name, data=verdicts(judged), rows=rows,
        head=["", "claim", "from", "weakest evidence [95 % interval]", "verdict", "because"],
        caption="A claim is reproduced when the 95 % interval of every part of it lies beyond its margin, contradicted "
        "when one is on the wrong side of it (Holm over the claim's parts), both after Holm's correction over the "
        "scorecard, and undecided otherwise. What stands beside a claim is not corrected. The weakest part is shown.",
    )  # fmt: skip


def claim_parts(judged: Sequence[Judged]) -> Table:
    """Every quantity behind every verdict."""
    rows, data = [], []
    known: set[tuple[str, str, str, float]] = set()
    for one in judged:
        for part in one.parts:
            if (key := (one.claim.id, one.beside, part.what, part.estimate)) in known:
                continue  # what both readings of the branch rest on
            known.add(key)
            n = "exact" if part.exact else str(len(part.seeds))
            needs = (
                part.needs
                if part.role == "decides"
                else f"({part.role})"
                if part.role == "shown"
                else f"{part.needs} (premise)"
            )
            effect = "" if np.isnan(part.effect) else f"{part.effect:+.1f}"
            rows.append(
                [one.claim.id, one.beside, part.what, quantity(part), needs, effect, "yes" if part.holds else "no", n]
            )
            data.append(
                {
                    "claim": one.claim.id,
                    "beside": one.beside,
                    "part": part.what,
                    "role": part.role,
                    "estimate": part.estimate,
                    "low": part.low,
                }
                | {"high": part.high, "unit": part.unit, "needs": part.needs, "effect": part.effect}
                | {"n": len(part.seeds), "p": part.p}
            )
    return Table(
        name="claim_parts", data=pd.DataFrame(data), rows=rows,
        head=["claim", "beside", "quantity", "estimate [95 % interval]", "needs", "effect", "holds", "n"],
        caption="Effect: distance from the margin in standard deviations over seeds; a positive one speaks for the "
        "claim. Rows marked as shown do not decide. Beside: what a row departs in from the scorecard's own verdict.",
    )  # fmt: skip


def verdicts(judged: Sequence[Judged]) -> pd.DataFrame:
    """claims.csv: one row per claim and setting."""
    rows = []
    for one in judged:
        part = one.weakest
        row: dict[str, object] = {
            "setting": one.view.label or "primary", "claim": one.claim.id, "reading": one.reading,
            "beside": one.beside,
            "statement": one.statement,
            "source": one.claim.source, "study": one.claim.study, "estimator": one.claim.estimator,
            "margin": one.claim.margin, "verdict": one.verdict, "reason": one.reason,
        }  # fmt: skip
        if part:
            row |= {
                "weakest_part": part.what, "estimate": part.estimate, "low": part.low, "high": part.high,
                "unit": part.unit, "needs": part.needs, "n": "exact" if part.exact else len(part.seeds),
                "seeds": " ".join(map(str, part.seeds)), "p": one.p, "p_holm": one.p_holm,
            } | dict(zip(POWER, one.power.values(), strict=False))  # fmt: skip
        rows.append(row | {"command": one.command})
    columns = [
        "setting", "claim", "reading", "beside", "statement", "source", "study", "estimator", "margin", "verdict",
        "reason", "weakest_part",
        "estimate", "low", "high", "unit", "needs", "n", "seeds", "p", "p_holm", *POWER, "command",
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=columns)

"""Whether a pilot would have given the same advice as all that a ledger holds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repro.advice.candidates import Candidate, Pilot, same
from repro.advice.decisions import Advice, advise
from repro.advice.evidence import Cell
from repro.advice.selection import learn
from repro.common.errors import UserError


def agreement(pilot: Pilot, advice: Advice, cells: Sequence[Cell], asked: Sequence[Candidate]) -> dict[str, Any] | None:
    """The decision from the pilot's runs alone, and each recipe's PPL over retraining from them and from everything.

    None: the ledger does not hold the pilot, or holds nothing else.
    """
    seeds = sorted({candidate.run.settings.seed for candidate in pilot.runs})
    kinds = [cell for cell in cells if any(same(each.about, dict(cell.about)) for each in pilot.runs)]
    held = sorted({seed for cell in kinds for seed in cell.seeds})
    chosen = seeds if set(seeds) <= set(held) else held[: len(seeds)]
    part = [_of(cell, chosen) for cell in kinds]
    if len(part) == len(cells) and chosen == held:
        return None
    try:
        least = advise(asked, advice.question, learn(part, asked, advice.question.parameters))
    except UserError:
        return None
    rows = {row.candidate.name: row for row in least.rows if row.over}
    there = next((row for row in advice.comparable if row.candidate.name == least.decision.candidate.name), None)
    worse = None if there is None else there.regret - min(row.regret for row in advice.comparable)
    compared = []
    for row in advice.rows:
        other = rows.get(row.candidate.name)
        if row.over and other is not None and not row.retraining:
            low, high = other.regret - other.half, other.regret + other.half
            inside = None if np.isnan(other.half) else bool(low <= row.regret <= high)
            compared.append(
                {"recipe": row.candidate.name, "from_pilot": other.regret,
                 "interval_percent": None if np.isnan(other.half) else [low, high],
                 "from_everything": row.regret, "basis": row.losses[-1].basis, "inside": inside}
            )  # fmt: skip
    return {
        "kinds": len(part),
        "seeds": chosen,
        "decision": least.decision.candidate.name,
        "same_decision": least.decision.candidate.name == advice.decision.candidate.name,
        "worse_percent": worse,
        "recipes": compared,
    }


def _of(cell: Cell, seeds: Sequence[int]) -> Cell:
    versions = [
        replace(version, losses={chance: loss for chance, loss in version.losses.items() if chance.seed in seeds})
        for version in cell.versions
    ]
    return replace(cell, versions=tuple(version for version in versions if version.losses))

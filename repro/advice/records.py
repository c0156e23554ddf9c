"""Predictions frozen before runs exist, and compared with them after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.advice.candidates import same
from repro.advice.decisions import Advice
from repro.advice.evidence import USUAL, Cell
from repro.advice.predictions import Estimate
from repro.advice.telling import row_content, sentence
from repro.common.disk import Flaw, read_document, write_document
from repro.common.errors import UserError


def record(path: Path, advice: Advice, cells: Sequence[Cell], fingerprint: str) -> None:
    """Freeze what is predicted.

    Args:
        cells: all that the ledger holds.

    Raises:
        UserError: the ledger holds some of the runs already, or the file is there.
    """
    if path.exists():
        raise UserError(f"record={path} is there already, and predictions are not changed afterwards; name another.")
    if any(row.candidate.parameters is not None for row in advice.rows):
        raise UserError(
            f"record={path} is of what will be trained, and advise.parameters asks about another size; model and size "
            "choose one."
        )
    held = {row.candidate.name: versions_held(row.candidate.about, cells) for row in advice.rows}
    known = [row.candidate.name for row in advice.rows if row.candidate.run.versions in held[row.candidate.name]]
    if known:
        raise UserError(
            f"record={path}: the ledger already holds runs that would be predicted, so that nothing would be shown: "
            f"{'; '.join(known)}. Ask about recipes that it does not hold."
        )
    predicted = [row_content(row) | {"known": held[row.candidate.name]} for row in advice.rows if row.losses]
    if not predicted:
        raise UserError(f"record={path}: none of the recipes asked about can be predicted.")
    if advice.laws > 1:
        rates = ", ".join(advice.known)
        raise UserError(
            f"record={path} holds what one law predicts, and schedule.max_lr={rates} have laws of their own; record "
            "them one at a time."
        )
    knowledge = advice.knowledge
    write_document(
        path,
        {
            "ledger": fingerprint,
            "law": knowledge.law.fit.law.label,
            "left_out_rms_percent": 100 * knowledge.law.error,
            "decision": advice.decision.candidate.name,
            "text": sentence(advice),
            "seed_effects": {str(seed): effect for seed, effect in knowledge.evidence.effects.items()},
            "seed_level": knowledge.level,
            "seed_scatter": None if knowledge.one_seed else knowledge.evidence.scatter,
            "predictions": predicted,
        },
        "record",
    )


def versions_held(about: dict[str, str], cells: Sequence[Cell]) -> list[int]:
    """Versions of a recipe that a ledger holds."""
    return sorted({v.number for cell in cells if same(about, dict(cell.about)) for v in cell.versions})


def load(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        UserError: there is none, or it was altered.
    """
    try:
        found = read_document(path)
    except Flaw as flaw:
        raise UserError(f"score={path} {flaw}; a record that was changed scores nothing.") from None
    if found is None:
        raise UserError(f"score={path} is not there; record={path} writes it, before the runs exist.")
    if lacks := sorted({"predictions", "law", "decision"} - found.keys()):
        raise UserError(f"score={path} is no record of predictions (it has no {', '.join(lacks)}); record= writes one.")
    return found


@dataclass(frozen=True)
class Outcome:
    """A version that was predicted, and came."""

    recipe: str
    version: int
    seeds: int
    predicted: float
    seen: float
    half: float
    """Of the interval, for a mean over the seeds that came."""
    extrapolated: bool
    compared: bool

    @property
    def error(self) -> float:
        """In per cent of PPL."""
        return 100 * float(np.expm1(self.predicted - self.seen))

    @property
    def covered(self) -> bool:
        return abs(self.predicted - self.seen) <= self.half


def outcomes(record: dict[str, Any], cells: Sequence[Cell]) -> list[Outcome]:
    """Predicted versions that a ledger holds now, and did not hold then; less the effects of seeds that were known."""
    effects: dict[str, float] = record.get("seed_effects", {})
    scatter: float = record.get("seed_scatter") or 0.0
    level: float = record.get("seed_level", 0.0)
    found = []
    for each in record["predictions"]:
        about = USUAL | each["about"]
        alike = [cell for cell in cells if same(about, dict(cell.about))]
        if not alike:
            continue
        cell = max(alike, key=lambda cell: len(cell.versions))
        for version in cell.versions:
            if version.number > len(each["versions"]) or version.number in each["known"]:
                continue
            told = each["versions"][version.number - 1]
            known = {int(seed): effect for seed, effect in effects.items()}
            losses = [loss - known.get(seed, 0.0) for seed, loss in version.loss.items()]
            nothing = float("nan")
            spread, noise = (nothing if told[name] is None else told[name] for name in ("spread", "noise"))
            strange = len(version.loss.keys() - known.keys()) / len(losses)
            noise = float(np.sqrt(noise**2 + strange * scatter**2))
            # Where only known seeds came, their effects are taken off, and the mean of others' plays no part.
            spread = spread if strange else float(np.sqrt(max(spread**2 - level**2, 0.0)))
            half = Estimate(told["loss"], spread, noise, told["freedom"]).half(len(losses))
            extrapolated = bool(each["extrapolated"])
            one = Outcome(
                each["name"], version.number, len(losses), told["loss"], float(np.mean(losses)), half, extrapolated,
                each["compared"],
            )  # fmt: skip
            found.append(one)
    return found


def score(path: Path, cells: Sequence[Cell]) -> dict[str, Any]:
    """How a record's predictions came out, in JSON's own types.

    Raises:
        UserError: as `load`; or none of the runs exist yet.
    """
    if (scored := _score(path, cells)) is None:
        raise UserError(f"score={path}: the ledger holds none of the predicted runs yet.")
    return scored


def _score(path: Path, cells: Sequence[Cell]) -> dict[str, Any] | None:
    """None: none of the runs exist yet."""
    record = load(path)
    if not (came := outcomes(record, cells)):
        return None
    inside = [each for each in came if not each.extrapolated]
    last = max(each.version for each in came)
    final = {each.recipe: each for each in came if each.version == last and each.compared}
    return {
        "record": path.name,
        "law": record["law"],
        "ledger": record["ledger"],
        "summary": _summary("all", came)
        | {
            "in_range": _summary("in range", inside),
            "updates": _summary("versions from 2 on, in range", [each for each in inside if each.version > 1]),
        },
        "rank_correlation": _ranks(final),
        "regret_percent": _regret(record["decision"], final),
        "decision": record["decision"],
        "missing": sorted({each["name"] for each in record["predictions"]} - {each.recipe for each in came}),
        "rows": [
            {"recipe": each.recipe, "version": each.version, "seeds": each.seeds, "predicted": each.predicted,
             "seen": each.seen, "error_percent": each.error, "half_percent": 100 * each.half,
             "covered": each.covered, "extrapolated": each.extrapolated}
            for each in came
        ],
    }  # fmt: skip


def _summary(name: str, came: Sequence[Outcome]) -> dict[str, Any]:
    errors = [abs(each.error) for each in came]
    known = [each for each in came if np.isfinite(each.half)]
    return {
        "of": name,
        "predictions": len(came),
        "median_error_percent": float(np.median(errors)) if came else None,
        "worst_error_percent": max(errors) if came else None,
        "bias_percent": float(np.mean([each.error for each in came])) if came else None,
        "coverage": float(np.mean([each.covered for each in known])) if known else None,
    }


def _ranks(final: dict[str, Outcome]) -> float | None:
    """Spearman's, of the last versions; None: too few."""
    if len(final) < 3:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr([e.predicted for e in final.values()], [e.seen for e in final.values()]).statistic)


def _regret(decision: str, final: dict[str, Outcome]) -> float | None:
    """How much worse in PPL what was advised is than the best of what came, in per cent; None: it did not come."""
    if decision not in final:
        return None
    return 100 * float(np.expm1(final[decision].seen - min(each.seen for each in final.values())))


def scores(folder: Path, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """All records of a folder that a ledger can tell about, without their rows.

    Raises:
        UserError: one was altered: a prediction that failed does not disappear.
    """
    scored = [_score(path, cells) for path in sorted(folder.glob("*.json"))]
    return [{name: value for name, value in each.items() if name != "rows"} for each in scored if each]

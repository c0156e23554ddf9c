"""From parts with margins to a verdict: reproduced, contradicted, undecided or not run.

Every quantity is signed so that a positive one speaks for the claim. In words: docs/claims.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import yaml

from analysis import lengths, readings, stats
from analysis.frames import View
from analysis.registries import CLAIMS, STUDIES, Claim, Role, pooled
from repro.config.places import CONF

Verdict = Literal["reproduced", "contradicted", "undecided", "not run"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One quantity that a claim stands on."""

    what: str
    unit: str
    needs: str
    """The margin, as shown: "> 0", "> 80"."""
    estimate: float
    low: float
    high: float
    contrast: stats.Values
    """One entry a seed; the part holds when its mean is above 0. Margins are already taken off."""
    seeds: tuple[int, ...] = ()
    """Empty for arithmetic on the tree, which needs none."""
    role: Role = "decides"

    @property
    def exact(self) -> bool:
        return not self.seeds

    @property
    def holds(self) -> bool:
        if self.exact:
            return bool(self.contrast[0] > 0)
        return bool(stats.mean_interval(self.contrast).low > 0)

    @property
    def p(self) -> float:
        return np.nan if self.exact else stats.p_value(self.contrast)

    @property
    def effect(self) -> float:
        """Effect size: distance from the margin in standard deviations over seeds; NaN for one seed or none."""
        return stats.effect(self.contrast) if len(self.seeds) > 1 else np.nan

    @property
    def weakness(self) -> float:
        """To find a claim's weakest part: one-sided p of "it does not hold"; for one seed or none only which side."""
        if len(self.seeds) > 1:
            return stats.p_below(self.contrast)
        return float(np.mean(self.contrast) <= 0)


def weakest(parts: Sequence[Part]) -> Part | None:
    """The deciding part that is nearest to failing (or fails by most); arithmetic counts only if it fails."""
    deciding = [part for part in parts if part.role == "decides"]
    return max(deciding, key=lambda part: (not (part.exact and part.holds), part.weakness), default=None)


Evidence = tuple[list[Part], list[str]]
"""Parts that could be computed, and what is missing, in words."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict in one setting."""

    claim: Claim
    view: View = field(repr=False)
    parts: list[Part]
    verdict: Verdict
    reason: str
    p: float
    """Two-sided, of the weakest part; contradicted: of the part that speaks most against it, by Holm over its parts."""
    p_holm: float
    """Holm's correction over all claims of this setting that have a p."""
    reading: str = ""
    """Of the branch, where the verdicts of its readings rest on other runs."""

    @property
    def statement(self) -> str:
        return f"{self.claim.statement}, its branch read as a {self.reading}" if self.reading else self.claim.statement

    @property
    def weakest(self) -> Part | None:
        return weakest(self.parts)

    @property
    def command(self) -> str:
        return command(self.claim.study, self.view.ledger.scale, self.view)


def command(study: str, scale: str, view: View | None = None) -> str:
    """What makes a study's results, in the view's setting where that is another stream, with the seeds it has there,
    and with torch's own products where it has those: they are no longer the default on a CPU."""
    more = f" {view.label}" if view and list(view.differs) == ["stream"] else ""
    seeds = ",".join(str(seed) for seed in sorted(set(view.runs(study)["seed"]))) if view else ""
    path = CONF / "scale" / f"{scale}.yaml"
    if seeds and path.is_file() and seeds != str(yaml.safe_load(path.read_text())["sweep"]["seed"]):
        more += f" seed={seeds}"
    if view and _own_products(view, study):
        more += " numerics.matmul=torch"
    verbs = STUDIES[study].verbs if study in STUDIES else ("train",)
    return " && ".join(f"python -m repro.{verb} study={study} scale={scale}{more}" for verb in verbs)


def _own_products(view: View, study: str) -> bool:
    """Whether all of a study, or all there is if it was not run, was run on CPUs with torch's own products."""
    rows = view.ledger.numerics
    runs = view.runs(study)
    used = set((runs if len(runs) else view.runs(*view.ledger.reported))["numerics"])
    on_cpu = set(rows[(rows["setting"] == "device") & (rows["value"] == "cpu")]["numerics"])
    otherwise = set(rows[rows["setting"] == "matmul"]["numerics"])
    return bool(used) and used <= on_cpu - otherwise


def judge(view: View) -> list[Judged]:
    """Every claim's verdict in one setting, in the order of `CLAIMS`; of M1, under each reading of the branch."""
    judged = [one for claim in CLAIMS.values() for one in _under_each_reading(claim, view)]
    adjusted = stats.holm([one.p for one in judged])
    return [replace(one, p_holm=p) for one, p in zip(judged, adjusted, strict=True)]


def _under_each_reading(claim: Claim, view: View) -> list[Judged]:
    plain = _verdict(claim, view)
    if not claim.readings:
        return [plain]
    each = [replace(_verdict(claim, view.under(reading)), view=view, reading=reading) for reading in readings.READINGS]
    rest_on = [([(part.what, part.estimate) for part in one.parts], one.reason) for one in each]
    return [plain] if all(one == rest_on[0] for one in rest_on) else each


def _verdict(claim: Claim, view: View) -> Judged:
    parts, missing = claim.evaluate(view.of_equal_versions() if claim.equal_versions else view)
    left_out = _left_out(claim, view)
    deciding = [part for part in parts if part.role == "decides"]
    if not deciding:
        why = missing or [f"not run: {command(claim.study, view.ledger.scale, view)}"]
        reason = "; ".join([*why, *left_out])
        return Judged(claim=claim, view=view, parts=parts, verdict="not run", reason=reason, p=np.nan, p_holm=np.nan)
    # "For all" needs no correction where every part must hold, but "one of them fails" does.
    adjusted = stats.holm([part.p for part in deciding])
    against = {
        part.what: p
        for part, p in zip(deciding, adjusted, strict=True)
        if (part.exact and not part.holds) or (p < 1 - stats.LEVEL and np.mean(part.contrast) < 0)
    }
    open_parts = [part for part in deciding if not part.holds]
    premises = [part for part in parts if part.role == "premise" and not part.holds]
    verdict: Verdict
    if premises:
        verdict, reason = "undecided", f"its premise is not established: {premises[0].what} ({_seeds_text(premises)})"
    elif against:
        verdict, reason = "contradicted", f"against it: {'; '.join(against)}"
    elif open_parts:
        verdict, reason = "undecided", _seeds_text(open_parts, len(deciding))
    elif missing:
        verdict, reason = "undecided", f"holds in what was run ({_coverage(deciding)})"
    else:
        verdict, reason = "reproduced", _coverage(deciding)
    reason = "; ".join([reason, *missing, *left_out, *([claim.note] if claim.note else [])])
    least = weakest(parts)
    assert least is not None
    measured = [p for p in against.values() if not np.isnan(p)]
    p = min(measured, default=np.nan) if verdict == "contradicted" else least.p
    return Judged(claim=claim, view=view, parts=parts, verdict=verdict, reason=reason, p=p, p_holm=np.nan)


def _left_out(claim: Claim, view: View) -> list[str]:
    """What a claim that speaks of equal versions says of the runs over others that it is not judged on."""
    if not claim.equal_versions:
        return []
    studies = pooled() if claim.study in pooled() else (claim.study,)
    count = int(lengths.unequal(view.runs(*studies)).sum())
    return [f"judged on equal versions only: {count} runs of unequal versions left out"] if count else []


def _coverage(parts: list[Part]) -> str:
    counts = {len(part.seeds) for part in parts if not part.exact}
    if not counts:
        return "arithmetic on the tree"
    low, high = min(counts), max(counts)
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"


def _seeds_text(parts: list[Part], deciding: int = 1) -> str:
    """How many seeds would decide: for the claim all of its parts must hold, against it one of `deciding` must fail."""
    if any(len(part.seeds) == 1 for part in parts):
        return "1 seed; at least 2 needed for an interval"
    failing = [part for part in parts if np.mean(part.contrast) < 0]
    if failing:
        level = 1 - (1 - stats.LEVEL) / deciding  # Holm's first step
        counts = [stats.deciding_seeds(part.contrast, level) for part in failing]
        wanted = min((n for n in counts if n is not None), default=None)
        which = "would contradict it"
    else:
        power = stats.POWER ** (1 / len(parts))  # of each, that all of them hold, as if they were independent
        counts = [stats.deciding_seeds(part.contrast, power=power) for part in parts]
        wanted = None if None in counts else max(n for n in counts if n is not None)
        which = "would decide"
    would = f"more than {stats.MOST_SEEDS}" if wanted is None else f"about {wanted}"
    return f"{_coverage(parts)}; {would} {which} with a chance of {100 * stats.POWER:g} %, if mean and spread stayed"


def counted(judged: Sequence[Judged]) -> str:
    """How many claims came out how."""
    kinds = ("reproduced", "contradicted", "undecided", "not run")
    counts = {kind: sum(one.verdict == kind for one in judged) for kind in kinds}
    twice = sorted({one.claim.id for one in judged if one.reading})
    exact = sum(one.verdict == "reproduced" and all(part.exact for part in one.parts) for one in judged)
    shown = {kind: f"{count} {kind}" for kind, count in counts.items()}
    if exact:
        shown["reproduced"] += f" ({exact} of them by arithmetic alone)"
    claims = len({one.claim.id for one in judged})
    both = f" {', '.join(twice)} is judged under each reading of the branch, and counts for each." if twice else ""
    return f"{claims} claims: {', '.join(shown.values())}.{both}"


def elsewhere(judged: Sequence[Judged], others: Sequence[View]) -> list[Judged]:
    """Verdicts in the other settings, where they rest on other numbers than the primary one's."""
    known = {(one.claim.id, one.reading): [part.estimate for part in one.parts] for one in judged}
    return [
        one
        for view in others
        for one in judge(view)
        if one.verdict != "not run" and [part.estimate for part in one.parts] != known.get((one.claim.id, one.reading))
    ]

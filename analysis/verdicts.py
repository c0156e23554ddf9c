"""From parts with margins to a verdict: reproduced, contradicted, undecided, not judged or not run.

Every quantity is signed so that a positive one speaks for the claim. In words: docs/claims.md and docs/protocol.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from analysis import lengths, plans, readings, stats
from analysis.commands import again, command
from analysis.contrasts import THREE, TWIN, TWO_STAGE, downstream_scores
from analysis.evidence import Part, weakest
from analysis.frames import View
from analysis.names import recipe_name, schedule_name
from analysis.registries import CLAIMS, STUDIES, Claim, pooled
from analysis.variants import group

Verdict = Literal["reproduced", "contradicted", "undecided", "not judged", "not run"]
ALPHA = 1 - stats.LEVEL
"""Chance of any false verdict over the scorecard, on both sides together."""
TRUTHS = {"equals PTFS": 0.0, "is 0.5 % worse": 0.005, "is 1 % worse": 0.01}
"""What path switching may truly be, in nats above PTFS, for the chance that the design says "reproduced"."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict in one setting."""

    claim: Claim
    view: View = field(repr=False)
    parts: list[Part]
    """Empty while a study is not judged: there is one look, when all of its seeds are there."""
    verdict: Verdict
    reason: str
    p: float = np.nan
    """One-sided: the largest of the parts'; of a contradiction the smallest, by Holm over the parts."""
    p_holm: float = np.nan
    """Of the scorecard's claims of quality, both sides counted, by Holm; NaN for what stands beside the scorecard."""
    reading: str = ""
    """Of the branch, where the verdicts of its readings rest on other runs."""
    beside: str = ""
    """In what it departs from the scorecard's own verdict, beside which it stands."""
    family: float = np.nan
    """Its p as it enters Holm's correction; NaN: exact, or beside the scorecard."""

    @property
    def statement(self) -> str:
        said = [self.claim.statement, f"its branch read as a {self.reading}" if self.reading else "", self.beside]
        return ", ".join(filter(None, said))

    @property
    def where(self) -> str:
        """What tells it from a claim's other verdicts; empty: it is the primary setting's."""
        reading = f"branch read as a {self.reading}" if self.reading else ""
        return ", ".join(filter(None, [self.view.label, reading, self.beside]))

    @property
    def weakest(self) -> Part | None:
        return weakest(self.parts)

    @property
    def command(self) -> str:
        """What made the runs that it rests on; what makes all of them, where it is not judged."""
        if self.verdict in ("not judged", "not run"):
            return command(self.claim.study, self.view.ledger.scale, self.view)
        return again(self.claim.study, self.view)

    @property
    def power(self) -> dict[str, float]:
        """Chance of "reproduced" at stated truths, before the scorecard's correction: that all parts hold.

        With the covariance measured, since parts of one study move together; NaN where they have other seeds. A part
        that cannot vary, as a twin of the very runs that it is compared with, is arithmetic, and left out.
        """
        parts = [(part, part.equal) for part in self.parts if part.role == "decides" and part.equal is not None]
        parts = [(part, equal) for part, equal in parts if len(part.seeds) == 1 or np.ptp(part.contrast) != 0]
        if not parts:
            return {}
        if len({part.seeds for part, _ in parts}) > 1:
            return dict.fromkeys(TRUTHS, np.nan)
        contrasts = [part.contrast for part, _ in parts]
        worlds = [[equal - worse * part.moves for part, equal in parts] for worse in TRUTHS.values()]
        return dict(zip(TRUTHS, stats.powers(worlds, contrasts), strict=True))


def judge(view: View) -> list[Judged]:
    """Every claim's verdict in one setting (or its home), in the order of `CLAIMS`; under the readings it rests on."""
    judged = [one for claim in CLAIMS.values() for one in _each(claim, view)]
    adjusted = stats.holm([one.family for one in judged])
    return [_after_holm(one, p) for one, p in zip(judged, adjusted, strict=True)]


def _home(claim: Claim, view: View) -> View:
    """The setting that a claim of the primary one is judged in: another, where its study was run there and not here.

    A ladder of sizes may need more text than the other studies have, and its largest model is what is fine-tuned.
    """
    if view.differs or _has_results(claim, view):
        return view
    there = [other for other in view.ledger.views[1:] if _has_results(claim, other)]
    return there[0] if len(there) == 1 else view


def _has_results(claim: Claim, view: View) -> bool:
    """Of the kind that its study makes: runs, or what became of them after fine-tuning."""
    if "evaluate" in STUDIES[claim.study].verbs:
        return not downstream_scores(view).empty
    return not view.runs(*_studies_of(claim)).empty


def _studies_of(claim: Claim) -> tuple[str, ...]:
    """Studies whose runs a claim is judged on: its own, or all of the main comparison's."""
    return pooled() if claim.study in pooled() else (claim.study,)


def _each(claim: Claim, view: View) -> list[Judged]:
    """A claim's verdict, under each reading of the branch; after it what stands beside it."""
    home = _home(claim, view)
    if home is not view:
        return [replace(one, reason=f"{one.reason}; judged with {home.label}") for one in _each(claim, home)]
    each = [_with_beside(claim, view, reading) for reading in (readings.READINGS if claim.readings else ())]
    same = [[(one.beside, one.reason, *_numbers(one)) for one in rows] for rows in each]
    if all(one == same[0] for one in same):
        return _with_beside(claim, view, "")
    return [one for rows in each for one in rows]


def _with_beside(claim: Claim, view: View, reading: str) -> list[Judged]:
    at = view.under(reading) if reading else view
    tuned = bool(view.best)
    main = replace(_judged(claim, at.judged(own_best=tuned)), view=view, reading=reading)
    others = []
    if tuned and not claim.exact:
        others.append(("at the maximum that all share", at.judged(own_best=False)))
    if claim.twin and view.ledger.runs["settings"].str.contains("order=arrival").any():
        others.append(("against PTFS in order of arrival", at.judged(own_best=tuned, reference=TWIN)))
    found = [main]
    for beside, there in others:
        one = replace(_judged(claim, there), view=view, reading=reading, beside=beside, family=np.nan)
        if one.verdict != "not run" and (_numbers(one), one.verdict) != (_numbers(main), main.verdict):
            found.append(one)
    return found


def _numbers(one: Judged) -> list[tuple[str, float]]:
    return [(part.what, part.estimate) for part in one.parts]


def _judged(claim: Claim, view: View) -> Judged:
    at = view.of_equal_versions() if claim.equal_versions else view
    parts, missing = claim.evaluate(at)
    aside = [*_unequal(claim, view), *_not_at_best(claim, view), *_diverged(claim, view)]
    deciding = [part for part in parts if part.role == "decides"]
    planned = () if claim.exact else plans.seeds(view.ledger.scale, claim.study)
    family = np.nan if claim.exact else 1.0
    count = 0 if missing else len(_seeds_there(claim, at, deciding))
    if count < len(planned) and (deciding or (missing and len(view.runs(*_studies_of(claim))))):
        reason = "; ".join([f"not judged: {count} of {len(planned)} seeds", *missing, *aside])
        return Judged(claim=claim, view=view, parts=[], verdict="not judged", reason=reason, family=family)
    if not deciding:
        why = missing or [f"not run: {command(claim.study, view.ledger.scale, view)}"]
        reason = "; ".join([*why, *aside])
        return Judged(claim=claim, view=view, parts=parts, verdict="not run", reason=reason, family=family)
    return _verdict(claim, view, parts, missing, aside)


@dataclass(frozen=True)
class Decision:
    """What parts say, by themselves: before Holm's correction over the scorecard."""

    verdict: Verdict
    p_for: float
    """One-sided, of "not all parts hold": the largest of theirs."""
    p_against: float
    """One-sided, of "no part is beyond its margin on the wrong side": the smallest of theirs, by Holm."""
    against: list[str]


def decide(parts: Sequence[Part]) -> Decision:
    """Reproduced when all deciding parts hold, which needs no correction for their number; contradicted when one of
    them fails, which does; else undecided."""
    deciding = [part for part in parts if part.role == "decides"]
    measured = [part for part in deciding if not part.exact]
    failing = [part.what for part in deciding if part.exact and not part.holds]
    against = dict(zip([part.what for part in measured], stats.holm([1 - part.p for part in measured]), strict=True))
    beyond = [what for what, p in against.items() if p <= ALPHA / 2]
    holds = bool(deciding) and all(part.holds for part in deciding)
    verdict: Verdict = "contradicted" if failing or beyond else "reproduced" if holds else "undecided"
    known = [part.p for part in measured if not np.isnan(part.p)]
    # Where arithmetic, or a run that diverged, speaks against it, or nothing is known of a part, no p of the others
    # speaks for it.
    p_for = 1.0 if failing or 0 < len(known) < len(measured) else max(known, default=np.nan)
    p_against = min((p for p in against.values() if not np.isnan(p)), default=np.nan)
    return Decision(verdict, p_for, p_against, [*failing, *beyond])


def _verdict(claim: Claim, view: View, parts: list[Part], missing: list[str], aside: list[str]) -> Judged:
    """Of a claim whose seeds are there."""
    deciding = [part for part in parts if part.role == "decides"]
    premises = [part for part in parts if part.role == "premise" and not part.holds]
    found = decide(parts)
    verdict: Verdict = "undecided"
    if any(len(part.seeds) == 1 for part in premises):
        reason = _open(premises, len(premises))
    elif premises:
        reason = f"its premise is not established: {'; '.join(part.what for part in premises)} ({_coverage(premises)})"
    elif found.verdict == "contradicted":
        verdict, reason = "contradicted", f"against it: {'; '.join(found.against)}"
    elif found.verdict == "undecided":
        reason = _open([part for part in deciding if not part.holds], len(deciding))
    elif missing:
        reason = f"holds in what was run ({_coverage(deciding)})"
    else:
        verdict, reason = "reproduced", _coverage(deciding)
    ties = [part.what for part in deciding if part.tied and verdict == "reproduced"]
    said = [reason, *([f"by a tie: {'; '.join(ties)}"] if ties else []), *missing, *aside, *filter(None, [claim.note])]
    one = Judged(
        claim=claim, view=view, parts=parts, verdict=verdict, reason="; ".join(said),
        p=found.p_against if verdict == "contradicted" else found.p_for,
        family=_family(claim, 1.0 if missing or premises else found.p_for, 1.0 if premises else found.p_against),
    )  # fmt: skip
    power = ", ".join(f"{100 * chance:.0f} % if path switching {truth}" for truth, chance in one.power.items())
    return replace(one, reason=f"{one.reason}; power {power}") if power and "nan" not in power else one


def _family(claim: Claim, p_for: float, p_against: float) -> float:
    """A claim can be wrong on either side, so twice the smaller p; 1 where there is none yet."""
    known = [p for p in (p_for, p_against) if not np.isnan(p)]
    return np.nan if claim.exact else min(1.0, 2 * min(known, default=1.0))


def _after_holm(one: Judged, adjusted: float) -> Judged:
    """A verdict stands if it is one after the correction over the scorecard, too; arithmetic needs none."""
    if np.isnan(one.p) or np.isnan(adjusted):
        return one
    found = replace(one, p_holm=adjusted)
    decided = one.verdict in ("reproduced", "contradicted")
    by_arithmetic = one.verdict == "contradicted" and any(part.exact and not part.holds for part in one.parts)
    if not decided or by_arithmetic or adjusted <= ALPHA:
        return found
    reason = f"{one.verdict} by itself (p = {one.p:.2g}), but not after Holm's correction over the scorecard"
    return replace(found, verdict="undecided", reason=f"{reason} ({adjusted:.2g}); {one.reason}")


def _seeds_there(claim: Claim, view: View, deciding: Sequence[Part]) -> set[int]:
    """Seeds that every part has, or would have had no run diverged, which is a result as well."""
    if len(_lost(claim, view)):
        parts, _ = claim.evaluate(view.had_none_diverged())
        deciding = [part for part in parts if part.role == "decides"]
    measured = [set(part.seeds) for part in deciding if not part.exact]
    return set.intersection(*measured) if measured else set()


def _lost(claim: Claim, view: View) -> pd.DataFrame:
    """Rows of the recipes that a claim speaks of whose loss is no number."""
    scores = view.scores(*_studies_of(claim))
    recipes = (*THREE, TWO_STAGE, view.reference)
    lost: pd.DataFrame = scores[~np.isfinite(scores["loss"]) & scores["paradigm"].isin(recipes)]
    return lost


def _unequal(claim: Claim, view: View) -> list[str]:
    """What a claim that speaks of equal versions says of the runs over others that it is not judged on."""
    if not claim.equal_versions:
        return []
    count = int(lengths.unequal(view.runs(*_studies_of(claim))).sum())
    return [f"judged on equal versions only: {count} runs of unequal versions left out"] if count else []


def _diverged(claim: Claim, view: View) -> list[str]:
    """Runs that enter no mean, since their loss is no number."""
    count = _lost(claim, view)["run"].nunique()
    return [f"{count} run{'s' if count > 1 else ''} diverged"] if count and not claim.exact else []


def _not_at_best(claim: Claim, view: View) -> list[str]:
    """Recipes that were judged at the shared maximum for lack of runs at their own best."""
    rates = view.usual.rates["max_lr"]
    lacking = [
        f"{recipe_name(one.recipe)} under {schedule_name(one.schedule)} ({one.max_lr:g})"
        for name, one in view.usual.lacking
        if name == group(claim.study) and one.recipe in THREE and not np.isclose(one.max_lr, rates) and not claim.exact
    ]
    return [f"at the shared maximum, for lack of runs at its own best: {', '.join(lacking)}"] if lacking else []


def _coverage(parts: Sequence[Part]) -> str:
    counts = {len(part.seeds) for part in parts if not part.exact}
    if not counts:
        return "arithmetic on the tree"
    low, high = min(counts), max(counts)
    noun = "seed" if high == 1 else "seeds"
    return f"{low} {noun}" if low == high else f"{low} to {high} {noun}"


def _open(parts: list[Part], deciding: int) -> str:
    if any(len(part.seeds) == 1 for part in parts):
        return "1 seed; at least 2 needed for an interval"
    return f"{_coverage(parts)}; {len(parts)} of {deciding} parts neither hold nor, corrected over all of them, fail"


def scorecard(judged: Sequence[Judged]) -> list[Judged]:
    """Without what stands beside it."""
    return [one for one in judged if not one.beside]


def counted(judged: Sequence[Judged]) -> str:
    """How many claims came out how."""
    judged = scorecard(judged)
    kinds = ("reproduced", "contradicted", "undecided", "not judged", "not run")
    counts = {kind: sum(one.verdict == kind for one in judged) for kind in kinds}
    twice = sorted({one.claim.id for one in judged if one.reading})
    exact = sum(one.verdict == "reproduced" and all(part.exact for part in one.parts) for one in judged)
    shown = {kind: f"{count} {kind}" for kind, count in counts.items() if count or kind != "not judged"}
    if exact:
        shown["reproduced"] += f" ({exact} of them by arithmetic alone)"
    claims = len({one.claim.id for one in judged})
    verb = "is" if len(twice) == 1 else "are"
    counts_for = "counts" if len(twice) == 1 else "count"
    both = f" {', '.join(twice)} {verb} judged under each reading of the branch, and {counts_for} for each."
    return f"{claims} claims: {', '.join(shown.values())}.{both if twice else ''}"


def elsewhere(judged: Sequence[Judged], others: Sequence[View], done: Callable[[], None]) -> list[Judged]:
    """Verdicts in the other settings, where they rest on other numbers than the primary one's.

    Args:
        done: called after each setting.
    """
    known = {(one.claim.id, one.reading, one.beside): _numbers(one) for one in judged}
    found = []
    for view in others:
        found += [
            one
            for one in judge(view)
            if one.verdict not in ("not run", "not judged")
            and _numbers(one) != known.get((one.claim.id, one.reading, one.beside))
        ]
        done()
    return found

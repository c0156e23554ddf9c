"""From predictions to a decision: the cheapest recipe among those as good as the best that the limits allow."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from repro.advice.candidates import Candidate
from repro.advice.evidence import Version
from repro.advice.laws import RateCurve
from repro.advice.predictions import Estimate, Knowledge, seen
from repro.advice.question import Question
from repro.common.errors import UserError
from repro.recipes.recipe import recipe

MOST = 10.0
"""Times its steps that a recipe is stretched by, at most, in search of the loss of retraining."""


@dataclass(frozen=True, eq=False)
class Row:
    """A candidate with what is known and expected of it."""

    candidate: Candidate
    losses: tuple[Estimate, ...]
    """Of every version; empty: not predicted."""
    over: tuple[Estimate, ...]
    """How much more loss than retraining has, by version, in nats: 100 times it is about per cent of PPL."""
    beyond: tuple[str, ...] = ()
    """How far outside the fit."""
    extra_steps: float = float("nan")
    """More steps, of the last version's, that it needs for the loss of retraining: infinite: not within `MOST`."""
    why_not: str = ""
    """Why it is not predicted."""
    retraining: bool = False
    """Whether it is what others are compared with."""

    @property
    def measured(self) -> bool:
        """Whether the ledger holds it."""
        return bool(self.losses) and self.losses[-1].basis == "measured"

    @property
    def regret(self) -> float:
        """Per cent of PPL above retraining, at the last version."""
        return 100 * float(np.expm1(self.over[-1].center))

    @property
    def half(self) -> float:
        """Of its interval, in per cent of PPL, as the mean of many seeds; NaN: none."""
        return float("nan") if self.retraining else 100 * self.over[-1].half(math.inf)


@dataclass(frozen=True)
class Advice:
    """The answer to a question."""

    question: Question
    known: Mapping[str, Knowledge]
    """By maximum rate."""
    rows: tuple[Row, ...]
    """All candidates, the best first."""
    reference: Candidate
    """Retraining, which all are compared with."""

    @cached_property
    def knowledge(self) -> Knowledge:
        """What is known at the maximum rate of the decision."""
        return self.known[self.decision.candidate.about["max_lr"]]

    @property
    def laws(self) -> int:
        """How many rest on runs of their own."""
        return len({id(each) for each in self.known.values()})

    @cached_property
    def comparable(self) -> list[Row]:
        return [row for row in self.rows if row.over and row.candidate.decays]

    @cached_property
    def shown(self) -> list[Row]:
        """What was measured, and every recipe under the schedule that is best for it; at every rate that is asked."""
        kinds = [(row.candidate.recipe, row.candidate.apart) for row in self.rows]
        return [row for place, row in enumerate(self.rows) if row.measured or kinds.index(kinds[place]) == place]

    def allowed(self, question: Question | None = None) -> list[Row]:
        """Those within the limits."""
        asked = question or self.question
        return [row for row in self.comparable if _within(row, asked)]

    @cached_property
    def decision(self) -> Row:
        return decide(self.allowed(), self.question.margin)

    @property
    def runner_up(self) -> Row | None:
        left = [row for row in self.allowed() if row is not self.decision]
        return decide(left, self.question.margin) if left else None


def decide(rows: Sequence[Row], margin: float) -> Row:
    """The cheapest of those within a margin of the best; among equally cheap ones the best.

    Args:
        margin: in per cent of PPL.
    """
    best = min(row.regret for row in rows)
    near = [row for row in rows if row.regret <= best + margin]
    return min(near, key=lambda row: (row.candidate.steps, row.regret, row.candidate.name))


def _within(row: Row, question: Question) -> bool:
    run = row.candidate.run
    if question.budget is not None and row.candidate.steps > question.budget.steps(run, row.candidate.weight):
        return False
    following = row.candidate.next
    return (
        question.delay is None
        or following is None
        or following.delay <= question.delay.steps(run, row.candidate.weight)
    )


def advise(candidates: Sequence[Candidate], question: Question, known: Mapping[str, Knowledge]) -> Advice:
    """
    Args:
        known: by maximum rate, each of the candidates'.

    Raises:
        UserError: nothing to compare with, or the limits allow no recipe.
    """
    size = _size(candidates[0], question, known.values())
    reference = _reference(candidates, known)
    base = _Base(reference, size, known[reference.about["max_lr"]])
    rows = [replace(_row(each, base, known), retraining=each is reference) for each in candidates]
    rows.sort(key=lambda row: (not row.over, row.over[-1].center if row.over else 0.0, row.candidate.name))
    advice = Advice(question, known, tuple(rows), reference)
    if not advice.comparable:
        raise UserError("none of the recipes asked about can be predicted; paradigm=cpt,path_switching can.")
    if not advice.allowed():
        raise UserError(f"no recipe fits: {' '.join(_too_little(advice))}")
    return advice


def _too_little(advice: Advice) -> Iterator[str]:
    """What the limits would have to be, each in its own unit."""
    budget, delay = advice.question.budget, advice.question.delay
    plans = [row.candidate for row in advice.comparable]
    if budget is not None:
        least = min(plans, key=lambda plan: plan.steps * plan.weight)
        yield f"advise.budget={budget}, and the cheapest takes {budget.other(least.steps, least.run, least.weight)}."
    if delay is not None and (following := [(plan.next.delay, plan) for plan in plans if plan.next]):
        steps, first = min(following, key=lambda pair: pair[0])
        yield f"advise.delay={delay}, and the quickest takes {delay.other(steps, first.run, first.weight)}."


def _size(candidate: Candidate, question: Question, known: Collection[Knowledge]) -> int:
    """Parameters of the model that is asked about: as in the ledger, where that has the same model."""
    if question.parameters is not None:
        wanted = question.parameters
    else:
        held = (_held(candidate, knowledge) for knowledge in known)
        wanted = next((each for each in held if each is not None), candidate.run.parameters)
    for sizes in (knowledge.evidence.sizes for knowledge in known):
        if wanted not in sizes and len(sizes) < 2:
            raise UserError(
                f"advise.parameters={wanted}: the ledger has one size, {sizes[0]:,} parameters, and a "
                "size law needs two; repro.train study=model_size makes them."
            )
    return wanted


def _held(candidate: Candidate, knowledge: Knowledge) -> int | None:
    """Parameters of the candidate's size label in the ledger."""
    label = candidate.about["size"]
    return next((cell.parameters for cell in knowledge.evidence.cells if cell["size"] == label), None)


@dataclass(frozen=True)
class _Base:
    """What candidates are compared with: retraining."""

    candidate: Candidate
    size: int
    """Parameters that are asked about."""
    knowledge: Knowledge
    """At its maximum rate."""

    @cached_property
    def curves(self) -> Sequence[RateCurve]:
        return self.candidate.curves(self.size)

    @cached_property
    def measured(self) -> Sequence[Version] | None:
        """Its versions, where the ledger has them at that size."""
        return _measured(self.candidate, self.size, self.knowledge)


def _measured(candidate: Candidate, size: int, knowledge: Knowledge) -> Sequence[Version] | None:
    return knowledge.measured(candidate) if size == _held(candidate, knowledge) else None


def _reference(candidates: Sequence[Candidate], known: Mapping[str, Knowledge]) -> Candidate:
    """Retraining under the schedule of the settings, planned even if nobody asked about it. Of several maximum rates,
    at the first where the ledger has it: what was measured is compared as measured, and laws tell rates apart badly."""
    asked = [each for each in candidates if each.retrains] or [_retraining(each) for each in candidates]
    first = asked[0]
    alike = [each for each in asked if each.about["schedule"] == first.about["schedule"]]
    return next((each for each in alike if known[each.about["max_lr"]].measured(each)), first)


def _retraining(candidate: Candidate) -> Candidate:
    from repro.config.registries import RECIPES

    run = candidate.run
    others = recipe(run.settings).shared(run.settings)  # without an optimizer that its recipe brings
    ptfs = RECIPES.find("ptfs")(kind="ptfs")
    return Candidate(replace(run, settings=replace(others, paradigm=ptfs)), candidate.parameters)


def _row(candidate: Candidate, base: _Base, known: Mapping[str, Knowledge]) -> Row:
    knowledge, theirs = known[candidate.about["max_lr"]], base.measured
    own = _measured(candidate, base.size, knowledge)
    above = [] if own is None or theirs is None else [one.above(other) for one, other in zip(own, theirs, strict=True)]
    if own is not None and above and all(above):
        losses = tuple(seen(version.loss) for version in own)
        over = tuple(knowledge.pooled(seen(each), len(each)) for each in above)
        more = float("nan") if candidate.unpredicted else _extra(candidate.curves(base.size), over[-1], knowledge)
        return Row(candidate, losses, over, extra_steps=more)
    if candidate.unpredicted:
        return Row(candidate, (), (), why_not=candidate.unpredicted if own is None else _alone(theirs))
    return _by_law(candidate, base, knowledge)


def _alone(theirs: Sequence[Version] | None) -> str:
    """Why what was measured, and no law speaks of, is compared with nothing."""
    if theirs is None:
        return "the ledger has it, but no retraining under the settings' schedule to compare it with"
    return "the ledger has it and retraining, but never under one seed on one text"


def _by_law(candidate: Candidate, base: _Base, knowledge: Knowledge) -> Row:
    curves = candidate.curves(base.size)
    if base.measured is not None:
        over = knowledge.against(curves, base.measured)
    elif base.knowledge is knowledge:
        over = knowledge.contrast(curves, base.curves)
    else:
        over = knowledge.apart(curves, base.knowledge, base.curves)
    losses, beyond = tuple(knowledge.predict(curves)), tuple(knowledge.beyond(curves[-1]))
    return Row(candidate, losses, tuple(over), beyond, _extra(curves, over[-1], knowledge))


def _extra(curves: Sequence[RateCurve], over: Estimate, knowledge: Knowledge) -> float:
    """Steps that the last version's curve has to be stretched by, to reach the loss of retraining.

    Args:
        over: how much more loss it has as it is; what more steps bring is the law's.
    """
    from scipy.optimize import brentq

    fit = [knowledge.law.fit]
    now = float(knowledge.losses(fit, curves)[0, -1])

    def above(times: float) -> float:
        longer = [*curves[:-1], _stretched(curves[-1], times)]
        return float(knowledge.losses(fit, longer)[0, -1]) - now + over.center

    if above(1.0) <= 0:
        return 0.0
    if above(MOST) > 0:
        return float("inf")
    return float(brentq(above, 1.0, MOST, xtol=1e-3) - 1) * len(curves[-1].rates)


def _stretched(curve: RateCurve, times: float) -> RateCurve:
    steps = len(curve.rates)
    longer = np.interp(np.linspace(0, steps - 1, round(steps * times)), np.arange(steps), curve.rates)
    return replace(curve, rates=longer, since=curve.since * times)


def flips(advice: Advice) -> list[str]:
    """What would change the decision."""
    chosen, margin = advice.decision, advice.question.margin
    said: list[str] = []
    named: list[Row] = []
    for change, question in _limits(advice):
        rows = advice.allowed(question)
        other = decide(rows, margin) if rows else None
        if other is not None and other is not chosen and other not in named:
            named.append(other)
            said.append(f"{change}: {other.candidate.name} ({other.regret:+.1f} % of PPL over retraining)")
    for other_margin in (0.0, 2 * margin):
        other = decide(advice.allowed(), other_margin)
        if other is not chosen:
            said.append(f"if {other_margin:g} % of PPL counts as equal: {other.candidate.name}")
    rival = advice.runner_up
    if rival is not None:
        need = _need(advice.allowed(), rival, margin)
        said.append(
            f"if {rival.candidate.name} came out {need:.2g} % of PPL better against {chosen.candidate.name} than "
            "expected"
        )
    return said


def _need(rows: Sequence[Row], rival: Row, margin: float) -> float:
    """How much better than expected the rival has to come out to be decided for, in per cent of PPL.

    A cheaper one has to come within the margin of the best; a dearer one has to leave all cheaper ones beyond it.
    """
    others = [row for row in rows if row is not rival]
    steps = rival.candidate.steps
    least = min(row.regret for row in others) + margin
    limits = [least]
    limits += [row.regret for row in others if row.candidate.steps == steps and row.regret <= least]
    limits += [row.regret - margin for row in others if row.candidate.steps < steps]
    return max(0.0, rival.regret - min(limits))


def _limits(advice: Advice) -> list[tuple[str, Question]]:
    """Questions with another limit each: none, and just too little for what was chosen."""
    from repro.advice.question import Amount

    chosen, asked = advice.decision, advice.question
    less = Amount(chosen.candidate.steps - 1, "steps")
    found = [(f"a budget below {chosen.candidate.steps:,} steps", replace(asked, budget=less))]
    dearer = sorted({row.candidate.steps for row in advice.comparable if row.candidate.steps > chosen.candidate.steps})
    for steps in dearer:
        found.append((f"a budget of {steps:,} steps or more", replace(asked, budget=Amount(steps, "steps"))))
    if chosen.candidate.next is not None and chosen.candidate.next.delay:
        quick = Amount(chosen.candidate.next.delay - 1, "steps")
        found.append((f"a delay below {chosen.candidate.next.delay:,} steps", replace(asked, delay=quick)))
    if asked.delay is not None:
        found.append(("no limit on the delay", replace(asked, delay=None)))
    return found

"""What can be asked, and what is said of what cannot."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from repro.advice import question
from repro.advice.candidates import pilot
from repro.advice.decisions import Advice, Row, _extra, _need, decide, flips
from repro.advice.fits import Fit
from repro.advice.laws import Annealing, RateCurve
from repro.advice.predictions import FEW, Estimate, Knowledge, seen
from repro.advice.question import Amount
from repro.common.errors import UserError
from repro.planning import sweeps
from repro.planning.arguments import CommandLine


def asked(*words: str) -> question.Question:
    line = CommandLine("", list(words))
    found = question.take(line)
    line.check()
    return found


def test_a_question_is_taken_from_a_command_line() -> None:
    line = CommandLine("", ["scale=smoke", "advise.releases=6", "advise.budget=1.5e3 tokens", "advise.margin=1"])
    found = question.take(line)
    assert (found.releases, found.budget, found.margin) == (6, Amount(1500, "tokens"), 1)
    assert line.words() == ["scale=smoke"]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("advise.releases=0", "advise.releases=0 must lie between 1 and 100"),
        ("advise.releases=2.5", "2 or 3 works"),
        ("advise.release=4", "did you mean advise.releases"),
        ("advise.budget=12", "say a number and one of steps, tokens, flops, device-hours"),
        ("advise.budget=12 apples", "say a number and one of"),
        ("advise.budget=1B tokens", "say a number and one of .*'1e9 tokens'"),
        ("advise.budget=0 steps", "must be above 0"),
        ("advise.tokens=-5", "advise.tokens=-5 must be above 0"),
        ("advise.margin=-1", "advise.margin=-1 must be at least 0"),
        ("advise.margin=40", "must lie between 0.0 and 20.0"),
        ("advise.parameters=many", "is no number"),
    ],
)
def test_what_cannot_be_asked(word: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        asked(word)


def test_all_that_cannot_be_asked_is_said_at_once() -> None:
    line = CommandLine(
        "", ["scale=smoek", "advise.releases=0", "advise.delay=soon", "advise.bugdet=1 steps", "recrd=a"]
    )
    line.take("record")
    question.take(line)
    with pytest.raises(UserError) as refused:
        line.settings()
    lines = str(refused.value).splitlines()
    for said in ("advise.releases=0 must", "advise.delay=soon is no", "did you mean advise.budget?", "mean record=?"):
        assert any(said in each for each in lines), said
    assert any("did you mean smoke?" in each for each in lines)


def test_tokens_are_whole_steps_and_what_works_is_said() -> None:
    stream = sweeps.compose(["scale=smoke"])[0].stream
    assert asked("advise.tokens=2560").stream(stream, 128) == (4, (20, 20, 20, 20))
    assert asked("advise.tokens=[2560,5120]").stream(stream, 128) == (2, (20, 40))
    assert asked("advise.releases=5").stream(stream, 128) == (5, (50,) * 5)
    with pytest.raises(UserError, match="nearest that work: 2_560 or 2_688"):
        asked("advise.tokens=2600").stream(stream, 128)
    with pytest.raises(UserError, match=r"advise.tokens has 2 numbers and advise.releases=3"):
        asked("advise.tokens=[2560,5120]", "advise.releases=3").stream(stream, 128)


def test_of_a_stream_that_grows_as_many_releases_are_asked_about_as_are_said() -> None:
    words = ["scale=smoke", "corpus=botocore", "stream=releases", "stream.steps_per_version=50"]
    stream = sweeps.compose(words)[0].stream
    assert asked("advise.releases=3").stream(stream, 128) == (3, (50, 50, 50))
    assert asked("advise.tokens=[2560,5120]").stream(stream, 128) == (2, (20, 40))
    with pytest.raises(UserError, match=r"say advise\.releases=N"):
        asked("advise.tokens=2560").stream(stream, 128)
    assert pilot(words) is None


def test_more_tokens_than_a_version_may_have_are_refused_with_the_most() -> None:
    stream = sweeps.compose(["scale=smoke"])[0].stream
    for tokens in ("1e12", "1e30"):
        with pytest.raises(UserError, match=r"the most for a version are 10,000,000; 1_280_000_000 works"):
            asked(f"advise.tokens={tokens}").stream(stream, 128)


def test_the_units_of_a_budget_agree() -> None:
    from advice.lawful import candidates

    run = candidates("paradigm=cpt")[0].run
    flops = run.step_flops * 100
    hours = flops / run.settings.estimate.flops_per_second / 3600
    for number, unit in ((100, "steps"), (100 * run.step_tokens, "tokens"), (flops, "flops"), (hours, "device-hours")):
        assert Amount(number, unit).steps(run) == pytest.approx(100)


@pytest.mark.parametrize(
    ("given", "amount"),
    [("60,000 steps", (60000, "steps")), ("1 step", (1, "steps")), ("1 device-hour", (1, "device-hours"))],
)
def test_an_amount_is_said_as_people_say_it(given: str, amount: tuple[float, str]) -> None:
    assert asked(f"advise.budget={given}").budget == Amount(*amount)


def test_a_larger_model_costs_as_many_times_the_flops_as_it_has_parameters() -> None:
    from advice.lawful import candidates

    (small,) = candidates("paradigm=cpt")
    large = replace(small, parameters=3 * small.run.parameters)
    assert large.about["parameters"] == str(3 * small.run.parameters)
    assert large.weight == 3
    assert large.kept_gb == pytest.approx(3 * small.kept_gb)
    for unit, times in (("steps", 1), ("tokens", 1), ("flops", 3), ("device-hours", 3)):
        amount = Amount(1e9, unit)
        assert amount.steps(large.run, large.weight) == pytest.approx(amount.steps(small.run) / times)


def test_what_is_a_fact_of_the_machine_is_none_of_advice(tmp_path: Path) -> None:
    """At most scales numerics are `auto`, which a plan has to have decided; advice measures nothing for it."""
    from advice.lawful import candidates

    store = tmp_path / "store"
    (one,) = candidates("paradigm=cpt", "numerics.matmul=auto", "numerics.compile=auto", f"store.path={store}")
    (known,) = candidates("paradigm=cpt")
    assert (one.steps, one.next, one.kept_gb) == (known.steps, known.next, known.kept_gb)
    words = ["scale=smoke", "numerics.matmul=auto", "numerics.compile=auto", f"store.path={store}"]
    assert pilot(words) is not None
    assert not store.exists()


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_what_flips_a_decision_flips_it(margin: float) -> None:
    """The rival's need, tried: a hundredth less leaves the decision, a hundredth more makes it the rival."""

    @dataclass
    class Plan:
        name: str
        steps: int

    @dataclass
    class Line:
        candidate: Plan
        regret: float

    random = np.random.default_rng(0)
    for _ in range(300):
        lines = [Line(Plan(str(i), int(random.integers(1, 4))), float(random.uniform(0, 2))) for i in range(4)]
        chosen = decide(lines, margin)
        rival = decide([line for line in lines if line is not chosen], margin)
        need, expected = _need(lines, rival, margin), rival.regret
        for more, who in ((0.01, rival), (-0.01, None)):
            rival.regret = expected - need - more
            now = decide(lines, margin)
            assert (now is rival) == (who is rival)


def row(name: str, steps: int, regret: float, delay: int) -> Row:
    plan = SimpleNamespace(name=name, steps=steps, decays=True, run=None, weight=1.0, next=SimpleNamespace(delay=delay))
    return Row(plan, (), (Estimate(float(np.log1p(regret / 100)), 0.0, 0.0, 1),))  # type: ignore[arg-type]


RETRAINING, AVERAGE = row("retraining", 1000, 0.0, 100), row("average", 800, -0.9, 300)
SWITCHING, CPT = row("switching", 580, 0.3, 160), row("cpt", 400, 0.9, 200)


@pytest.mark.parametrize(
    ("rows", "limits", "decision", "said"),
    [
        (
            (RETRAINING, SWITCHING, CPT),
            (),
            SWITCHING,
            [
                "a budget below 580 steps: cpt (+0.9 % of PPL over retraining)",
                "a delay below 160 steps: retraining (+0.0 % of PPL over retraining)",
                "if 0 % of PPL counts as equal: retraining",
                "if 1 % of PPL counts as equal: cpt",
                # 0.5 % ahead of the cheaper one, which is 0.3 % behind.
                "if retraining came out 0.2 % of PPL better against switching than expected",
            ],
        ),
        (
            (RETRAINING, AVERAGE, SWITCHING, CPT),
            ("advise.budget=700 steps",),
            SWITCHING,
            [
                "a budget below 580 steps: cpt (+0.9 % of PPL over retraining)",
                "a budget of 800 steps or more: average (-0.9 % of PPL over retraining)",
                "if 1 % of PPL counts as equal: cpt",
                # Within 0.5 % of the best, which is 0.3 % behind.
                "if cpt came out 0.1 % of PPL better against switching than expected",
            ],
        ),
        (
            (RETRAINING, SWITCHING, CPT),
            ("advise.delay=150 steps",),
            RETRAINING,
            ["no limit on the delay: switching (+0.3 % of PPL over retraining)"],
        ),
    ],
)
def test_what_would_flip_a_decision_is_said(
    rows: tuple[Row, ...], limits: tuple[str, ...], decision: Row, said: list[str]
) -> None:
    advice = Advice(asked("scale=smoke", "advise.margin=0.5", *limits), {}, rows, RETRAINING.candidate)
    assert advice.decision is decision
    assert flips(advice) == said


def knowledge(noise: float = 0.01) -> Knowledge:
    """Of a law by which a constant rate of 0.01 loses 2 + (0.01 s)^-1/2 nats after s steps."""
    known = SimpleNamespace(noise=noise, freedom=12, reference=(1000.0, 0.01), hardness=lambda version: (0.0, 0.0))
    values = {"floor": 2.0, "A": 1.0, "alpha": 0.5, "power": 1.0, "B": 3.0, "memory": 10.0}
    law = SimpleNamespace(fit=Fit(Annealing(), values, np.empty(0)))
    return Knowledge((), known, (law,), ())  # type: ignore[arg-type]


def test_a_difference_of_few_seeds_has_the_scatter_of_all_cells() -> None:
    """Of one run 0.01 nats, of the mean difference over two seeds as much; t of 12 degrees of freedom is 1.7823."""
    few = seen({0: 0.02, 1: 0.021})
    assert (few.spread, few.freedom) == (pytest.approx(0.0005), 1)
    pooled = knowledge().pooled(few, 2)
    assert pooled.center == few.center
    assert pooled.half() == pytest.approx(0.01 * 1.7823, rel=1e-4)
    assert knowledge().pooled(few, 4).half() == pytest.approx(0.01 / 2**0.5 * 1.7823, rel=1e-4)
    assert knowledge().pooled(few, FEW) is few
    assert knowledge(noise=float("nan")).pooled(few, 2) is few


@pytest.mark.parametrize(
    ("over", "more"),
    [(-0.1, 0.0), (0.2, 100 * (0.8**-2 - 1)), (0.6, 100 * (0.4**-2 - 1)), (0.69, float("inf")), (1.1, float("inf"))],
)
def test_more_steps_are_those_that_make_up_for_the_distance_to_retraining(over: float, more: float) -> None:
    """From 100 steps on, at (0.01 s)^-1/2 less than 1: ten times as many take off 0.684 nats, and no more are tried."""
    curves = [RateCurve(np.full(steps, 0.01), 1000, np.empty(0)) for steps in (50, 100)]
    assert _extra(curves, Estimate(over, 0.0, 0.0, 1), knowledge()) == pytest.approx(more, abs=1.0)

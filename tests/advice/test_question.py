"""What can be asked, and what is said of what cannot."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from repro.advice import question
from repro.advice.candidates import pilot
from repro.advice.decisions import _need, decide
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

"""What can be asked, and what is said of what cannot."""

import pytest

from repro.advice import question
from repro.advice.question import Amount
from repro.common.errors import UserError
from repro.planning import sweeps
from repro.planning.arguments import CommandLine


def asked(*words: str) -> question.Question:
    return question.take(CommandLine("", list(words)))


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
        ("advise.budget=0 steps", "must be above 0"),
        ("advise.tokens=-5", "must be a positive number"),
        ("advise.margin=40", "must lie between 0.0 and 20.0"),
        ("advise.parameters=many", "is no number"),
    ],
)
def test_what_cannot_be_asked(word: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        asked(word)


def test_tokens_are_whole_steps_and_what_works_is_said() -> None:
    stream = sweeps.compose(["scale=smoke"])[0].stream
    assert asked("advise.tokens=2560").stream(stream, 128) == (4, (20, 20, 20, 20))
    assert asked("advise.tokens=[2560,5120]").stream(stream, 128) == (2, (20, 40))
    assert asked("advise.releases=5").stream(stream, 128) == (5, (50,) * 5)
    with pytest.raises(UserError, match="nearest that work: 2_560 or 2_688"):
        asked("advise.tokens=2600").stream(stream, 128)
    with pytest.raises(UserError, match=r"advise.tokens has 2 numbers and advise.releases=3"):
        asked("advise.tokens=[2560,5120]", "advise.releases=3").stream(stream, 128)


def test_the_units_of_a_budget_agree() -> None:
    from advice.lawful import candidates

    run = candidates("paradigm=cpt")[0].run
    flops = run.step_flops * 100
    hours = flops / run.settings.estimate.flops_per_second / 3600
    for number, unit in ((100, "steps"), (100 * run.step_tokens, "tokens"), (flops, "flops"), (hours, "device-hours")):
        assert Amount(number, unit).steps(run) == pytest.approx(100)

"""What is `auto` of numerics: measured once, kept in the store, the same for all; keys have what it became."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from repro import train
from repro.common.errors import UserError
from repro.models import matmul, numerics
from repro.planning import asked, choices, frozen, planner
from repro.planning.planner import Plan
from repro.planning.sweeps import compose
from repro.store.store import Store

Overrides = Callable[..., list[str]]
AUTO = "numerics.matmul=auto"
SMALL = ("paradigm=ptfs", "stream.versions=1", "stream.steps_per_version=4", "schedule.warmup_steps=1")

pytestmark = pytest.mark.skipif(
    not numerics.choosable(compose(["scale=smoke"])[0].numerics), reason="this torch has no oneDNN for this processor"
)


@pytest.fixture
def smoke(smoke: Overrides, few: list[str]) -> Overrides:
    return lambda *more: smoke(*few, *more)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How much faster oneDNN is found to be, one measurement after another; what was used is gone."""
    answers: list[float] = []
    monkeypatch.setattr(matmul, "speed", lambda *arguments: answers.pop(0))
    choices._measured.cache_clear()
    return answers


def planned(overrides: Sequence[str], keep: bool = True) -> Plan:
    choices._measured.cache_clear()  # as in another process
    return planner.make(compose(overrides, multirun=True), keep_choices=keep)


def chosen(plan: Plan) -> set[str]:
    return {run.settings.numerics.matmul for run in plan.tree.runs}


@pytest.mark.parametrize(("ratio", "choice"), [(1.5, "onednn"), (1.01, "torch"), (0.9, "torch")])
def test_the_faster_is_chosen_and_keys_are_those_of_naming_it(
    smoke: Overrides, measured: list[float], ratio: float, choice: str
) -> None:
    measured.append(ratio)
    plan = planned(smoke(AUTO, *SMALL))
    assert chosen(plan) == {choice}
    assert plan.tree.ends == planner.make(compose(smoke(f"numerics.matmul={choice}", *SMALL))).tree.ends
    (line,) = plan.notes
    assert f"numerics.matmul=auto is {choice} " in line
    assert f"take {1 / ratio:.2f} of the time" in line


def test_a_stored_choice_is_used_whatever_would_be_measured_now(smoke: Overrides, measured: list[float]) -> None:
    measured += [1.5, 0.5, 0.5]
    first = planned(smoke(AUTO, *SMALL))
    again = planned(smoke(AUTO, *SMALL))
    assert again.tree.ends == first.tree.ends
    assert again.notes == first.notes
    assert measured == [0.5, 0.5]
    other = planned(smoke(AUTO, "size=w48_l2", *SMALL))  # another shape has its own
    assert chosen(other) == {"torch"}


def test_two_who_begin_at_once_agree(smoke: Overrides, measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has found nothing kept, and waits for the first one, which is measuring."""
    measured += [1.5, 0.5]
    look, rival = choices._kept, []

    def late(store: Store, about: dict[str, object], machine: str) -> dict[str, object] | None:
        found = look(store, about, machine)
        if not rival:
            rival.append(None)
            rival[0] = planned(smoke(AUTO, *SMALL))
        return found

    monkeypatch.setattr(choices, "_kept", late)
    assert planned(smoke(AUTO, *SMALL)).tree.ends == rival[0].tree.ends
    assert measured == [0.5]


def test_what_only_plans_writes_nothing(smoke: Overrides, measured: list[float], tmp_path: Path) -> None:
    measured += [1.5, 0.5]
    assert chosen(planned(smoke(AUTO, *SMALL), keep=False)) == {"onednn"}
    assert chosen(planned(smoke(AUTO, *SMALL), keep=False)) == {"torch"}
    assert not (tmp_path / "store").exists()


def test_a_store_goes_on_as_it_was_begun_on_another_processor(
    smoke: Overrides, measured: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured += [1.5, 0.5]
    planned(smoke(AUTO, *SMALL))
    monkeypatch.setattr(numerics, "processor_model", lambda: "another")
    assert chosen(planned(smoke(AUTO, *SMALL))) == {"onednn"}
    monkeypatch.setattr(choices, "installed", lambda package: "a newer one")  # under which nothing was begun
    assert chosen(planned(smoke(AUTO, *SMALL))) == {"torch"}


def test_workers_of_a_sweep_train_what_its_plan_froze(
    smoke: Overrides, measured: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured.append(1.5)
    overrides = smoke(AUTO, *SMALL, "seed=0,1")
    train.main(["-m", *overrides])
    assert "numerics.matmul=auto is onednn" in capsys.readouterr().err
    store = Store(tmp_path / "store")
    (name,) = store.plans()
    assert {settings.numerics.matmul for settings in frozen.thaw(name, store)[0]} == {"onednn"}
    named = planner.make(compose(smoke("numerics.matmul=onednn", *SMALL, "seed=0,1"), multirun=True))
    assert not named.missing
    train.main(["-m", *overrides])  # finds everything, and measures nothing
    assert store.plans() == [name]


def test_compiling_goes_with_a_compiler(smoke: Overrides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_compiler", lambda: "a compiler")
    auto, named = (planner.make(compose(smoke(f"numerics.compile={word}", *SMALL))) for word in ("auto", "true"))
    assert auto.tree.ends == named.tree.ends

    def none() -> str:
        raise UserError("none")

    monkeypatch.setattr(numerics, "_compiler", none)
    auto, named = (planner.make(compose(smoke(f"numerics.compile={word}", *SMALL))) for word in ("auto", "false"))
    assert auto.tree.ends == named.tree.ends


def test_what_is_refused_measures_nothing(smoke: Overrides, measured: list[float]) -> None:
    with pytest.raises(UserError, match=r"ptsf.*did you mean ptfs"):
        asked.plan(smoke(AUTO, "paradigm=ptsf"))
    assert not measured


def test_where_nothing_can_be_chosen_it_is_torch(smoke: Overrides) -> None:
    plan = planner.make(compose(smoke(AUTO, "numerics.compile=auto", "numerics.device=cuda", *SMALL)))
    assert chosen(plan) == {"torch"}
    assert not plan.tree.runs[0].settings.numerics.compile
    assert not plan.notes


@pytest.mark.parametrize("given", ["numerics.compile=perhaps", "numerics.compile=1"])
def test_other_words_are_refused(smoke: Overrides, given: str) -> None:
    with pytest.raises(UserError, match=r"numerics\.compile=\[False\] must be true, false, auto or graphs\."):
        compose(["scale=smoke", "numerics.compile=[false]"])
    with pytest.raises(UserError, match=r"numerics\.compile=.* must be true, false, auto or graphs\."):
        compose(smoke(given))


def test_products_are_measured_and_what_is_said_of_them_is_so() -> None:
    """Both ways compute; the ratio is of seconds of theirs over ours."""
    assert 0.05 < matmul.speed({"176 x 64": 2, "64 x 176": 1, "512 x 64": 1}, tokens=512, threads=1) < 20

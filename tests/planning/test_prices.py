"""What one more release costs and how long it takes, against numbers worked out by hand: T = 50, four versions."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from repro import plan as plan_command
from repro.data.stream import VirtualStream
from repro.planning import prices
from repro.planning.planner import make
from repro.planning.runs import Run
from repro.planning.sweeps import compose

Overrides = Callable[..., list[str]]
T = 50


def planned(smoke: Overrides, *overrides: str) -> Run:
    return make(compose(smoke(*overrides))).tree.runs[0]


@pytest.mark.parametrize(
    ("recipe", "steps", "delay"),
    [
        # A fifth version takes 5 T from scratch, T by going on, and T plus a branch of 0.6 T off a main path.
        ("ptfs", 5 * T, 5 * T),
        ("cpt", T, T),
        ("path_switching", T + 0.6 * T, T),
        # The trunk from 0.9 of 4 T to 0.9 of 5 T, and a tenth of 5 T.
        ("wsd", 0.9 * T + 0.5 * T, T),
        ("wsd_s", T, T),
        ("falling_cosine", T, T),
        ("trunk", T, T),
        ("merge", T, T),
    ],
)
def test_the_next_releases_price_and_delay(smoke: Overrides, recipe: str, steps: float, delay: int) -> None:
    price = prices.next_release(planned(smoke, f"paradigm={recipe}", "schedule=linear"))
    assert price is not None
    assert price.cost == pytest.approx(steps / (5 * T))
    # Mixed data are read from the first batches on.
    assert delay - 2 <= price.delay <= delay


def test_from_scratch_in_order_of_arrival_waits_for_the_new_data_alone(smoke: Overrides) -> None:
    price = prices.next_release(planned(smoke, "paradigm=ptfs", "paradigm.order=arrival"))
    assert price is not None
    # Its warm-up of 5 steps is that of the versions before.
    assert (price.cost, price.delay) == (1 - 5 / (5 * T), T)


@pytest.mark.parametrize(("schedule", "held"), [("knee", 0.5), ("multi_step", 0.8)])
def test_what_no_version_parted_from_yet_is_trained_once_more(smoke: Overrides, schedule: str, held: float) -> None:
    """A fifth version goes the way of the fourth to the end of its held stretch, where nothing is kept: the third left
    a checkpoint, at the end of its own."""
    run = planned(smoke, "paradigm=ptfs", "paradigm.order=arrival", f"schedule={schedule}")
    price = prices.next_release(run)
    assert price is not None
    assert (price.steps, price.delay) == (pytest.approx(5 * T - held * 3 * T), T)
    assert [node.step for node in prices.needed_next(run)] == pytest.approx([held * 3 * T])
    # A main path's end is kept, however far a branch that is a whole cycle goes the same way.
    run = planned(smoke, "paradigm=path_switching", "paradigm.branch=cycle", f"schedule={schedule}")
    price = prices.next_release(run)
    assert price is not None
    assert price.steps == T + 0.6 * T
    assert [node.step for node in prices.needed_next(run)] == [4 * T - 0.6 * T]


def test_a_recipe_of_two_versions_has_no_next_one(smoke: Overrides) -> None:
    assert prices.next_release(planned(smoke, "paradigm=two_stage")) is None


def test_versions_of_unequal_lengths_are_priced_by_their_own(smoke: Overrides) -> None:
    """New data double: T, 2 T, 4 T, 8 T, and 8 T once more."""
    run = planned(smoke, "paradigm=path_switching", "stream.versions=1")
    longer = replace(run, stream=VirtualStream.like(run.stream, *(n * run.stream.version_blocks[0] for n in (2, 4, 8))))
    tree = prices.merge([longer])
    trunk, branches = 15 * T - 0.6 * 8 * T, 0.6 * (1 + 2 + 4 + 8) * T
    assert tree.run_steps(0) == trunk + branches
    # RIVALS: 58 % holds for four equal versions; where the data double, 74 % and CPT 58 %.
    assert tree.relative_cost(0) == pytest.approx((trunk + branches) / (26 * T))
    price = prices.next_release(longer)
    assert price is not None
    assert price.delay == 8 * T
    assert price.cost == pytest.approx((8 * T + 0.6 * 8 * T) / (23 * T))


def test_the_plan_prices_every_recipe(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    given = smoke("-m", "paradigm=ptfs,cpt,path_switching", "output=json")
    plan_command.main(given)
    rows = {run["recipe"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
    assert {name: row["relative_cost"] for name, row in rows.items()} == {
        "ptfs": 1.0,
        "cpt": 0.4,
        "path_switching": 0.58,
    }
    assert {name: row["next_release_cost"] for name, row in rows.items()} == {
        "ptfs": 1.0,
        "cpt": 0.2,
        "path_switching": pytest.approx(0.32),
    }
    plan_command.main(given[:-1])
    table = capsys.readouterr().out
    assert "next release" in table
    assert "0.32" in table


def test_a_model_that_grows_is_priced_in_flops_of_the_size_that_each_step_trains(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("-m", "paradigm=path_switching,grow", "paradigm.grow_at=3,1000", "size=w48_l2")
    plan_command.main([*given, "output=json"])
    switching, grown, never = json.loads(capsys.readouterr().out)["runs"]
    run = planned(smoke, "paradigm=grow", "size=w48_l2")
    small, large = (run.training(replace(run.settings.model, layers=n)).step_flops for n in (1, 2))
    assert small < large
    # The smaller model's main path to 2 T and two branches of 0.6 T; then 1.4 T of main path and two more branches.
    assert grown["steps"] == switching["steps"] == never["steps"] == (2 + 2 * 0.6) * T + (1.4 + 2 * 0.6) * T
    assert grown["flops"] == 160 * small + 130 * large
    assert grown["relative_flops"] == (160 * small + 130 * large) / (10 * T * large)
    assert switching["relative_flops"] == switching["relative_cost"] == 0.58
    assert never["flops"] == 290 * small
    plan_command.main(given)
    table = capsys.readouterr().out
    assert "in FLOPs" in table
    sizes = {row.split("│")[2].strip() for row in table.splitlines() if "grow_a0.6" in row}
    assert len(sizes) == 2  # what never grows is the smaller model
    plan_command.main(smoke("paradigm=path_switching"))
    assert "in FLOPs" not in capsys.readouterr().out

"""Every schedule hits its bounds at the exact step, from any rate to any rate, down to zero."""

import math

import numpy as np
import pytest

from repro.common.errors import UserError
from repro.config.registries import SCHEDULES
from repro.recipes.schedules import Schedule, rates

MAX = 4e-3
DECAYING = [name for name in SCHEDULES if name != "constant"]


def schedule(kind: str, low: float, warmup: int = 0, **more: object) -> Schedule:
    cls = SCHEDULES[kind]
    assert issubclass(cls, Schedule)
    return cls(kind=kind, max_lr=MAX, min_lr=low, warmup_steps=warmup, **more)


@pytest.mark.parametrize("kind", DECAYING)
@pytest.mark.parametrize("low", [0.0, MAX / 10, MAX])
def test_a_cycle_begins_warms_up_and_ends_exactly(kind: str, low: float) -> None:
    lr = rates(schedule(kind, low, warmup=10).cycle(100, warm=True), 0, 100)
    assert lr[0] == MAX / 10
    assert lr[9] == MAX
    assert lr[99] == low
    assert np.all(np.diff(lr[9:]) <= 0)
    assert lr.min() >= min(low, MAX / 10)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(("high", "warmup"), [(0.01, 29), (0.01, 58), (0.01, 114), (0.02, 57), (MAX, 1)])
def test_warm_up_reaches_the_maximum_where_a_product_would_round_beside_it(kind: str, high: float, warmup: int) -> None:
    """0.01 * 29 / 29 is not 0.01 in floating point."""
    cls = SCHEDULES[kind]
    assert issubclass(cls, Schedule)
    lr = rates(cls(kind=kind, max_lr=high, min_lr=0.0, warmup_steps=warmup).cycle(400, warm=True), 0, 400)
    assert lr[0] == high / warmup
    assert lr[warmup - 1] == high == lr.max()


@pytest.mark.parametrize("kind", DECAYING)
@pytest.mark.parametrize("low", [0.0, MAX / 10])
@pytest.mark.parametrize("steps", [40, 100, 730])
def test_the_maximum_is_left_with_the_decays_first_step(kind: str, low: float, steps: int) -> None:
    one = schedule(kind, low, warmup=3)
    held, lr = one.held(steps), rates(one.cycle(steps, warm=True), 0, steps)
    first = max(held, 3)  # without a held part, the decay begins after warm-up
    assert set(lr[2:first]) == {MAX}
    assert lr[first] == one.falling(1 / (steps - first), MAX, low) < MAX
    assert lr[-1] == low


@pytest.mark.parametrize("kind", DECAYING)
@pytest.mark.parametrize("low", [0.0, MAX / 10])
def test_a_decay_alone_leaves_the_maximum_at_its_first_step_and_ends_at_its_last(kind: str, low: float) -> None:
    lr = rates(schedule(kind, low).decay(30), 0, 30)
    assert low <= lr[0] < MAX
    assert lr[28] >= low
    assert lr[29] == low
    assert np.all(np.diff(lr) <= 0)


@pytest.mark.parametrize("kind", DECAYING)
def test_a_decay_leads_from_any_rate_to_any_rate(kind: str) -> None:
    lr = rates(schedule(kind, MAX / 10).decay(30, high=1e-3, low=2e-4), 0, 30)
    assert lr.max() < 1e-3
    assert lr[29] == 2e-4


@pytest.mark.parametrize(
    ("kind", "half"),
    [
        ("linear", 0.5),
        ("knee", 0.5),
        ("cosine", 0.5),
        ("sqrt", 1 - math.sqrt(0.5)),
        ("exponential", None),
        ("multi_step", None),
    ],
)
def test_half_way_down_each_is_where_its_formula_puts_it(kind: str, half: float | None) -> None:
    """At half of a decay of 20 steps to zero; the exponential from 1 to 1/100 stands at 1/10, shifted by 1/100."""
    at = schedule(kind, 0.0).decay(20).at(9)
    if kind == "multi_step":
        assert at == 0.316 * MAX
    elif kind == "exponential":
        assert at == pytest.approx(MAX * (0.1 - 0.01) / (1 - 0.01))
    else:
        assert at == pytest.approx(half * MAX)  # type: ignore[operator]


def test_toward_a_tenth_the_exponential_falls_by_the_same_factor_at_every_step() -> None:
    lr = rates(schedule("exponential", MAX / 10).decay(10), 0, 10)
    assert np.allclose(lr[1:] / lr[:-1], 0.1**0.1)


def test_wsd_is_stable_but_for_its_last_share_in_the_shape_it_names() -> None:
    wsd = schedule("wsd", 0.0, decay_share="0.2", decay_shape="sqrt").cycle(100, warm=False)
    assert {wsd.at(step) for step in range(80)} == {MAX}
    assert [wsd.at(step) for step in range(80, 100)] == list(rates(schedule("sqrt", 0.0).decay(20), 0, 20))


def test_multi_steps_two_drops_fill_a_decay_half_each() -> None:
    lr = rates(schedule("multi_step", MAX / 10).decay(30), 0, 30)
    assert set(lr[:15]) == {0.316 * MAX}
    assert set(lr[15:]) == {MAX / 10}
    with pytest.raises(UserError, match="two halves"):
        schedule("multi_step", 0.0).decay(29)


def test_a_second_warm_up_leads_from_the_minimum_to_the_maximum() -> None:
    lr = rates(schedule("cosine", MAX / 10).rewarmed(100, 10), 0, 100)
    assert lr[0] == pytest.approx(MAX / 10 + 0.9 * MAX / 10)
    assert lr[9] == MAX
    assert lr[99] == MAX / 10
    with pytest.raises(UserError, match=r"rewarm_steps=60 .* at most 50 works"):
        schedule("knee", 0.0).rewarmed(100, 60)

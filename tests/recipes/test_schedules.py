"""Learning rates at the steps where peers are off by one, and exactness."""

import numpy as np
import pytest

from repro.common.errors import UserError
from repro.config.exact import whole
from repro.config.registries import SCHEDULES
from repro.recipes.schedules import Cosine, Curve, Schedule, rates

MAX, MIN = 4e-3, 4e-4


def settings(kind: str, warmup: int = 0, **more: object) -> Schedule:
    return SCHEDULES[kind](kind=kind, **({"max_lr": MAX, "min_lr": MIN, "warmup_steps": warmup} | more))  # type: ignore


@pytest.mark.parametrize("kind", ["cosine", "knee", "multi_step"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_a_cycle_hits_its_bounds_exactly(kind: str, warmup: int) -> None:
    c = settings(kind, warmup).cycle(100, warm=True)
    lr = rates(c, 0, 100)
    if warmup:
        assert lr[0] == MAX / warmup
        assert lr[warmup - 1] == MAX
    assert lr.max() <= MAX
    assert lr[99] == MIN
    assert lr[98] >= MIN
    assert np.all(np.diff(lr[warmup:]) <= 0)


def test_the_first_step_of_a_decay_already_leaves_the_maximum() -> None:
    assert MIN < settings("cosine").cycle(100, warm=False).at(0) < MAX
    knee = settings("knee").cycle(100, warm=False)
    assert knee.at(49) == MAX
    assert MIN < knee.at(50) < MAX


def test_cosine_is_half_way_down_at_half_the_cycle() -> None:
    assert settings("cosine").cycle(100, warm=False).at(49) == pytest.approx((MAX + MIN) / 2)


def test_multi_step_drops_where_deepseek_has_it() -> None:
    c = settings("multi_step").cycle(100, warm=False)
    assert [c.at(step) for step in (0, 79, 80, 89, 90, 99)] == [MAX, MAX, 0.316 * MAX, 0.316 * MAX, MIN, MIN]


def test_multi_step_never_drops_below_a_minimum_above_its_middle_level() -> None:
    c = settings("multi_step", min_lr=0.5 * MAX).cycle(100, warm=False)
    assert c.at(85) == 0.5 * MAX


def test_past_its_end_a_cycle_stays_at_the_minimum() -> None:
    assert settings("cosine").cycle(50, warm=False).at(75) == MIN


def test_cutting_a_cycle_changes_none_of_the_steps_before_the_cut() -> None:
    c = settings("cosine", 5).cycle(200, warm=True)
    assert np.array_equal(rates(c, 0, 200)[:100], rates(c, 0, 100))
    assert np.array_equal(rates(c, 0, 200)[30:60], rates(c, 30, 60))


def test_constant_is_exactly_the_maximum_after_warm_up() -> None:
    lr = rates(settings("cosine", 10).constant(warm=True), 0, 1000)
    assert set(lr[9:]) == {MAX}


def test_a_minimum_of_zero_works() -> None:
    assert settings("cosine", min_lr=0.0).cycle(10, warm=False).at(9) == 0.0


def test_a_cycle_of_one_step_is_its_own_end() -> None:
    assert settings("cosine").cycle(1, warm=False).at(0) == MIN


def test_the_minimum_defaults_to_a_tenth() -> None:
    assert Cosine(kind="cosine", max_lr=1.0, warmup_steps=0).floor_lr == 0.1


def test_a_bound_that_would_round_is_refused() -> None:
    with pytest.raises(UserError, match=r"explore_share=0\.5 times cycle=25 is 12\.5 steps.*12/25 or 13/25"):
        settings("knee").cycle(25, warm=False)
    with pytest.raises(UserError, match="multi_step"):
        settings("multi_step").cycle(25, warm=False)


def test_a_warm_up_that_reaches_into_the_decay_is_refused() -> None:
    with pytest.raises(UserError, match=r"warmup_steps=60 .* at most 50 works"):
        settings("knee", 60).cycle(100, warm=True)


def test_shares_are_exact_where_floating_point_is_not() -> None:
    assert int(0.29 * 100) == 28  # the trap
    assert whole("paradigm.alpha", "0.29", 100) == 29


def test_equal_rates_of_differently_named_curves_are_equal() -> None:
    knee = settings("knee", 10).cycle(100, warm=True)
    assert np.array_equal(rates(knee, 0, 50), rates(settings("knee", 10).constant(warm=True), 0, 50))
    assert isinstance(knee, Curve)


def test_what_only_one_schedule_has_is_named_where_it_is_not_the_default() -> None:
    assert settings("cosine").own_settings == {}
    assert settings("knee").own_settings == settings("knee", explore_share="1/2").own_settings == {}
    assert settings("knee", explore_share="0.25").own_settings == {"schedule.explore_share": "0.25"}
    wsd = settings("wsd", decay_share="0.2", decay_shape="sqrt")
    assert wsd.own_settings == {"schedule.decay_share": "0.2", "schedule.decay_shape": "sqrt"}

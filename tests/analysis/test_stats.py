"""Statistics over seeds, against definitions and against SciPy."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import nctdtr

from analysis import stats

VALUES = np.array([0.031, 0.052, 0.044, 0.018])


def test_a_mean_has_students_interval_and_p():
    interval = stats.mean_interval(VALUES)
    reference = scipy_stats.ttest_1samp(VALUES, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert interval.estimate == pytest.approx(VALUES.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert stats.p_value(VALUES) == pytest.approx(reference.pvalue)


def test_intervals_of_three_seeds_cover_as_often_as_they_say():
    draws = np.random.default_rng(0).normal(1.0, 2.0, (4000, 3))
    covered = sum(i.low <= 1.0 <= i.high for i in map(stats.mean_interval, draws))
    assert 0.94 < covered / len(draws) < 0.96


def test_one_seed_has_an_estimate_and_no_interval():
    interval = stats.mean_interval(VALUES[:1])
    assert interval.estimate == VALUES[0]
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)
    assert np.isnan(stats.p_value(VALUES[:1]))


def test_seeds_without_spread_are_certain():
    assert stats.p_value(np.array([0.1, 0.1])) == 0.0
    assert stats.p_value(np.array([0.0, 0.0])) == 1.0


def test_fiellers_bounds_are_the_ratios_that_are_just_rejected():
    gap = np.array([0.050, 0.061, 0.047, 0.055])
    gained = np.array([0.041, 0.055, 0.043, 0.048])
    share = stats.fieller(gained, gap)
    assert share.low < share.estimate < share.high
    for bound in (share.low, share.high):
        assert stats.p_value(gained - bound * gap) == pytest.approx(0.05)
    assert stats.p_value(gained - (share.low - 0.01) * gap) < 0.05
    assert stats.p_value(gained - (share.low + 0.01) * gap) > 0.05


def test_fiellers_interval_is_unbounded_when_there_may_be_no_gap():
    share = stats.fieller(np.array([0.01, 0.02, 0.00]), np.array([0.03, -0.02, 0.01]))
    assert (share.low, share.high) == (-np.inf, np.inf)


def test_a_ratio_that_is_the_same_for_every_seed_is_exact():
    gap = np.array([0.05, 0.06, 0.04])
    share = stats.fieller(0.9 * gap, gap)
    assert (share.low, share.estimate, share.high) == pytest.approx((0.9, 0.9, 0.9))


def test_slopes_are_least_squares():
    table = np.random.default_rng(1).normal(size=(5, 4))
    x = [2.0, 3.0, 4.0, 5.0]
    assert stats.slopes(table, x) == pytest.approx([np.polyfit(x, row, 1)[0] for row in table])


def test_holm_orders_multiplies_and_stays_monotone():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = stats.holm([0.02, np.nan, 0.6])
    assert adjusted[0] == pytest.approx(0.04)
    assert np.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.6)


def power(truths, contrasts):
    (chance,) = stats.powers([truths], contrasts)
    return chance


@pytest.mark.parametrize(("truth", "n"), [(0.0, 3), (0.5, 4), (1.0, 8)])
def test_power_of_one_contrast_is_the_noncentral_ts(truth, n):
    values = np.random.default_rng(0).normal(size=n)
    shift = truth / np.std(values, ddof=1) * np.sqrt(n)
    exact = 1 - nctdtr(n - 1, shift, stats.t_quantile(n))
    assert power([truth], [values]) == pytest.approx(exact, abs=0.01)


def test_power_of_several_is_that_all_hold_as_they_move_together():
    values, other = (each - each.mean() for each in np.random.default_rng(1).normal(size=(2, 8)))
    one = power([0.9], [values])
    assert power([0.9, 0.9], [values, values]) == one
    apart = other - values * (other @ values) / (values @ values)
    independent = power([0.9, 0.9], [values, apart])
    assert power([0.9, 0.9], [values, -values]) < independent < one
    assert power([0.9, -9.0], [values, apart]) == 0.0


def test_power_without_spread_or_with_one_value():
    assert power([0.1], [np.zeros(3)]) == 1.0
    assert power([0.0], [np.zeros(3)]) == 0.0
    assert np.isnan(power([0.1], [np.array([0.1])]))


def test_a_one_sided_p_says_on_which_side_of_0_a_mean_lies():
    values = np.array([0.9, 0.2, 0.5])
    assert stats.p_below(values) == pytest.approx(stats.p_value(values) / 2)
    assert stats.p_below(-values) == pytest.approx(1 - stats.p_value(values) / 2)
    assert np.isnan(stats.p_below(values[:1]))


def test_an_effect_is_a_mean_in_standard_deviations():
    assert stats.effect(np.array([1.0, 2.0, 3.0])) == 2.0
    assert stats.effect(np.array([1.0, 1.0])) == np.inf
    assert stats.effect(np.array([-1.0, -1.0])) == -np.inf
    assert stats.effect(np.array([0.0, 0.0])) == 0.0

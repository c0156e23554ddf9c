"""Laws: what they say of curves, and whether a fit finds the numbers that made the losses."""

from itertools import pairwise

import numpy as np
import pytest
from advice.lawful import HARD, TRUE, World, candidates, write

from repro.advice import evidence, fits
from repro.advice.laws import Annealing, MultiPower, RateCurve, Sites, since

PLAIN = {"floor": 2.0, "A": 1.0, "alpha": 0.5, "power": 1.0, "B": 3.0}
"""Rates count in full, as the laws' papers have it."""
SWEEP = ("paradigm=ptfs,cpt,path_switching", "paradigm.alpha=0.2,0.4,0.6", "schedule=cosine,linear")


def test_the_annealing_law_is_the_papers_sum() -> None:
    """S2 of 2408.11029, summed as it is written there, over a curve that falls, rises and falls."""
    rates = np.concatenate([np.full(20, 0.01), np.linspace(0.01, 0.001, 30), np.linspace(0.01, 0.002, 40)])
    memory = 12.0
    keep = np.exp(-1 / memory)
    momentum, annealed = 0.0, 0.0
    for before, now in pairwise(rates):
        momentum = keep * momentum + (before - now)
        annealed += momentum
    values = PLAIN | {"memory": memory}
    sites = Sites.of([RateCurve(rates, 1000, np.empty(0))], [[len(rates)]], (1000.0, 0.01))
    expected = 2.0 + rates.sum() ** -0.5 - 3.0 * annealed * (1 - keep)
    assert Annealing().loss(values, sites)[0] == pytest.approx(expected, abs=1e-9)


def test_the_multi_power_law_is_the_papers_sum() -> None:
    """2503.12811, summed as it is written there, over a curve that falls."""
    rates = np.concatenate([np.full(20, 0.01), np.linspace(0.01, 0.001, 30)])
    values = PLAIN | {"C": 2.0, "gamma": 0.6, "beta": 0.4}
    reduction = sum(
        (rates[k - 1] - rates[k]) * (1 - (1 + 2.0 * rates[k] ** -0.6 * rates[k:].sum()) ** -0.4)
        for k in range(1, len(rates))
    )
    sites = Sites.of([RateCurve(rates, 1000, np.empty(0))], [[len(rates)]], (1000.0, 0.01))
    expected = 2.0 + rates.sum() ** -0.5 - 3.0 * reduction
    assert MultiPower().loss(values, sites)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("law", [Annealing(), MultiPower()])
@pytest.mark.parametrize("after", [[], [0.0] * 5, [0.0] * 5 + [0.01] * 20])
def test_a_floor_of_zero_is_the_limit_of_low_floors(law: Annealing | MultiPower, after: list[float]) -> None:
    """0 to a negative power, times nothing that has passed since, is no number."""
    values = PLAIN | {"C": 2.0, "gamma": 0.6, "beta": 0.4, "memory": 10.0}
    curve = np.concatenate([np.full(20, 0.01), np.linspace(0.01, 0.0, 30), after])
    curves = [RateCurve(np.maximum(curve, floor), 1000, np.empty(0)) for floor in (0.0, 1e-30)]
    zero, low = law.loss(values, Sites.of(curves, [[len(curve)]] * 2, (1000.0, 0.01)))
    assert zero == pytest.approx(low, abs=1e-9)


@pytest.mark.parametrize("law", [Annealing(), MultiPower()])
def test_going_up_and_down_again_gains_nothing_for_ever(law: Annealing | MultiPower) -> None:
    """A law that did would advise cycles without end."""
    values = PLAIN | {"C": 50.0, "gamma": 0.9, "beta": 0.9, "memory": 10.0}
    down = np.linspace(0.01, 0.001, 50)
    cycles = np.concatenate([np.full(20, 0.01), *[down] * 8, np.full(4000, 0.01)])
    held = np.full(len(cycles), cycles.mean())
    one, other = (RateCurve(rates, 1000, np.empty(0)) for rates in (cycles, held))
    sites = Sites.of([one, other], [[len(cycles)], [len(cycles)]], (1000.0, 0.01))
    up, flat = law.loss(values, sites)
    assert up == pytest.approx(flat, abs=2e-3)


def test_the_shift_counts_what_was_read_since() -> None:
    rates = np.full(30, 0.01)
    assert since(rates, (10, 10, 10), 3, mixes=True).tolist() == [0, 0, 0]
    assert since(rates, (10, 10, 10), 3, mixes=False) == pytest.approx([0.2, 0.1, 0.0])


def test_the_shift_is_the_mean_over_a_versions_own_slices_and_replay_takes_its_share_off() -> None:
    """D (1 - (1 + E S)^-zeta) exp(-kappa replay), by hand: S of 0.3 and 0 of one curve, of 0.15 of the other."""
    rates = np.full(30, 0.01)
    curves = [RateCurve(rates, 1000, np.array([0.3, 0.0]), 0.25), RateCurve(rates, 1000, np.array([0.15]))]
    sites = Sites.of(curves, [[30], [30]], (1000.0, 0.01))
    plain = PLAIN | {"memory": 10.0}
    values = plain | {"D": 0.02, "E": 10.0, "zeta": 0.5, "kappa": 4.0}
    base = Annealing().loss(plain, sites)
    shift = Annealing(shifts=True, replays=True).loss(values, sites) - base
    assert shift == pytest.approx([0.02 * (1 - 4**-0.5) / 2 * np.exp(-1), 0.02 * (1 - 2.5**-0.5)], abs=1e-12)
    assumed = {name: value for name, value in values.items() if name != "kappa"}  # 1 where replay was never varied
    shift = Annealing(shifts=True).loss(assumed, sites) - base
    assert shift[0] == pytest.approx(0.02 * (1 - 4**-0.5) / 2 * np.exp(-0.25), abs=1e-12)


def test_a_size_counts_by_its_power_of_the_reference() -> None:
    rates = np.full(30, 0.01)
    curves = [RateCurve(rates, size, np.empty(0)) for size in (1000, 4000)]
    sites = Sites.of(curves, [[30], [30]], (1000.0, 0.01))
    values = PLAIN | {"memory": 10.0, "F": 0.3}
    for delta, expected in (({}, 4**-0.34), ({"delta": 0.5}, 0.5)):
        one, larger = Annealing(sizes=3).loss(values | delta, sites)
        assert larger - one == pytest.approx(0.3 * (expected - 1), abs=1e-12)


def test_a_fit_finds_the_numbers_that_made_a_ledger(tmp_path) -> None:
    write(tmp_path, candidates(*SWEEP), World(noise=0.0))
    known = fits.Evidence(tuple(evidence.read(tmp_path)))
    assert known.difficulty == pytest.approx(HARD[:4], abs=1e-9)
    data = fits.Data.of(known)
    found = fits.fit(Annealing(), data, data.means(known.seeds))
    for name, value in TRUE.items():
        assert found.values[name] == pytest.approx(value, rel=0.05), name
    chosen = fits.choose(known)[0]
    assert chosen.fit.law == Annealing()
    assert chosen.error < 0.002


def test_by_which_power_rates_count_is_found_and_what_falls_at_once_is_predicted_by_it(tmp_path) -> None:
    """Cosines cannot tell of a curve that is low for most of its steps; their power can."""
    write(tmp_path, candidates(*SWEEP), World(noise=0.0, values=TRUE | {"power": 0.3}))
    known = fits.Evidence(tuple(evidence.read(tmp_path)))
    data = fits.Data.of(known)
    found = fits.fit(Annealing(), data, data.means(known.seeds))
    assert found.values["power"] == pytest.approx(0.3, abs=0.02)
    (fast,) = candidates("paradigm=ptfs", "schedule=sqrt", "schedule.min_lr=0")
    curves = fast.curves(known.cells[0].parameters)
    sites = Sites.of(curves, [[len(curve.rates)] for curve in curves], known.reference)
    there = World(values=TRUE | {"power": 0.3}).loss(curves, [[len(curve.rates)] for curve in curves])
    assert found.predict(sites) == pytest.approx(there, abs=0.01)


def test_the_law_that_made_a_ledger_is_chosen(tmp_path) -> None:
    law = MultiPower()
    values = {"floor": 2.9, "A": 0.9, "alpha": 0.45, "power": 0.7, "B": 15.0, "C": 3.0, "gamma": 0.6, "beta": 0.5}
    write(tmp_path, candidates(*SWEEP), World(law=law, values=values, noise=0.0))
    known = fits.Evidence(tuple(evidence.read(tmp_path)))
    judged = {each.fit.law: each.error for each in fits.choose(known)}
    assert judged[MultiPower()] < 0.5 * judged[Annealing()]


def test_curves_are_read_back_as_they_were_planned(tmp_path) -> None:
    some = candidates("paradigm=path_switching,cpt,wsd_s,ptfs")
    write(tmp_path, some, World())
    for cell in evidence.read(tmp_path):
        (planned,) = [each for each in some if each.about["paradigm"] == cell["paradigm"]]
        for version, curve in zip(cell.versions, planned.curves(cell.parameters), strict=True):
            assert version.rates == pytest.approx(curve.rates)
            assert fits.curve_of(cell, version).since == pytest.approx(curve.since)

"""Areas in which rates count by a power are the sums they stand for."""

import numpy as np
import pytest

from repro.advice.areas import HIGHEST, LOWEST, areas, polynomials

WARM = np.linspace(0.0, 0.004, 21)[1:]
CURVES = {
    "held": np.full(50, 0.004),
    "cosine": np.concatenate([WARM, 0.002 * (1 + np.cos(np.linspace(0, np.pi, 2000)))]),
    "to 0 at once": np.concatenate([WARM, 0.004 * (1 - np.sqrt(np.linspace(0, 1, 2000)))]),
    "cycles": np.concatenate([WARM, *[np.linspace(0.004, 0.0004, 300)] * 4]),
}


@pytest.mark.parametrize("power", [LOWEST, 0.3, 0.5, 0.81, 1.0, HIGHEST])
@pytest.mark.parametrize("curve", list(CURVES))
def test_an_area_is_the_sum_of_powers_at_any_place(curve: str, power: float) -> None:
    rates = CURVES[curve]
    places = [1, 7, 40, len(rates)]
    sums = 0.004 * np.cumsum((rates / 0.004) ** power)
    assert areas(polynomials(rates, places), power) == pytest.approx(sums[np.array(places) - 1], rel=2e-5)


def test_with_a_power_of_1_it_is_the_sum_of_rates() -> None:
    rates = CURVES["cosine"]
    assert areas(polynomials(rates, [len(rates)]), 1.0)[0] == pytest.approx(rates.sum(), rel=1e-6)

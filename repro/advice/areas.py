"""Areas under a learning-rate curve in which a rate counts by a power of it: S_p = top sum_i (eta_i / top)^p.

A fit asks for many powers of long curves. ln S_p is smooth in p, so that a polynomial through a few powers tells S_p to
five digits and more.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOWEST, HIGHEST = 0.05, 1.2
"""Powers that can be asked for. By 0, a rate would count as much as any other."""
NONE = 1e-9
"""Less than this part of the top is no rate: by a small power it would count."""
TERMS = 9

_NODES = (LOWEST + HIGHEST) / 2 + (HIGHEST - LOWEST) / 2 * chebpts1(TERMS)


def _terms(powers: Array) -> Array:
    """(powers, TERMS)"""
    return np.asarray(chebvander((2 * powers - LOWEST - HIGHEST) / (HIGHEST - LOWEST), TERMS - 1))


_FITTED = np.linalg.inv(_terms(_NODES)).T


def polynomials(rates: Array, places: Sequence[int]) -> Array:
    """(places, TERMS): of ln S_p, after so many steps each.

    Args:
        rates: (steps,), above 0 at first.
    """
    top = rates.max()
    shares = np.where(rates < NONE * top, 0.0, rates / top)
    sums = np.cumsum(shares ** _NODES[:, None], axis=1)[:, np.asarray(places) - 1]
    return np.asarray(np.log(top * sums).T @ _FITTED)


def areas(of: Array, power: float) -> Array:
    """(places,): S_p, of such polynomials."""
    return np.asarray(np.exp(of @ _term(power)))


@lru_cache(maxsize=64)  # a fit's derivatives change one number at a time, and most are another one
def _term(power: float) -> Array:
    """(TERMS,)"""
    return np.asarray(_terms(np.array([power]))[0])

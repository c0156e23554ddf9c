"""Small-sample statistics over seeds. Pure functions of arrays; no claim, no file, no chance but of a fixed seed.

The unit is the seed: every array has one entry per seed, already paired. A question is always "is the mean above 0?";
margins are folded into the contrast before it comes here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
"""Of every interval (two-sided)."""
POWER_DRAWS = 20_000
"""Experiments that `powers` simulates: known to a third of a per cent."""
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided interval; the bounds are NaN for one seed and infinite where unbounded."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half its length: what stands behind a plus-minus sign."""
        return (self.high - self.low) / 2


def t_quantile(n: int, level: float = LEVEL) -> float:
    """Student's t for a two-sided interval over `n` values."""
    return float(stdtrit(n - 1, 0.5 + level / 2))


def mean_interval(values: Values, level: float = LEVEL) -> Interval:
    """Mean over seeds with Student's t interval."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Interval(mean, np.nan, np.nan, n)
    half = t_quantile(n, level) * _standard_error(values)
    return Interval(mean, mean - half, mean + half, n)


def p_value(values: Values) -> float:
    """Two-sided p of "the mean is 0"; NaN for one seed."""
    n = len(values)
    if n < 2:
        return np.nan
    error, mean = _standard_error(values), float(np.mean(values))
    if error == 0:
        return float(mean == 0)
    return float(2 * stdtr(n - 1, -abs(mean) / error))


def p_below(values: Values) -> float:
    """One-sided p of "the mean is not above 0": near 1 where it is far below; NaN for one seed."""
    two = p_value(values)
    return two / 2 if np.mean(values) > 0 else 1 - two / 2


def fieller(numerator: Values, denominator: Values, level: float = LEVEL) -> Interval:
    """Ratio of two paired means with Fieller's interval: the r for which "mean(numerator - r denominator) = 0" stands.

    Where the denominator itself is not told apart from 0, that set is unbounded and both bounds are infinite.
    """
    n = len(numerator)
    a, b = float(np.mean(numerator)), float(np.mean(denominator))
    ratio = a / b if b else np.nan
    if n < 2:
        return Interval(ratio, np.nan, np.nan, n)
    (vaa, vab), (_, vbb) = np.cov(numerator, denominator) / n
    t2 = t_quantile(n, level) ** 2
    square, middle, constant = b * b - t2 * vbb, a * b - t2 * vab, a * a - t2 * vaa
    if square <= 0:
        return Interval(ratio, -np.inf, np.inf, n)
    # Rounding alone can take a vanishing discriminant below 0 (a ratio that is the same for every seed).
    root = np.sqrt(max(middle * middle - square * constant, 0.0))
    return Interval(ratio, float((middle - root) / square), float((middle + root) / square), n)


def slopes(table: Values, x: Sequence[float]) -> Values:
    """Least-squares slope of each row of `table` (seeds, points) over `x` (points): a trend, one number per seed."""
    centred = np.asarray(x, dtype=np.float64) - np.mean(x)
    return np.asarray(table @ centred / (centred @ centred), dtype=np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given; NaN entries stay NaN and count for nothing."""
    known = sorted((value, index) for index, value in enumerate(p) if not np.isnan(value))
    adjusted = [np.nan] * len(p)
    running = 0.0
    for rank, (value, index) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * value))
        adjusted[index] = running
    return adjusted


def powers(worlds: Sequence[Sequence[float]], contrasts: Sequence[Values], level: float = LEVEL) -> list[float]:
    """Chance that the intervals of several contrasts of the same seeds all lie above 0, in each of several worlds.

    Simulated from the normal distribution that has a world's truths as means and the covariance that was measured:
    contrasts that move together hold together, so no product or least of their own chances would do. All worlds have
    the same draws.

    Args:
        worlds: what the means truly are, one for each contrast.
        contrasts: (seeds,) each; one that does not vary holds where its truth is above 0.

    Returns:
        Of each world; NaN for one seed.
    """
    values = np.array(contrasts).T
    n = len(values)
    if n < 2:
        return [np.nan] * len(worlds)
    random = np.random.Generator(np.random.PCG64(0))
    centered = (values - values.mean(axis=0)) / np.sqrt(n - 1)
    quantile, held = t_quantile(n, level), [0] * len(worlds)
    for _ in range(POWER_DRAWS // 1000):  # in pieces, as memory is
        drawn = random.standard_normal((1000, n, n)) @ centered
        mean, least = drawn.mean(axis=1), quantile * (drawn.std(axis=1, ddof=1) / np.sqrt(n))
        for world, truths in enumerate(worlds):
            held[world] += int((mean + np.asarray(truths) > least).all(axis=1).sum())
    return [count / POWER_DRAWS for count in held]


def effect(values: Values) -> float:
    """Paired effect size: mean over standard deviation (Cohen's d_z); infinite where nothing varies."""
    spread = float(np.std(values, ddof=1))
    mean = float(np.mean(values))
    return mean / spread if spread else np.inf if mean > 0 else -np.inf if mean < 0 else 0.0


def _standard_error(values: Values) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))

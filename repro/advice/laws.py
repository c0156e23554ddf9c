"""Laws that say what loss a learning-rate curve leads to.

All have one form, in nats per token after s steps at rates eta_1 to eta_s:

    loss = L0(parameters) + A S1(s)^-alpha - B sum_k (eta_{k-1} - eta_k) G_k(s) + shift,   S1(s) = sum_{i<=s} eta_i,

where k runs over the steps after the first warm-up; a rise of the rate (CPT's jump back to the maximum) counts
negatively. They differ in G, how fast a drop of the rate pays:

- annealing law (arXiv 2408.11029): S2(s) = sum_i sum_{k<=i} (eta_{k-1} - eta_k) lambda^{i-k}, so that
  G_k(s) = 1 - lambda^(s-k+1), with 1/(1 - lambda) drawn into B;
- multi-power law (arXiv 2503.12811): G_k(s) = 1 - (1 + C eta_k^-gamma S_k(s))^-beta, S_k(s) = sum_{k<=i<=s} eta_i.

The shift is that of the continual law (arXiv 2505.07796): what other data cost since those of a slice were last read,
D (1 - (1 + E S)^-zeta) exp(-kappa replay), with S the sum of rates since then; it is averaged over a version's slices.

The size law is the usual one (arXiv 2203.15556): L0 = floor + F (parameters / reference)^-delta.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PIECES = 64
"""Into how many pieces a curve is cut, at most, to sum over its drops."""
CHINCHILLA = 0.34
"""delta, where the ledger has too few sizes to tell (arXiv 2203.15556)."""


@dataclass(frozen=True)
class Curve:
    """What happens up to a version."""

    rates: Array
    """(steps,)"""
    parameters: int
    since: Array
    """For each slice that is measured, the sum of rates since its data were last read as a full part of a batch."""
    replay: float = 0.0


def since(rates: Array, lengths: Sequence[int], version: int, mixed: bool) -> Array:
    """`Curve.since` of slices 1 to `version`, whose data arrive over `lengths` steps each."""
    if mixed:
        return np.zeros(version)
    ends = np.minimum(np.cumsum(lengths[:version]), len(rates))
    return np.array([rates[end:].sum() for end in ends])


@dataclass(frozen=True)
class Sites:
    """Places on curves where a loss is known or asked for, laid out for the laws: rows are places, columns pieces."""

    area: Array
    """(places,): S1"""
    drop: Array
    """(places, pieces): eta_{k-1} - eta_k; 0 beyond the place"""
    rate: Array
    """(places, pieces): eta_k"""
    steps_after: Array
    """(places, pieces)"""
    area_after: Array
    """(places, pieces): S_k"""
    size: Array
    """(places,): parameters over the reference"""
    since: Array
    """(places, slices)"""
    counted: Array
    """(places, slices): a slice's weight in the mean; 0: there is none"""
    replay: Array
    """(places,)"""

    @classmethod
    def of(cls, curves: Sequence[Curve], places: Sequence[Sequence[int]], reference: float) -> "Sites":
        """
        Args:
            places: for each curve, numbers of steps after which its loss is asked for.
        """
        pieces = [_pieces(curve.rates) for curve in curves]
        width = max(len(each[0]) for each in pieces)
        slices = max([len(curve.since) for curve in curves])
        rows = [(i, at) for i, each in enumerate(places) for at in each]
        shape = len(rows), width
        drop, rate, steps, area = np.zeros(shape), np.ones(shape), np.zeros(shape), np.zeros(shape)
        total, old, counted = np.zeros(len(rows)), np.zeros((len(rows), slices)), np.zeros((len(rows), slices))
        sums = [np.concatenate([[0.0], np.cumsum(curve.rates)]) for curve in curves]
        for row, (i, at) in enumerate(rows):
            starts, drops, rates = pieces[i]
            n = int(np.searchsorted(starts, at))
            drop[row, :n], rate[row, :n] = drops[:n], rates[:n]
            steps[row, :n] = at - starts[:n]
            area[row, :n] = sums[i][at] - sums[i][starts[:n]]
            total[row] = sums[i][at]
            old[row, : len(curves[i].since)] = curves[i].since
            counted[row, : len(curves[i].since)] = 1 / max(len(curves[i].since), 1)
        size = np.array([curves[i].parameters / reference for i, _ in rows])
        replay = np.array([curves[i].replay for i, _ in rows])
        return cls(total, drop, rate, steps, area, size, old, counted, replay)


def _pieces(rates: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """Where pieces of the curve begin, by how much the rate falls there, and the rate that it falls to."""
    first = int(np.argmax(rates >= rates.max() * (1 - 1e-12)))  # warm-up is over
    changes = first + 1 + np.flatnonzero(np.diff(rates[first:]))
    if len(changes) == 0:
        return np.array([first], dtype=np.int64), np.zeros(1), rates[[first]]
    groups = np.array_split(changes, min(PIECES, len(changes)))
    starts = np.array([int(np.median(group)) for group in groups])
    drops = np.array([rates[group[0] - 1] - rates[group[-1]] for group in groups])
    return starts, drops, np.array([rates[group].mean() for group in groups])


@dataclass(frozen=True)
class Parameter:
    """One number that is fitted, with where it starts and its bounds."""

    name: str
    start: float
    low: float
    high: float
    log: bool = True
    """Whether it is fitted as a logarithm."""

    def code(self, value: float) -> float:
        return float(np.log(value)) if self.log else value

    def value(self, coded: float) -> float:
        return float(np.exp(coded)) if self.log else coded


@dataclass(frozen=True)
class Law:
    """One of the laws."""

    name: ClassVar[str]
    source: ClassVar[str]
    kernel: ClassVar[tuple[Parameter, ...]]
    """G's parameters."""

    shifts: bool = False
    """Whether it has the continual law's shift."""
    sizes: int = 1
    """Model sizes that it is fitted on; delta is fitted from three on."""
    replays: bool = False
    """Whether replay was varied, so that kappa can be fitted."""

    @property
    def label(self) -> str:
        return self.name + (" + shift (2505.07796)" if self.shifts else "")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        size = (Parameter("F", 0.3, 1e-4, 20.0), Parameter("delta", CHINCHILLA, 0.02, 2.0))[: max(0, self.sizes - 1)]
        shift = (Parameter("D", 0.02, 1e-5, 5.0), Parameter("E", 1.0, 1e-3, 1e4), Parameter("zeta", 0.5, 0.02, 5.0))
        kappa = (Parameter("kappa", 2.0, 0.01, 50.0),)
        return (
            Parameter("floor", 2.5, 1e-3, 20.0),
            Parameter("A", 1.0, 1e-4, 50.0),
            Parameter("alpha", 0.5, 0.02, 3.0),
            Parameter("B", 50.0, 1e-4, 1e6),
            *self.kernel,
            *size[:2],
            *(shift if self.shifts else ()),
            *(kappa if self.shifts and self.replays else ()),
        )

    def loss(self, values: dict[str, float], sites: Sites) -> Array:
        """(places,)"""
        drops = (sites.drop * self.pays(values, sites)).sum(axis=1)
        loss = values["floor"] + values["A"] * sites.area ** -values["alpha"] - values["B"] * drops
        if "F" in values:
            loss = loss + values["F"] * (sites.size ** -values.get("delta", CHINCHILLA) - 1)
        if self.shifts:
            cost = values["D"] * (1 - (1 + values["E"] * sites.since) ** -values["zeta"])
            loss = loss + (cost * sites.counted).sum(axis=1) * np.exp(-values.get("kappa", 1.0) * sites.replay)
        return np.asarray(loss)

    def pays(self, values: dict[str, float], sites: Sites) -> Array:
        """(places, pieces): G"""
        raise NotImplementedError


@dataclass(frozen=True)
class Annealing(Law):
    """arXiv 2408.11029"""

    name = "annealing law"
    source = "2408.11029"
    kernel = (Parameter("memory", 100.0, 2.0, 1e5),)
    """1 / (1 - lambda), in steps"""

    def pays(self, values: dict[str, float], sites: Sites) -> Array:
        return np.asarray(1 - np.exp(-sites.steps_after / values["memory"]))


@dataclass(frozen=True)
class MultiPower(Law):
    """arXiv 2503.12811"""

    name = "multi-power law"
    source = "2503.12811"
    kernel = (
        Parameter("C", 2.0, 1e-4, 1e5),
        Parameter("gamma", 0.5, 0.0, 2.0, log=False),
        Parameter("beta", 0.5, 0.02, 5.0),
    )

    def pays(self, values: dict[str, float], sites: Sites) -> Array:
        x = values["C"] * sites.rate ** -values["gamma"] * sites.area_after
        return np.asarray(1 - (1 + x) ** -values["beta"])


LAWS: tuple[type[Law], ...] = (Annealing, MultiPower)

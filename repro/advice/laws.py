"""Laws that say what loss a learning-rate curve leads to.

All have one form, in nats per token after s steps at rates eta_1 to eta_s:

    loss = L0(parameters) + A S_p(s)^-alpha - B sum_k (eta_{k-1} - eta_k) G_k(s) + shift,
    S_p(s) = eta_max sum_{i<=s} (eta_i / eta_max)^p,

where k runs over the steps after the first warm-up. The laws' authors have p = 1: it is fitted here, since with Adam a
low rate does more than its share, and is ours. They differ in G, how fast a drop of the rate pays:

- annealing law (arXiv 2408.11029): S2(s) = sum_i sum_{k<=i} (eta_{k-1} - eta_k) lambda^{i-k}, so that
  G_k(s) = 1 - lambda^(s-k+1), with 1/(1 - lambda) drawn into B;
- multi-power law (arXiv 2503.12811): G_k(s) = 1 - (1 + C eta_k^-gamma S_k(s))^-beta, S_k(s) = sum_{k<=i<=s} eta_i.

A rise of the rate (CPT's jump back to the maximum) undoes the last drops before it: from step r on, an undone drop of
step k counts G_k(r) (1 - G_r(s)). For the annealing law that is the same as a drop that counts negatively; the
multi-power law, which was made for falling rates, would otherwise gain by every cycle.

The shift is that of the continual law (arXiv 2505.07796): what other data cost since those of a slice were last read,
D (1 - (1 + E S)^-zeta) exp(-kappa replay), with S the sum of rates since then; it is averaged over a version's slices.

Between maximum rates, areas and drops do not count in full with Adam: both are scaled by (maximum / reference)^-rho,
and a rate far from the reference costs sigma log(maximum / reference)^2. That part is ours, and empirical.

The size law is the usual one (arXiv 2203.15556): L0 = floor + F (parameters / reference)^-delta.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from repro.advice.areas import HIGHEST, LOWEST, Array, areas, polynomials

PIECES = 150
"""Into how many pieces a curve is cut, at most, to sum over its drops."""
CHINCHILLA = 0.34
"""delta, where the ledger has too few sizes to tell (arXiv 2203.15556)."""


@dataclass(frozen=True, eq=False)
class RateCurve:
    """What happens up to a version. Equal are those of the same content, so that what is made of one can be kept."""

    rates: Array
    """(steps,)"""
    parameters: int
    since: Array
    """For each slice that is measured, the sum of rates since its data were last read as a full part of a batch."""
    replay: float = 0.0

    @cached_property
    def _content(self) -> tuple[bytes, int, bytes, float]:
        return self.rates.tobytes(), self.parameters, self.since.tobytes(), self.replay

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RateCurve) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


def since(rates: Array, lengths: Sequence[int], version: int, mixes: bool) -> Array:
    """`RateCurve.since` of slices 1 to `version`, whose data arrive over `lengths` steps each."""
    if mixes:
        return np.zeros(version)
    ends = np.minimum(np.cumsum(lengths[:version]), len(rates))
    return np.array([rates[end:].sum() for end in ends])


@dataclass(frozen=True)
class Since:
    """What passed between two steps, for every place and piece."""

    rate: Array
    """(places, pieces): at its beginning"""
    steps: Array
    """(places, pieces)"""
    area: Array
    """(places, pieces): the sum of rates"""

    @classmethod
    def none(cls, *shape: int) -> "Since":
        return cls(np.ones(shape), np.zeros(shape), np.zeros(shape))

    @cached_property
    def any(self) -> NDArray[np.bool_]:
        """(places, pieces): where something passed. Most of it is padding, which a law need not be asked about."""
        return self.steps > 0

    @cached_property
    def stretches(self) -> tuple["Since", NDArray[np.intp]]:
        """Those alone and once each, (stretches,), as curves share beginnings; and, of each of `any`, which it is."""
        whole = np.stack([self.rate[self.any], self.steps[self.any], self.area[self.any]])
        once, which = np.unique(whole, axis=1, return_inverse=True)
        return Since(*once), which.ravel()

    def put(self, row: int, rate: Array, start: NDArray[np.int64], stop: NDArray[np.int64], sums: Array) -> None:
        """
        Args:
            sums: of rates before each step.
        """
        n = len(start)
        self.rate[row, :n], self.steps[row, :n], self.area[row, :n] = rate, stop - start, sums[stop] - sums[start]


@dataclass(frozen=True)
class Sites:
    """Places on curves where a loss is known or asked for, laid out for the laws: rows are places, columns pieces."""

    area: Array
    """(places, terms): S_p as `repro.advice.areas` keeps it"""
    drop: Array
    """(places, pieces): eta_{k-1} - eta_k; 0 beyond the place"""
    paid: "Since"
    """From the drop to the place, or to the rise that undid it."""
    undone: "Since"
    """From that rise to the place; nothing, where there is none."""
    size: Array
    """(places,): parameters over the reference"""
    top: Array
    """(places,): the maximum rate over the reference"""
    since: Array
    """(places, slices)"""
    counted: Array
    """(places, slices): a slice's weight in the mean; 0: there is none"""
    replay: Array
    """(places,)"""

    @classmethod
    def of(
        cls, curves: Sequence[RateCurve], places: Sequence[Sequence[int]], reference: tuple[float, float]
    ) -> "Sites":
        """
        Args:
            places: for each curve, numbers of steps after which its loss is asked for.
            reference: parameters and maximum rate that those of curves are relative to.
        """
        pieces = [_pieces(curve.rates) for curve in curves]
        width = max(len(each) for each in pieces)
        slices = max([len(curve.since) for curve in curves])
        rows = [(i, at) for i, each in enumerate(places) for at in each]
        drop, paid, undone = np.zeros((len(rows), width)), Since.none(len(rows), width), Since.none(len(rows), width)
        old, counted = np.zeros((len(rows), slices)), np.zeros((len(rows), slices))
        area = np.concatenate([polynomials(c.rates, each) for c, each in zip(curves, places, strict=True) if len(each)])
        sums = [np.concatenate([[0.0], np.cumsum(curve.rates)]) for curve in curves]
        for row, (i, at) in enumerate(rows):
            own = pieces[i][pieces[i]["start"] < at]
            n, until = len(own), np.minimum(own["undone"], at)
            drop[row, :n] = own["drop"]
            paid.put(row, own["rate"], own["start"], until, sums[i])
            undone.put(row, own["undone_rate"], until, np.full(n, at), sums[i])
            old[row, : len(curves[i].since)] = curves[i].since
            counted[row, : len(curves[i].since)] = 1 / max(len(curves[i].since), 1)
        size = np.array([curves[i].parameters / reference[0] for i, _ in rows])
        top = np.array([curves[i].rates.max() / reference[1] for i, _ in rows])
        replay = np.array([curves[i].replay for i, _ in rows])
        return cls(area, drop, paid, undone, size, top, old, counted, replay)


@lru_cache(maxsize=256)
def last_sites(curves: tuple[RateCurve, ...], reference: tuple[float, float]) -> Sites:
    """The last places of a few curves, kept: each question about a recipe asks of the same."""
    return Sites.of(curves, [[len(curve.rates)] for curve in curves], reference)


PIECE = np.dtype([("start", "i8"), ("drop", "f8"), ("rate", "f8"), ("undone", "i8"), ("undone_rate", "f8")])
"""A drop: its step, its size, the rate after it, and the step of the rise that undid it, with the rate after that."""
NEVER = np.iinfo(np.int64).max


def _pieces(rates: Array) -> NDArray[np.void]:
    """The drops of a curve after its warm-up."""
    warm = int(np.argmax(rates >= rates.max() * (1 - 1e-12)))
    changes = warm + 1 + np.flatnonzero(np.diff(rates[warm:]))
    signs = np.sign(rates[changes] - rates[changes - 1])
    stretches = np.split(changes, np.flatnonzero((np.diff(signs) != 0) | (np.diff(changes) > 1)) + 1)
    most = max(2, PIECES // max(1, len(stretches)))
    done: list[tuple[float, ...]] = []
    open_drops: list[list[float]] = []
    for stretch in stretches if len(changes) else ():
        for group in np.array_split(stretch, min(most, len(stretch))):
            first, last = int(group[0]), int(group[-1])
            step, rate = (first + last) // 2, float(rates[first : last + 1].mean())
            fall = float(rates[first - 1] - rates[last])
            if fall > 0:
                open_drops.append([step, fall, rate])
            while fall < 0 and open_drops:
                latest = open_drops[-1]
                part = min(latest[1], -fall)
                done.append((latest[0], part, latest[2], step, rate))
                latest[1], fall = latest[1] - part, fall + part
                if latest[1] <= 1e-15:
                    open_drops.pop()
    done += [(start, drop, rate, NEVER, 1.0) for start, drop, rate in open_drops]
    return np.array(done, dtype=PIECE)


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


POWER = Parameter("power", 0.5, LOWEST, HIGHEST, log=False)
"""p, by which rates count in the area"""
RATE = (Parameter("rho", 0.7, 0.0, 1.5, log=False), Parameter("sigma", 0.0, -2.0, 2.0, log=False))
"""Of the maximum rate, where a ledger has several; see this module's top."""


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
    rates: int = 1
    """Maximum rates that it is fitted on."""
    replays: bool = False
    """Whether replay was varied, so that kappa can be fitted."""

    @property
    def label(self) -> str:
        return self.name + (" + shift (2505.07796)" if self.shifts else "")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        size = (Parameter("F", 0.3, 1e-4, 20.0), Parameter("delta", CHINCHILLA, 0.02, 2.0))[: max(0, self.sizes - 1)]
        shift = (Parameter("D", 0.02, 1e-5, 5.0), Parameter("E", 1.0, 1e-3, 1e4), Parameter("zeta", 0.5, 0.02, 5.0))
        kappa = (Parameter("kappa", 2.0, 0.01, 50.0),)
        return (
            Parameter("floor", 2.5, 1e-3, 20.0),
            Parameter("A", 1.0, 1e-4, 50.0),
            Parameter("alpha", 0.5, 0.02, 3.0),
            Parameter("B", 50.0, 1e-4, 1e6),
            POWER,
            *self.kernel,
            *size,
            *(RATE[: max(0, self.rates - 1)]),
            *(shift if self.shifts else ()),
            *(kappa if self.shifts and self.replays else ()),
        )

    def drops(self, kernel: Sequence[float], sites: Sites) -> Array:
        """(places,): what has paid of the drops before each.

        Args:
            kernel: G's numbers.
        """
        values = dict(zip([each.name for each in self.kernel], kernel, strict=True))
        paid, undone = (self._paid(values, each) for each in (sites.paid, sites.undone))
        return np.asarray((sites.drop * (paid * (1 - undone))).sum(axis=1))

    def _paid(self, values: dict[str, float], since: Since) -> Array:
        """(places, pieces)"""
        paid = np.zeros_like(since.steps)
        once, which = since.stretches
        paid[since.any] = self.pays(values, once)[which]
        return paid

    def loss(self, values: dict[str, float], sites: Sites, drops: Array | None = None) -> Array:
        """(places,)

        Args:
            drops: what `drops` gives for these, where it is known.
        """
        if drops is None:
            drops = self.drops([values[each.name] for each in self.kernel], sites)
        area = areas(sites.area, values["power"])
        if "rho" in values:
            paid = sites.top ** -values["rho"]
            drops, area = drops * paid, area * paid
        loss = values["floor"] + values["A"] * area ** -values["alpha"] - values["B"] * drops
        if "sigma" in values:
            loss = loss + values["sigma"] * np.log(sites.top) ** 2
        if "F" in values:
            loss = loss + values["F"] * (sites.size ** -values.get("delta", CHINCHILLA) - 1)
        if self.shifts:
            cost = values["D"] * (1 - (1 + values["E"] * sites.since) ** -values["zeta"])
            loss = loss + (cost * sites.counted).sum(axis=1) * np.exp(-values.get("kappa", 1.0) * sites.replay)
        return np.asarray(loss)

    def pays(self, values: dict[str, float], since: Since) -> Array:
        """G, of as many stretches; 0 where nothing has passed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Annealing(Law):
    """arXiv 2408.11029"""

    name = "annealing law"
    source = "2408.11029"
    kernel = (Parameter("memory", 100.0, 2.0, 1e5),)
    """1 / (1 - lambda), in steps"""

    def pays(self, values: dict[str, float], since: Since) -> Array:
        return np.asarray(1 - np.exp(-since.steps / values["memory"]))


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

    def pays(self, values: dict[str, float], since: Since) -> Array:
        # A drop to a rate of 0 pays nothing while the rate stays there, and all of it once the rate has risen.
        with np.errstate(divide="ignore"):
            scale = np.where(since.area > 0, since.rate ** -values["gamma"], 0.0)
        x = values["C"] * scale * since.area
        return np.asarray(1 - (1 + x) ** -values["beta"])


LAWS: tuple[type[Law], ...] = (Annealing, MultiPower)

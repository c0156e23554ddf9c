"""What a recipe's versions will have as loss, with intervals that hold what laws get wrong and seeds scatter.

An interval's parts are added as variances: how the law's numbers move when seeds are drawn again (bootstrap); how far
the law missed cells that it was not fitted to, and how much more it misses beyond its fit (longer training, other sizes
and maximum rates, shorter decays); how uncertain the mean of the seeds' effects is; slices that nobody has measured
yet; and a run's own scatter. Of a difference, what both share is in neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repro.advice.candidates import Candidate, same
from repro.advice.evidence import Cell, Version
from repro.advice.fits import Evidence, Fit, JudgedLaw, curve_of
from repro.advice.laws import RateCurve, last_sites

Array = NDArray[np.float64]

FEW = 5
"""Seeds below which their own scatter is not relied upon."""
LEVEL = 0.9
"""Of intervals."""
SHORTER = 0.02
"""What laws miss, in nats, for each halving of the decay below the shortest that they were fitted to. Assumed, after
our own ledgers (`python -m tests.advice.backtest`, docs/advice.md)."""


@dataclass(frozen=True)
class Estimate:
    """A number with what is not known of it, in nats per token."""

    center: float
    spread: float
    """Standard deviation of all but the seeds' scatter; NaN: unknown."""
    noise: float
    """Of one run; NaN: unknown."""
    freedom: float
    """Degrees of freedom of both together."""
    basis: str = "law"
    """`law`, or `measured`."""

    def half(self, seeds: float = 1) -> float:
        """Half of the interval's width; NaN: there is none.

        Args:
            seeds: over how many the mean is taken that it is to hold; infinite: without their scatter.
        """
        from scipy.stats import t

        scale = np.sqrt(self.spread**2 + self.noise**2 / seeds)
        return float(t.ppf(0.5 + LEVEL / 2, self.freedom) * scale)


@dataclass(frozen=True)
class Knowledge:
    """A ledger, as far as it bears on a question about one maximum rate, and the laws fitted to it."""

    cells: tuple[Cell, ...]
    """All of the data and the architecture, those included that no law speaks of."""
    evidence: Evidence
    laws: tuple[JudgedLaw, ...]
    """The one that misses least first."""
    draws: tuple[Fit, ...]
    """Of that law."""

    @property
    def law(self) -> JudgedLaw:
        return self.laws[0]

    @property
    def one_seed(self) -> bool:
        return not np.isfinite(self.evidence.noise)

    @cached_property
    def level(self) -> float:
        """How uncertain the mean of the seeds' effects is, in nats: for runs of other seeds than the ledger's."""
        return 0.0 if self.one_seed else self.evidence.scatter / float(np.sqrt(len(self.evidence.seeds)))

    @cached_property
    def _spans(self) -> dict[str, tuple[float, float]]:
        """Between which values the law was fitted."""
        found: dict[str, list[float]] = {}
        for cell in self.evidence.cells:
            for version in cell.versions:
                for name, value in _place(curve_of(cell, version)).items():
                    found.setdefault(name, []).append(value)
        return {name: (min(values), max(values)) for name, values in found.items()}

    def beyond(self, curve: RateCurve) -> list[str]:
        """How far a prediction lies outside the fit: a sentence for each way; empty: it does not."""
        said = []
        for name, value in _place(curve).items():
            low, high = self._spans[name]
            if value > high * 1.001 and high > 0:
                said.append(f"{value / high:.3g} times the most {name} of the fit")
            elif value > high * 1.001:
                said.append(f"{name}, of which the fit had none")
            elif value < low / 1.001:
                said.append(f"{value / low:.3g} times the least {name} of the fit")
        return said

    def losses(self, fits: Sequence[Fit], curves: Sequence[RateCurve]) -> Array:
        """(fits, versions): nats per token of slices 1 to k."""
        sites = last_sites(tuple(curves), self.evidence.reference)
        hard = np.array([self.evidence.hardness(k)[0] for k in range(1, len(curves) + 1)])
        return np.array([fit.predict(sites) + hard for fit in fits])

    def predict(self, curves: Sequence[RateCurve]) -> list[Estimate]:
        """The versions of a recipe, by law."""
        center, *drawn = self.losses((self.law.fit, *self.draws), curves)
        moved = np.std(drawn, axis=0) if drawn else 0 * center
        unseen = np.array([self.evidence.hardness(k)[1] for k in range(1, len(curves) + 1)])
        ahead = [self._beyond(curve, "level") + self._shorter(curve) for curve in curves]
        missed = np.array([self.law.miss(k) + ahead[k - 1] for k in range(1, len(curves) + 1)])
        spread = np.sqrt(moved**2 + unseen**2 + missed**2 + self.level**2)
        return [self._estimate(float(c), float(s), 1) for c, s in zip(center, spread, strict=True)]

    def against(self, curves: Sequence[RateCurve], measured: Sequence[Version]) -> list[Estimate]:
        """How much more loss a recipe's versions have, by law, than another's had: what was seen is not predicted.

        Args:
            measured: the other's versions.
        """
        found = []
        for own, version in zip(self.predict(curves), measured, strict=True):
            plain = {s: loss - self.evidence.effects[s] for s, loss in version.loss.items() if s in self.evidence.seeds}
            other = seen(plain or version.loss)
            # The mean of other seeds' effects is in neither, unless the law never saw the seeds that were measured.
            shared = self.level if plain else 0.0
            spread = float(np.sqrt(max(own.spread**2 - shared**2, 0.0) + np.nan_to_num(other.spread) ** 2))
            found.append(self._estimate(own.center - other.center, spread, 2))
        return found

    def contrast(self, curves: Sequence[RateCurve], others: Sequence[RateCurve]) -> list[Estimate]:
        """How much more loss a recipe's versions have than another's, by law."""
        fits = (self.law.fit, *self.draws)
        each = self.losses(fits, curves) - self.losses(fits, others)
        moved = np.std(each[1:], axis=0) if self.draws else 0 * each[0]
        pairs = list(zip(curves, others, strict=True))
        ahead = np.array(
            [max(self._beyond(each, "between") for each in pair) + self._shorter(pair[0]) for pair in pairs]
        )
        spread = np.sqrt(moved**2 + (self._contrast_error + ahead) ** 2)
        return [self._estimate(float(c), float(s), 2) for c, s in zip(each[0], spread, strict=True)]

    def apart(self, curves: Sequence[RateCurve], other: "Knowledge", others: Sequence[RateCurve]) -> list[Estimate]:
        """How much more loss a recipe's versions have than another's have by another law."""
        pairs = zip(self.predict(curves), other.predict(others), strict=True)
        return [
            self._estimate(one.center - base.center, float(np.hypot(one.spread, base.spread)), 2) for one, base in pairs
        ]

    def _estimate(self, center: float, spread: float, runs: int) -> Estimate:
        """Of a law, about so many runs that are independent of each other."""
        nothing = float("nan")
        noise = self.evidence.noise * np.sqrt(runs)
        freedom = len(self.law.missed(2))
        return Estimate(center, nothing if self.one_seed else spread, noise, freedom)

    def _beyond(self, curve: RateCurve, what: Literal["level", "between"]) -> float:
        """What the law misses beyond the longest training, and the sizes and maximum rates, that it was fitted to."""
        times = len(curve.rates) / self._spans["steps"][1]
        missed = getattr(self.law.ahead, what) * float(np.log2(times)) if times > 1 else 0.0
        for value, known, beyond in (
            (curve.parameters, self.evidence.sizes, self.law.larger),
            (float(curve.rates.max()), self._tops, self.law.faster),
        ):
            octaves = min(abs(float(np.log2(value / each))) for each in known)
            one = getattr(beyond, what)
            if octaves > 0.01 and np.isfinite(one):  # ledgers round rates; and of one value nothing is known beyond it
                missed += one * octaves
        return missed

    @cached_property
    def _tops(self) -> set[float]:
        """The highest rates of the curves that the law was fitted to."""
        return {float(curve_of(cell, version).rates.max()) for cell in self.evidence.cells for version in cell.versions}

    @cached_property
    def _shortest(self) -> float:
        """Of the decays that the law was fitted to, in steps."""
        steps = [_place(curve_of(cell, version))[DECAY] for cell in self.evidence.cells for version in cell.versions]
        return min(each for each in steps if each > 0)

    def _shorter(self, curve: RateCurve) -> float:
        """What the law misses of decays that are shorter than it was fitted to."""
        steps = _place(curve)[DECAY]
        return SHORTER * float(np.log2(self._shortest / steps)) if 0 < steps < self._shortest else 0.0

    @cached_property
    def _contrast_error(self) -> float:
        """How far the law missed differences to retraining, of cells left out; as for single ones, where none tell."""
        missed = [(each.cell, each.errors) for each in self.law.left_out]
        errors = []
        for cell, theirs in missed:
            for other, own in missed:
                alike = all(cell[name] == other[name] for name in ("schedule", "max_lr", "size", "steps_per_version"))
                if other.retrains and not cell.retrains and alike:
                    both = min(len(theirs), len(own))
                    errors.append(theirs[min(1, both - 1) : both] - own[min(1, both - 1) : both])
        return float(np.sqrt(np.mean(np.concatenate(errors) ** 2))) if errors else self.law.error * float(np.sqrt(2))

    def pooled(self, difference: Estimate, seeds: int) -> Estimate:
        """A measured difference of few seeds, with the scatter of all cells in place of its own: two seeds tell a mean
        and hardly a scatter."""
        if seeds >= FEW or self.one_seed:
            return difference
        spread = self.evidence.noise * float(np.sqrt(2 / max(seeds, 1)))
        return replace(difference, spread=spread, freedom=self.evidence.freedom)

    def measured(self, candidate: Candidate) -> Sequence[Version] | None:
        """Its versions, where the ledger holds the recipe in the setting asked about."""
        about, asked = candidate.about, candidate.run.versions
        for cell in self.cells:
            versions = cell.versions[:asked]
            if same(about, dict(cell.about)) and [each.number for each in versions] == list(range(1, asked + 1)):
                return versions
        return None


def seen(losses: Mapping[int, float]) -> Estimate:
    """The mean over seeds, as measured."""
    values = np.array(list(losses.values()))
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 1, "measured")
    noise = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), noise / np.sqrt(len(values)), 0.0, max(1, len(values) - 1), "measured")


def _place(curve: RateCurve) -> dict[str, float]:
    """Where a curve lies among others."""
    first = int(np.argmax(curve.rates >= curve.rates.max() * (1 - 1e-12)))
    flat = np.flatnonzero((np.diff(curve.rates[first:]) == 0) & (curve.rates[first + 1 :] < 0.99 * curve.rates.max()))
    decayed = curve.rates.max() - curve.rates[-1]
    below = np.flatnonzero(curve.rates[first:] < curve.rates.max() * (1 - 1e-12))
    return {
        "steps": float(len(curve.rates)),
        "maximum rate": float(curve.rates.max()),
        "decay of the rate": float(decayed / curve.rates.max()),
        DECAY: float(len(below)) if decayed > 0 else 0.0,
        "steps held below the maximum": float(len(flat)),
        "mean rate over the maximum": float(curve.rates.mean() / curve.rates.max()),
        "parameters": float(curve.parameters),
        "replay": curve.replay,
    }


DECAY = "steps below the maximum"

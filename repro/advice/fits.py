"""Fitting laws to a ledger, and choosing among them by the error on cells that were left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from repro.advice.evidence import Cell, Version
from repro.advice.laws import LAWS, Law, RateCurve, Sites, since
from repro.common import progress

Array = NDArray[np.float64]

HELDOUT_SPREAD = 0.005
"""Nats by which a held-out loss may miss a law before it counts little more."""
FIRST_SPREAD = 0.02
"""The same for a first version: soon after the start laws hold less, and updates are what is asked about."""
TELLABLE = 1e-4
"""Nats: laws that miss less than that are as good as one another."""
TRAINING_SPREAD = 0.1
"""The same for a mean of the training loss, of which there are many, noisier ones."""


@dataclass(frozen=True)
class Evidence:
    """Cells that one law can be fitted to, with what all fits share."""

    cells: tuple[Cell, ...]

    @cached_property
    def reference(self) -> tuple[float, float]:
        """Medians of the sizes and of the maximum rates."""
        return float(np.median(self.sizes)), float(np.median(self.rates))

    @cached_property
    def rates(self) -> tuple[float, ...]:
        return tuple(sorted({float(cell["max_lr"]) for cell in self.cells}))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(sorted({cell.parameters for cell in self.cells}))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({seed for cell in self.cells for seed in cell.seeds}))

    @cached_property
    def difficulty(self) -> Array:
        """(slices,): how much harder than the first each is, in nats: of last versions, from scratch if there are."""
        known = [cell for cell in self.cells if cell.mixes] or self.cells
        most = max(len(loss) for cell in self.cells for loss in cell.versions[-1].heldout.values())
        found: list[list[float]] = [[] for _ in range(most)]
        for only in (known, self.cells):
            missing = [j for j in range(most) if not found[j]]
            for cell in only:
                for loss in cell.versions[-1].heldout.values():
                    for j in missing:
                        if j < len(loss) and j < cell.versions[-1].number:
                            found[j].append(float(loss[j] - loss[0]))
        return np.array([np.mean(each) if each else 0.0 for each in found])

    def hardness(self, version: int) -> tuple[float, float]:
        """How much harder slices 1 to `version` are than slice 1, on average; and how uncertain that is, since slices
        that nobody measured are taken to be like the others."""
        known = self.difficulty[:version]
        unknown = version - len(known)
        spread = float(np.std(self.difficulty, ddof=1)) if len(self.difficulty) > 1 else 0.0
        mean = (known.sum() + unknown * float(self.difficulty.mean())) / version
        return float(mean), spread * float(np.sqrt(unknown)) / version

    def losses(self, version: Version) -> dict[int, float]:
        """By seed: nats per token of slices 1 to k, less their difficulty and less what the seed does to all runs."""
        return {seed: loss - self.effects.get(seed, 0.0) for seed, loss in self._plain(version).items()}

    def _plain(self, version: Version) -> dict[int, float]:
        extra = self.hardness(version.number)[0]
        return {seed: loss - extra for seed, loss in version.loss.items()}

    @cached_property
    def effects(self) -> dict[int, float]:
        """By how many nats every run of a seed is above those of others, which share its cut of the text, its
        tokenizer and its initialization: least squares over all versions, with a mean of 0 over seeds that some version
        or other joins. Between seeds that none joins, no difference is known."""
        pairs = [(i, s, loss) for i, v in enumerate(v for c in self.cells for v in c.versions)
                 for s, loss in self._plain(v).items()]  # fmt: skip
        if len(self.seeds) < 2 or not pairs:
            return dict.fromkeys(self.seeds, 0.0)
        places = 1 + max(i for i, _, _ in pairs)
        joined = self._joined()
        design = np.zeros((len(pairs) + len(joined), places + len(self.seeds)))
        for row, (i, seed, _) in enumerate(pairs):
            design[row, i] = design[row, places + self.seeds.index(seed)] = 1
        for row, group in enumerate(joined, len(pairs)):
            design[row, [places + self.seeds.index(seed) for seed in group]] = 1
        targets = np.array([*(loss for _, _, loss in pairs), *(0.0 for _ in joined)])
        found = np.linalg.lstsq(design, targets, rcond=None)[0]
        return dict(zip(self.seeds, found[places:].tolist(), strict=True))

    def _joined(self) -> list[set[int]]:
        """Seeds in groups: those of one version are in one."""
        groups = [{seed} for seed in self.seeds]
        for version in (version for cell in self.cells for version in cell.versions):
            together = [group for group in groups if group & set(version.seeds)]
            groups = [group for group in groups if group not in together] + [set().union(*together)]
        return [group for group in groups if group]

    @cached_property
    def scatter(self) -> float:
        """Of the seeds' effects: a standard deviation; NaN of one seed."""
        unknown = len(self.seeds) - self.compared
        return float(np.std(list(self.effects.values()), ddof=unknown)) if self.compared else float("nan")

    @cached_property
    def compared(self) -> int:
        """Differences between seeds that are known: one less than seeds in each group that some version joins."""
        return sum(len(group) - 1 for group in self._joined())

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of `noise`; 0 or less: there is none."""
        runs = [len(version.loss) for cell in self.cells for version in cell.versions]
        return sum(count - 1 for count in runs) - self.compared  # which the effects took

    @cached_property
    def noise(self) -> float:
        """How much a version's loss scatters from seed to seed, beyond the seeds' effects: a standard deviation, pooled
        over cells; NaN of one seed."""
        squares = 0.0
        for cell in self.cells:
            for version in cell.versions:
                losses = list(self.losses(version).values())
                if len(losses) > 1:
                    squares += float(np.var(losses, ddof=1)) * (len(losses) - 1)
        return float(np.sqrt(squares / self.freedom)) if self.freedom > 0 else float("nan")


def curve_of(cell: Cell, version: Version) -> RateCurve:
    """What leads to a version of a ledger."""
    old = since(version.rates, cell.lengths, version.number, cell.mixes)
    return RateCurve(version.rates, cell.parameters, old, cell.replay)


@dataclass(frozen=True)
class Data:
    """A law's targets, laid out once for many fits."""

    heldout: Sites
    training: Sites
    targets: Array
    """Of the training losses."""
    by_seed: tuple[Mapping[int, float], ...]
    """Of the held-out losses, in the order of their places."""
    spread: Array
    """(places,): by how many nats a held-out loss may miss."""
    heldout_cell: Array
    """(places,): to which of the cells each belongs."""
    training_cell: Array
    heldout_steps: Array
    """(places,): after how many steps."""
    training_steps: Array

    @classmethod
    def of(cls, evidence: Evidence) -> "Data":
        pairs = [(number, cell, version) for number, cell in enumerate(evidence.cells) for version in cell.versions]
        curves = [curve_of(cell, version) for _, cell, version in pairs]
        plain = [replace(curve, since=np.empty(0)) for curve in curves]
        points = [version.training for _, _, version in pairs]
        places = [[min(int(step) + 1, len(c.rates)) for step in p[:, 0]] for p, c in zip(points, curves, strict=True)]
        numbers = np.array([number for number, _, _ in pairs], dtype=np.float64)
        return cls(
            heldout=Sites.of(curves, [[len(curve.rates)] for curve in curves], evidence.reference),
            training=Sites.of(plain, places, evidence.reference),
            targets=np.concatenate([each[:, 1] for each in points]),
            by_seed=tuple(evidence.losses(version) for _, _, version in pairs),
            spread=np.array([FIRST_SPREAD if v.number == 1 else HELDOUT_SPREAD for _, _, v in pairs]),
            heldout_cell=numbers,
            training_cell=np.repeat(numbers, [len(each) for each in points]),
            heldout_steps=np.array([len(curve.rates) for curve in curves], dtype=np.float64),
            training_steps=np.array([step for each in places for step in each], dtype=np.float64),
        )

    def means(self, seeds: Sequence[int]) -> Array:
        """(places,): over seeds, some of which may count twice; over all that a cell has, where it has none of them."""
        return np.array(
            [np.mean([each[s] for s in seeds if s in each] or list(each.values())) for each in self.by_seed]
        )


Counts: TypeAlias = tuple[NDArray[np.bool_], NDArray[np.bool_]]


@dataclass(frozen=True)
class Fit:
    """A law with its numbers."""

    law: Law
    values: dict[str, float]
    coded: Array = field(repr=False)

    def predict(self, sites: Sites) -> Array:
        return self.law.loss(self.values, sites)


def fit(law: Law, data: Data, targets: Array, start: Array | None = None, counts: Counts | None = None) -> Fit:
    """Least squares over held-out and training losses, robust to outliers.

    Args:
        targets: of the held-out losses.
        start: a fit's `coded` to begin from, with a single start; None: several.
        counts: which of the held-out and training losses count; None: all.
    """
    from scipy.optimize import least_squares

    names = [each.name for each in law.parameters]
    low = np.array([*(each.code(max(each.low, 1e-9) if each.log else each.low) for each in law.parameters), -5.0])
    high = np.array([*(each.code(each.high) for each in law.parameters), 5.0])

    def values(coded: Array) -> dict[str, float]:
        return {each.name: each.value(float(c)) for each, c in zip(law.parameters, coded, strict=False)}

    far_counts, near_counts = counts or (np.ones(len(data.spread)), np.ones(len(data.targets)))

    @lru_cache(maxsize=8)  # a derivative changes one number at a time, and most are none of the kernel's
    def drops(*kernel: float) -> tuple[Array, Array]:
        return law.drops(kernel, data.heldout), law.drops(kernel, data.training)

    def residuals(coded: Array) -> Array:
        now = values(coded)
        far_drops, near_drops = drops(*(now[each.name] for each in law.kernel))
        far = (law.loss(now, data.heldout, far_drops) - targets) / data.spread * far_counts
        near = (law.loss(now, data.training, near_drops) + coded[-1] - data.targets) / TRAINING_SPREAD * near_counts
        return np.concatenate([far, near])

    starts = [start] if start is not None else _starts(law, names, data, targets)
    best = None
    for each in starts:
        inside = np.clip(each, low + 1e-6, high - 1e-6)
        found = least_squares(
            residuals, inside, bounds=(low, high), loss="soft_l1", f_scale=3.0, x_scale="jac",
            max_nfev=8 if start is not None else 100,
        )  # fmt: skip
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return Fit(law, values(best.x), best.x)


def _starts(law: Law, names: Sequence[str], data: Data, targets: Array) -> list[Array]:
    plain = {each.name: each.start for each in law.parameters}
    plain["floor"] = 0.8 * float(targets.min())
    plain["B"] = 0.2 / float(data.heldout.drop.sum(axis=1).max())
    length = float(data.heldout.paid.steps.max())
    scales = {"memory": [length / 50, length / 5], "C": [0.5, 10.0]}
    name = next(each for each in scales if each in names)
    starts = []
    for scale in scales[name]:
        now = plain | {name: scale}
        starts.append(np.array([*(each.code(now[each.name]) for each in law.parameters), 0.0]))
    return starts


@dataclass(frozen=True)
class LeftOut:
    """How far a law missed a cell that it was not fitted to."""

    cell: Cell
    errors: Array
    """(versions,): predicted less seen, in nats."""


@dataclass(frozen=True)
class Beyond:
    """What a law misses beyond its fit, in nats for a doubling."""

    level: float
    """Of losses: a root mean square."""
    between: float
    """Of differences between two of them."""

    @classmethod
    def of(cls, missed: Array) -> "Beyond":
        if len(missed) == 0:
            return cls(float("inf"), float("inf"))
        return cls(float(np.sqrt(np.mean(missed**2))), float(np.sqrt(2) * np.std(missed)))


@dataclass(frozen=True)
class JudgedLaw:
    """A law, fitted to everything and judged on what was left out."""

    fit: Fit
    left_out: tuple[LeftOut, ...]
    ahead: "Beyond"
    """What it misses of versions of twice the steps that it was fitted to."""
    larger: "Beyond"
    """The same of a model of twice the parameters; infinite where there is one size."""
    faster: "Beyond"
    """The same of twice the maximum rate; infinite where there is one."""

    def missed(self, version: int) -> Array:
        """Errors of versions like one: of the first, or of all updates."""
        found = [one for each in self.left_out for one in self._of(each, version > 1)]
        return np.array(found or [one for each in self.left_out for one in each.errors])

    @staticmethod
    def _of(each: LeftOut, updates: bool) -> list[float]:
        pairs = zip(each.cell.versions, each.errors.tolist(), strict=True)
        return [error for version, error in pairs if (version.number > 1) == updates]

    def miss(self, version: int) -> float:
        """Root mean square of `missed`, in nats."""
        return float(np.sqrt(np.mean(self.missed(version) ** 2)))

    @property
    def error(self) -> float:
        """Of updates: what laws are chosen by."""
        return self.miss(2)

    @property
    def median(self) -> float:
        """Of the absolute errors of updates, in nats."""
        return float(np.median(np.abs(self.missed(2))))


def judge(law: Law, evidence: Evidence, data: Data, done: Callable[[], None]) -> JudgedLaw:
    """Fit a law to all cells, and to all but each one in turn, which it then has to predict.

    Args:
        done: called after each cell.
    """
    targets = data.means(evidence.seeds)
    whole = fit(law, data, targets)
    missed = []
    for number, cell in enumerate(evidence.cells):
        own = data.heldout_cell == number
        found = fit(law, data, targets, whole.coded, (~own, data.training_cell != number))
        missed.append(LeftOut(cell, (found.predict(data.heldout) - targets)[own]))
        done()

    def beyond(far: Array, near: Array) -> Beyond:
        """What is missed beyond a limit of something, given as log2 of it over the limit, of each place."""
        if not (far > 0).any() or not (far <= 0).any():
            return Beyond.of(np.empty(0))
        found = fit(law, data, targets, whole.coded, (far <= 0, near <= 0))
        return Beyond.of((found.predict(data.heldout) - targets)[far > 0] / far[far > 0])

    def beyond_second(far: Array, near: Array) -> Beyond:
        """What is missed of the largest of something, beyond the second largest."""
        octaves, others = np.log2(far).round(2), np.log2(near).round(2)  # ledgers round rates
        *lower, top = np.unique(octaves)
        limit = lower[-1] if lower else top
        return beyond(octaves - limit, others - limit)

    half = data.heldout_steps.max() / 2
    return JudgedLaw(
        whole,
        tuple(missed),
        ahead=beyond(np.log2(data.heldout_steps / half), np.log2(data.training_steps / half)),
        larger=beyond_second(data.heldout.size, data.training.size),
        faster=beyond_second(data.heldout.top, data.training.top),
    )


def candidates(evidence: Evidence) -> list[Law]:
    """The laws that a ledger can be asked to tell apart."""
    replays = any(cell.replay for cell in evidence.cells)
    sizes = min(len(evidence.sizes), 3)
    rates = min(len(evidence.rates), 3)
    return [law(shifts=s, sizes=sizes, rates=rates, replays=replays) for s in (False, True) for law in LAWS]


def choose(evidence: Evidence) -> list[JudgedLaw]:
    """All laws, the one that misses least first; one with a shift only where that takes off a twentieth."""
    data, laws = Data.of(evidence), candidates(evidence)
    with progress.steps("Fitting laws", len(laws) * len(evidence.cells)) as done:
        judged = [judge(law, evidence, data, done) for law in laws]
    return sorted(judged, key=lambda each: max(each.error, TELLABLE) * (1.05 if each.fit.law.shifts else 1.0))


def bootstrap(chosen: JudgedLaw, evidence: Evidence, draws: int, seed: int = 0) -> list[Fit]:
    """The law fitted again to seeds drawn with replacement."""
    data = Data.of(evidence)
    random = np.random.Generator(np.random.PCG64(seed))
    fits = []
    with progress.steps("Drawing seeds again", draws) as done:
        for _ in range(draws):
            drawn = random.choice(np.array(evidence.seeds), size=len(evidence.seeds)).tolist()
            fits.append(fit(chosen.fit.law, data, data.means(drawn), chosen.fit.coded))
            done()
    return fits

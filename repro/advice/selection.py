"""Which of a ledger's runs laws are fitted to: those of the maximum rate that is asked about, if they are enough."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from threadpoolctl import threadpool_limits

from repro.advice import fits
from repro.advice.candidates import Candidate
from repro.advice.evidence import DATA, Cell
from repro.advice.fits import Evidence
from repro.advice.predictions import Knowledge
from repro.common.errors import UserError
from repro.config.registries import RECIPES

DRAWS = 20
"""Of the bootstrap. What laws miss outweighs it by far."""
ENOUGH = 3
"""Kinds of runs that a law can be fitted to."""


def learn(cells: Sequence[Cell], candidates: Sequence[Candidate], size: int | None = None) -> Mapping[str, Knowledge]:
    """Fit the laws to what a ledger holds of the data and the architecture that are asked about.

    Args:
        candidates: which differ in neither.
        size: parameters that are asked about; None: the candidates' model.

    Returns:
        By maximum rate, as the ledger writes it. Rates that have no runs enough of their own share one.

    Raises:
        UserError: it holds none, or too little.
    """
    about = candidates[0].about
    alike = [cell for cell in cells if all(cell[name] == about[name] for name in DATA)]
    if not alike:
        kinds = sorted({", ".join(f"{name}={cell[name]}" for name in DATA) for cell in cells})
        asked = ", ".join(f"{name}={about[name]}" for name in DATA)
        raise UserError(
            f"no advice on another kind of data, model or optimizer than the ledger's: asked is {asked}; it holds "
            f"{'; '.join(kinds) or 'no measured run'}. A pilot on it works: repro.train study=pilot_for_advice."
        )
    usable = [told for cell in alike if lawful(cell) and (told := curved(cell)).versions]
    if not any(_decayed(cell) for cell in usable):
        raise UserError(
            "no advice without decayed runs: no run of the ledger ends below half of its maximum rate, so that what a "
            "decay is worth cannot be known. repro.train study=pilot_for_advice makes some."
        )
    if len(usable) < ENOUGH:
        raise UserError(
            f"no advice from {len(usable)} kinds of runs: a law needs three, and one to be tested on. "
            "repro.train study=pilot_for_advice makes them."
        )
    rates, held = dict.fromkeys(each.about["max_lr"] for each in candidates), _rates(usable)
    if len(held) == 1 and (unknown := sorted(rates.keys() - held)):
        raise UserError(
            f"schedule.max_lr={unknown[0]}: the ledger has one maximum, {held.pop()}, and what another does cannot be "
            "known from it. repro.train study=pilot_for_advice makes runs under two."
        )
    fitted: dict[tuple[Cell, ...], Knowledge] = {}
    known = {}
    for rate in rates:
        near = tuple(sorted(_near(usable, rate, about["size"], size), key=lambda cell: cell.about))
        known[rate] = fitted[near] = fitted.get(near) or _fitted(alike, Evidence(near))
    return known


def _fitted(alike: Sequence[Cell], evidence: Evidence) -> Knowledge:
    # On several threads, linear algebra adds in another order, and a fit ends elsewhere by a little.
    with threadpool_limits(1, user_api="blas"):
        laws = fits.choose(evidence)
        draws = fits.bootstrap(laws[0], evidence, DRAWS) if len(evidence.seeds) > 1 else []
    return Knowledge(tuple(alike), evidence, tuple(laws), tuple(draws))


def _near(cells: Sequence[Cell], rate: str, name: str, size: int | None) -> Sequence[Cell]:
    """Cells of the very rate and size that are asked about, or of that size, or of that rate, if they are enough: laws
    hold within a rate better than across (docs/advice.md).

    Args:
        rate: as the ledger writes it.
        name: of the size, where none is given.
    """
    rated = [cell for cell in cells if cell["max_lr"] == rate]
    sized = [cell for cell in cells if cell.parameters == size or (size is None and cell["size"] == name)]
    both = [cell for cell in rated if cell in sized]
    if _enough(both):
        return both
    if _enough(sized) and (both or len(_rates(sized)) > 1):
        return sized
    return rated if _enough(rated) and not sized else cells


def _enough(cells: Sequence[Cell]) -> bool:
    return len(cells) >= ENOUGH and any(_decayed(cell) for cell in cells)


def _decayed(cell: Cell) -> bool:
    return any(version.rates[-1] < 0.5 * version.rates.max() for version in cell.versions)


def _rates(cells: Iterable[Cell]) -> set[str]:
    return {cell["max_lr"] for cell in cells}


def curved(cell: Cell) -> Cell:
    """With those of its versions whose learning rates the ledger tells."""
    return replace(cell, versions=tuple(version for version in cell.versions if len(version.rates)))


def lawful(cell: Cell) -> bool:
    """Whether laws of the learning rate speak of it, as far as its recipe is registered."""
    return cell["paradigm"] in RECIPES and bool(getattr(RECIPES.get(cell["paradigm"]), "lawful", True))

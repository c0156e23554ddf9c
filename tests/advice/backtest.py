"""How often intervals hold, by many small pilots cut out of our ledgers: python -m tests.advice.backtest (a minute).

Of each ledger, PTFS, CPT and one or two of path switching's branches are taken for a pilot, in every way; each other
run of that rate, size, length and text is predicted from it. Versions from 2 on, by seeds that the pilot has.

Then: what a law for each maximum rate misses of cells left out, beside one law for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from repro.advice import evidence, fits
from repro.advice.evidence import Cell
from repro.advice.fits import Evidence, curve_of
from repro.advice.predictions import Knowledge
from repro.advice.selection import curved, lawful

ROOT = Path(__file__).resolve().parents[2]
LEDGERS = {path.parent.name: path.parent for path in sorted((ROOT / "docs" / "advice").glob("*/runs.csv"))}
LEDGERS["proxy"] = ROOT / "paper_figures" / "proxy" / "data"
VERSIONS = 4


@dataclass(frozen=True)
class Tried:
    """A version that a pilot predicted, in nats."""

    error: float
    half: float
    inside: bool
    """The range of the fit."""


def pilots(cells: Sequence[Cell]) -> Iterator[tuple[list[Cell], list[Cell]]]:
    """What is fitted to, and what is predicted."""
    same = ("max_lr", "size", "steps_per_version", *evidence.DATA)
    settings = [tuple(cell[column] for column in same) for cell in cells]
    most = max(settings, key=settings.count)
    alike = [cell for cell, setting in zip(cells, settings, strict=True) if setting == most]
    base = [cell for cell in alike if cell["schedule"] == "cosine" and (cell.mixes or cell["paradigm"] == "cpt")]
    base = [cell for cell in base if cell.setting("curve") in ("", "cycle") and not cell.replay]
    branches = [cell for cell in alike if cell["paradigm"] == "path_switching" and cell["schedule"] == "cosine"]
    branches = [cell for cell in branches if not cell.replay]
    for count in (1, 2):
        for some in combinations(branches, count):
            fitted = [*base, *some]
            yield fitted, [cell for cell in alike if cell not in fitted]


def tried(fitted: Sequence[Cell], others: Sequence[Cell]) -> Iterator[Tried]:
    known = Evidence(tuple(fitted))
    laws = fits.choose(known)
    knowledge = Knowledge(tuple(fitted), known, tuple(laws), tuple(fits.bootstrap(laws[0], known, 5)))
    for cell in others:
        curves = [curve_of(cell, version) for version in cell.versions]
        for version, curve, told in zip(cell.versions, curves, knowledge.predict(curves), strict=True):
            losses = [loss - known.effects[seed] for seed, loss in version.loss.items() if seed in known.seeds]
            if version.number > 1 and losses:
                told = replace(told, spread=float(np.sqrt(max(told.spread**2 - knowledge.level**2, 0))))
                yield Tried(told.center - float(np.mean(losses)), told.half(len(losses)), not knowledge.beyond(curve))


def of(folder: Path) -> list[Tried]:
    cells = [curved(cell) for cell in evidence.read(folder) if lawful(cell)]
    cells = [replace(cell, versions=cell.versions[:VERSIONS]) for cell in cells if cell.versions]
    return [one for fitted, others in pilots(cells) for one in tried(fitted, others)]


def rates(folder: Path) -> Iterator[str]:
    """Rows of a table: of the text, the architecture and the size that have most cells."""
    cells = [cell for cell in map(curved, filter(lawful, evidence.read(folder))) if cell.versions]
    same = [tuple(cell[column] for column in ("size", *evidence.DATA)) for cell in cells]
    most = max(same, key=same.count)
    cells = sorted((c for c, setting in zip(cells, same, strict=True) if setting == most), key=lambda cell: cell.about)
    together = fits.choose(Evidence(tuple(cells)))[0]
    for rate in sorted({cell["max_lr"] for cell in cells}, key=float):
        own = [cell for cell in cells if cell["max_lr"] == rate]
        apart = fits.choose(Evidence(tuple(own)))[0]
        missed = [
            [error for each in judged.left_out if each.cell in own for error in each.errors[1:]]
            for judged in (together, apart)
        ]
        errors = " | ".join(f"{100 * float(np.sqrt(np.mean(np.square(each)))):.2f}" for each in missed)
        yield f"| {rate} | {len(own)} | {len(missed[0])} | {errors} |"


def main() -> None:
    print("| ledger | of | n | root mean square error, % of PPL | median half of the interval | held, % |")
    print("|---|---|---|---|---|---|")
    found = {name: of(folder) for name, folder in LEDGERS.items()}
    found["all"] = [one for each in found.values() for one in each]
    for name, every in found.items():
        for inside, said in ((True, "in range"), (False, "extrapolated")):
            some = [one for one in every if one.inside == inside]
            error = 100 * float(np.sqrt(np.mean([one.error**2 for one in some])))
            half = 100 * float(np.median([one.half for one in some]))
            held = 100 * float(np.mean([abs(one.error) <= one.half for one in some]))
            print(f"| `{name}` | {said} | {len(some)} | {error:.2f} | {half:.2f} | {held:.0f} |", flush=True)
    print("\n| maximum rate | kinds of runs | updates | one law for all misses, % of PPL | a law of its own |")
    print("|---|---|---|---|---|")
    for row in rates(LEDGERS["proxy"]):
        print(row, flush=True)


if __name__ == "__main__":
    main()

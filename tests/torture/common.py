"""What the script shares with tests: a sweep's command line, its data, and comparing two stores."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from repro.common import locks
from repro.planning import planner, sweeps
from repro.planning.tree import Tree
from repro.results import ledger
from repro.store import tables, upkeep
from repro.store.store import Store

ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "COLUMNS": "160"}
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def overrides(place: Path, data: Path, study: str, *more: str) -> list[str]:
    """A study at scale smoke, with a store and a ledger in `place`."""
    return [
        f"study={study}",
        "scale=smoke",
        f"store.path={place / 'store'}",
        f"ledger.path={place / 'ledger'}",
        f"data.path={data}",
        *more,
    ]


def command(given: Iterable[str], module: str = "repro.train") -> list[str]:
    return [sys.executable, "-m", module, *given]


def tree(given: Sequence[str]) -> Tree:
    return planner.make(sweeps.compose(given)).tree


def held(store: Store) -> list[Path]:
    """Leases whose holder lives."""
    return [path for path in (store.root / "leases").glob("*") if locks.is_held(path)]


def differences(one: Path, other: Path, keys: Iterable[str]) -> list[str]:
    """How the final states (weights, moments, training log) and the ledgers in two places differ, to the bit."""
    found = [f"{path}: {reason}" for place in (one, other) for path, reason in upkeep.damage(Store(place / "store"))]
    stores = Store(one / "store"), Store(other / "store")
    for key in keys:
        first, second = (store.manifest(key)["files"] for store in stores)
        found += [f"{key}: {name}" for name in sorted(first | second) if first.get(name) != second.get(name)]
    for name in (*(f"{table}.csv" for table in ledger.COLUMNS), tables.SUMS):
        texts = [(place / "ledger" / name) for place in (one, other)]
        if len({path.read_bytes() if path.is_file() else None for path in texts}) > 1:
            found.append(f"ledger: {name}")
    return found

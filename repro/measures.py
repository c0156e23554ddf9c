"""What is known of a version: its losses on every held-out slice, kept in the store by what they were computed from."""

import hashlib
from typing import Any

from repro.runs import Run
from repro.store import Store
from repro.trajectory import Key, canonical
from repro.tree import Tree

KIND = "perplexity"


def result_key(run: Run, key: Key) -> str:
    """Where the store keeps the losses of checkpoint `key`: batch size and numerics can change the last bits."""
    s = run.settings
    content = [key, run.stream.fingerprint, s.stream.heldout_blocks, s.evaluation.batch_blocks, run.numerics]
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def find(run: Run, key: Key, store: Store) -> list[dict[str, Any]] | None:
    """The losses, if they are known: for each slice its `slice`, `nll` (nats), `tokens` and `bytes`."""
    result = store.get_result(KIND, result_key(run, key))
    return None if result is None else result["slices"]


def missing(tree: Tree, key: Key, store: Store) -> list[int]:
    """Runs that release checkpoint `key` as a version and have not had it measured."""
    return [run for run in tree.releases.get(key, ()) if find(tree.runs[run], key, store) is None]


def finished(tree: Tree, run: int, store: Store) -> list[int]:
    """Versions of a run that are trained and measured."""
    stored = store.steps()
    ends = enumerate(tree.ends[run], start=1)
    return [version for version, key in ends if key in stored and not missing(tree, key, store)]

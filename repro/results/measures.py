"""What is known of a version: its losses on every held-out slice, kept in the store by what they were computed from.

Its PPL is one of two. When it is made, no later text is there, so that it is told on the slices up to its own
(`SO_FAR`): in terminals, trackers, cards, releases and advice. Reports compare versions on one text, all slices of the
stream (`EVERY`, `analysis.frames`). Of the last version the two are one.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from repro.common.canonical import digest
from repro.planning.runs import Run
from repro.planning.tree import Tree
from repro.recipes.trajectory import Key
from repro.store.store import Store

KIND = "perplexity"
SO_FAR, EVERY = "on held-out text of versions 1 to its own", "on all held-out slices"
"""Which text a version's PPL is of, wherever one is shown."""
DIVERGED = "diverged"
"""Kind of result that says of a node that the loss was no number on the edge to it."""


def result_keys(run: Run, key: Key) -> dict[str, list[int]]:
    """Where the store keeps the losses of checkpoint `key`, with the slices that each result holds.

    Batch size and numerics can change the last bits. A stream that grows has a result for every slice, so that
    appending a version leaves those before valid.
    """
    s, stream = run.settings, run.stream
    versions = range(1, stream.versions + 1)
    if stream.slice_fingerprint(1) is None:
        content = [key, stream.fingerprint, s.stream.heldout_blocks, s.evaluation.batch_size, run.numerics]
        return {digest(content): list(versions)}
    return {digest([key, stream.slice_fingerprint(k), s.evaluation.batch_size, run.numerics]): [k] for k in versions}


def find(run: Run, key: Key, store: Store) -> list[dict[str, Any]] | None:
    """The losses, if all are known: for each slice its `slice`, `nll` (nats), `tokens` and `bytes`."""
    found = known(run, key, store)
    return found if len(found) == run.stream.versions else None


def known(run: Run, key: Key, store: Store) -> list[dict[str, Any]]:
    """As `find`, for the slices whose losses are known."""
    found = []
    for name, slices in result_keys(run, key).items():
        result = store.get_result(KIND, name)
        # Another stream may hold the same slice under another number.
        rows = [] if result is None else result["slices"]
        found += [row | {"slice": number} for row, number in zip(rows, slices, strict=bool(rows))]
    return found


def loss(slices: Collection[Mapping[str, Any]], version: int) -> float:
    """Of a version, in nats per token: over all tokens of slices 1 to `version` (`SO_FAR`)."""
    slices = [row for row in slices if row["slice"] <= version]
    return float(sum(row["nll"] for row in slices) / sum(row["tokens"] for row in slices))


def perplexity(slices: Collection[Mapping[str, Any]], version: int) -> float:
    """Of a version: over all tokens of slices 1 to `version`; infinite where it is larger than any number."""
    return _exp(loss(slices, version))


def by_slice(slices: Collection[Mapping[str, Any]]) -> dict[int, float]:
    """Of each slice alone."""
    return {row["slice"]: _exp(row["nll"] / row["tokens"]) for row in slices}


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def missing(tree: Tree, key: Key, store: Store) -> list[int]:
    """Runs that release checkpoint `key` as a version and have not had it measured."""
    return [run for run in tree.releases.get(key, ()) if find(tree.runs[run], key, store) is None]


def unmeasured(tree: Tree, stored: Collection[Key], store: Store) -> list[Key]:
    """Versions that are stored, and not measured for each run that releases them."""
    measured = store.measured.setdefault(tree, set())
    left = []
    for key in tree.releases.keys() - measured:
        if key in stored:
            if missing(tree, key, store):
                left.append(key)
            else:
                measured.add(key)
    return left


def diverged(tree: Tree, run: int, stored: Collection[Key], store: Store) -> list[int]:
    """Versions of a run that training cannot reach, since the loss was no number on the way."""
    known = store.results(DIVERGED) - set(stored)
    ends = enumerate(tree.ends[run], start=1)
    return [version for version, key in ends if known & {node.key for node in tree.path(key)}] if known else []


def finished(tree: Tree, run: int, stored: Collection[Key], store: Store) -> list[int]:
    """Versions of a run that are trained and measured."""
    ends = enumerate(tree.ends[run], start=1)
    return [version for version, key in ends if key in stored and not missing(tree, key, store)]

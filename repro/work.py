"""One worker: takes whatever edge of the tree can be trained, until its own run is done and nothing is left to take.

Any number of workers, in any launcher, share a tree through the store alone. The edge with the longest way still to
go behind it comes first, so that the last one to finish starts early.
"""

import threading
from collections.abc import Collection

from repro import measures, perplexity
from repro.engine import Diverged, load_state, train_edge
from repro.errors import Preempted
from repro.store import Claim, Damaged, Store
from repro.trajectory import Key
from repro.tree import Tree

WAIT_SECONDS = 0.2
"""Between two looks at what others have finished."""


class Worker:
    """Works on one tree for one run of it."""

    def __init__(self, tree: Tree, own: int, store: Store, stop: threading.Event) -> None:
        """
        Args:
            own: the run, by its place in the tree, that has to be finished before the worker is.
            stop: when set, the step under way is finished and kept, and `Preempted` raised.
        """
        self._tree, self._store, self._stop, self._own = tree, store, stop, own
        urgency = remaining_path(tree)
        self._order = sorted(tree.nodes, key=lambda key: -urgency[key])
        self._measured: set[Key] = set()
        self._failed: dict[Key, Diverged] = {}

    def work(self) -> None:
        """Train and measure until the run is finished and nothing else can be taken.

        Raises:
            Diverged: an edge of the run, after everything that does not depend on it was done.
            repro.errors.Preempted: asked to stop.
        """
        while self._take_one() or not self._over():
            if self._stop.is_set():
                raise Preempted

    def _take_one(self) -> bool:
        """Do the most urgent thing that can be done and that nobody else does."""
        stored = self._store.steps()
        missing = self._tree.missing(stored)
        for key in self._order:
            if key in self._failed or not (
                self._trainable(key, stored) if key in missing else self._measurable(key, stored)
            ):
                continue
            with self._store.claim(key) as claim:
                if claim is not None:
                    self._do(key, claim)
                    return True
        return False

    def _trainable(self, key: Key, stored: Collection[Key]) -> bool:
        parent = self._tree.nodes[key].parent
        return parent is None or parent in stored

    def _measurable(self, key: Key, stored: Collection[Key]) -> bool:
        if key in self._measured or key not in stored or key not in self._tree.releases:
            return False
        if measures.missing(self._tree, key, self._store):
            return True
        self._measured.add(key)
        return False

    def _over(self) -> bool:
        """With nothing to take: whether the run is finished; waits a little for others when it is not."""
        for key in self._tree.own(self._own).keys() & self._failed.keys():
            raise self._failed[key]
        if len(measures.finished(self._tree, self._own, self._store)) == len(self._tree.ends[self._own]):
            return True
        self._stop.wait(WAIT_SECONDS)
        return False

    def _do(self, key: Key, claim: Claim) -> None:
        try:
            state = None if self._store.has(key) else train_edge(self._tree, key, self._store, claim, self._stop)
            for run in measures.missing(self._tree, key, self._store):
                state = state or load_state(self._tree.runs[run], self._store.load(key, "model", "optimizer", "trace"))
                perplexity.measure(self._tree.runs[run], key, state.model, self._store)
        except Damaged:
            pass  # It was set aside: now it is missing, and one of the next rounds trains it again.
        except Diverged as error:
            self._failed[key] = error


def remaining_path(tree: Tree) -> dict[Key, int]:
    """For each node, the steps of the longest way from its edge's beginning to a leaf."""
    remaining = dict.fromkeys(tree.nodes, 0)
    for node in reversed(tree.nodes.values()):
        remaining[node.key] += node.steps
        if node.parent is not None:
            remaining[node.parent] = max(remaining[node.parent], remaining[node.key])
    return remaining

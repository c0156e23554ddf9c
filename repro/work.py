"""One worker: takes whatever edge of the tree can be trained, until its own run is done and nothing is left to take.

Any number of workers, in any launcher, share a tree through the store alone. The edge with the longest way still to
go behind it comes first, so that the last one to finish starts early. How things stand is looked up in the store now
and then, for a bounded share of the time however large the tree is; what a look no longer gets right (another worker
was faster, a checkpoint is gone) is noticed under the claim, where it counts.
"""

import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

from repro import measures, perplexity
from repro.engine import Diverged, load_state, train_edge
from repro.errors import Preempted
from repro.store import Claim, Damaged, Store
from repro.trajectory import Key
from repro.tree import Tree

WAIT_SECONDS = 0.2
"""Between two looks at what others have finished, at least."""
LOOK_SHARE = 0.05
"""Of a worker's time, at most, that looking takes."""


@dataclass
class _Memory:
    """What this process knows of a tree, whichever of its runs a worker is for."""

    order: list[Key]
    """All nodes, the most urgent first."""
    failed: dict[Key, Diverged] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _memory(tree: Tree, store: Store) -> _Memory:
    urgency = remaining_path(tree)
    return _Memory(sorted(tree.nodes, key=lambda key: -urgency[key]))


class Worker:
    """Works on one tree for one run of it."""

    def __init__(self, tree: Tree, own: int, store: Store, stop: threading.Event) -> None:
        """
        Args:
            own: the run, by its place in the tree, that has to be finished before the worker is.
            stop: when set, the step under way is finished and kept, and `Preempted` raised.
        """
        self._tree, self._store, self._stop, self._own = tree, store, stop, own
        self._memory = _memory(tree, store)
        self._stored: dict[Key, int] = {}
        self._open: dict[Key, None] = {}
        """Nodes to train or to measure, the most urgent first."""
        self._looked = self._look_seconds = 0.0

    def work(self) -> None:
        """Train and measure until the run is finished and nothing else can be taken.

        Raises:
            Diverged: an edge of the run, after everything that does not depend on it was done.
            Preempted: asked to stop.
        """
        while not self._stop.is_set():
            if not self._take_one() and self._over():
                return
        raise Preempted

    def _take_one(self) -> bool:
        """Do the most urgent thing that can be done and that nobody else does."""
        if (time.monotonic() - self._looked) * LOOK_SHARE < self._look_seconds and self._take_open():
            return True
        self._look()
        return self._take_open()

    def _look(self) -> None:
        begin = time.monotonic()
        self._stored = self._store.steps()
        left = self._tree.missing(self._stored) | set(measures.unmeasured(self._tree, self._stored, self._store))
        self._open = dict.fromkeys(key for key in self._memory.order if key in left)
        self._looked = time.monotonic()
        self._look_seconds = self._looked - begin

    def _take_open(self) -> bool:
        for key in self._open:
            parent = self._tree.nodes[key].parent
            if key in self._memory.failed or not (key in self._stored or parent is None or parent in self._stored):
                continue
            with self._store.claim(key, parent) as claim:
                if claim is not None:
                    self._do(key, claim)
                    return True
        return False

    def _over(self) -> bool:
        """With nothing to take: whether the run is finished; waits a little for others when it is not."""
        for key in self._tree.own(self._own).keys() & self._memory.failed.keys():
            raise self._memory.failed[key]
        if not any(key in self._open for key in self._tree.ends[self._own]):
            return True
        self._stop.wait(max(WAIT_SECONDS, self._look_seconds / LOOK_SHARE))
        self._look_seconds = 0.0  # look again
        return False

    def _do(self, key: Key, claim: Claim) -> None:
        try:
            step = self._tree.nodes[key].step
            there = self._store.checkpoint_folder(key, step).exists()
            state = None if there else train_edge(self._tree, key, self._store, claim, self._stop)
            for run in measures.missing(self._tree, key, self._store):
                state = state or load_state(self._tree.runs[run], self._store.load(key, "model", "optimizer", "trace"))
                perplexity.measure(self._tree.runs[run], key, state.model, self._store)
            self._stored[key] = step
            del self._open[key]
        except Damaged:
            # It was set aside: now it is missing, and one of the next rounds trains it again.
            self._look_seconds = 0.0
        except Diverged as error:
            self._memory.failed[key] = error


def remaining_path(tree: Tree) -> dict[Key, int]:
    """For each node, the steps of the longest way from its edge's beginning to a leaf."""
    remaining = dict.fromkeys(tree.nodes, 0)
    for node in reversed(tree.nodes.values()):
        remaining[node.key] += node.steps
        if node.parent is not None:
            remaining[node.parent] = max(remaining[node.parent], remaining[node.key])
    return remaining

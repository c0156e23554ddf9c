"""One worker: takes whatever node of the graph can be made, until its own run is done and nothing is left to take.

Any number of workers, in any launcher, share a graph through the store alone. The node with the longest way still to
go behind it comes first, so that the last one to finish starts early. A worker polls the
store now and then, for a bounded share of its time however large the tree is. What has changed since a poll (another
worker was faster, a checkpoint is gone) is noticed under the lease, where it counts.
"""

import threading
import time
from contextlib import ExitStack
from functools import lru_cache

from repro.common.errors import Preempted
from repro.planning.tree import Tree
from repro.recipes.trajectory import Key
from repro.results import measures
from repro.store.layout import Damaged
from repro.store.leases import Lease
from repro.store.store import Store
from repro.training import perplexity
from repro.training.derivation import derive
from repro.training.engine import Diverged, configure, train_edge
from repro.training.parallel import ALONE, Processes
from repro.training.state import stored_state

WAIT_SECONDS = 0.2
"""Between two polls of what others have finished, at least."""
POLL_SHARE = 0.05
"""Of a worker's time, at most, that polling takes."""


@lru_cache(maxsize=1)
def _order(tree: Tree) -> tuple[Key, ...]:
    """All nodes, the most urgent first; the same for whichever of its runs a worker is."""
    urgency = critical_path(tree)
    return tuple(sorted(tree.nodes, key=lambda key: -urgency[key]))


class Worker:
    """Works on one tree for one run of it."""

    def __init__(self, tree: Tree, own: int, store: Store, stop: threading.Event, processes: Processes = ALONE) -> None:
        """
        Args:
            own: the run, by its place in the tree, that has to be finished before the worker is.
            stop: when set, the step under way is finished and kept, and `Preempted` raised.
            processes: those that are this worker together; rank 0 takes the leases.
        """
        self._tree, self._store, self._stop, self._own = tree, store, stop, own
        self._processes = processes
        self._leases = ExitStack()
        """The lease on what is being done, if something is; only rank 0 holds one."""
        self._lease: Lease | None = None
        self._stored: dict[Key, int] = {}
        self._open: dict[Key, None] = {}
        """Nodes to make or to measure, the most urgent first."""
        self._polled = self._poll_seconds = 0.0

    def work(self) -> None:
        """Train and measure until the run is finished and nothing else can be taken.

        Raises:
            Diverged: an edge of the run, after everything that does not depend on it was done.
            Preempted: asked to stop.
        """
        while (key := self._processes.on_rank_zero(self._next)) is not None:
            with self._leases:
                self._do(key)

    def _next(self) -> Key | None:
        """Lease what is to be done next; None: nothing more."""
        while not self._stop.is_set():
            if (key := self._take_one()) is not None:
                return key
            if self._over():
                return None
        raise Preempted

    def _take_one(self) -> Key | None:
        """Lease the most urgent thing that can be done and that nobody else does."""
        if (time.monotonic() - self._polled) * POLL_SHARE < self._poll_seconds and (key := self._take_open()):
            return key
        self._poll()
        return self._take_open()

    def _poll(self) -> None:
        begin = time.monotonic()
        self._stored = self._store.steps()
        left = self._tree.missing(self._stored) | set(measures.unmeasured(self._tree, self._stored, self._store))
        self._open = dict.fromkeys(key for key in _order(self._tree) if key in left)
        self._polled = time.monotonic()
        self._poll_seconds = self._polled - begin

    def _take_open(self) -> Key | None:
        for key in self._open:
            parents = self._tree.nodes[key].parents
            ready = key in self._stored or all(parent in self._stored for parent in parents)
            if key in self._store.failed or not ready:
                continue
            with ExitStack() as leases:
                self._lease = leases.enter_context(self._store.lease(key, *parents))
                if self._lease is not None:
                    self._leases = leases.pop_all()
                    return key
        return None

    def _over(self) -> bool:
        """With nothing to take: whether the run is finished; waits a little for others when it is not."""
        for key in self._tree.own(self._own).keys() & self._store.failed.keys():
            raise self._store.failed[key]
        if not any(key in self._open for key in self._tree.ends[self._own]):
            return True
        self._stop.wait(max(WAIT_SECONDS, self._poll_seconds / POLL_SHARE))
        self._poll_seconds = 0.0  # look again
        return False

    def _do(self, key: Key) -> None:
        lead = self._processes.on_rank_zero
        try:
            node = self._tree.nodes[key]
            state = None
            if not lead(lambda: self._store.checkpoint_folder(key, node.step).exists()):
                if node.derived:
                    lead(lambda: derive(node, self._store))
                else:
                    state = train_edge(self._tree, key, self._store, self._lease, self._stop, self._processes)
            for run in lead(lambda: measures.missing(self._tree, key, self._store)):
                at = self._tree.runs[run]
                configure(at)
                state = state or stored_state(self._tree.run_at(run, key), self._store, key, self._processes)
                perplexity.measure(at, key, state.model, self._store, self._stop, self._processes)
            self._stored[key] = node.step
            self._open.pop(key, None)
        except Damaged:
            # It was quarantined: now it is missing, and one of the next rounds makes it again.
            self._poll_seconds = 0.0
        except Diverged as error:
            self._store.failed[key] = error
            what = {"reason": str(error)}
            lead(lambda: self._store.put_result(measures.DIVERGED, key, what))


def critical_path(tree: Tree) -> dict[Key, int]:
    """For each node, the steps of the longest way from its parents to a leaf."""
    remaining = dict.fromkeys(tree.nodes, 0)
    for node in reversed(tree.nodes.values()):
        remaining[node.key] += node.steps
        for parent in node.parents:
            remaining[parent] = max(remaining[parent], remaining[node.key])
    return remaining

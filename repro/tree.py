"""The plan's tree: all trajectories of a set of runs, merged where they are the same training.

A node is a prefix at which trajectories part or end: there a checkpoint is kept. An edge leads to each node from the
node before it, or from a random initialization. The edges' steps are what has to be trained: a run's cost is the size
of its own tree. Checkpoints that a store already holds are nodes too, so that training starts from the deepest of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from repro.runs import Run
from repro.trajectory import STEP, Key, Trajectory


@dataclass(frozen=True)
class Node:
    """The end of one edge."""

    key: Key
    identity_key: Key
    """The key without numerics."""
    step: int
    """Steps from the initialization."""
    parent: Key | None
    """None: the edge begins at the initialization."""
    parent_step: int
    run: int
    """A run, by its place in the tree, whose trajectory leads here."""
    version: int
    """The version of that run whose trajectory leads here."""

    @property
    def steps(self) -> int:
        return self.step - self.parent_step


@dataclass
class Tree:
    """Merged trajectories. Nodes come parents first."""

    runs: list[Run]
    nodes: dict[Key, Node] = field(default_factory=dict)
    ends: list[list[Key]] = field(default_factory=list)
    """For each run, the node that each of its versions ends in."""

    @cached_property
    def releases(self) -> dict[Key, list[int]]:
        """For each node that is some run's version, those runs."""
        releases: dict[Key, list[int]] = {}
        for run, ends in enumerate(self.ends):
            for key in ends:
                releases.setdefault(key, []).append(run)
        return releases

    @property
    def logical_steps(self) -> int:
        """Steps if every trajectory were trained by itself."""
        return sum(len(t) for run in self.runs for t in run.trajectories)

    @property
    def unique_steps(self) -> int:
        """Steps of the tree."""
        return sum(node.steps for node in self.nodes.values())

    @property
    def branch_points(self) -> int:
        """Nodes from which more than one edge leads on."""
        children: dict[Key, int] = {}
        for node in self.nodes.values():
            if node.parent is not None:
                children[node.parent] = children.get(node.parent, 0) + 1
        return sum(count > 1 for count in children.values())

    def trajectory(self, node: Node) -> Trajectory:
        """A trajectory that the node is a prefix of."""
        return self.runs[node.run].trajectories[node.version - 1]

    def path(self, key: Key) -> list[Node]:
        """The edges from the initialization to a node, in order."""
        path = []
        at: Key | None = key
        while at is not None:
            node = self.nodes[at]
            path.append(node)
            at = node.parent
        return path[::-1]

    def missing(self, stored: Collection[Key]) -> set[Key]:
        """Nodes to train: versions that are not stored, and what training those has to go through."""
        wanted: set[Key] = set()
        for node in reversed(self.nodes.values()):
            if node.key not in stored and (node.key in wanted or node.key in self.releases):
                wanted.add(node.key)
                if node.parent is not None:
                    wanted.add(node.parent)
        return {key for key in wanted if key not in stored}

    def own(self, run: int, versions: int | None = None) -> dict[Key, Node]:
        """The tree of one run alone, or of its first `versions` versions."""
        return {node.key: node for end in self.ends[run][:versions] for node in self.path(end)}

    def run_steps(self, run: int, versions: int | None = None) -> int:
        """Steps of `own`."""
        return sum(node.steps for node in self.own(run, versions).values())

    def relative_cost(self, run: int, versions: int | None = None) -> float:
        """`run_steps`, as a share of pre-training the same versions from scratch."""
        return self.run_steps(run, versions) / sum(self.runs[run].scratch_steps[:versions])


@dataclass(frozen=True)
class _Member:
    run: int
    version: int
    trajectory: Trajectory
    records: NDArray[np.void]


def merge(runs: Iterable[Run], stored: Mapping[Key, int] | None = None) -> Tree:
    """Merge the runs' trajectories into one tree.

    Args:
        stored: keys and steps of the checkpoints there are: what training can start from.
    """
    tree = Tree(list(runs))
    tree.ends = [[""] * run.versions for run in tree.runs]
    groups: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for index, run in enumerate(tree.runs):
        first = run.trajectories[0]
        groups.setdefault((first.identity, first.numerics, id(run.stream)), []).extend(
            (index, version) for version in range(1, run.versions + 1)
        )
    for members in groups.values():
        _merge_group(tree, members, stored or {})
    return tree


def _merge_group(tree: Tree, members: list[tuple[int, int]], stored: Mapping[Key, int]) -> None:
    """Add the trajectories that share an initialization."""
    unique: dict[Trajectory, list[tuple[int, int]]] = {}
    for run, version in members:
        unique.setdefault(tree.runs[run].trajectories[version - 1], []).append((run, version))
    group = [
        _Member(run, version, trajectory, trajectory.records(tree.runs[run].stream))
        for trajectory, ((run, version), *_) in unique.items()
    ]
    cuts: dict[int, set[int]] = {index: set() for index in range(len(group))}
    for index, step in _nodes(group):
        cuts[index].add(step)
    for index, member in enumerate(group):
        stream = tree.runs[member.run].stream
        known = {step for step in stored.values() if 0 < step < len(member.records)}
        at = member.trajectory.keys(stream, known)
        steps = cuts[index] | {step for step in known if at[step] in stored}
        keys = member.trajectory.keys(stream, steps)
        identity_keys = member.trajectory.identity_keys(stream, steps)
        before: tuple[Key | None, int] = (None, 0)
        for step in sorted(steps):
            key = keys[step]
            if key not in tree.nodes:
                tree.nodes[key] = Node(key, identity_keys[step], step, *before, member.run, member.version)
            before = key, step
        assert before[0] is not None
        for run, version in unique[member.trajectory]:
            tree.ends[run][version - 1] = before[0]


def _nodes(group: list[_Member]) -> Iterator[tuple[int, int]]:
    """Each member with every step of it that is a node: where it parts from another one, or where one ends."""
    # In sorted order, a member parts from any other one no deeper than from a neighbour on that side.
    order = sorted(range(len(group)), key=lambda index: group[index].records.tobytes())
    pairs = [(a, b, _common(group[a].records, group[b].records)) for a, b in pairwise(order)]
    steps = {index: {len(group[index].records)} for index in order}
    for a, b, common in pairs:
        steps[a] |= {common} - {0}
        steps[b] |= {common} - {0}
    # A node of one member is a node of every other one that shares it: hand it on, down the order and up again.
    for source, target, common in [*pairs, *((b, a, common) for a, b, common in reversed(pairs))]:
        steps[target] |= {step for step in steps[source] if step <= common}
    for index in order:
        for step in steps[index]:
            yield index, step


def _common(a: NDArray[np.void], b: NDArray[np.void]) -> int:
    """Length of the common prefix of two trajectories' records."""
    length = min(len(a), len(b))
    words = STEP.itemsize // 8
    equal = a[:length].view(np.uint64).reshape(length, words) == b[:length].view(np.uint64).reshape(length, words)
    same = equal.all(axis=1)
    return length if same.all() else int(np.argmin(same))

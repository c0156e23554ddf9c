"""The plan's tree: all trajectories of a set of runs, merged where they are the same training.

A node is a prefix at which trajectories part or end: there a checkpoint is kept. An edge leads to each node from the
node before it, or from a random initialization. The edges' steps are what has to be trained: a run's cost is the size
of its own tree. Checkpoints that a store already holds are nodes too, so that training starts from the deepest of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from repro.planning.runs import Run
from repro.recipes.trajectory import STEP, Key, PrefixChain, Trajectory


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


@dataclass(eq=False)
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


def merge(runs: Iterable[Run], stored: Mapping[Key, int] | None = None) -> Tree:
    """Merge the runs' trajectories into one tree, in time and memory about linear in their steps.

    Args:
        stored: keys and steps of the checkpoints there are: what training can start from.
    """
    tree = Tree(list(runs))
    tree.ends = [[""] * run.versions for run in tree.runs]
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, run in enumerate(tree.runs):
        first = run.trajectories[0]
        groups.setdefault((first.identity, first.numerics), []).extend(
            (index, version) for version in range(1, run.versions + 1)
        )
    known = _Known(stored or {}, sorted(set((stored or {}).values())))
    for members in groups.values():
        _merge_group(tree, members, known)
    return tree


@dataclass(frozen=True)
class _Known:
    """Checkpoints there are."""

    stored: Mapping[Key, int]
    steps: list[int]
    """Their distinct steps, ascending."""


@dataclass
class _Point:
    """A step at which trajectories part or end."""

    step: int
    member: int
    """A trajectory that leads here."""
    parent: "_Point | None"


def _merge_group(tree: Tree, members: list[tuple[int, int]], known: _Known) -> None:
    """Add the trajectories that share an initialization."""
    unique: dict[tuple[Trajectory, int], list[tuple[int, int]]] = {}
    for run, version in members:
        r = tree.runs[run]
        unique.setdefault((r.trajectories[version - 1], id(r.stream)), []).append((run, version))
    # Each by its own stream: two streams may hold the same blocks, and part where they do not.
    records = [
        trajectory.records(tree.runs[releases[0][0]].stream).tobytes() for (trajectory, _), releases in unique.items()
    ]
    chains: dict[int, tuple[PrefixChain, PrefixChain, Node | None]] = {}
    first, _ = next(iter(unique))
    start = PrefixChain((first.identity, first.numerics)), PrefixChain((first.identity,)), None
    for end, releases in zip(_ends(records), unique.values(), strict=True):
        path = []
        point: _Point | None = end
        while point is not None and id(point) not in chains:
            path.append(point)
            point = point.parent
        at = start if point is None else chains[id(point)]
        for point in reversed(path):
            at = _add(tree, point, at, records[point.member], releases[0], known)
            chains[id(point)] = at
        node = chains[id(end)][2]
        assert node is not None
        for run, version in releases:
            tree.ends[run][version - 1] = node.key


def _add(
    tree: Tree,
    point: _Point,
    at: "tuple[PrefixChain, PrefixChain, Node | None]",
    records: bytes,
    leads: tuple[int, int],
    known: _Known,
) -> "tuple[PrefixChain, PrefixChain, Node | None]":
    """Add the node at a point, and the stored checkpoints on the way to it from the point before."""
    keys, identity_keys, node = at[0].copy(), at[1].copy(), at[2]
    before = node.step if node is not None else 0
    for step in [*known.steps[bisect_right(known.steps, before) : bisect_left(known.steps, point.step)], point.step]:
        key = keys.key(records, step)
        if step == point.step or key in known.stored:
            parent = None if node is None else node.key
            node = Node(key, identity_keys.key(records, step), step, parent, before, *leads)
            before = step
            tree.nodes[key] = node
    return keys, identity_keys, node


def _ends(records: list[bytes]) -> list[_Point]:
    """The end of each trajectory, linked to the points before it where it parts from others or where others end."""
    ends: list[_Point | None] = [None] * len(records)
    path: list[_Point] = []  # the points of the trajectory before, in sorted order
    before = b""
    # In sorted order, a trajectory parts from all those before it no deeper than from its neighbour.
    for member in sorted(range(len(records)), key=records.__getitem__):
        common = _common(before, records[member])
        below = None
        while path and path[-1].step > common:
            below = path.pop()
        if common and (not path or path[-1].step < common):
            assert below is not None
            path.append(_Point(common, member, path[-1] if path else None))
            below.parent = path[-1]
        if records[member] != before:  # else two that are written differently and do the same
            before = records[member]
            path.append(_Point(len(before) // STEP.itemsize, member, path[-1] if path else None))
        ends[member] = path[-1]
    return [end for end in ends if end is not None]


def _common(a: bytes, b: bytes) -> int:
    """Length in steps of the common prefix of two trajectories' records."""
    length = min(len(a), len(b)) // STEP.itemsize
    words = STEP.itemsize // 8
    one, two = (np.frombuffer(each, np.uint64, length * words).reshape(length, words) for each in (a, b))
    same = (one == two).all(axis=1)
    return length if same.all() else int(np.argmin(same))

"""The plan's graph: all that a set of runs needs, merged where it is the same.

A node is weights that are kept. There are two kinds. The end of an edge of training: a prefix at which trajectories
part or end; its edge begins at the node before it, or at an initialization. And derived weights, made from other nodes
by an operation, without a step. What has to be trained are the edges' steps: a run's cost is the steps of all that its
versions are made from, each node counted once. Checkpoints that a store already holds are nodes too, so that training
starts from the deepest of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from repro.planning.runs import Run
from repro.recipes.trajectory import STEP, Derived, Key, PrefixChain, Product, Trajectory, derived_key


@dataclass(frozen=True, eq=False)
class Node:
    """Weights that are kept."""

    key: Key
    identity_key: Key
    """The key without numerics."""
    step: int
    """Steps from the initialization (`Trajectory.origin` says how they are counted after derived weights)."""
    parents: tuple[Key, ...]
    """What it is made from: where its edge begins (none: at a random initialization), or an operation's parents."""
    parent_step: int
    """The step at which its edge begins; of derived weights, `step`."""
    run: Run
    """A run that needs it."""
    version: int
    """The version of that run that needs it."""
    product: Product
    """A trajectory that it is a prefix of, or the derived weights that it is."""

    @property
    def steps(self) -> int:
        """What has to be trained to get here from the parents."""
        return self.step - self.parent_step

    @property
    def flops(self) -> int:
        """Of those steps: of the smaller model, where a recipe grows it later."""
        return self.steps * self.run.step_flops

    @property
    def derived(self) -> bool:
        return isinstance(self.product, Derived)

    @property
    def bytes(self) -> int:
        """Of its checkpoint, about."""
        whole = not isinstance(self.product, Derived) or "optimizer" in self.product.operation.files
        return self.run.checkpoint_bytes if whole else self.run.weight_bytes


@dataclass(eq=False)
class Tree:
    """Merged runs. Nodes come parents first."""

    runs: list[Run]
    nodes: dict[Key, Node] = field(default_factory=dict)
    ends: list[list[Key]] = field(default_factory=list)
    """For each run, the node that each of its versions is."""

    @cached_property
    def releases(self) -> dict[Key, list[int]]:
        """For each node that is some run's version, those runs."""
        releases: dict[Key, list[int]] = {}
        for run, ends in enumerate(self.ends):
            for key in ends:
                releases.setdefault(key, []).append(run)
        return releases

    @cached_property
    def logical_steps(self) -> int:
        """Steps if every version were made by itself."""
        return sum(self.run_logical_steps(run) for run in range(len(self.runs)))

    def run_logical_steps(self, run: int) -> int:
        """Steps if each of a run's versions were made by itself."""
        return sum(self._alone[key][0] for key in self.ends[run])

    def run_logical_flops(self, run: int) -> int:
        """FLOPs of `run_logical_steps`."""
        return sum(self._alone[key][1] for key in self.ends[run])

    @cached_property
    def _alone(self) -> dict[Key, tuple[int, int]]:
        """For each node, steps and FLOPs of all that it is made from, itself included."""
        alone: dict[Key, tuple[int, int]] = {}
        for key, node in self.nodes.items():
            if len(node.parents) > 1:  # their beginnings may be shared
                path = self.path(key)
                alone[key] = sum(each.steps for each in path), sum(each.flops for each in path)
            else:
                before = [alone[parent] for parent in node.parents] or [(0, 0)]
                alone[key] = node.steps + before[0][0], node.flops + before[0][1]
        return alone

    @property
    def unique_steps(self) -> int:
        """Steps of the graph."""
        return sum(node.steps for node in self.nodes.values())

    @property
    def branch_points(self) -> int:
        """Nodes from which more than one other is made."""
        children: dict[Key, int] = {}
        for node in self.nodes.values():
            for parent in set(node.parents):
                children[parent] = children.get(parent, 0) + 1
        return sum(count > 1 for count in children.values())

    def path(self, *keys: Key) -> list[Node]:
        """All that some nodes are made from, and they themselves; parents first."""
        path: dict[Key, Node] = {}
        left = list(reversed(keys))
        while left:
            node = self.nodes[left[-1]]
            before = [parent for parent in node.parents if parent not in path]
            if before:
                left.extend(reversed(before))
            else:
                path[left.pop()] = node
        return list(path.values())

    def trained(self, key: Key) -> Node:
        """The end of the training that a node stands for: of derived weights, their last parent's."""
        node = self.nodes[key]
        while node.derived:
            node = self.nodes[node.parents[-1]]
        return node

    def missing(self, stored: Collection[Key]) -> set[Key]:
        """Nodes to make: versions that are not stored, and what making those has to go through."""
        wanted: set[Key] = set()
        for node in reversed(self.nodes.values()):
            if node.key not in stored and (node.key in wanted or node.key in self.releases):
                wanted.add(node.key)
                wanted.update(node.parents)
        return {key for key in wanted if key not in stored}

    def own(self, run: int, versions: int | None = None) -> dict[Key, Node]:
        """The graph of one run alone, or of its first `versions` versions."""
        return {node.key: node for node in self.path(*self.ends[run][:versions])}

    def run_at(self, run: int, key: Key) -> Run:
        """A run, with the model that a node holds: the smaller one before a recipe grows it."""
        return self.runs[run].training(self.nodes[key].run.settings.model)

    def run_steps(self, run: int, versions: int | None = None) -> int:
        """Steps of `own`."""
        return sum(node.steps for node in self.own(run, versions).values())

    def run_flops(self, run: int) -> int:
        """FLOPs of `own`."""
        return sum(node.flops for node in self.own(run).values())

    def relative_cost(self, run: int, versions: int | None = None) -> float:
        """`run_steps`, as a share of pre-training the same versions from scratch."""
        return self.run_steps(run, versions) / sum(self.runs[run].scratch_steps[:versions])

    def relative_flops(self, run: int) -> float:
        """`run_flops`, as a share of pre-training the same versions from scratch with the run's own model.

        The same as `relative_cost`, but for recipes that train a smaller model on the way.
        """
        return self.run_flops(run) / (sum(self.runs[run].scratch_steps) * self.runs[run].step_flops)


def merge(runs: Iterable[Run], stored: Mapping[Key, int] | None = None) -> Tree:
    """Merge what the runs need into one graph, in time and memory about linear in the steps of their trajectories.

    Args:
        stored: keys and steps of the checkpoints there are: what training can start from.
    """
    tree = Tree(list(runs))
    known = _Known(stored or {}, sorted(set((stored or {}).values())))
    made: _Made = {}
    for needs in _levels(_needs(tree.runs)):
        for group in _groups(needs, made):
            _merge_group(tree, group, known, made)
        for need in needs:
            if isinstance(need.product, Derived):
                made[need.id] = _derive(tree, need, need.product, made)
    tree.ends = [[made[_id(product, run)].key for product in run.products] for run in tree.runs]
    return tree


@dataclass(frozen=True)
class _Known:
    """Checkpoints there are."""

    stored: Mapping[Key, int]
    steps: list[int]
    """Their distinct steps, ascending."""


@dataclass(frozen=True, eq=False)
class _Need:
    """Something that a version is, or is made from."""

    product: Product
    run: Run
    version: int

    @property
    def id(self) -> "_Id":
        return _id(self.product, self.run)

    @property
    def sources(self) -> tuple["_Need", ...]:
        """What it is made from."""
        p = self.product
        products = p.parents if isinstance(p, Derived) else () if p.start is None else (p.start,)
        return tuple(_Need(product, self.run, self.version) for product in products)


_Id = tuple[int, int]
_Made = dict[_Id, Node]


def _id(product: Product, run: Run) -> _Id:
    """Tells needs apart. By identity: comparing products by value takes as long as their graphs are deep, and even
    equal ones part where their streams do."""
    return id(product), id(run.stream)


def _needs(runs: list[Run]) -> list[_Need]:
    """All that the runs need, in their order, and what it is made from first."""
    found: dict[_Id, _Need] = {}
    for run in runs:
        for version, product in enumerate(run.products, start=1):
            left = [_Need(product, run, version)]
            while left:
                before = [source for source in left[-1].sources if source.id not in found]
                if before:
                    left.extend(reversed(before))
                else:
                    need = left.pop()
                    found.setdefault(need.id, need)
    return list(found.values())


def _levels(needs: list[_Need]) -> list[list[_Need]]:
    """Needs by how many times training starts from derived weights on the way to them."""
    level: dict[_Id, int] = {}
    levels: list[list[_Need]] = []
    for need in needs:
        before = max((level[source.id] for source in need.sources), default=0)
        starts = isinstance(need.product, Trajectory) and need.product.start is not None
        level[need.id] = before + starts
        levels += [[] for _ in range(before + starts + 1 - len(levels))]
        levels[before + starts].append(need)
    return levels


def _derive(tree: Tree, need: _Need, derived: Derived, made: _Made) -> Node:
    """The node of derived weights whose parents are made."""
    parents = [made[source.id] for source in need.sources]
    key = derived_key(derived.operation, (parent.key for parent in parents))
    if key not in tree.nodes:
        identity_key = derived_key(derived.operation, (parent.identity_key for parent in parents))
        keys = tuple(parent.key for parent in parents)
        tree.nodes[key] = Node(key, identity_key, derived.end, keys, derived.end, need.run, need.version, derived)
    return tree.nodes[key]


@dataclass(frozen=True)
class _Group:
    """Trajectories that share an initialization."""

    start: Node | None
    """Derived weights; None: a random initialization."""
    unique: list[list[_Need]]
    """By what they do; the same ones together."""

    @property
    def chains(self) -> tuple[PrefixChain, PrefixChain]:
        """Of keys, and of keys without numerics."""
        first = self.unique[0][0].product
        assert isinstance(first, Trajectory)
        if self.start is None:
            return PrefixChain((first.identity, first.numerics)), PrefixChain((first.identity,))
        return (
            PrefixChain((first.identity, first.numerics, self.start.key)),
            PrefixChain((first.identity, self.start.identity_key)),
        )


def _groups(needs: Iterable[_Need], made: _Made) -> Iterator[_Group]:
    """The trajectories among some needs; derived weights that they start from are made."""
    starts: dict[Key, Node] = {}
    groups: dict[tuple[Key, str, str], dict[object, list[_Need]]] = {}
    for need in needs:
        t = need.product
        if isinstance(t, Trajectory):
            start = ""
            for source in need.sources:
                start = made[source.id].key
                starts[start] = made[source.id]
            # Each by its own stream: two streams may hold the same blocks, and part where they do not.
            does = t.order, t.phases, id(need.run.stream)
            groups.setdefault((start, t.identity, t.numerics), {}).setdefault(does, []).append(need)
    for (start, _, _), unique in groups.items():
        yield _Group(starts.get(start), list(unique.values()))


@dataclass
class _Point:
    """A step, counted from the initialization of a group, at which trajectories part or end."""

    step: int
    member: int
    """A trajectory that leads here."""
    parent: "_Point | None"
    kept: set[int] = field(default_factory=set)
    """Steps on the way here from the point before that are nodes as well."""


_At = tuple[PrefixChain, PrefixChain, Node | None]
"""The chains of keys up to a node, with and without numerics."""


def _merge_group(tree: Tree, group: _Group, known: _Known, made: _Made) -> None:
    """Add the trajectories that share an initialization."""
    trajectories = [need.product for need, *_ in group.unique]
    records = [
        trajectory.records(need.run.stream).tobytes()
        for trajectory, (need, *_) in zip(trajectories, group.unique, strict=True)
        if isinstance(trajectory, Trajectory)
    ]
    reached: dict[int, _At] = {}
    start = *group.chains, group.start
    ends = _ends(records)
    for end, needs in zip(ends, group.unique, strict=True):
        for step in _going_on(needs):
            _keep(end, step)
    for end, needs in zip(ends, group.unique, strict=True):
        path = []
        point: _Point | None = end
        while point is not None and id(point) not in reached:
            path.append(point)
            point = point.parent
        at: _At = start if point is None else reached[id(point)]
        for point in reversed(path):
            at = _add(tree, point, at, records[point.member], needs[0], known)
            reached[id(point)] = at
        node = reached[id(end)][2]
        assert node is not None
        made.update((need.id, node) for need in needs)


def _going_on(needs: list[_Need]) -> set[int]:
    """Steps of a trajectory at which versions that are still to be appended may go another way: the ends of its
    phases, where it leads to the last version of a stream that grows."""
    steps: set[int] = set()
    for need in needs:
        if need.run.stream.grows and need.version == need.run.versions and isinstance(need.product, Trajectory):
            steps |= set(accumulate(phase.steps for phase in need.product.phases))
    return steps


def _keep(end: _Point, step: int) -> None:
    """Make a step on the way to `end` a node."""
    point = end
    while point.parent is not None and point.parent.step >= step:
        point = point.parent
    if step != point.step:
        point.kept.add(step)


def _add(tree: Tree, point: _Point, at: _At, records: bytes, need: _Need, known: _Known) -> _At:
    """Add the node at a point, and the stored checkpoints on the way to it from the point before."""
    assert isinstance(need.product, Trajectory)
    origin = need.product.origin
    keys, identity_keys, node = at[0].copy(), at[1].copy(), at[2]
    before = origin if node is None else node.step
    end = origin + point.step
    kept = {origin + step for step in point.kept}
    between = known.steps[bisect_right(known.steps, before) : bisect_left(known.steps, end)]
    for step in sorted({*between, *kept, end}):
        key = keys.key(records, step - origin)
        if step == end or step in kept or key in known.stored:
            parents = () if node is None else (node.key,)
            identity_key = identity_keys.key(records, step - origin)
            model = need.product.model
            run = need.run if model is None else need.run.training(model)
            node = Node(key, identity_key, step, parents, before, run, need.version, need.product)
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

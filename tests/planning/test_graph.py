"""The merged graph against a reference that hashes everything by itself, and how long merging takes."""

import hashlib
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from repro.planning.tree import Tree, merge
from repro.recipes.operations import Sum
from repro.recipes.orders import Order
from repro.recipes.schedules import Constant
from repro.recipes.trajectory import Derived, Phase, Product, Trajectory

Records = tuple[bytes, ...]
"""What a trajectory's steps do, one by one."""


@dataclass(frozen=True)
class Stream:
    """Batches whose content differs from that of other streams from some step on."""

    parts: int
    """The step from which on it is like no other stream."""
    version_blocks: tuple[int, ...] = (100,)
    grows: bool = False

    def content(self, seed: int, step: int) -> bytes:
        return hashlib.md5(f"{seed} {step} {self.parts if step >= self.parts else ''}".encode()).digest()


STREAMS = [Stream(3), Stream(5)]


@dataclass(frozen=True, kw_only=True)
class Read(Order):
    """An order whose digests are the stream's contents."""

    def digests(self, stream: Any, steps: int) -> NDArray[np.void]:
        return np.array([stream.content(self.seed, step) for step in range(steps)], dtype="V16")


@dataclass(eq=False)
class Run:
    """What merging asks of a run."""

    products: list[Product]
    stream: Stream
    name: str = "a run"
    scratch_steps: list[int] = field(default_factory=list)
    step_flops: int = 1

    def __post_init__(self) -> None:
        self.scratch_steps = [10 * version for version in range(1, len(self.products) + 1)]


def curve(rate: float) -> Any:
    return Constant(kind="constant", max_lr=rate, warmup_steps=0).constant(warm=False)


# The reference: everything from scratch, nothing shared, one step after the other.


def records(t: Trajectory, stream: Stream) -> Records:
    found, step = [], t.start.end if t.start is not None else 0
    for phase in t.phases:
        for index in range(phase.steps):
            reset = phase.reset_optimizer and index == 0
            content = stream.content((phase.order or t.order).seed, step)
            found.append(struct.pack("<d16sQ", phase.curve.schedule.max_lr, content, reset))
            step += 1
    return tuple(found)


def key(product: Product, stream: Stream, steps: int | None = None, *, numerics: bool = True) -> str:
    """Of a trajectory's first `steps` steps of its own, or of derived weights."""
    if isinstance(product, Derived):
        parents = [key(parent, stream, numerics=numerics) for parent in product.parents]
        content = ["derived", product.operation.identity, parents]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    seed = [product.identity] + [product.numerics] * numerics
    if product.start is not None:
        seed.append(key(product.start, stream, numerics=numerics))
    return hashlib.sha256(json.dumps(seed).encode() + b"".join(records(product, stream)[:steps])).hexdigest()


def needed(product: Product) -> Iterator[Product]:
    """A product, and all that it is made from."""
    yield product
    before = product.parents if isinstance(product, Derived) else [product.start] if product.start else []
    for each in before:
        yield from needed(each)


def prefixes(product: Product, stream: Stream) -> dict[str, int]:
    """A key for each step that making something takes, with the step's end."""
    found = {}
    for each in needed(product):
        if isinstance(each, Trajectory):
            found |= {key(each, stream, n): each.end - len(each) + n for n in range(1, len(each) + 1)}
    return found


def ways_on(runs: list[Run]) -> dict[str, set[str]]:
    """For each prefix, those that are one step longer."""
    ways: dict[str, set[str]] = {}
    for run in runs:
        for each in (each for product in run.products for each in needed(product)):
            if isinstance(each, Trajectory):
                for n in range(1, len(each)):
                    ways.setdefault(key(each, run.stream, n), set()).add(key(each, run.stream, n + 1))
    return ways


# Random graphs


@st.composite
def graphs(draw: st.DrawFn) -> list[Run]:
    """Runs over a pool of products, some of which are cut from, start from, or are derived from others."""
    pool: list[Product] = []
    small = st.integers(0, 1)
    for _ in range(draw(st.integers(2, 9))):
        derived = [each for each in pool if isinstance(each, Derived)]
        if pool and draw(st.booleans()):
            parents = []
            for parent in draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3)):
                cut = isinstance(parent, Trajectory) and draw(st.booleans())
                parents.append(parent.until(draw(st.integers(parent.origin + 1, parent.end))) if cut else parent)
            coefficients = draw(st.lists(st.sampled_from([0.5, -1.0]), min_size=len(parents), max_size=len(parents)))
            pool.append(Derived(Sum(tuple(coefficients)), tuple(parents)))
            continue
        phases = [
            Phase(steps=steps, curve=curve(rate), reset_optimizer=bool(reset), order=order)
            for steps, rate, reset, order in draw(
                st.lists(
                    st.tuples(
                        st.integers(1, 3),
                        st.sampled_from([0.5, 1.0]),
                        small,
                        st.sampled_from([None, Read(seed=1, batch_size=1)]),
                    ),
                    min_size=1,
                    max_size=3,
                )
            )
        ]
        start = draw(st.sampled_from(derived)) if derived and draw(st.booleans()) else None
        pool.append(
            Trajectory(
                identity=draw(st.sampled_from(["a", "b"])),
                numerics=draw(st.sampled_from(["x", "y"])),
                order=Read(seed=draw(small), batch_size=1),
                phases=tuple(phases),
                start=start,
            )
        )
    chosen = st.lists(st.sampled_from(pool), min_size=1, max_size=4)
    return [Run(draw(chosen), draw(st.sampled_from(STREAMS))) for _ in range(draw(st.integers(1, 3)))]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graphs(), st.data())
def test_merging_equals_hashing_everything_by_itself(runs: list[Run], data: st.DataObject) -> None:
    steps = {
        each: step for run in runs for product in run.products for each, step in prefixes(product, run.stream).items()
    }
    stored = {each: steps[each] for each in data.draw(st.sets(st.sampled_from(sorted(steps)), max_size=4))}
    tree = merge(runs, stored | {"0" * 64: 2})  # type: ignore[arg-type]

    # Keys, and which nodes there are.
    assert tree.ends == [[key(product, run.stream) for product in run.products] for run in runs]
    made = {
        key(each, run.stream): (each, run.stream)
        for run in runs
        for product in run.products
        for each in needed(product)
    }
    parting = {prefix for prefix, longer in ways_on(runs).items() if len(longer) > 1}
    assert tree.nodes.keys() == made.keys() | parting | stored.keys()
    for node in tree.nodes.values():
        stream = node.run.stream  # type: ignore[attr-defined]
        if node.derived:
            product, _ = made[node.key]
            assert isinstance(product, Derived)
            assert node.parents == tuple(key(parent, stream) for parent in product.parents)
            assert (node.step, node.steps) == (product.end, 0)
            assert node.identity_key == key(product, stream, numerics=False)
        else:
            t = node.product
            assert isinstance(t, Trajectory)
            on_the_way = [n for n in range(1, len(t) + 1) if key(t, stream, n) in tree.nodes]
            here = node.step - t.origin
            assert key(t, stream, here) == node.key
            assert key(t, stream, here, numerics=False) == node.identity_key
            before = max((n for n in on_the_way if n < here), default=0)
            start = () if t.start is None else (key(t.start, stream),)
            assert node.parents == ((key(t, stream, before),) if before else start)
            assert node.parent_step == t.origin + before

    # What it costs.
    assert tree.unique_steps == len(steps)
    alone = [[set(prefixes(product, run.stream)) for product in run.products] for run in runs]
    assert tree.logical_steps == sum(len(each) for run in alone for each in run)
    for index, run in enumerate(runs):
        for versions in (*range(1, len(run.products) + 1), None):
            union = set().union(*alone[index][:versions])
            assert tree.run_steps(index, versions) == len(union)
            assert tree.relative_cost(index, versions) == len(union) / sum(run.scratch_steps[:versions])
    children: dict[str, set[str]] = {}
    for node in tree.nodes.values():
        for parent in node.parents:
            children.setdefault(parent, set()).add(node.key)
    assert tree.branch_points == sum(len(each) > 1 for each in children.values())
    check_ways(tree, stored)


def check_ways(tree: Tree, stored: dict[str, int]) -> None:
    """Order, paths and what is missing, by definition."""

    def before(key: str) -> set[str]:
        return {key}.union(*(before(parent) for parent in tree.nodes[key].parents))

    place = {key: index for index, key in enumerate(tree.nodes)}
    for node in tree.nodes.values():
        path = [each.key for each in tree.path(node.key)]
        assert path[-1] == node.key
        assert len(path) == len(set(path))
        assert set(path) == before(node.key)
        for order in (place, {key: index for index, key in enumerate(path)}):
            assert all(order[parent] < order[key] for key in path for parent in tree.nodes[key].parents)
        assert not tree.trained(node.key).derived

    def wanted(key: str) -> set[str]:
        if key in stored:
            return set()
        return {key}.union(*(wanted(parent) for parent in tree.nodes[key].parents))

    assert tree.missing(stored) == set().union(*(wanted(key) for ends in tree.ends for key in ends))
    assert tree.missing(place) == set()


def many(count: int) -> list[Run]:
    """Runs in groups of ten that share a trunk: merges of it, and training that goes on from one of them."""
    runs = []
    for index in range(count):
        phases = (Phase(steps=6, curve=curve(0.5)),)
        order = Read(seed=index // 10, batch_size=1)
        trunk = Trajectory(identity=str(index // 10), numerics="x", order=order, phases=phases)
        merged = Derived(Sum((0.5, 0.5, index % 10)), tuple(trunk.until(step) for step in (2, 4, 6)))
        on = Trajectory(identity=str(index // 10), numerics="x", order=order, phases=phases, start=merged)
        runs.append(Run([merged, on], STREAMS[0]))
    return runs


def seconds(count: int) -> float:
    runs = many(count)
    start = time.process_time()
    tree = merge(runs)  # type: ignore[arg-type]
    assert tree.run_steps(count - 1) == 12
    assert tree.logical_steps == count * (6 + 12)
    assert tree.unique_steps == (count // 10) * 6 + count * 6
    assert tree.missing({}) == tree.nodes.keys()
    return time.process_time() - start


def test_ten_thousand_runs_take_time_in_proportion() -> None:
    few = min(seconds(1250) for _ in range(3))
    assert seconds(10_000) < 3 * 8 * few  # were it quadratic: 64 times


def test_a_long_chain_of_merges_is_planned() -> None:
    """Each version goes on from a mean of the one before: deeper than Python's stack."""
    order, products = Read(seed=0, batch_size=1), list[Product]()
    start: Derived | None = None
    for _ in range(1000):
        phases = (Phase(steps=2, curve=curve(0.5)),)
        on = Trajectory(identity="a", numerics="x", order=order, phases=phases, start=start)
        start = Derived(Sum((0.5, 0.5)), (on.until(on.end - 1), on))
        products.append(start)
    tree = merge([Run(products, STREAMS[0])])  # type: ignore[list-item]
    assert tree.unique_steps == tree.run_steps(0) == 2000
    assert tree.nodes[tree.ends[0][-1]].step == 2000
    assert len(tree.nodes) == 3000

"""Derived weights: what operations compute, what is hashed of them, and merging as a recipe."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from repro.common.errors import UserError
from repro.config.resolve import Settings
from repro.planning.planner import make
from repro.planning.runs import run
from repro.planning.sweeps import compose
from repro.recipes.merge import Merge
from repro.recipes.operations import OPERATIONS, Sum, mean
from repro.recipes.orders import Arrival
from repro.recipes.schedules import Constant, Knee, Schedule, Sqrt
from repro.recipes.trajectory import Derived, Phase, Trajectory, derived_key

Overrides = Callable[..., list[str]]
T = 50
CURVE = Constant(kind="constant", max_lr=0.5, warmup_steps=2).constant(warm=True)


class Blocks:
    """A stream of 3 versions, 10 steps each."""

    version_blocks = (40, 40, 40)

    def batch_digests(self, ids, name, steps):  # type: ignore[no-untyped-def]
        return np.ascontiguousarray(ids(0, steps)[:, :2]).view("V16").ravel()


def trajectory(*steps: int, start: Derived | None = None) -> Trajectory:
    phases = tuple(Phase(steps=n, curve=CURVE, reset_optimizer=i > 0) for i, n in enumerate(steps))
    return Trajectory(identity="{}", numerics="{}", order=Arrival(seed=0, batch_size=4), phases=phases, start=start)


def settings(overrides: list[str]) -> Settings:
    (one,) = compose(overrides)
    return one


# Operations


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=5), st.integers(0, 2**31))
def test_a_sum_is_rounded_once(coefficients: list[float], seed: int) -> None:
    generator = np.random.default_rng(seed)
    parents = [generator.standard_normal((3, 5)).astype(np.float32) for _ in coefficients]
    given = [{"model": {"w": torch.from_numpy(parent.copy())}} for parent in parents]
    made = Sum(tuple(coefficients)).apply(iter(given))
    expected = np.zeros((3, 5))
    for coefficient, parent in zip(coefficients, parents, strict=True):
        expected = expected + coefficient * parent.astype(np.float64)
    assert made.keys() == {"model"}
    assert made["model"]["w"].dtype == torch.float32
    assert np.array_equal(made["model"]["w"].numpy(), expected.astype(np.float32))
    for parent, tensors in zip(parents, given, strict=True):
        assert np.array_equal(tensors["model"]["w"].numpy(), parent)


def test_a_sum_of_one_is_the_parent_bit_for_bit() -> None:
    weights = {"w": torch.randn(100).bfloat16()}
    made = Sum((1.0,)).apply([{"model": weights}])["model"]["w"]
    assert made.dtype == torch.bfloat16
    assert torch.equal(made, weights["w"])
    assert made.data_ptr() != weights["w"].data_ptr()


def test_as_many_parents_as_coefficients() -> None:
    parent = {"model": {"w": torch.zeros(1)}}
    for count in (1, 3):
        with pytest.raises(ValueError, match="zip"):
            Sum((0.5, 0.5)).apply([parent] * count)


def test_an_operation_is_hashed_by_its_effect() -> None:
    assert mean([Fraction(1, 4)] * 4).identity == Sum((0.25,) * 4).identity
    assert Sum((1.0, -1.0)).identity != Sum((-1.0, 1.0)).identity
    assert Sum((0.1, 0.9)).identity != Sum((0.1, float(np.nextafter(0.9, 1)))).identity
    for kind, operation in OPERATIONS.items():
        assert operation.kind == kind
    assert Sum((1.0,)).identity["kind"] == "sum"


def test_a_derived_key_never_changes_between_releases() -> None:
    """Recorded once: a change here would disown every merged checkpoint."""
    assert derived_key(Sum((0.25, 0.75)), ["a" * 64, "b" * 64]) == RECORDED
    assert derived_key(Sum((0.25, 0.75)), ["b" * 64, "a" * 64]) != RECORDED
    assert derived_key(Sum((0.25, 0.25)), ["a" * 64, "b" * 64]) != RECORDED


RECORDED = "0a9ea58b68ca12bb9136e2e365a37e4819206413716ea85b73ea35934bae9e74"


def test_weights_of_a_mean_sum_to_one() -> None:
    with pytest.raises(UserError, match=r"0\.5, 0\.6, sum to 1\.1 and not to 1; divide"):
        mean([0.5, 0.6])
    assert mean([Fraction(1, 3)] * 3).coefficients == (1 / 3,) * 3


def test_recipes_do_not_import_torch() -> None:
    """Only the operations' arithmetic needs it, and whoever calls that has it."""
    code = "import sys, repro.recipes.operations, repro.recipes.trajectory; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Trajectories


@given(st.lists(st.integers(1, 8), min_size=1, max_size=3), st.data())
def test_a_cut_is_a_prefix(steps: list[int], data: st.DataObject) -> None:
    whole = trajectory(*steps)
    cut = whole.until(step := data.draw(st.integers(1, sum(steps))))
    assert cut.end == step
    assert cut.records(Blocks()).tobytes() == whole.records(Blocks())[:step].tobytes()


def test_training_from_derived_weights_goes_on_from_their_step_in_the_order() -> None:
    trunk = trajectory(12)
    merged = Derived(mean([0.5, 0.5]), (trunk.until(8), trunk.until(11)))
    on = trajectory(4, 5, start=merged)
    assert (merged.end, on.origin, len(on), on.end) == (11, 11, 9, 20)
    assert np.array_equal(on.batches(Blocks(), 13, 17), on.order.batches(Blocks(), 13, 17))
    longer = trajectory(30)
    assert np.array_equal(on.records(Blocks())["batch"], longer.records(Blocks())["batch"][11:20])
    assert on.learning_rates.tolist() == [0.25, 0.5, 0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5]
    assert on.resets.tolist() == [False] * 4 + [True] + [False] * 4
    assert on.until(17).end == 17
    again = Derived(mean([0.5, 0.5]), (on.until(14), on))
    assert again.training is on
    assert Derived(Sum((1.0,)), (again,)).training is on


# Merging on the trunk


SCHEDULE = {"max_lr": 0.5, "min_lr": 0.0, "warmup_steps": 0}


def coefficients(overrides: list[str]) -> tuple[float, ...]:
    product = run(settings(overrides)).products[1]
    assert isinstance(product, Derived)
    assert isinstance(product.operation, Sum)
    return product.operation.coefficients


@pytest.mark.parametrize("schedule", ["cosine", "linear", "sqrt", "multi_step", "exponential"])
@pytest.mark.parametrize("count", [2, 6, 11])
def test_means_weigh_no_checkpoint_negatively_and_sum_to_one(smoke: Overrides, schedule: str, count: int) -> None:
    given = smoke("paradigm=merge", "paradigm.weights=decay", f"schedule={schedule}", f"paradigm.count={count}")
    found = coefficients(given)
    assert len(found) == count
    assert min(found) >= 0
    assert sum(found) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("schedule", [Knee(kind="knee", **SCHEDULE), Sqrt(kind="sqrt", **SCHEDULE)])
def test_a_mean_is_what_a_decay_of_the_same_updates_would_give(schedule: Schedule) -> None:
    """Weights that move by one update a step, alike within an interval, each scaled by its rate over the maximum."""
    window, count = 50, 6
    updates = np.repeat(np.random.default_rng(0).standard_normal(count - 1), window // (count - 1))
    path = 3.0 + np.concatenate([[0.0], np.cumsum(updates)])
    curve = schedule.decay(window)
    decayed = 3.0 + sum(curve.at(step) / 0.5 * update for step, update in enumerate(updates))
    steps = range(100, 151, 10)
    weights = Merge(kind="merge", count=count).dual(FakeReleases(schedule), steps)  # type: ignore[arg-type]
    merged = sum(weight * path[step - 100] for weight, step in zip(weights, steps, strict=True))
    assert merged == pytest.approx(decayed, abs=1e-12)


@dataclass
class FakeReleases:
    schedule: Schedule


def test_the_dual_of_a_linear_decay_to_zero_weighs_the_ends_by_half(smoke: Overrides) -> None:
    given = smoke("paradigm=merge", "paradigm.weights=decay", "schedule=linear", "schedule.min_lr=0")
    # Discrete steps: the first one is already a step into the decay.
    assert coefficients(given) == pytest.approx([0.15, 0.2, 0.2, 0.2, 0.2, 0.05], abs=1e-12)
    half = coefficients([*given, "schedule.min_lr=0.005"])
    assert half == pytest.approx([0.075, 0.1, 0.1, 0.1, 0.1, 0.525], abs=1e-12)


def test_uniform_means_are_one_whatever_the_schedule(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=merge", "schedule=cosine,linear"), multirun=True)).tree
    assert tree.ends[0] == tree.ends[1]


def test_a_merge_costs_its_trunk(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=merge"))).tree
    assert tree.relative_cost(0) == 0.4
    assert [tree.run_steps(0, version) for version in (1, 2, 3, 4)] == [T, 2 * T, 3 * T, 4 * T]
    assert tree.logical_steps == T + 2 * T + 3 * T + 4 * T
    for version, key in enumerate(tree.ends[0], start=1):
        node = tree.nodes[key]
        assert node.derived
        assert (node.step, node.steps) == (version * T, 0)
        assert [tree.nodes[parent].step for parent in node.parents] == [version * T - 10 + 2 * j for j in range(6)]


def test_a_merges_trunk_is_path_switchings_main_path(smoke: Overrides) -> None:
    both = make(compose(smoke("paradigm=path_switching,merge"), multirun=True)).tree
    main = {node.key for node in both.own(0).values() if node.step in (20, 70, 120, 170)}
    assert main <= both.own(1).keys()
    assert both.unique_steps == both.run_steps(0) + 30  # the main path goes on for the last alpha T steps


def test_means_of_other_weights_share_the_checkpoints(smoke: Overrides) -> None:
    given = smoke("paradigm=merge", "paradigm.weights=uniform,decay", "schedule=linear,sqrt")
    tree = make(compose(given, multirun=True)).tree
    assert tree.unique_steps == 4 * T
    assert len({key for ends in tree.ends for key in ends}) == 12
    assert sum(not node.derived for node in tree.nodes.values()) == 4 * 6


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["paradigm.window=0.5"], None),
        (["paradigm.window=1/3"], r"window=1/3 times stream.steps_per_version=50 is 16.6667 steps"),
        (
            ["paradigm.window=0.24"],
            r"window=0.24 of 50 steps is 12 .*5 equal .*window=1/5 or 3/10; or a count of 2 or 3 or 4",
        ),
        (
            ["paradigm.window=0.1", "paradigm.count=32"],
            r"31 equal .*: paradigm.window=31/50; or a count of 2 or 6",
        ),
        (["paradigm.window=1"], r"version 1 a mean from step 0 on, before step 5, .*at most 9/10 works"),
        (["paradigm.window=1", "schedule.warmup_steps=0"], r"from step 0 on, before step 1, .*at most 49/50 works"),
        (["paradigm.weights=cosine"], "choose one of uniform, decay"),
        (
            ["paradigm.weights=decay", "schedule=constant"],
            "needs a schedule that decays, and schedule=const",
        ),
        (["paradigm.weights=decay", "schedule=multi_step", "paradigm.window=0.1"], "a decay of 5 steps"),
        (["paradigm.count=1"], "paradigm.count=1 must lie between 2 and 32"),
    ],
)
def test_windows_that_do_not_work_are_refused(smoke: Overrides, changes: list[str], expected: str | None) -> None:
    if expected is None:
        assert run(settings(smoke("paradigm=merge", *changes))).versions == 4
    else:
        with pytest.raises(UserError, match=expected):
            assert run(settings(smoke("paradigm=merge", *changes))).versions

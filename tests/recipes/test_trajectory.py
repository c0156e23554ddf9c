"""Prefix keys: what enters them, and what never does."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from repro.planning.planner import make
from repro.planning.runs import Run
from repro.planning.sweeps import compose
from repro.recipes import orders
from repro.recipes.orders import Arrival, Mixed, Order, Replay
from repro.recipes.trajectory import PrefixChain

Overrides = Callable[..., list[str]]


class Blocks:
    """A stream's shape and digests, for orders alone."""

    version_blocks = (40, 40, 40)
    block_digests = np.random.default_rng(0).integers(0, 256, (120, 16), dtype=np.uint8)


def order_of(mixed: int | None, seed: int) -> Order:
    return Arrival(seed=seed, batch_size=4) if mixed is None else Mixed(seed=seed, batch_size=4, versions=mixed)


def run(overrides: list[str]) -> Run:
    return make(compose(overrides)).tree.runs[0]


def last_key(overrides: list[str]) -> str:
    return make(compose(overrides)).tree.ends[0][-1]


@pytest.mark.parametrize(
    "placement",
    [
        "store.save_seconds=1",
        "store.stale_seconds=7",
        "evaluation.batch_size=3",
        "evaluation.task_batch_size=3",
        "finetune.epochs=7",
        "estimate.flops_per_second=1",
        "ledger.path=elsewhere",
        "tracker=tensorboard",
        "tracker=wandb",
        "tracker=mlflow",
        "tracker.path=elsewhere",
        "tracker.project=other",
        "tracker.mode=online",
        "tracker.uri=sqlite:///elsewhere.db",
        "model.name=renamed",
        "hydra/launcher=joblib",
    ],
)
def test_placement_never_enters_a_key(smoke: Overrides, placement: str) -> None:
    assert last_key(smoke()) == last_key(smoke(placement))


def test_the_places_of_store_and_data_never_enter_a_key(smoke: Overrides, tmp_path: Path, data_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(data_path)
    assert last_key(smoke()) == last_key(smoke(f"store.path={tmp_path / 'other'}", f"data.path={elsewhere}"))


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        "data_seed=1",
        "schedule.max_lr=0.011",
        "schedule.min_lr=0.0011",
        "schedule.warmup_steps=4",
        "paradigm.alpha=0.4",
        "optimizer.weight_decay=0.2",
        "optimizer.beta2=0.99",
        "optimizer.eps=1e-7",
        "optimizer.clip_norm=2",
        "model=qwen",
        "size=w48_l2",
        "model.rope_theta=5000",
        "model.tie_embeddings=true",
        "stream.global_batch_size=2",
        "stream.order=chronological",
        "stream.split_seed=1",
        "stream.vocab_size=301",
        "numerics.threads=2",
        "numerics.dtype=bfloat16",
        "numerics.compile=true",
        "numerics.micro_batch_size=2",
    ],
)
def test_identity_and_numerics_enter_the_key(smoke: Overrides, few: list[str], change: str) -> None:
    assert last_key(smoke(*few)) != last_key(smoke(*few, change))


def test_numerics_alone_leave_the_identity_key_as_it_is(smoke: Overrides) -> None:
    one, two = (make(compose(smoke(f"numerics.threads={n}"))).tree for n in (1, 2))
    assert one.ends != two.ends
    assert {n.identity_key for n in one.nodes.values()} == {n.identity_key for n in two.nodes.values()}


def test_the_order_of_the_data_may_have_a_seed_of_its_own(smoke: Overrides) -> None:
    one, other, order = (
        make(compose(smoke(*seeds))).tree.runs[0] for seeds in (["seed=3"], ["seed=3", "data_seed=4"], ["seed=4"])
    )
    assert one.identity == other.identity  # the seed of the initialization is in it
    assert other.identity != order.identity
    reads = [run.trajectories[-1].training.batches(run.stream, 0, 3).tolist() for run in (one, other, order)]
    assert reads[0] != reads[1] == reads[2]
    assert other.name == one.name + "d4"


def test_spellings_of_the_same_effect_share_a_key(smoke: Overrides) -> None:
    assert last_key(smoke("paradigm.alpha=0.6")) == last_key(smoke("paradigm.alpha=3/5"))
    assert last_key(smoke()) == last_key(smoke("schedule.min_lr=0.001"))
    assert last_key(smoke("seed=3")) == last_key(smoke("seed=3", "data_seed=3"))
    assert last_key(smoke()) == last_key(smoke("numerics.micro_batch_size=4"))


def test_total_steps_do_not_enter_the_key(smoke: Overrides) -> None:
    short = make(compose(smoke("paradigm=cpt", "stream.versions=4"))).tree
    longer = make(compose(smoke("paradigm=two_stage", "paradigm.first_cycle=1"))).tree
    assert short.ends[0][:2] == longer.ends[0]


def test_keys_are_prefix_keys(smoke: Overrides) -> None:
    r = run(smoke())
    trajectory = r.trajectories[3]
    records = trajectory.records(r.stream).tobytes()
    chain = PrefixChain((trajectory.identity, trajectory.numerics))
    one_by_one = [
        PrefixChain((trajectory.identity, trajectory.numerics)).key(records, step) for step in (0, 1, 57, 200)
    ]
    assert [chain.key(records, step) for step in (0, 1, 57, 200)] == one_by_one
    assert len(set(one_by_one)) == 4


@pytest.mark.parametrize("mixed", [None, 2, 3])
def test_an_order_visits_every_block_once(mixed: int | None) -> None:
    steps = 10 * (mixed or 3)
    ids = order_of(mixed, seed=1).batches(Blocks(), 0, steps)
    assert sorted(ids.ravel()) == list(range(40 * (mixed or 3)))


def test_batches_are_pure_functions_of_the_step() -> None:
    for mixed in (None, 3):
        order = order_of(mixed, seed=5)
        whole = order.batches(Blocks(), 0, 30)
        for start, stop in ((0, 1), (7, 13), (9, 21), (29, 30)):
            assert np.array_equal(order.batches(Blocks(), start, stop), whole[start:stop])


@pytest.mark.parametrize("kind", [Arrival, Replay])
@pytest.mark.parametrize(("start", "stop"), [(0, 30), (0, 20), (7, 21), (25, 30)])
def test_the_first_step_that_reads_the_last_version_is_known_without_its_batches(
    kind: type[Order], start: int, stop: int
) -> None:
    order = kind(seed=1, batch_size=4, **({"old": 1} if kind is Replay else {}))
    assert order.reads_last(Blocks(), start, stop) == Order.reads_last(order, Blocks(), start, stop)


def test_seeds_give_other_orders_of_the_same_blocks() -> None:
    one, two = (Arrival(seed=s, batch_size=4).batches(Blocks(), 0, 10) for s in (0, 1))
    assert not np.array_equal(one, two)
    assert set(one.ravel()) == set(two.ravel())


@pytest.mark.parametrize("distinct", [3, 2**62])
def test_equal_keys_are_sorted_as_they_come_whatever_sorts_fastest_here(
    monkeypatch: pytest.MonkeyPatch, distinct: int
) -> None:
    keys = np.random.default_rng(0).integers(0, distinct, 5000, dtype=np.uint64)
    monkeypatch.setattr(np.random, "PCG64", lambda seed: SimpleNamespace(random_raw=lambda count: keys[:count]))
    found = orders.permutation.__wrapped__(0, 1, 0, 5000)
    assert np.array_equal(found, np.argsort(keys, kind="stable"))


def test_an_order_never_changes_between_releases() -> None:
    """Recorded once: a change here would silently disown every stored checkpoint."""
    assert Arrival(seed=0, batch_size=4).batches(Blocks(), 0, 2).tolist() == RECORDED


RECORDED = [[7, 10, 35, 18], [4, 38, 11, 15]]

"""Replay: so many old blocks in every batch, whatever comes after."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.common.errors import UserError
from repro.config.registries import RECIPES
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.recipes.orders import Arrival, Replay


@dataclass(frozen=True)
class Lengths:
    """A stream of which only the lengths are known."""

    version_blocks: tuple[int, ...]

    def batch_digests(self, ids: object, name: str, steps: int) -> np.ndarray:
        raise NotImplementedError


@given(
    st.integers(2, 6).flatmap(lambda b: st.tuples(st.just(b), st.integers(1, b - 1))),
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.integers(0, 2**63 - 1),
)
def test_every_batch_has_its_share_of_old_blocks_and_none_of_later_versions(
    shape: tuple[int, int], steps: list[int], seed: int
) -> None:
    batch, old = shape
    order = Replay(seed=seed, batch_size=batch, old=old)
    stream = Lengths(tuple(each * batch for each in steps))
    every = order.batches(stream, 0, sum(steps))
    ends = np.cumsum(stream.version_blocks)
    version = np.repeat(np.arange(len(steps)), steps)
    of = np.searchsorted(ends, every, side="right")
    assert (of <= version[:, None]).all()
    expected = np.where(version == 0, 0, old)
    assert ((of < version[:, None]).sum(axis=1) == expected).all()
    # New blocks are never read twice, and what is left of them is told.
    for number, blocks in enumerate(stream.version_blocks):
        new = every[version == number][of[version == number] == number]
        assert len(np.unique(new)) == len(new) == blocks - order.unread(stream)[number]
    # Pure in the step, and version 1 is every recipe's.
    assert np.array_equal(np.concatenate([order.batches(stream, i, i + 1) for i in range(sum(steps))]), every)
    arrival = Arrival(seed=seed, batch_size=batch).batches(stream, 0, steps[0])
    assert np.array_equal(every[: steps[0]], arrival)
    # Appending a version changes no batch before.
    longer = Lengths((*stream.version_blocks, 3 * batch))
    assert np.array_equal(order.batches(longer, 0, sum(steps)), every)


def test_old_blocks_are_all_read_before_one_is_read_again() -> None:
    stream = Lengths((4, 40))
    old = Replay(seed=1, batch_size=4, old=2).batches(stream, 1, 11)[:, 2:].ravel()
    assert [sorted(part) for part in old.reshape(-1, 4).tolist()] == [[0, 1, 2, 3]] * 5
    assert len({tuple(part) for part in old.reshape(-1, 4).tolist()}) > 1


def test_a_plan_says_what_replay_leaves_over(smoke: Callable[..., list[str]]) -> None:
    runs = compose(smoke("paradigm=cpt,path_switching", "paradigm.replay=0,1/4"), multirun=True)
    planned = make(runs)
    assert len(planned.tree.runs) == 4
    names = {r.name for r in planned.tree.runs}
    assert any("replay1/4" in name for name in names)
    rows = planned.left_over()
    plain = [row for row in rows if not row["order"]]
    replayed = [row for row in rows if row["order"]]
    assert len(plain) == len(replayed) == 4
    for one, other in zip(plain, replayed, strict=True):
        more = 50 if one["version"] > 1 else 0  # a quarter of 50 steps of 4 blocks
        assert other["unused_blocks"] == one["unused_blocks"] + more
        assert other["used_blocks"] == one["used_blocks"] - more


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (["paradigm=cpt", "paradigm.replay=0.3"], r"is 1\.2 blocks, which is not whole.*1/4 or 1/2"),
        (["paradigm=ptfs", "paradigm.replay=0.5"], "reads all old data as it is"),
        (["paradigm=cpt", "paradigm.replay=1"], r"must lie in \[0, 1\)"),
    ],
)
def test_replay_that_cannot_be_is_refused(smoke: Callable[..., list[str]], given_: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(compose(smoke(*given_)))


@pytest.mark.parametrize("name", sorted(name for name in RECIPES if name != "ptfs"))
def test_every_recipe_that_goes_on_replays(smoke: Callable[..., list[str]], name: str) -> None:
    """`grow` had the name of a run with replay, and read none."""
    run = make(compose(smoke(f"paradigm={name}", "paradigm.replay=1/4", "size=w48_l2"))).tree.runs[0]
    training = run.products[-1].training
    version = run.versions
    first, batch = sum(run.stream.version_blocks[: version - 1]), run.settings.stream.global_batch_size
    last = training.batches(run.stream, training.end - 1, training.end)
    assert np.sum(last < first) == batch / 4

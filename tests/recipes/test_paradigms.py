"""Paradigms as trajectories, and their costs from the tree."""

from collections.abc import Callable

import numpy as np
import pytest

from repro.common.errors import UserError
from repro.planning.planner import make
from repro.planning.sweeps import compose

Overrides = Callable[..., list[str]]
T = 50


def tree(overrides: list[str]):  # type: ignore[no-untyped-def]
    return make(compose(overrides)).tree


def test_the_headline_costs_come_out_of_the_tree(smoke: Overrides) -> None:
    merged = tree(smoke("study=headline"))
    cost = {r.settings.paradigm.kind: merged.relative_cost(i) for i, r in enumerate(merged.runs)}
    assert cost == {"ptfs": 1.0, "cpt": 0.4, "path_switching": 0.58}


@pytest.mark.parametrize("versions", [1, 2, 3])
@pytest.mark.parametrize("alpha", ["0.2", "0.6", "0.8"])
def test_costs_follow_the_papers_formulas(smoke: Overrides, few: list[str], versions: int, alpha: str) -> None:
    merged = tree(smoke("study=headline", *few, f"stream.versions={versions}", f"paradigm.alpha={alpha}"))
    steps = [merged.run_steps(i) for i in range(3)]
    n = versions
    assert steps == [T * n * (n + 1) // 2, T * n, round(T * (n + (n - 1) * float(alpha)))]


def test_ptfs_and_cpt_share_their_first_version(smoke: Overrides) -> None:
    merged = tree(smoke("study=pilot", "schedule=cosine"))
    assert merged.ends[0][0] == merged.ends[1][0]
    assert merged.unique_steps == (10 + 4 - 1) * T


def test_a_branch_leaves_the_main_path_at_k_minus_alpha_t_and_ends_at_k_t(smoke: Overrides) -> None:
    merged = tree(smoke("paradigm=path_switching"))
    for k, trajectory in enumerate(merged.runs[0].trajectories, start=1):
        trunk, branch = trajectory.phases
        assert trunk.steps == k * T - 30
        assert trunk.steps + branch.steps == k * T
        lr = trajectory.learning_rates
        assert set(lr[5 : trunk.steps]) == {0.01}
        assert lr[-1] == 0.001


def test_cpt_repeats_the_whole_decay_and_warms_up_once(smoke: Overrides) -> None:
    lr = tree(smoke("paradigm=cpt")).runs[0].trajectories[3].learning_rates
    assert lr[0] == 0.01 / 5
    for k in range(1, 4):
        assert lr[k * T - 1] == 0.001
        assert lr[k * T] > 0.0099


def test_every_paradigm_trains_on_new_data_where_it_should(smoke: Overrides) -> None:
    merged = tree(smoke("study=headline"))
    ptfs, cpt, switching = merged.runs
    blocks = ptfs.stream.version_blocks[0]
    everything = set(range(3 * blocks))
    third = ptfs.trajectories[2]
    assert set(third.batches(ptfs.stream, 0, len(third)).ravel()) == everything
    update = cpt.trajectories[2].batches(cpt.stream, 2 * T, 3 * T)
    assert set(update.ravel()) == set(range(2 * blocks, 3 * blocks))
    branch = switching.trajectories[2].batches(switching.stream, 3 * T - 30, 3 * T)
    assert np.array_equal(branch, update[-30:])


def test_arrival_order_shares_the_constant_part_with_the_main_path(smoke: Overrides) -> None:
    overrides = smoke("schedule=multi_step", "paradigm=ptfs,path_switching")
    arrival = make(compose([*overrides, "paradigm.order=arrival"], multirun=True)).tree
    mixed = make(compose(overrides, multirun=True)).tree
    assert arrival.unique_steps < mixed.unique_steps


def test_two_stages_share_the_constant_first_stage(smoke: Overrides) -> None:
    merged = tree(smoke("study=second_stage"))
    assert {ends[0] for ends in merged.ends} == {merged.ends[0][0]}
    assert [len(t) for t in merged.runs[0].trajectories] == [T, 2 * T]


def test_an_alpha_that_would_round_is_refused_with_the_nearest_that_work(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"alpha=0\.61 .* 30\.5 steps.*alpha=3/5 or 31/50"):
        tree(smoke("paradigm=path_switching", "paradigm.alpha=0.61"))


def test_alpha_one_is_training_from_scratch_for_version_one(smoke: Overrides) -> None:
    merged = tree(smoke("study=headline", "paradigm.alpha=1"))
    assert merged.ends[2][0] == merged.ends[0][0]


def test_a_branch_that_would_leave_within_the_warm_up_is_refused(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"alpha=0\.98 .* step 1, within schedule.warmup_steps=5"):
        tree(smoke("paradigm.alpha=0.98"))
    with pytest.raises(UserError, match=r"a warm-up of at most 2 steps, or alpha=1 works\."):  # no alpha above 0 would
        tree(smoke("paradigm.alpha=0.6", "stream.steps_per_version=5"))


def test_resetting_the_optimizer_is_another_training_from_the_branch_point_on(smoke: Overrides) -> None:
    carried = tree(smoke("paradigm=path_switching"))
    reset = tree(smoke("paradigm=path_switching", "paradigm.carry_optimizer=false"))
    shared = set(carried.nodes) & set(reset.nodes)
    assert len(shared) == 3  # the main path's branch points
    assert not set(carried.ends[0]) & shared

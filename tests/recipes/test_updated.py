"""The next update of each recipe's releases, against numbers worked out by hand: T = 50, four versions."""

from collections.abc import Callable

import numpy as np
import pytest

from repro.common.errors import UserError
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.recipes.trajectory import Derived, Trajectory

Overrides = Callable[..., list[str]]
T, MAX, MIN = 50, 0.01, 0.001


def planned(smoke: Overrides, of: str, *more: str) -> Tree:
    return make(compose(smoke("paradigm=updated", f"paradigm.of={of}", *more))).tree


def test_of_path_switching_a_full_cycle_follows_the_branch(smoke: Overrides) -> None:
    tree = planned(smoke, "path_switching", "schedule=linear")
    lr = tree.runs[0].trajectories[2].learning_rates
    assert len(lr) == 3 * T
    assert set(lr[5:70]) == {MAX}
    assert lr[99] == MIN
    assert np.allclose(lr[100:], MAX - (MAX - MIN) * np.arange(1, 51) / 50)
    # Version 1, the main path to 1.4 T and 2.4 T, two branches, and three cycles.
    assert tree.run_steps(0) == 20 + 100 + 3 * 30 + 3 * T


def test_what_is_read_is_the_next_versions_data(smoke: Overrides) -> None:
    run = planned(smoke, "ptfs").runs[0]
    batches = run.trajectories[3].batches(run.stream, 0, 4 * T)
    blocks = T * run.settings.stream.global_batch_size
    assert sorted(batches[: 3 * T].ravel()) == list(range(3 * blocks))
    assert sorted(batches[3 * T :].ravel()) == list(range(3 * blocks, 4 * blocks))


def test_of_cpt_it_is_cpt(smoke: Overrides) -> None:
    runs = make(compose(smoke("paradigm=cpt,updated", "paradigm.of=cpt"), multirun=True)).tree
    assert runs.ends[0] == runs.ends[1]


def test_of_a_trunk_it_is_the_second_stage_from_an_undecayed_checkpoint(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=two_stage,updated", "paradigm.of=trunk"), multirun=True)).tree
    assert tree.ends[0] == tree.ends[1][:2]
    # Training from scratch costs 1 + 2 + 3 + 4 T; this the trunk to 3 T, and a cycle off it for three versions.
    assert tree.relative_cost(1) == 0.6


def test_of_derived_weights_it_starts_at_them(smoke: Overrides) -> None:
    run = planned(smoke, "merge").runs[0]
    assert isinstance(run.products[0], Derived)
    update = run.products[2]
    assert isinstance(update, Trajectory)
    assert update.start is not None
    assert (update.origin, update.end) == (2 * T, 3 * T)
    assert run.releases.until(2) == update.start.end
    assert update.learning_rates[-1] == MIN


def test_of_a_recipe_with_an_optimizer_of_its_own_it_goes_on_with_that(smoke: Overrides) -> None:
    (settings,) = compose(smoke("paradigm=updated", "paradigm.of=schedule_free"))
    assert settings.optimizer.kind == "schedule_free"
    assert settings.paradigm.kind == "updated"


def test_other_recipes_are_named_where_one_is_unknown(smoke: Overrides) -> None:
    for wrong in ("updated", "ctp"):
        with pytest.raises(UserError, match=rf"paradigm\.of='{wrong}' is no recipe to update; .*cpt"):
            compose(smoke("paradigm=updated", f"paradigm.of={wrong}"))
    with pytest.raises(UserError, match=r"constant_share=0\.5 puts the constant below"):
        compose(smoke("paradigm=updated", "paradigm.of=infinite", "schedule.min_lr=0.008"))

"""Every recipe's curve, data and cost against numbers worked out by hand: T = 50, four versions, maximum 0.01."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from repro.common.errors import UserError
from repro.config.registries import RECIPES, SCHEDULES
from repro.planning import runs
from repro.planning.planner import make
from repro.planning.runs import Run
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.recipes.orders import Mixed
from repro.recipes.recipe import Recipe, Releases, recipe, told
from repro.recipes.trajectory import Derived, Product, Trajectory

Overrides = Callable[..., list[str]]
T, MAX, MIN = 50, 0.01, 0.001
EVERY = [name for name in RECIPES if RECIPES.find(name).__module__.startswith("repro.")]
RESETS = {
    **dict.fromkeys(("ptfs", "trunk", "merge", "schedule_free"), ()),
    **dict.fromkeys(("path_switching", "soup", "branch_average", "infinite", "grow"), (120,)),
    **dict.fromkeys(("cpt", "wsd_s", "falling_cosine"), (50, 100)),
    **{"wsd": (135,), "two_stage": (50,), "updated": (70, 100)},
}
"""Steps before which the optimizer starts afresh on the way to version 3, where it is not carried: to 2 of two stages.
"""


def planned(smoke: Overrides, *overrides: str) -> tuple[Tree, Run]:
    tree = make(compose(smoke(*overrides))).tree
    return tree, tree.runs[0]


def curve(run: Run, version: int) -> NDArray[np.float64]:
    return run.trajectories[version - 1].learning_rates  # type: ignore[no-any-return]


@pytest.mark.parametrize("schedule", ["cosine", "knee", "multi_step"])
def test_read_as_a_decay_every_branch_costs_the_published_58_per_cent(smoke: Overrides, schedule: str) -> None:
    tree, _ = planned(smoke, "paradigm=path_switching", f"schedule={schedule}")
    assert tree.relative_cost(0) == 0.58


@pytest.mark.parametrize(("schedule", "cost"), [("cosine", 0.58), ("knee", 0.49), ("multi_step", 0.436)])
def test_read_as_a_cycle_a_branch_begins_as_the_main_path(smoke: Overrides, schedule: str, cost: float) -> None:
    """Three branches begin with 15 (Knee) or 24 (multi-step) of their 30 steps on it; after the last it ends."""
    tree, _ = planned(smoke, "paradigm=path_switching", f"schedule={schedule}", "paradigm.branch=cycle")
    assert tree.relative_cost(0) == cost


def test_a_decaying_branch_of_knee_is_a_straight_line(smoke: Overrides) -> None:
    _, run = planned(smoke, "paradigm=path_switching", "schedule=knee")
    branch = curve(run, 2)[70:]
    assert set(curve(run, 2)[5:70]) == {MAX}
    assert np.allclose(branch, MAX - (MAX - MIN) * np.arange(1, 31) / 30)
    assert branch[-1] == MIN


def test_a_decaying_branch_of_multi_step_is_its_two_drops(smoke: Overrides) -> None:
    _, run = planned(smoke, "paradigm=path_switching", "schedule=multi_step", "paradigm.alpha=0.4")
    branch = curve(run, 2)[80:]
    assert list(branch) == [0.316 * MAX] * 10 + [MIN] * 10


def test_wsd_decays_over_a_tenth_of_all_steps_so_far(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=wsd", "schedule=linear")
    assert [t.phases[-1].steps for t in run.trajectories] == [5, 10, 15, 20]
    # The trunk to step 180, and the four branches.
    assert tree.run_steps(0) == 180 + 5 + 10 + 15 + 20
    assert tree.relative_cost(0) == 0.46


def test_a_share_of_all_steps_replaces_alpha(smoke: Overrides) -> None:
    _, run = planned(smoke, "paradigm=path_switching", "paradigm.branch_share=0.2")
    assert [t.phases[-1].steps for t in run.trajectories] == [10, 20, 30, 40]
    with pytest.raises(UserError, match=r"branch_share=0\.98 makes version 1's branch leave .* within"):
        planned(smoke, "paradigm=path_switching", "paradigm.branch_share=0.98")


def test_wsd_s_returns_to_the_maximum_from_the_decayed_checkpoint(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=wsd_s", "schedule=linear")
    lr = curve(run, 4)
    for k in range(4):
        assert set(lr[k * T + (5 if k == 0 else 0) : k * T + 30]) == {MAX}
        assert lr[k * T + 49] == MIN
    assert tree.relative_cost(0) == 0.4
    assert tree.ends[0] == [node.key for node in tree.nodes.values()]  # one path


def test_falling_cosines_begin_where_one_long_cosine_would_stand(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=falling_cosine")
    lr = curve(run, 4)
    for k in range(1, 5):
        start = MIN + (MAX - MIN) * (1 + math.cos(math.pi * (k - 1) / k)) / 2
        first = lr[(k - 1) * T + (5 if k == 1 else 0)]
        assert first < start
        assert first == pytest.approx(start, rel=0.01)
        assert lr[k * T - 1] == MIN
    assert tree.relative_cost(0) == 0.4


@pytest.mark.parametrize("name", EVERY)
def test_whatever_tells_runs_of_a_recipe_apart_is_in_their_names(name: str) -> None:
    """Exports and records are found by name."""
    cls = RECIPES.find(name)
    names = {cls(kind=name).run_name}
    own = [each for each in fields(cls) if each.name in cls.told_apart_by]
    for each in own:
        data, other = each.metadata, {"of": "cpt", "order": "arrival"}.get(each.name, 1)
        if "share" in data:
            other = "1/7"
        elif "options" in data:
            other = next(option for option in data["options"] if option != each.default)
        elif isinstance(each.default, int):
            other = each.default + 1
        names.add(cls(kind=name, **{each.name: other}).run_name)
    assert len(names) == 1 + len(own), names


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES.find(name).__module__.startswith("repro.")])
def test_a_recipe_says_whether_it_reads_old_and_new_data_together(smoke: Overrides, name: str) -> None:
    smaller = ["paradigm.intermediate_before=40"] if name == "grow" else []
    _, run = planned(smoke, f"paradigm={name}", *smaller)
    assert recipe(run.settings).mixes == isinstance(run.trajectories[-1].order, Mixed)
    assert told(name, recipe(run.settings).own_settings).mixes == recipe(run.settings).mixes


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES.find(name).__module__.startswith("repro.")])
def test_a_recipe_says_whether_carrying_the_optimizer_makes_a_difference(smoke: Overrides, name: str) -> None:
    """A ledger's runs that differ in it, where it makes none, are one."""
    more = ["paradigm.intermediate_before=40"] if name == "grow" else []
    for curve in ("cycle", "path_switching") if name == "ptfs" else ("",):
        given = [
            f"paradigm={name}",
            "paradigm.carry_optimizer=false",
            *more,
            *([f"paradigm.curve={curve}"] * (curve > "")),
        ]
        run = planned(smoke, *given)[1]
        resets = any(phase.reset_optimizer for each in run.trajectories for phase in each.phases)
        assert recipe(run.settings).carries == resets


def test_the_infinite_schedule_cools_once_is_held_and_anneals(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=infinite", "schedule=linear")
    lr = curve(run, 3)
    assert lr[4] == MAX
    assert lr[19] == MAX / 2  # 0.4 T of warm-up and cosine
    assert set(lr[19:120]) == {MAX / 2}
    assert np.allclose(lr[120:], MAX / 2 - (MAX / 2 - MIN) * np.arange(1, 31) / 30)
    assert tree.relative_cost(0) == 0.58
    with pytest.raises(UserError, match=r"leave the trunk at step 10, before it has cooled at step 20"):
        planned(smoke, "paradigm=infinite", "paradigm.alpha=0.8")
    with pytest.raises(UserError, match=r"constant_share=0\.05 puts the constant below"):
        planned(smoke, "paradigm=infinite", "paradigm.constant_share=0.05")


def test_the_trunk_is_released_undecayed_and_is_path_switchings_own(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=trunk,path_switching"), multirun=True)).tree
    assert set(curve(tree.runs[0], 4)[5:]) == {MAX}
    assert tree.relative_cost(0) == 0.4
    # One main path of 200 steps, and four branches of 30.
    assert tree.unique_steps == 200 + 4 * 30


def test_cpt_can_be_warmed_up_again(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=cpt", "paradigm.rewarm_steps=10")
    lr = curve(run, 2)
    assert lr[49] == MIN
    assert lr[50] == pytest.approx(MIN + (MAX - MIN) / 10)
    assert lr[59] == MAX
    assert lr[99] == MIN
    assert tree.relative_cost(0) == 0.4


def test_cpt_can_go_on_from_the_rate_it_ended_with(smoke: Overrides) -> None:
    _, run = planned(smoke, "paradigm=cpt", "paradigm.start=previous_end", "schedule=linear")
    lr = curve(run, 3)
    assert [lr[49], lr[99], lr[149]] == pytest.approx([MIN, MIN / 10, MIN / 100])
    assert lr[50] < MIN
    with pytest.raises(UserError, match=r"schedule\.min_lr=0 there is nothing"):
        planned(smoke, "paradigm=cpt", "paradigm.start=previous_end", "schedule.min_lr=0")


def test_a_growing_models_path_has_all_of_its_steps(smoke: Overrides) -> None:
    """Also where versions are unequal, and the model that grew trains longer than the one before."""
    lengths = ["stream.versions=2", "stream.steps_per_version=[50,100]"]
    _, run = planned(smoke, "paradigm=grow", "model.layers=2", "paradigm.grow_at=2", *lengths)
    chosen, phases = recipe(run.settings), [each.phases for each in run.trajectories]
    assert chosen.segments(phases, 2) == [("trunk", 0, 40), ("branch", 40, 100)]


def test_ptfs_under_path_switchings_curve_tells_order_from_shape(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=ptfs,path_switching", "paradigm.curve=path_switching"), multirun=True)).tree
    scratch, switching = tree.runs
    for version in range(1, 5):
        assert np.array_equal(curve(scratch, version), curve(switching, version))
    assert tree.relative_cost(0) == 1.0
    assert tree.ends[0][0] == tree.ends[1][0]
    assert tree.ends[0][1] != tree.ends[1][1]
    arrival = make(
        compose(
            smoke("paradigm=ptfs,path_switching", "paradigm.curve=path_switching", "paradigm.order=arrival"),
            multirun=True,
        )
    ).tree
    assert arrival.ends[0] == arrival.ends[1]  # then it is path switching itself


def test_zero_is_reached_exactly_by_every_recipe(smoke: Overrides) -> None:
    undecayed = {"trunk", "merge", "schedule_free", "two_stage"}  # two stages are cut where they are told to be
    smaller = {"grow"}  # needs a model of two layers
    recipes = ",".join(name for name in EVERY if name not in undecayed | smaller)
    asked = compose(smoke(f"paradigm={recipes}", "stream.versions=2"), multirun=True)
    for name in (name for name, each in SCHEDULES.items() if each.__module__.startswith("repro.")):
        if name == "constant":
            continue
        odd = {"wsd"} if name == "multi_step" else set()  # its branch of 5 steps has no halves
        (curve,) = compose(smoke("paradigm=cpt", f"schedule={name}", "schedule.min_lr=0"))
        for settings in (each for each in asked if each.paradigm.kind not in odd):
            one = runs.run(replace(settings, schedule=curve.schedule))
            assert all(t.learning_rates[-1] == 0.0 for t in one.trajectories), one.name


def test_a_branch_average_is_the_mean_of_the_branchs_end(smoke: Overrides) -> None:
    """Branches of 30 steps: a fifth is 6 steps, in 3 intervals of 2."""
    tree, run = planned(smoke, "paradigm=branch_average")
    version = run.products[1]
    assert isinstance(version, Derived)
    assert [parent.end for parent in version.parents] == [94, 96, 98, 100]
    assert tree.relative_cost(0) == 0.58
    assert np.array_equal(version.training.learning_rates, curve(planned(smoke, "paradigm=path_switching")[1], 2))
    with pytest.raises(UserError, match=r"6 steps, .* into the 4 equal .* a count of 2, 3, 4, 7 works"):
        planned(smoke, "paradigm=branch_average", "paradigm.average_count=5")


def test_a_soup_averages_branches_over_other_orders_of_the_same_data(smoke: Overrides) -> None:
    tree, run = planned(smoke, "paradigm=soup")
    # Path switching's 5.8 T, and two more branches of 0.6 T for each of four versions.
    assert tree.run_steps(0) == 290 + 2 * 4 * 30
    version = run.products[1]
    assert isinstance(version, Derived)
    *others, own = (p for p in version.parents if isinstance(p, Trajectory))
    batches = [p.batches(run.stream, 0, 100) for p in (*others, own)]
    for other in batches[:-1]:
        assert np.array_equal(other[:70], batches[-1][:70])
        assert not np.array_equal(other[70:], batches[-1][70:])
        assert sorted(other[70:].ravel()) == sorted(batches[-1][70:].ravel())
    assert not np.array_equal(batches[0], batches[1])
    switching = make(compose(smoke("paradigm=path_switching,soup"), multirun=True)).tree
    assert switching.unique_steps == tree.unique_steps  # its first branch is path switching's own


def test_schedule_free_brings_its_optimizer_and_leaves_the_others_theirs(smoke: Overrides) -> None:
    tree = make(compose(smoke("paradigm=trunk,schedule_free", "optimizer.weight_decay=0.2"), multirun=True)).tree
    trunk, free = tree.runs
    assert (trunk.settings.optimizer.kind, free.settings.optimizer.kind) == ("adamw", "schedule_free")
    assert free.identity["optimizer"]["weight_decay"] == 0.2
    assert set(curve(free, 4)[5:]) == {MAX}
    assert [tree.relative_cost(i) for i in (0, 1)] == [0.4, 0.4]
    assert not set(tree.ends[0]) & set(tree.ends[1])


@pytest.mark.parametrize(
    ("recipe", "cost"),
    [("merge", 0.4), ("wsd_s", 0.4), ("falling_cosine", 0.4), ("schedule_free", 0.4), ("cpt", 0.4), ("wsd", 0.46)],
)
def test_cheap_recipes_cost_what_going_on_costs(smoke: Overrides, recipe: str, cost: float) -> None:
    assert planned(smoke, f"paradigm={recipe}")[0].relative_cost(0) == cost


def test_the_control_with_path_switchings_curve_resets_the_optimizer_as_path_switching_does(smoke: Overrides) -> None:
    """Its branch kept the state, whatever `carry_optimizer` said, so that the two differed in more than their data."""
    reset = "paradigm.carry_optimizer=false"
    _, control = planned(smoke, "paradigm=ptfs", "paradigm.curve=path_switching", reset)
    _, switching = planned(smoke, "paradigm=path_switching", reset)
    assert control.trajectories[2].resets.sum() == switching.trajectories[2].resets.sum() == 1


@pytest.mark.parametrize("name", EVERY)
def test_where_the_optimizer_is_not_carried_it_starts_afresh_with_each_update_and_branch(
    smoke: Overrides, name: str
) -> None:
    given = [f"paradigm={name}", *(["model.layers=2"] if name == "grow" else [])]
    carried, one = planned(smoke, *given)
    afresh, other = planned(smoke, *given, "paradigm.carry_optimizer=false")
    assert [resets(product) for product in one.products] == [[]] * len(one.products)
    assert tuple(resets(other.products[:3][-1])) == RESETS[name]
    same = [ours == theirs for ours, theirs in zip(carried.ends[0], afresh.ends[0], strict=True)]
    assert same == [not resets(product) for product in other.products]


def test_a_row_of_a_ledger_tells_a_recipe_with_the_types_of_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Mine(Recipe):
        often: int
        loud: bool = False

    monkeypatch.setitem(RECIPES, "mine", Mine)
    mine = told("mine", {"often": "3", "loud": "False"})
    assert isinstance(mine, Mine)
    assert (mine.often, mine.loud) == (3, False)
    assert told("mine", {"often": "seldom"}) is None
    assert told("mine", {}) is None, "of a version that had no such setting"
    assert told("nobody's", {}) is None


def resets(product: Product) -> list[int]:
    """The steps, from the random initialization on, before which the optimizer starts afresh."""
    if isinstance(product, Derived):
        return sorted({step for parent in product.parents for step in resets(parent)})
    return [product.origin + int(step) for step in np.flatnonzero(product.resets)]


@pytest.mark.parametrize(
    ("given", "multiple"),
    [
        (["paradigm=merge"], 25),
        (["paradigm=merge", "paradigm.window=1/3", "paradigm.count=3"], 6),
        (["paradigm=merge", "paradigm.weights=decay", "schedule=multi_step"], 50),  # whose decay has two halves
        (["paradigm=branch_average"], 25),  # of 3 T / 5, a fifth in three intervals
        (["paradigm=branch_average", "paradigm.average_count=5"], 100),
        (["paradigm=branch_average", "paradigm.branch_share=0.2"], 75),
        (["paradigm=updated", "paradigm.of=branch_average"], 25),
    ],
)
def test_intervals_between_a_means_checkpoints_are_whole_at_multiples_of_so_many_steps_alone(
    smoke: Overrides, given: list[str], multiple: int
) -> None:
    (settings,) = compose(smoke(*given, "schedule.warmup_steps=0"))
    chosen, works = recipe(settings), []
    assert chosen.step_multiple(settings) == multiple
    for steps in range(1, 3 * multiple + 1):
        releases = Releases(settings=settings, steps=(steps, steps))
        with contextlib.suppress(UserError):
            for version in (1, 2):
                chosen.product(releases, version)
            works.append(steps)
    assert works == [multiple, 2 * multiple, 3 * multiple]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["paradigm=cpt", "schedule=constant", "paradigm.rewarm_steps=9"], "rewarm_steps=9 would change nothing"),
        (["paradigm=cpt", "paradigm.rewarm_steps=50"], "no decay in a cycle of 50 steps.*; at most 49 works"),
        (["paradigm=cpt", "schedule=knee", "paradigm.rewarm_steps=26"], "too short a one; at most 25 works"),
        (
            ["paradigm=infinite", "paradigm.cooldown_share=0.08"],
            "cooldown_share=0.08 of version 1 is 4 steps, in which",
        ),
        (["paradigm=infinite", "paradigm.cooldown_share=0.1"], "and the cooling after it have to fit"),
        (["paradigm=cpt", "paradigm.start=previous_end", "schedule=constant"], "or paradigm.start=max"),
        (["paradigm=wsd_s", "schedule.warmup_steps=31"], "leaves 30 steps of version 1, and schedule.warmup_steps=31"),
        (
            ["paradigm=branch_average", "paradigm.alpha=1", "paradigm.average_share=1", "paradigm.average_count=6"],
            "begins at step 0 of version 1, and its first checkpoint can be at step 5",
        ),
        (
            ["paradigm=grow", "model.layers=2", "paradigm.grow_at=2", "paradigm.branch_share=0.6"],
            "paradigm.branch_share=0.6: version 2's branch leaves",
        ),
        (["paradigm=schedule_free", "optimizer=muon"], "is a form of AdamW, and optimizer.kind=muon another"),
    ],
)
def test_what_a_recipe_cannot_do_names_the_setting_and_what_works(
    smoke: Overrides, given: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        planned(smoke, *given)

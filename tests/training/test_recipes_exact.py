"""Every recipe there is: a version equals the same trained alone, and a run stopped again and again ends the same."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stops import StopAfter

from repro.common.errors import Preempted
from repro.config.registries import RECIPES
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree, merge
from repro.recipes.trajectory import Derived
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
SHORT = ["stream.versions=2", "stream.steps_per_version=20", "schedule.warmup_steps=2", "schedule=linear"]
MORE = {
    "grow": ["size=w48_l2", "paradigm.grow_at=2"],
    "branch_average": ["paradigm.average_count=2", "paradigm.average_share=1/2"],
    "merge": ["paradigm.count=3"],
    "infinite": ["paradigm.cooldown_share=0.4"],
}


def planned(smoke: Overrides, recipe: str) -> Tree:
    return make(compose(smoke(f"paradigm={recipe}", *SHORT, *MORE.get(recipe, [])))).tree


def work(tree: Tree, store: Store, stop: threading.Event | None = None) -> None:
    Worker(tree, 0, store, stop or threading.Event()).work()


def assert_same(one: Store, two: Store, key: str) -> None:
    assert one.manifest(key)["files"].keys() == two.manifest(key)["files"].keys()
    for name in (file.removesuffix(".safetensors") for file in one.manifest(key)["files"]):
        a, b = (store.load(key, name)[name] for store in (one, two))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[tensor], b[tensor]) for tensor in a), name


@pytest.fixture(params=[name for name, each in RECIPES.items() if each.__module__.startswith("repro.")])
def trained(request: pytest.FixtureRequest, smoke: Overrides, tmp_path: Path) -> tuple[Tree, Store]:
    tree, store = planned(smoke, request.param), Store(tmp_path / "shared")
    work(tree, store)
    return tree, store


def test_versions_equal_those_trained_alone_and_in_pieces(trained: tuple[Tree, Store], tmp_path: Path) -> None:
    tree, store = trained
    last = tree.ends[0][-1]
    trainings = [last] if not isinstance(tree.nodes[last].product, Derived) else tree.nodes[last].parents
    for number, key in enumerate(trainings):
        alone = Store(tmp_path / f"alone-{number}")
        single = merge([tree.runs[0]])
        # In one edge, from the initialization or, where its training starts from derived weights, from those.
        start = [node for node in tree.path(key) if node.derived]
        for node in start:
            place = alone.checkpoint_folder(node.key, node.step)
            shutil.copytree(store.checkpoint_folder(node.key, node.step), place)
        parents, step = (start[-1].key,) if start else (), start[-1].step if start else 0
        single.ends = [[key]]
        single.nodes = {node.key: replace(node, parents=()) for node in start}
        single.nodes[key] = replace(tree.nodes[key], parents=parents, parent_step=step)
        work(single, alone)
        assert_same(store, alone, key)
    disturbed = Store(tmp_path / "disturbed")
    stops = 0
    while True:
        try:
            work(tree, disturbed, StopAfter(13))
            break
        except Preempted:
            stops += 1
    assert stops >= 1
    for key in tree.ends[0]:
        assert_same(store, disturbed, key)

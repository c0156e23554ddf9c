"""Derived weights from end to end: made once, from sound parents, with the operation's bits, and trained on from."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stops import StopAfter
from transformers import AutoModelForCausalLM

from repro import adopt, export
from repro.common.errors import Preempted
from repro.config.registries import RECIPES
from repro.launching import training
from repro.planning import frozen
from repro.planning.planner import Plan, make
from repro.planning.sweeps import compose
from repro.planning.tree import Node, Tree
from repro.recipes.operations import mean
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.trajectory import Derived, Phase, Product
from repro.results import ledger, measures
from repro.store import upkeep
from repro.store.store import Store
from repro.training import worker
from repro.training.state import fresh
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
T = 50
MERGE = ("paradigm=merge", "paradigm.count=3", "stream.versions=2")


@RECIPES.register("merge_and_go_on")
@dataclass(frozen=True, kw_only=True)
class MergeAndGoOn(Recipe):
    """Version 1: a mean on the trunk. Version 2: trained on from it. Version 3: a mean of both."""

    label = "merge and go on"

    def product(self, releases: Releases, version: int) -> Product:
        constant = releases.schedule.constant
        trunk = releases.trajectory([Phase(steps=releases.steps[0], curve=constant(warm=True))])
        merged = Derived(mean([0.25, 0.75]), (trunk.until(releases.steps[0] - 10), trunk))
        on = releases.trajectory([Phase(steps=releases.steps[1], curve=constant(warm=False))], start=merged)
        return [merged, on, Derived(mean([0.5, 0.5]), (merged, on))][version - 1]

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        raise AssertionError("not asked for")

    def versions(self, releases: Releases) -> int:
        return 3


CHAIN = ("paradigm=trunk", "paradigm.kind=merge_and_go_on", "stream.versions=3")


def planned(overrides: list[str]) -> Plan:
    return make(compose(overrides))


def work(tree: Tree, store: Store, stop: threading.Event | None = None) -> None:
    for run in range(len(tree.runs)):
        Worker(tree, run, store, stop or threading.Event()).work()


def derived(tree: Tree) -> list[Node]:
    return [node for node in tree.nodes.values() if node.derived]


def average(store: Store, parents: Sequence[str], coefficients: Sequence[float]) -> dict[str, NDArray[np.float32]]:
    """Not as the suite computes it: in NumPy, all parents at once."""
    every = [{name: w.numpy().astype(np.float64) for name, w in store.load_weights(key).items()} for key in parents]
    return {
        name: sum(c * weights[name] for c, weights in zip(coefficients, every, strict=True)).astype(np.float32)
        for name in every[0]
    }


def assert_weights(store: Store, key: str, expected: dict[str, NDArray[np.float32]]) -> None:
    found = store.load_weights(key)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert np.array_equal(value.numpy(), expected[name]), name


def assert_same(one: Store, two: Store, key: str) -> None:
    files = [path.name.removesuffix(".safetensors") for path in one.verified(key)[0].glob("*.safetensors")]
    a, b = one.load(key, *files), two.load(key, *files)
    for file in files:
        assert a[file].keys() == b[file].keys()
        assert all(torch.equal(value, b[file][name]) for name, value in a[file].items()), file


@pytest.fixture(scope="module")
def merged(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Tree, Store]:
    """A merge, trained; not to be changed."""
    place = tmp_path_factory.mktemp("merged")
    given = [
        "scale=smoke",
        f"store.path={place / 'store'}",
        f"data.path={data_path}",
        f"ledger.path={place / 'ledger'}",
    ]
    tree, store = planned([*given, *MERGE]).tree, Store(place / "store")
    work(tree, store)
    return given, tree, store


def copied(store: Store, tree: Tree, place: Path) -> Store:
    """What a store holds of the trunk alone."""
    other = Store(place)
    for node in tree.nodes.values():
        if not node.derived:
            about = {name: value for name, value in store.manifest(node.key).items() if name == "identity_key"}
            other.save(node.key, node.step, store.load(node.key, "model", "optimizer", "trace"), about)
    return other


def test_a_merged_version_is_the_mean_of_its_parents_bit_for_bit(merged: tuple[list[str], Tree, Store]) -> None:
    _, tree, store = merged
    assert store.steps().keys() == tree.nodes.keys()
    for version, key in enumerate(tree.ends[0], start=1):
        manifest = store.manifest(key)
        steps = [version * T - 10, version * T - 5, version * T]
        assert [store.manifest(parent)["step"] for parent in manifest["parents"]] == steps
        assert manifest["operation"]["kind"] == "sum"
        assert manifest["step"] == version * T
        assert manifest["files"].keys() == {"model.safetensors"}
        assert_weights(store, key, average(store, manifest["parents"], [1 / 3] * 3))
    assert measures.finished(tree, 0, store.steps(), store) == [1, 2]
    one, two = (measures.find(tree.runs[0], key, store) for key in tree.ends[0])
    assert one is not None
    assert two is not None
    assert measures.perplexity(two, 2) < measures.perplexity(one, 2)


def test_merging_leaves_the_trunk_as_it_is(
    merged: tuple[list[str], Tree, Store], smoke: Overrides, tmp_path: Path
) -> None:
    """Its nodes are those of the undecayed trunk and of path switching's main path, with the same bits."""
    _, tree, store = merged
    sweep = make(
        compose(smoke("paradigm=trunk,path_switching", "stream.versions=2", "paradigm.alpha=0.1"), multirun=True)
    )
    other = Store(tmp_path / "store")
    work(sweep.tree, other)
    shared = [node for node in tree.nodes.values() if node.key in sweep.tree.nodes]
    # Where path switching's branches of 5 steps leave, and where the trunk's versions end.
    assert [node.step for node in shared] == [45, 50, 95, 100]
    for node in shared:
        assert_same(store, other, node.key)


def test_progress_counts_an_operation_and_a_measurement_as_a_step_each(smoke: Overrides) -> None:
    plan = planned(smoke(*MERGE))
    assert training.left(plan, Store(Path(plan.tree.runs[0].settings.store.path))) == 2 * T + 2 + 2


@pytest.mark.parametrize("given", [MERGE, CHAIN], ids=["merge", "chain"])
def test_stopped_again_and_again_it_ends_the_same(smoke: Overrides, tmp_path: Path, given: tuple[str, ...]) -> None:
    tree = planned(smoke(*given)).tree
    undisturbed, disturbed = Store(tmp_path / "a"), Store(tmp_path / "b")
    work(tree, undisturbed)
    stops = 0
    while True:
        try:
            work(tree, disturbed, StopAfter(17))
            break
        except Preempted:
            stops += 1
    assert stops > 2
    for key in tree.nodes:
        assert_same(undisturbed, disturbed, key)


def test_killed_while_it_is_kept_it_is_made_again(
    merged: tuple[list[str], Tree, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tree, sound = merged
    store = copied(sound, tree, tmp_path / "store")
    save = store.save

    def killed(key: str, step: int, tensors: object, about: object) -> None:
        assert tree.nodes[key].derived, "the trunk is not trained again"
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        work(tree, store)
    monkeypatch.setattr(store, "save", save)
    work(tree, store)
    for node in derived(tree):
        assert_same(sound, store, node.key)


def test_a_damaged_parent_is_trained_again_first(
    merged: tuple[list[str], Tree, Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, tree, sound = merged
    store = copied(sound, tree, tmp_path / "store")
    parent = derived(tree)[1].parents[1]
    weights = store.verified(parent)[0] / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    work(tree, store)
    assert "model.safetensors that was altered" in capsys.readouterr().err
    assert store.manifest(parent)["sessions"] == [2 * T - 10]
    for node in tree.nodes.values():
        assert_same(sound, store, node.key)
    assert list(upkeep.damage(store)) == []


def test_of_two_workers_one_makes_it_and_both_finish(
    merged: tuple[list[str], Tree, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tree, sound = merged
    copied(sound, tree, tmp_path / "store")
    made: Counter[str] = Counter()
    both = threading.Barrier(2)
    original = worker.derive

    def derive(node: Node, store: Store) -> None:
        made[node.key] += 1
        assert store.leases()[node.key]["uses"] == list(node.parents)
        original(node, store)

    def one() -> None:
        alone = Worker(tree, 0, Store(tmp_path / "store"), threading.Event())
        both.wait()
        alone.work()

    monkeypatch.setattr(worker, "derive", derive)
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert made == {node.key: 1 for node in derived(tree)}
    store = Store(tmp_path / "store")
    assert measures.finished(tree, 0, store.steps(), store) == [1, 2]


def test_garbage_collection_keeps_it_and_its_parents_while_a_plan_names_them(smoke: Overrides, tmp_path: Path) -> None:
    plan, store = planned(smoke(*MERGE)), Store(tmp_path / "store")
    name = frozen.freeze(plan, store)
    work(plan.tree, store)
    assert upkeep.collect(store, delete=True) == []
    kinds = {entry.path.name.split(".")[0]: entry.kind for entry in upkeep.survey(store)}
    assert {kinds[key] for key in plan.tree.ends[0]} == {"version"}
    assert {kinds[parent] for node in derived(plan.tree) for parent in node.parents} == {"branch point"}
    upkeep.forget(store, name)
    assert len(upkeep.collect(store, delete=True)) == len(plan.tree.nodes)
    assert store.steps() == {}


def test_the_ledger_shows_the_trunk_and_what_it_costs(
    merged: tuple[list[str], Tree, Store], smoke: Overrides, tmp_path: Path
) -> None:
    given, tree, store = merged
    plan = planned([*given, *MERGE, f"ledger.path={tmp_path / 'ledger'}"])
    ledger.write(plan, store)

    def rows(table: str) -> list[dict[str, str]]:
        columns = ledger.COLUMNS[table]
        return [
            dict(zip(columns, row, strict=True)) for row in ledger.read(tmp_path / "ledger" / f"{table}.csv", table)
        ]

    assert [(row["key"], row["steps"], row["unique_steps"]) for row in rows("versions")] == [
        (tree.ends[0][0], "50", "50"),
        (tree.ends[0][1], "100", "100"),
    ]
    assert [(row["kind"], row["from_step"], row["to_step"]) for row in rows("paths")] == [
        ("trunk", "0", "50"),
        ("trunk", "50", "100"),
    ]
    curve = [(int(row["step"]), float(row["loss"])) for row in rows("curves") if row["version"] == "2"]
    losses = store.load(derived(tree)[1].parents[-1], "trace")["trace"]["trace"][:, 0].double().numpy()
    assert curve == [(step, round(losses[step], 6)) for step in range(50, 100)]
    (run,) = rows("runs")
    assert (run["logical_steps"], run["unique_steps"], run["paradigm"]) == ("150", "100", "merge")
    assert len(rows("perplexity")) == 4


def test_an_exported_merge_loads_with_its_weights(merged: tuple[list[str], Tree, Store], tmp_path: Path) -> None:
    given, tree, store = merged
    export.main([*given, *MERGE, f"output={tmp_path / 'out'}", "version=2"])
    (folder,) = (tmp_path / "out").iterdir()
    model = AutoModelForCausalLM.from_pretrained(folder)
    weights = store.load_weights(tree.ends[0][1])
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.detach(), weights[name])


def test_merges_made_under_other_numerics_are_adopted_and_say_so(
    merged: tuple[list[str], Tree, Store], smoke: Overrides, tmp_path: Path
) -> None:
    _, tree, sound = merged
    store = Store(tmp_path / "store")
    for node in tree.nodes.values():
        manifest = sound.manifest(node.key)
        files = [name.removesuffix(".safetensors") for name in manifest["files"]]
        own = ("format", "key", "files", "manifest_sha256", "step")
        about = {name: value for name, value in manifest.items() if name not in own}
        store.save(node.key, node.step, sound.load(node.key, *files), about)
    two = planned(smoke(*MERGE, "numerics.threads=2"))
    assert len(two.missing) == len(two.tree.nodes)
    adopt.adopt(two, store, ["threads"])
    for ours, theirs in zip(two.tree.nodes, tree.nodes, strict=True):
        manifest = store.manifest(ours)
        assert [each["key"] for each in manifest["adopted"]] == [theirs]
        node = two.tree.nodes[ours]
        if node.derived:
            assert manifest["parents"] == list(node.parents)
            assert manifest["operation"] == store.manifest(theirs)["operation"]
    # What is made from adopted parents says so as well.
    first = two.tree.ends[0][0]
    store.discard(store.verified(first)[0])
    Worker(two.tree, 0, store, threading.Event()).work()
    assert [each["key"] for each in store.manifest(first)["adopted"]] == list(derived(tree)[0].parents)


def test_training_from_a_mean_equals_the_same_done_by_hand(smoke: Overrides, tmp_path: Path) -> None:
    plan, store = planned(smoke(*CHAIN)), Store(tmp_path / "store")
    tree = plan.tree
    work(tree, store)
    run, (merged, on, last) = tree.runs[0], tree.ends[0]
    assert tree.run_steps(0) == 2 * T
    assert [tree.nodes[key].step for key in tree.ends[0]] == [T, 2 * T, 2 * T]
    assert tree.nodes[on].parents == (merged,)
    assert_weights(store, merged, average(store, tree.nodes[merged].parents, [0.25, 0.75]))

    state = fresh(run)
    with torch.no_grad():
        for name, parameter in state.model.named_parameters():
            parameter.copy_(store.load_weights(merged)[name])
    blocks = run.stream.version_blocks[0]
    losses = []
    for batch in run.trajectories[1].order.batches(run.stream, T, 2 * T):
        assert set(batch) <= set(range(blocks, 2 * blocks)), "version 2's data"
        tokens = torch.from_numpy(run.stream.blocks(batch))
        loss = state.loss(tokens[:, :-1], tokens[:, 1:]) / tokens[:, 1:].numel()
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(list(state.model.parameters()), run.settings.optimizer.clip_norm)
        for group in state.optimizer.param_groups:
            group["lr"] = run.settings.schedule.max_lr
        state.optimizer.step()
        state.optimizer.zero_grad()
    assert_weights(store, on, {name: p.detach().numpy() for name, p in state.model.named_parameters()})
    assert store.load(on, "trace")["trace"]["trace"][:, 0].tolist() == np.float32(losses).tolist()
    moments = store.load(on, "optimizer")["optimizer"]
    assert {int(value) for name, value in moments.items() if name.endswith(".step")} == {T}, "a fresh optimizer"
    assert_weights(store, last, average(store, [merged, on], [0.5, 0.5]))

    ledger.write(plan, store)
    curves = ledger.read(tmp_path / "ledger" / "curves.csv", "curves")
    assert [int(row[2]) for row in curves if row[1] == "2"] == list(range(T, 2 * T))
    paths = ledger.read(tmp_path / "ledger" / "paths.csv", "paths")
    assert [(row[1], row[4], row[5]) for row in paths] == [("1", "0", "50"), ("2", "50", "100"), ("3", "50", "100")]

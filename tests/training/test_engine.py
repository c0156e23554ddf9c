"""Bit-identity, with zero tolerance: weights, optimizer moments, trace and measures."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stops import StopAfter, begun

from analysis import frames, report
from repro import train as command
from repro.common.errors import Preempted
from repro.data.stream import HeldOut, Stream
from repro.models.architectures.architecture import architecture
from repro.planning.planner import make
from repro.planning.runs import Run
from repro.planning.sweeps import compose
from repro.planning.tree import Tree, merge
from repro.results import measures
from repro.store.store import Store
from repro.training import engine, perplexity, state
from repro.training.engine import Diverged
from repro.training.state import fresh
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
# With every recipe as it is by default: tests/training/test_recipes_exact.py.
PARADIGMS = {
    "ptfs_arrival": ["paradigm=ptfs", "paradigm.order=arrival", "schedule=knee"],
    "path_switching": ["paradigm=path_switching"],
    "path_switching_reset": ["paradigm=path_switching", "paradigm.carry_optimizer=false"],
    "multi_step": ["paradigm=path_switching", "schedule=multi_step", "paradigm.branch=cycle"],
    "two_stage": ["paradigm=two_stage", "paradigm.first_cycle=2"],
    "qwen": ["paradigm=path_switching", "model=qwen"],
    "muon": ["paradigm=path_switching", "optimizer=muon"],
    "schedule_free": ["paradigm=path_switching", "optimizer=schedule_free"],
    "schedule_free_reset": ["paradigm=cpt", "optimizer=schedule_free", "paradigm.carry_optimizer=false"],
    "compiled": ["paradigm=path_switching", "numerics.compile=true"],
}
FILES = ("model", "optimizer", "trace")


SHORT = "stream.steps_per_version=20"
"""As many steps as bit-identity takes: the main path, each edge and each phase has several."""


def plan_tree(overrides: list[str]) -> Tree:
    return make(compose([*overrides, "stream.versions=2"])).tree


def train(tree: Tree, store: Store, stop: threading.Event | None = None) -> None:
    for run in range(len(tree.runs)):
        Worker(tree, run, store, stop or threading.Event()).work()


def assert_same(a: Store, b: Store, key: str) -> None:
    one, two = a.load(key, *FILES), b.load(key, *FILES)
    for name in FILES:
        assert one[name].keys() == two[name].keys()
        for tensor, value in one[name].items():
            assert torch.equal(value, two[name][tensor]), f"{name}: {tensor}"
    assert one["optimizer"], "moments are kept"


@pytest.mark.parametrize("batch_size", [3, 64])
def test_held_out_loss_is_the_plain_cross_entropy_of_every_held_out_token(
    smoke: Overrides, tmp_path: Path, batch_size: int
) -> None:
    """Of several batches, the last of them smaller, and of one."""
    store = Store(tmp_path / "store")
    tree = plan_tree(smoke("paradigm=cpt", "stream.steps_per_version=10", f"evaluation.batch_size={batch_size}"))
    train(tree, store)
    run, key = tree.runs[0], tree.ends[0][1]
    model = architecture(run.settings.model).build(run.stream.vocab_size, run.settings.stream.sequence_length, seed=0)
    model.load_state_dict(store.load_weights(key))
    rows = measures.find(run, key, store)
    assert [row["slice"] for row in rows] == [1, 2]
    for row in rows:
        blocks = torch.from_numpy(run.stream.heldout(row["slice"]).blocks)
        assert len(blocks) % 3
        with torch.no_grad():
            chances = model(input_ids=blocks[:, :-1]).logits.double().log_softmax(-1)
        said = chances.gather(-1, blocks[:, 1:, None])
        assert row["tokens"] == said.numel()
        assert row["nll"] == pytest.approx(-said.sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    "paradigm", [pytest.param(name, marks=pytest.mark.slow if name == "compiled" else ()) for name in PARADIGMS]
)
def test_a_branch_equals_the_same_run_trained_alone(smoke: Overrides, tmp_path: Path, paradigm: str) -> None:
    whole = ["paradigm.alpha=1/2"] if paradigm == "multi_step" else []  # its steps are tenths of a branch
    tree = plan_tree(smoke(*PARADIGMS[paradigm], SHORT, *whole))
    shared = Store(tmp_path / "shared")
    train(tree, shared)
    for version, key in enumerate(tree.ends[0], start=1):
        alone = Store(tmp_path / f"alone-{version}")
        single = merge([tree.runs[0]])
        single.ends = [[key]]
        node = single.nodes[key]
        single.nodes = {key: replace(node, parents=(), parent_step=0)}
        train(single, alone)
        assert_same(shared, alone, key)
        run = tree.runs[0]
        assert measures.find(run, key, shared) == measures.find(run, key, alone)


@pytest.mark.parametrize(
    ("paradigm", "after"), [("path_switching", 7), ("path_switching", 19), ("muon", 7), ("schedule_free", 19)]
)
def test_a_run_stopped_and_resumed_equals_an_undisturbed_one(
    smoke: Overrides, tmp_path: Path, paradigm: str, after: int
) -> None:
    tree = plan_tree(smoke(*PARADIGMS[paradigm], SHORT))
    undisturbed, disturbed = Store(tmp_path / "a"), Store(tmp_path / "b")
    train(tree, undisturbed)
    stops = 0
    while True:
        try:
            train(tree, disturbed, StopAfter(after))
            break
        except Preempted:
            stops += 1
    assert stops >= 1
    for key in tree.ends[0]:
        assert_same(undisturbed, disturbed, key)


@pytest.mark.parametrize("paradigm", ["path_switching", "schedule_free"])
def test_saving_more_often_changes_no_bit(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paradigm: str
) -> None:
    seldom, often = Store(tmp_path / "a"), Store(tmp_path / "b")
    tree = plan_tree(smoke(*PARADIGMS[paradigm], SHORT))
    train(tree, seldom)
    busy = plan_tree(smoke(*PARADIGMS[paradigm], SHORT, "store.save_seconds=0.000001"))
    assert busy.ends == tree.ends
    kept: list[int] = []
    save = often.save_partial
    monkeypatch.setattr(often, "save_partial", lambda key, step, *rest: (kept.append(step), save(key, step, *rest)))
    train(busy, often)
    # At every step but an edge's last, where the edge is kept for good.
    assert sorted(kept) == sorted(
        step for node in busy.nodes.values() for step in range(node.parent_step + 1, node.step)
    )
    for key in tree.ends[0]:
        assert_same(seldom, often, key)


def test_a_run_starts_from_the_deepest_stored_prefix_even_of_another_plan(smoke: Overrides, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = make(compose(smoke("paradigm.alpha=0.8", "stream.versions=2"))).tree
    train(first, store)
    plan = make(compose(smoke("paradigm.alpha=0.4", "stream.versions=2")))
    # alpha 0.8 left its main path at step 10 and, for its last branch, at 60, which no node marks; 0.4 leaves at 30.
    assert plan.missing_steps == plan.tree.unique_steps - 10
    trained_here = Store(tmp_path / "fresh")
    alone = merge(plan.tree.runs)
    train(plan.tree, store)
    train(alone, trained_here)
    for key in alone.ends[0]:
        assert_same(store, trained_here, key)


def test_what_is_measured_for_long_stays_leased(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plan_tree(smoke("paradigm=cpt", "stream.steps_per_version=10"))
    other, measured = Store(tmp_path / "store"), []

    def slow(run: Run, key: str, *given: Any) -> None:
        lease = other.root / "leases" / f"{key}.0"
        os.utime(lease, (0, 0))  # as if there had been no heartbeat for long
        patience = time.monotonic() + 30
        while lease.stat().st_mtime == 0 and time.monotonic() < patience:
            time.sleep(0.01)
        with other.lease(key) as none:
            measured.append((key, none))
        measure(run, key, *given)

    measure = perplexity.measure
    monkeypatch.setattr(perplexity, "measure", slow)
    train(tree, Store(tmp_path / "store", stale_seconds=0.4))
    assert measured == [(key, None) for key in tree.ends[0]]


def test_adams_step_count_travels_with_its_moments_and_resets_with_them(smoke: Overrides, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    carried = plan_tree(smoke("paradigm=cpt"))
    reset = plan_tree(smoke("paradigm=cpt", "paradigm.carry_optimizer=false"))
    train(carried, store)
    train(reset, store)
    steps = [
        {int(v) for n, v in store.load(tree.ends[0][1], "optimizer")["optimizer"].items() if n.endswith(".step")}
        for tree in (carried, reset)
    ]
    assert steps == [{100}, {50}]


def test_splitting_the_batch_changes_only_roundings(smoke: Overrides, tmp_path: Path) -> None:
    traces = []
    for micro in (4, 1):
        tree = plan_tree(smoke("paradigm=cpt", f"numerics.micro_batch_size={micro}"))
        store = Store(tmp_path / str(micro))
        train(tree, store)
        traces.append(store.load(tree.ends[0][1], "trace")["trace"]["trace"])
    # Roundings grow with every step; over the first ones they are still small.
    assert torch.allclose(traces[0][:10], traces[1][:10], rtol=1e-4)
    assert not torch.equal(traces[0], traces[1])


def test_initialization_is_the_seeds_and_leaves_the_global_random_state_alone(smoke: Overrides) -> None:
    one, two, other = (plan_tree(smoke(f"seed={seed}")).runs[0] for seed in (3, 3, 4))
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    states = [dict(fresh(run).model.named_parameters()) for run in (one, two, other)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(p, states[1][name]) for name, p in states[0].items())
    assert any(not torch.equal(p, states[2][name]) for name, p in states[0].items())


def test_the_loss_goes_down(smoke: Overrides, tmp_path: Path) -> None:
    tree = plan_tree(smoke("paradigm=ptfs"))
    store = Store(tmp_path / "store")
    train(tree, store)
    losses = store.load(tree.ends[0][1], "trace")["trace"]["trace"][:, 0]
    assert losses[-10:].mean() < losses[:5].mean() - 1


def test_a_loss_that_is_no_number_stops_its_edge_alone(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plan_tree(smoke("study=headline"))
    store = Store(tmp_path / "store")
    bad = tree.ends[1][1]  # CPT's second version: path switching goes on beside it
    original = state.cross_entropy

    def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = original(logits, targets)
        return loss * float("nan") if bad in store.leases() else loss

    monkeypatch.setattr(state, "cross_entropy", cross_entropy)
    with pytest.raises(Diverged, match=r"-cpt-.*, version 2: the loss is nan at step 50 .*schedule.max_lr below"):
        Worker(tree, 1, store, threading.Event()).work()
    assert store.steps().keys() == set(tree.nodes) - {bad}
    for run in (0, 2):
        Worker(tree, run, store, threading.Event()).work()
    assert measures.diverged(tree, 1, store.steps(), store) == [2]
    assert measures.finished(tree, 1, store.steps(), store) == [1]


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_that_diverged_says_so_in_its_ledger(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("study=headline", "stream.versions=2", "schedule.max_lr=1e30", f"ledger.path={tmp_path}/smoke/data")
    with pytest.raises(SystemExit) as status:
        command.main(given)
    assert status.value.code == 1
    # The gradient's norm overflows a step before the loss does.
    assert re.search(r"the loss is \S+ at step \d+ \(gradient norm (nan|inf)", capsys.readouterr().err)
    known = frames.load(tmp_path, "smoke")
    assert len(known.scores) == 6
    assert known.scores["ppl"].isna().all()
    report.build("smoke", tmp_path)
    text = (tmp_path / "smoke" / "report.md").read_text()
    assert "| cosine | CPT | diverged | diverged | 67 % |" in text
    assert "Diverged, and left out of comparisons" in text


def test_a_killed_sweep_goes_on_and_ends_the_same(smoke: Overrides, tmp_path: Path) -> None:
    """SIGKILL, at a few moments, from outside."""
    tree = make(compose(smoke("study=headline", "stream.versions=2"))).tree
    undisturbed = Store(tmp_path / "undisturbed")
    train(tree, undisturbed)
    given = [*smoke("study=headline", "stream.versions=2"), "store.save_seconds=0.05"]
    store = Store(tmp_path / "store")
    for kept in (1, 3):
        child = begun(lambda: command.main(given))
        while len(store.steps()) < kept and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert 3 <= len(store.steps()) < len(tree.nodes)
    partial = {path.name: store.partial_steps(path.name) for path in (store.root / "partial").glob("*/")}
    under_way = {key: steps[-1] for key, steps in partial.items() if steps and key not in store.steps()}
    command.main(given)
    assert all(step in store.manifest(key)["sessions"] for key, step in under_way.items())
    for ends in tree.ends:
        for key in ends:
            assert_same(undisturbed, store, key)


def test_what_was_saved_on_the_way_is_where_a_killed_edge_goes_on(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plan_tree(smoke("paradigm=cpt", "store.save_seconds=0.000001"))
    store = Store(tmp_path / "store")
    original, steps = state.cross_entropy, [0]

    def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        steps[0] += 1
        if steps[0] == 20:
            raise KeyboardInterrupt
        return original(logits, targets)

    monkeypatch.setattr(state, "cross_entropy", cross_entropy)
    with pytest.raises(KeyboardInterrupt):
        train(tree, store)
    train(tree, store)
    assert store.manifest(tree.ends[0][0])["sessions"] == [0, 19]
    assert store.manifest(tree.ends[0][1])["sessions"] == [50]


def test_a_worker_that_waits_for_others_holds_nothing(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at an edge that others have leased once left a little in memory, for as long as the worker waited."""
    store, opened = Store(tmp_path / "store"), []

    @contextlib.contextmanager
    def lease(key: str, *uses: str | None) -> Iterator[None]:
        opened.append(key)
        yield None  # someone else has it
        opened.remove(key)

    monkeypatch.setattr(store, "lease", lease)
    with pytest.raises(Preempted):
        Worker(plan_tree(smoke("paradigm=cpt")), 0, store, StopAfter(3)).work()
    assert opened == []


RECORDED = Path(__file__).parent / "recorded_losses.json"
"""Losses of every step, in nats per token, as first computed. Written again by: python tests/training/test_engine.py"""


def losses(overrides: list[str], store: Store) -> list[float]:
    tree = plan_tree(overrides)
    train(tree, store)
    trace: list[float] = store.load(tree.ends[0][-1], "trace")["trace"]["trace"][:, 0].tolist()
    return trace


def test_reading_ahead_gives_each_step_its_own_batch(smoke: Overrides, monkeypatch: pytest.MonkeyPatch) -> None:
    run = plan_tree(smoke("paradigm=cpt")).runs[0]
    batches = run.trajectories[-1].order.batches(run.stream, 30, 70)[:, 1:3]  # across versions, a process's share
    expected = [run.stream.blocks(ids) for ids in batches]
    for at_once in (1, 7, 1000):
        monkeypatch.setattr(engine, "READ_TOKENS", at_once * 2 * run.stream.sequence_length)
        read = list(engine.read(run.stream, batches))
        assert len(read) == 40
        assert all(map(np.array_equal, read, expected))


CALM = "schedule.max_lr=2e-3"
"""At smoke's own rate roundings grow to percents of the loss within a hundred steps; at this one they stay at 1e-6."""


@pytest.mark.parametrize("paradigm", ["path_switching", "multi_step", "qwen", "compiled"])
@pytest.mark.parametrize("matmul", ["torch", "onednn"])
def test_losses_are_those_recorded(smoke: Overrides, tmp_path: Path, paradigm: str, matmul: str) -> None:
    """To roundings, for other machines: a change of the computation shows here, one of the engine's speed does not."""
    recorded = json.loads(RECORDED.read_text())[paradigm]
    found = losses(smoke(*PARADIGMS[paradigm], CALM, f"numerics.matmul={matmul}"), Store(tmp_path / "store"))
    assert found == pytest.approx(recorded, rel=1e-5)
    assert recorded[0] > 5 > recorded[-1] > 3


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        base = ["scale=smoke", f"data.path={folder}/data", f"ledger.path={folder}/ledger"]
        RECORDED.write_text(
            json.dumps(
                {
                    name: [
                        round(loss, 6) for loss in losses([*base, *PARADIGMS[name], CALM], Store(Path(folder) / name))
                    ]
                    for name in ("path_switching", "multi_step", "qwen", "compiled")
                }
            )
            + "\n"
        )


def test_what_was_trained_before_is_measured_under_its_own_numerics(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["paradigm=cpt", "stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=2"]
    store = Store(tmp_path / "store")
    train(plan_tree(smoke(*overrides)), store)
    seen = []
    heldout = Stream.heldout

    def watched(stream: Stream, version: int) -> HeldOut:
        seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
        return heldout(stream, version)

    monkeypatch.setattr(Stream, "heldout", watched)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    train(plan_tree(smoke(*overrides, "evaluation.batch_size=3")), store)
    assert set(seen) == {(1, True)}


@pytest.mark.slow
def test_what_was_compiled_for_another_instruction_set_is_not_used(smoke: Overrides, tmp_path: Path) -> None:
    """As where a cluster's nodes share TORCHINDUCTOR_CACHE_DIR: AVX-512's code, run as AVX2's, reads foreign memory."""
    overrides = smoke("numerics.compile=true", "paradigm=cpt", "stream.versions=1", "stream.steps_per_version=5")
    common = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiled")}
    for store, more in ((tmp_path / "one", {}), (tmp_path / "two", {"ATEN_CPU_CAPABILITY": "avx2"})):
        done = subprocess.run(
            [sys.executable, "-m", "repro.train", *overrides, "schedule.warmup_steps=1", f"store.path={store}"],
            env=common | more, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_a_stop_while_a_version_is_measured_leaves_it_to_be_measured(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large model is measured for longer than a cluster leaves after its signal."""
    tree = plan_tree(smoke("paradigm=cpt", "stream.versions=2", "stream.steps_per_version=10"))
    store, stop = Store(tmp_path / "store"), threading.Event()
    heldout = Stream.heldout

    def asked(stream: Stream, version: int) -> HeldOut:
        if version == 2:
            stop.set()
        return heldout(stream, version)

    with monkeypatch.context() as patched:
        patched.setattr(Stream, "heldout", asked)
        with pytest.raises(Preempted):
            Worker(tree, 0, store, stop).work()
    first = tree.ends[0][0]
    assert first in store.steps()
    assert measures.unmeasured(tree, store.steps(), store) == [first]
    Worker(tree, 0, store, threading.Event()).work()
    assert measures.finished(tree, 0, store.steps(), store) == [1, 2]
    assert store.manifest(first)["sessions"] == [0], "not trained again"

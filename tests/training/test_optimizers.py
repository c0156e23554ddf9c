"""Update rules: what keys them, what each checkpoint holds of them, and which weights are a version's.

That each is resumed and branched from bit for bit is tested in test_engine.py, over several processes in
test_parallel.py.
"""

import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from schedulefree import AdamWScheduleFree

from repro.common.errors import UserError
from repro.data.stream import Stream
from repro.models import numerics, weights
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.results import measures
from repro.store.store import Store
from repro.training.engine import read
from repro.training.state import State, fresh, stored_state
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
SHORT = ["paradigm=cpt", "stream.versions=1", "stream.steps_per_version=10", "schedule.warmup_steps=3"]


def trained(overrides: list[str], store: Store) -> Tree:
    tree = make(compose(overrides)).tree
    Worker(tree, 0, store, threading.Event()).work()
    return tree


def plainly(tree: Tree, start: State, *optimizers: torch.optim.Optimizer) -> None:
    """The run's steps as a loop that knows of no store and no rule.

    Gradients are the engine's, held at each step to those of a plain loss: updates of the very same gradients are the
    same to the last bit on any processor, where roundings apart are made much of, by Newton-Schulz in bfloat16 above
    all.
    """
    parameters = list(start.model.parameters())
    run = tree.runs[0]
    trajectory = run.trajectories[0]
    assert isinstance(run.stream, Stream)
    batches = trajectory.batches(run.stream, 0, len(trajectory))
    for rate, blocks in zip(trajectory.learning_rates, read(run.stream, batches), strict=True):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = float(rate)
        tokens = torch.from_numpy(blocks)
        (start.loss(tokens[:, :-1], tokens[:, 1:]) / tokens[:, 1:].numel()).backward()
        logits = start.model(input_ids=tokens[:, :-1]).logits
        plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        for parameter, gradient in zip(parameters, torch.autograd.grad(plain, parameters), strict=True):
            assert (parameter.grad - gradient).norm() <= 1e-4 * gradient.norm()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


def test_keys_differ_by_rule_and_by_its_settings(smoke: Overrides) -> None:
    rules = (
        ["optimizer=adamw"],
        ["optimizer=muon"],
        ["optimizer=muon", "optimizer.momentum=0.9"],
        ["optimizer=muon", "optimizer.adjust_lr=original"],
        ["optimizer=schedule_free"],
        ["optimizer=schedule_free", "optimizer.average_power=1"],
        ["optimizer=schedule_free", "optimizer.beta1=0.8"],
    )
    trees = [make(compose(smoke(*SHORT, *rule))).tree for rule in rules]
    assert len({tree.ends[0][0] for tree in trees}) == len(rules)
    # The rule itself, and not the version of its package alone.
    assert len({tree.nodes[tree.ends[0][0]].identity_key for tree in trees}) == len(rules)


def test_a_version_of_schedule_free_is_its_authors_average(smoke: Overrides, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    tree = trained(smoke(*SHORT, "optimizer=schedule_free", "schedule=constant"), store)
    (key,) = tree.ends[0]
    start = fresh(tree.runs[0])
    model = start.model
    optimizer = AdamWScheduleFree(
        [
            {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    optimizer.train()
    plainly(tree, start, optimizer)
    iterates = {name: tensor.clone() for name, tensor in weights.of(model).items()}
    optimizer.eval()
    kept = store.load(key, "model", "optimizer")
    for name, average in weights.of(model).items():
        assert torch.equal(kept["model"][name], average)
        assert torch.equal(kept["optimizer"][f"{name}.y"], iterates[name])
        assert not torch.equal(kept["optimizer"][f"{name}.y"], kept["model"][name])
    groups = {name: value.item() for name, value in kept["optimizer"].items() if name.startswith("param_groups.0.")}
    assert groups == {
        "param_groups.0.k": 10,
        "param_groups.0.weight_sum": pytest.approx(optimizer.param_groups[0]["weight_sum"], rel=1e-15),
        "param_groups.0.lr_max": 1e-2,
    }
    # What was measured is the average: it is what a stored state holds.
    again = Store(tmp_path / "again")
    again.save(key, 10, store.load(key, "model", "optimizer", "trace"), store.manifest(key))
    Worker(tree, 0, again, threading.Event()).work()
    assert measures.find(tree.runs[0], key, again) == measures.find(tree.runs[0], key, store)
    held = weights.of(stored_state(tree.runs[0], again, key).model)
    assert all(torch.equal(tensor, kept["model"][name]) for name, tensor in held.items())


def test_muon_is_torchs_own_with_adamw_beside_it(smoke: Overrides, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    tree = trained(smoke(*SHORT, "optimizer=muon", "model.tie_embeddings=true"), store)
    kept = store.load(tree.ends[0][0], "optimizer")["optimizer"]
    parts = {name: {key.rpartition(".")[2] for key in kept if key.rpartition(".")[0] == name} for name in names(tree)}
    matrix, other = {"momentum_buffer"}, {"step", "exp_avg", "exp_avg_sq"}
    assert parts == {name: matrix if is_matrix(name) else other for name in parts}
    assert parts["model.embed_tokens.weight"] == other

    start = fresh(tree.runs[0])
    named = dict(start.model.named_parameters())
    every = [[named[name] for name in parts if keep(name)] for keep in (is_matrix, is_table, is_norm)]
    muon = torch.optim.Muon(every[0], weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": every[1], "weight_decay": 0.1}, {"params": every[2], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    plainly(tree, start, muon, adamw)
    # Newton-Schulz in bfloat16 makes much of a rounding: nothing short of equal says that it is the same.
    for name, kept_weights in store.load_weights(tree.ends[0][0]).items():
        assert torch.equal(named[name], kept_weights)


def is_matrix(name: str) -> bool:
    return "proj" in name


def is_table(name: str) -> bool:
    return "embed" in name


def is_norm(name: str) -> bool:
    return "norm" in name


def names(tree: Tree) -> list[str]:
    return [name for name, _ in fresh(tree.runs[0]).model.named_parameters()]


def test_what_cannot_work_is_refused_before_training(smoke: Overrides, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"optimizer.kind=muon orthogonalizes .* numerics.parallel=ddp would work"):
        compose(smoke("optimizer=muon", "numerics.parallel=fsdp", "numerics.world_size=2"))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "repro.models.optimizers.schedule_free.find_spec",
        lambda name: None if name == "schedulefree" else find(name),
    )
    with pytest.raises(UserError, match=r'pip install "lr-path-switching\[schedule_free\]"'):
        compose(smoke("optimizer=schedule_free"))


def test_what_no_run_chooses_needs_no_package(smoke: Overrides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "schedulefree", None)  # as if it were not installed
    assert make(compose(smoke("study=headline"))).missing_steps
    said = r'pip install "lr-path-switching\[schedule_free\]".* other than schedule_free, work without'
    for study in ("frontier", "plasticity", "rates"):
        with pytest.raises(UserError, match=said):
            compose(smoke(f"study={study}"))


def test_numerics_name_the_package_that_makes_the_bits(smoke: Overrides) -> None:
    rules = ("adamw", "muon", "schedule_free")
    adamw, muon, free = (numerics.describe(compose(smoke(f"optimizer={rule}"))[0]) for rule in rules)
    assert adamw == muon
    assert free.keys() - adamw.keys() == {"schedulefree"}

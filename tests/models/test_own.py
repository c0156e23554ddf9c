"""CONTRIBUTING's architecture and optimizer of one's own, as they stand there: trained, and resumed bit for bit."""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from stops import StopAfter

from repro.common.errors import Preempted
from repro.config.registries import ARCHITECTURES, OPTIMIZERS
from repro.planning import planner
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
OWN = {"my_model": "model.architecture", "my_optimizer": "optimizer.kind"}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both, importable, and forgotten afterwards."""
    for name in OWN:
        (block,) = re.findall(rf"```python\n(# {name}\.py\n.*?)```", TEXT, flags=re.DOTALL)
        (tmp_path / f"{name}.py").write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in OWN:
        sys.modules.pop(name, None)
    ARCHITECTURES.pop("my_model", None)
    OPTIMIZERS.pop("my_optimizer", None)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", OWN)
def test_it_is_trained_and_resumed_bit_for_bit(smoke: Overrides, tmp_path: Path, name: str) -> None:
    assert f"extensions=[{name}]" in TEXT
    short = ["paradigm=cpt", "stream.versions=2", "stream.steps_per_version=20", "schedule.max_lr=1e-3"]
    given = smoke(*short, f"extensions=[{name}]", f"{OWN[name]}={name}")
    plan = make(compose(given))
    planner.check_models(plan)
    assert plan.tree.ends != make(compose(smoke(*short))).tree.ends
    whole, parts = Store(tmp_path / "whole"), Store(tmp_path / "parts")
    Worker(plan.tree, 0, whole, threading.Event()).work()
    with pytest.raises(Preempted):
        Worker(plan.tree, 0, parts, StopAfter(7)).work()
    Worker(plan.tree, 0, parts, threading.Event()).work()
    for key in plan.tree.ends[0]:
        one, two = (store.load(key, "model", "optimizer", "trace") for store in (whole, parts))
        for file, tensors in one.items():
            assert tensors.keys() == two[file].keys() != set()
            assert all(torch.equal(tensor, two[file][part]) for part, tensor in tensors.items())

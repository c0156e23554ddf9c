"""What is promised on a GPU: make gpu. What a CPU can do of it runs there with every change."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stops import StopAfter
from training.test_parallel import finish, torchrun

from repro.common.errors import Preempted, UserError
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.store.store import Store
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
FILES = ("model", "optimizer", "trace")
SHORT = ["stream.versions=2", "stream.steps_per_version=20", "schedule.max_lr=2e-3"]
ON_A_GPU = ("cuda", "compiled", "graphs", "bfloat16")
HOW = {
    "cpu": [],
    "cuda": ["numerics.device=cuda"],
    "compiled": ["numerics.device=cuda", "numerics.compile=true"],
    "graphs": ["numerics.device=cuda", "numerics.compile=graphs"],
    "bfloat16": ["numerics.device=cuda", "numerics.compile=true", "numerics.dtype=bfloat16"],
}
DEVICES = ["cpu", *(pytest.param(name, marks=pytest.mark.gpu) for name in ON_A_GPU)]


def trained(overrides: list[str], place: Path, stop: threading.Event | None = None) -> tuple[Tree, Store]:
    tree, store = make(compose(overrides)).tree, Store(place)
    for run in range(len(tree.runs)):
        Worker(tree, run, store, stop or threading.Event()).work()
    return tree, store


def losses(overrides: list[str], place: Path) -> torch.Tensor:
    tree, store = trained(overrides, place)
    return store.load(tree.ends[0][-1], "trace")["trace"]["trace"][:, 0]


def assert_same(one: Store, two: Store) -> None:
    """With zero tolerance, in every file of every checkpoint."""
    assert one.steps() == two.steps() != {}
    for key in one.steps():
        ours, theirs = one.load(key, *FILES), two.load(key, *FILES)
        for file in FILES:
            assert ours[file].keys() == theirs[file].keys()
            for name, tensor in ours[file].items():
                assert torch.equal(tensor, theirs[file][name]), f"{file}: {name}"


@pytest.mark.parametrize("how", DEVICES)
def test_the_same_configuration_gives_the_same_bits(smoke: Overrides, tmp_path: Path, how: str) -> None:
    overrides = smoke(*SHORT, *HOW[how], "paradigm=path_switching")
    (_, one), (_, two) = (trained(overrides, tmp_path / name) for name in ("one", "two"))
    assert_same(one, two)


@pytest.mark.parametrize("how", DEVICES)
def test_training_that_was_stopped_goes_on_to_the_same_bits(smoke: Overrides, tmp_path: Path, how: str) -> None:
    overrides = smoke(*SHORT, *HOW[how], "paradigm=cpt")
    _, whole = trained(overrides, tmp_path / "whole")
    with pytest.raises(Preempted):
        trained(overrides, tmp_path / "stopped", StopAfter(13))
    assert not Store(tmp_path / "stopped").steps().keys() >= whole.steps().keys()
    _, stopped = trained(overrides, tmp_path / "stopped")
    assert_same(whole, stopped)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_bfloat16_follows_float32(smoke: Overrides, tmp_path: Path, device: str) -> None:
    """Half a per cent of the loss: bfloat16 keeps eight bits of a number, and weights stay float32."""
    given = smoke(*SHORT, "paradigm=cpt", f"numerics.device={device}")
    exact = losses(given, tmp_path / "float32")
    short = losses([*given, "numerics.dtype=bfloat16"], tmp_path / "bfloat16")
    assert not torch.equal(short, exact)
    torch.testing.assert_close(short, exact, rtol=5e-3, atol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("how", ["compiled", "graphs"])
def test_what_is_compiled_follows_what_is_not(smoke: Overrides, tmp_path: Path, how: str) -> None:
    plain = losses(smoke(*SHORT, *HOW["cuda"], "paradigm=cpt"), tmp_path / "plain")
    found = losses(smoke(*SHORT, *HOW[how], "paradigm=cpt"), tmp_path / how)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=0)


@pytest.mark.gpu
def test_a_gpu_follows_the_cpu(smoke: Overrides, tmp_path: Path) -> None:
    there = losses(smoke(*SHORT, *HOW["cuda"], "paradigm=cpt"), tmp_path / "there")
    here = losses(smoke(*SHORT, "numerics.matmul=torch", "paradigm=cpt"), tmp_path / "here")
    torch.testing.assert_close(there, here, rtol=1e-4, atol=0)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_model_sharded_over_one_process_is_the_model(device: str) -> None:
    script = str(Path(__file__).parent / "alone.py")
    assert "the same" in finish(torchrun(1, script, device, "scale=smoke"))


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="takes two GPUs")
@pytest.mark.parametrize("case", ["fsdp", "ddp"])
def test_two_gpus_compute_what_one_does(smoke: Overrides, data_path: Path, tmp_path: Path, case: str) -> None:
    one = losses(smoke(*SHORT, "numerics.device=cuda"), tmp_path / "one")
    script = str(Path(__file__).parents[1] / "together.py")
    given = ["scale=smoke", f"data.path={data_path}", *SHORT, "numerics.device=cuda"]
    finish(torchrun(2, script, str(tmp_path / "two"), case, *given))
    tree = make(
        compose(smoke(*SHORT, "numerics.device=cuda", f"numerics.parallel={case}", "numerics.world_size=2"))
    ).tree
    two = Store(tmp_path / "two" / case).load(tree.ends[0][-1], "trace")["trace"]["trace"][:, 0]
    torch.testing.assert_close(two, one, rtol=1e-4, atol=0)


@pytest.mark.parametrize("given", [["numerics.device=cpu"], ["numerics.device=cuda", "numerics.micro_batch_size=1"]])
def test_graphs_of_what_they_cannot_replay_are_refused(smoke: Overrides, given: list[str]) -> None:
    with pytest.raises(UserError, match=r"numerics\.compile=graphs replays .* numerics\.compile=true works\."):
        compose(smoke("numerics.compile=graphs", *given))

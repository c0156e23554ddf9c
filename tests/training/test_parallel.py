"""Several processes, one run: for real, over gloo, against one process."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from together import CASES

from repro import adopt, train
from repro.common.errors import UserError
from repro.config.settings import NumericsSettings
from repro.models.architectures.llama import Llama
from repro.planning.planner import Plan, make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.results import measures
from repro.store.layout import Damaged
from repro.store.store import Store
from repro.training import parallel
from repro.training.worker import Worker

Overrides = Callable[..., list[str]]
SHORT = ["stream.versions=2", "stream.steps_per_version=20"]
FIRST = 20
"""Steps over which roundings are still small: through the main path's branch point at step 8 and beyond."""
ROUNDINGS = {"ddp_muon": 20}
"""How much larger they are: Muon orthogonalizes in bfloat16, so that its weights agree in their first digits alone."""
CPU_CASES = ("ddp", "fsdp", "ddp_parts", "fsdp_bfloat16", "fsdp_again", "fsdp_stopped", "fsdp_schedule_free")
SELDOM = ("fsdp_parts", "ddp_muon", "fsdp_gpt2")
"""Each of the same two ways, or of the same kind, as one of the others."""


def torchrun(processes: int, *command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", *command]
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def run_cases(folder: Path, data_path: Path, processes: int, cases: str) -> None:
    overrides = ["scale=smoke", f"data.path={data_path}", *SHORT]
    script = str(Path(__file__).parents[1] / "together.py")
    finish(torchrun(processes, script, str(folder), cases, *overrides))


@pytest.fixture(scope="session")
def together(once: Callable[[str, Callable[[Path], object]], Path], data_path: Path) -> Path:
    """Stores of what two processes trained, a case each."""
    return once("together", lambda folder: run_cases(folder, data_path, 2, ",".join(CPU_CASES)))


@pytest.fixture(scope="session")
def seldom(once: Callable[[str, Callable[[Path], object]], Path], data_path: Path) -> Path:
    return once("seldom", lambda folder: run_cases(folder, data_path, 2, ",".join(SELDOM)))


def planned(smoke: Overrides, case: str, *more: str) -> Plan:
    return make(compose(smoke(*SHORT, *CASES.get(case, []), *more)))


def trained(smoke: Overrides, tmp_path: Path, *more: str) -> tuple[Tree, Store]:
    """In this process."""
    tree = planned(smoke, "", *more).tree
    store = Store(tmp_path / "store")
    Worker(tree, 0, store, threading.Event()).work()
    return tree, store


@pytest.fixture(scope="session")
def alone(once: Callable[[str, Callable[[Path], object]], Path], data_path: Path) -> tuple[Tree, Store]:
    """What one process makes of the same settings but for numerics."""

    def run(*given: str) -> Tree:
        return make(compose(["scale=smoke", f"data.path={data_path}", *SHORT, *given])).tree

    def work(place: Path) -> None:
        Worker(run(f"store.path={place}"), 0, Store(place), threading.Event()).work()

    place = once("alone", work)
    return run(f"store.path={place}"), Store(place)


def trace(store: Store, key: str) -> torch.Tensor:
    return store.load(key, "trace")["trace"]["trace"]


def assert_same(a: Store, b: Store) -> None:
    """With zero tolerance."""
    assert a.steps() == b.steps() != {}
    for key in a.steps():
        one, two = (each.load(key, *adopt.FILES) for each in (a, b))
        for name, tensors in one.items():
            assert all(torch.equal(tensor, two[name][part]) for part, tensor in tensors.items())


TOGETHER = "numerics.world_size=2"


@pytest.mark.parametrize("case", ["ddp", "fsdp", "ddp_parts", "fsdp_again", "fsdp_schedule_free"])
def test_two_processes_compute_what_one_does(
    together: Path, alone: tuple[Tree, Store], smoke: Overrides, tmp_path: Path, case: str
) -> None:
    assert_two_are_one(together / case, alone, smoke, tmp_path, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", SELDOM)
def test_so_they_do_in_other_ways(
    seldom: Path, alone: tuple[Tree, Store], smoke: Overrides, tmp_path: Path, case: str
) -> None:
    assert_two_are_one(seldom / case, alone, smoke, tmp_path, case)


def assert_two_are_one(
    trained_by_two: Path, alone: tuple[Tree, Store], smoke: Overrides, tmp_path: Path, case: str
) -> None:
    others = [each for each in CASES[case] if not each.startswith("numerics.")]
    tree, store = trained(smoke, tmp_path, *others) if others else alone
    theirs, other = planned(smoke, case, TOGETHER).tree, Store(trained_by_two)
    for ours, key in zip(tree.ends[0], theirs.ends[0], strict=True):
        assert torch.allclose(trace(store, ours)[:FIRST], trace(other, key)[:FIRST], rtol=1e-4 * ROUNDINGS.get(case, 1))
    if case in ROUNDINGS:
        return
    weights, their_weights = store.load_weights(tree.ends[0][0]), other.load_weights(theirs.ends[0][0])
    assert weights.keys() == their_weights.keys()
    assert all(torch.allclose(w, their_weights[name], rtol=1e-3, atol=1e-4) for name, w in weights.items())
    ppl, others_ppl = (measures.find(t.runs[0], t.ends[0][0], s) for t, s in ((tree, store), (theirs, other)))
    assert ppl is not None
    assert others_ppl is not None
    for row, other_row in zip(ppl, others_ppl, strict=True):
        assert other_row == row | {"nll": pytest.approx(row["nll"], rel=1e-4)}


def test_recomputing_activations_changes_no_bit(
    together: Path, alone: tuple[Tree, Store], smoke: Overrides, tmp_path: Path
) -> None:
    one, two = (planned(smoke, case, TOGETHER).tree.ends[0][1] for case in ("fsdp", "fsdp_again"))
    assert torch.equal(trace(Store(together / "fsdp"), one), trace(Store(together / "fsdp_again"), two))
    tree, store = alone
    again, recomputed = trained(smoke, tmp_path, "numerics.activation_checkpointing=true")
    assert torch.equal(trace(store, tree.ends[0][1]), trace(recomputed, again.ends[0][1]))


def test_bfloat16_keeps_master_weights_and_moments_in_float32(together: Path, smoke: Overrides) -> None:
    half, full = (planned(smoke, case, TOGETHER).tree.ends[0][0] for case in ("fsdp_bfloat16", "fsdp"))
    store = Store(together / "fsdp_bfloat16")
    state = store.load(half, "model", "optimizer")
    assert {tensor.dtype for tensors in state.values() for tensor in tensors.values()} == {torch.float32}
    exact = trace(Store(together / "fsdp"), full)
    assert torch.allclose(trace(store, half)[:, 0], exact[:, 0], rtol=1e-2)
    assert not torch.equal(trace(store, half), exact)


def test_when_one_process_is_asked_to_stop_all_do_and_go_on_the_same(together: Path, smoke: Overrides) -> None:
    undisturbed, stopped = Store(together / "fsdp"), Store(together / "fsdp_stopped")
    assert_same(undisturbed, stopped)
    sessions = [stopped.manifest(key)["sessions"] for key in stopped.steps()]
    assert [len(each) for each in sessions if len(each) > 1] == [2]


def test_shards_are_checked_and_read_as_a_whole(together: Path, smoke: Overrides, tmp_path: Path) -> None:
    shutil.copytree(together / "fsdp", tmp_path / "copy")
    store = Store(tmp_path / "copy")
    key = planned(smoke, "fsdp", TOGETHER).tree.ends[0][1]
    files = store.manifest(key)["files"]
    assert set(files) == {
        *(f"{name}.{part}-of-2.safetensors" for name in ("model", "optimizer") for part in (1, 2)),
        "trace.safetensors",
    }
    assert not list(store.root.rglob("*.metadata")), "nothing that would have to be unpickled"
    shapes = {name: tensor.shape for name, tensor in store.load_weights(key).items()}
    whole = planned(smoke, "ddp", TOGETHER).tree.ends[0][1]
    assert shapes == {name: tensor.shape for name, tensor in Store(together / "ddp").load_weights(whole).items()}
    steps = [v for name, v in store.load(key, "optimizer")["optimizer"].items() if name.endswith(".step")]
    assert [int(step) for step in steps] == [40] * len(shapes)
    shard = store.checkpoint_folder(key, 40) / "model.2-of-2.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(Damaged, match=r"model\.2-of-2\.safetensors"):
        store.load_weights(key)
    assert key not in store.steps()


def test_how_many_processes_and_in_what_way_keys_the_store(smoke: Overrides) -> None:
    ends = [
        planned(smoke, "", *more).tree.ends[0][0]
        for more in (
            [TOGETHER, "numerics.parallel=ddp"],
            [TOGETHER, "numerics.parallel=fsdp"],
            ["numerics.world_size=4", "numerics.parallel=fsdp"],
            ["numerics.activation_checkpointing=true"],
            [],
        )
    ]
    assert len(set(ends)) == len(ends)
    # One process shards nothing.
    assert planned(smoke, "fsdp").tree.ends[0][0] == ends[-1]


def adopted(store: Store) -> list[list[int]]:
    """Steps of what each checkpoint was made from under other numerics."""
    manifests = [store.manifest(key) for key in sorted(store.steps(), key=lambda key: store.steps()[key])]
    return [[each["step"] for each in manifest.get("adopted", [])] for manifest in manifests]


def test_a_branch_taken_by_two_processes_goes_on_in_one_on_request_only(
    together: Path,
    alone: tuple[Tree, Store],
    smoke: Overrides,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Store(tmp_path / "store")
    source = Store(together / "fsdp")
    (branch,) = (key for key, step in source.steps().items() if step == 8)
    shutil.copytree(source.checkpoint_folder(branch, 8), store.checkpoint_folder(branch, 8))
    arguments = smoke(*SHORT)
    before = planned(smoke, "")
    assert before.missing_steps == before.tree.unique_steps
    with pytest.raises(SystemExit) as refusal:
        adopt.main(["differ=world_size", *arguments])
    assert refusal.value.code == 2
    assert "differs in micro_batch_size,parallel,world_size" in capsys.readouterr().err
    assert len(store.steps()) == 1
    adopt.main(["differ=micro_batch_size,parallel,world_size", *arguments])
    assert "step 8" in capsys.readouterr().out
    after = planned(smoke, "")
    assert after.missing_steps == before.missing_steps - 8
    Worker(after.tree, 0, store, threading.Event()).work()
    # Theirs, its copy, and the two versions trained from that.
    assert sorted(adopted(store)) == [[], [8], [8], [8]]
    tree, undisturbed = alone
    for key in tree.ends[0]:
        assert torch.allclose(trace(store, key)[:FIRST], trace(undisturbed, key)[:FIRST], rtol=1e-4)


def test_adopting_takes_a_sweep_and_leaves_what_is_somebody_elses(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "store" / "partial" / "notes.txt"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    with pytest.raises(SystemExit) as refusal:
        adopt.main(["differ=world_size", *smoke(*SHORT), "-m", "seed=0,1"])
    assert refusal.value.code == 2
    assert "there is nothing to adopt" in capsys.readouterr().err
    assert foreign.exists()


@pytest.mark.parametrize(
    ("environment", "overrides", "expected"),
    [
        ("2", [], "numerics.parallel=none trains in one process"),
        ("3", ["numerics.parallel=ddp"], "numerics.world_size=3 does not divide stream.global_batch_size=4"),
        ("1", ["numerics.parallel=ddp", TOGETHER], "torchrun --nproc-per-node=2"),
        ("1", ["numerics.parallel=rings"], "numerics.parallel='rings'"),
        ("1", ["numerics.parallel=ddp", TOGETHER, "numerics.micro_batch_size=4"], "does not divide"),
    ],
)
def test_the_wrong_number_of_processes_is_refused(
    smoke: Overrides,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    overrides: list[str],
    expected: str,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", environment)
    with pytest.raises(SystemExit) as refusal:
        train.main(smoke(*overrides))
    assert refusal.value.code == 2
    assert expected in capsys.readouterr().err


def test_an_environment_that_says_half_of_what_torchrun_says_is_refused(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    parallel.join.cache_clear()
    with pytest.raises(SystemExit) as refusal:
        train.main(smoke("numerics.parallel=ddp"))
    assert refusal.value.code == 2
    assert "WORLD_SIZE=2 is set in the environment, but not LOCAL_RANK" in capsys.readouterr().err


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    numerics = NumericsSettings(device="cuda", parallel="ddp", world_size=8)
    monkeypatch.setenv("LOCAL_RANK", "3")
    parallel.check([numerics], parallel.Processes(3, 8))
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(UserError, match=r"process 4 .* on a machine with 4 GPUs"):
        parallel.check([numerics], parallel.Processes(4, 8))


def test_another_shape_is_compiled_from_a_clean_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past eight graphs, dynamo would leave further shapes uncompiled, and say nothing."""
    resets: list[None] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(None))
    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", lambda model: model)
    parallel._compile_anew.cache_clear()
    numerics = NumericsSettings(compile=True, parallel="ddp", world_size=2)
    counts = []
    for width in (16, 16, 32, 16):
        shape = Llama(
            name="t", architecture="llama", hidden_size=width, layers=1, heads=2, kv_heads=2, intermediate_size=8
        )
        parallel.distribute(shape.build(vocab_size=32, sequence_length=8, seed=0), numerics)
        counts.append(len(resets))
    assert counts == [1, 1, 2, 3]


@pytest.mark.torture
def test_a_killed_process_costs_nothing_that_was_kept(together: Path, smoke: Overrides, tmp_path: Path) -> None:
    """SIGKILL for one of two, at some moment; then the same command."""
    case = "ddp"
    overrides = [*smoke(*SHORT), *CASES[case], "store.save_seconds=0.05"]
    store = Store(tmp_path / "store")
    process = torchrun(2, "-m", "repro.train", *overrides)
    while not store.steps() and process.poll() is None:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    assert process.wait(60) != 0
    kept = {key: store.manifest(key)["manifest_sha256"] for key in store.steps()}
    written = {key: store.checkpoint_folder(key, step).stat().st_mtime_ns for key, step in store.steps().items()}
    assert kept
    assert len(kept) < 3
    finish(torchrun(2, "-m", "repro.train", *overrides))
    after = Store(store.root)
    assert {key: after.manifest(key)["manifest_sha256"] for key in kept} == kept
    assert {key: after.checkpoint_folder(key, after.steps()[key]).stat().st_mtime_ns for key in kept} == written
    assert_same(Store(together / case), store)


@pytest.mark.slow
def test_a_branch_taken_by_four_processes_goes_on_in_two_and_layers_are_compiled(
    smoke: Overrides, tmp_path: Path, data_path: Path
) -> None:
    run_cases(tmp_path / "four", data_path, 4, "fsdp")
    store = Store(tmp_path / "store")
    four = planned(smoke, "fsdp", "numerics.world_size=4").tree
    (branch,) = (node for node in four.nodes.values() if node.step == 8)
    source = Store(tmp_path / "four" / "fsdp")
    shutil.copytree(source.checkpoint_folder(branch.key, 8), store.checkpoint_folder(branch.key, 8))
    overrides = [*smoke(*SHORT), *CASES["fsdp"]]
    adopt.main(["differ=micro_batch_size,world_size", TOGETHER, *overrides])
    finish(torchrun(2, "-m", "repro.train", *overrides))
    two = planned(smoke, "fsdp", TOGETHER).tree
    for key, theirs in zip(two.ends[0], four.ends[0], strict=True):
        assert torch.allclose(trace(store, key)[:FIRST], trace(source, theirs)[:FIRST], rtol=1e-4)

    run_cases(tmp_path / "compiled", data_path, 2, "fsdp_compiled")
    compiled = planned(smoke, "fsdp_compiled", TOGETHER).tree
    ours = trace(Store(tmp_path / "compiled" / "fsdp_compiled"), compiled.ends[0][0])
    assert torch.allclose(ours, trace(source, four.ends[0][0]), rtol=1e-4)


@pytest.mark.slow
def test_a_sweep_of_several_processes_that_diverged_says_so_in_its_ledger(smoke: Overrides, tmp_path: Path) -> None:
    """All of them meet it together, so that none waits for another."""
    given = smoke("paradigm=cpt", "stream.versions=1", "stream.steps_per_version=10", "schedule.warmup_steps=1")
    given += ["schedule.max_lr=1e30", "numerics.parallel=ddp", "numerics.world_size=2"]
    process = torchrun(2, "-m", "repro.train", *given)
    output, _ = process.communicate()
    assert process.returncode != 0
    assert "the loss is" in output
    assert (tmp_path / "ledger" / "runs.csv").read_text().count("\n") == 2

"""A checkpoint is whole or it is not there; a lease has one holder."""

import json
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import pytest
import torch

from repro.common import locks
from repro.common.errors import UserError
from repro.store import store as store_module
from repro.store.layout import Damaged
from repro.store.store import Store

KEY = "ab" * 32
TENSORS = {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "optimizer": {"m": torch.ones(2)}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def folder(store: Store) -> Path:
    return store.root / "checkpoints" / f"{KEY}.7"


def test_what_is_saved_is_loaded(store: Store) -> None:
    assert not store.has(KEY)
    store.save(KEY, 7, TENSORS, {"name": "a run"})
    assert store.steps() == {KEY: 7}
    assert torch.equal(store.load_weights(KEY)["w"], TENSORS["model"]["w"])
    assert store.manifest(KEY)["name"] == "a run"


def test_a_view_is_saved_without_the_rest_of_its_storage(store: Store) -> None:
    big = torch.zeros(1_000_000)
    store.save(KEY, 7, {"model": {"w": big[:3].clone()}}, {})
    assert (folder(store) / "model.safetensors").stat().st_size < 10_000


@pytest.mark.parametrize(
    "damage", ["flip", "truncate", "empty", "remove", "manifest_flip", "manifest_empty", "manifest_remove"]
)
def test_damage_is_found_by_name_and_quarantined(store: Store, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    store.save(KEY, 7, TENSORS, {})
    path = folder(store) / ("manifest.json" if damage.startswith("manifest") else "optimizer.safetensors")
    data = bytearray(path.read_bytes())
    if damage.endswith("flip"):
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage.endswith("truncate"):
        path.write_bytes(data[:-1])
    elif damage.endswith("empty"):
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises(Damaged):
        store.load(KEY, "model", "optimizer")
    assert not store.has(KEY)
    assert path.stem.split(".")[0] in capsys.readouterr().err
    assert list((store.root / "quarantine").iterdir())
    store.save(KEY, 7, TENSORS, {})
    assert store.load(KEY, "optimizer")


def test_every_single_flipped_byte_is_found(store: Store) -> None:
    store.save(KEY, 7, {"model": {"w": torch.ones(4)}}, {})
    path = folder(store) / "model.safetensors"
    good = path.read_bytes()
    for position in range(len(good)):
        data = bytearray(good)
        data[position] ^= 0x10
        path.write_bytes(data)
        with pytest.raises(Damaged):
            store.load(KEY, "model")
        store.save(KEY, 7, {"model": {"w": torch.ones(4)}}, {})


def test_a_folder_without_its_manifest_is_no_checkpoint(store: Store) -> None:
    (store.root / "checkpoints" / f"{KEY}.7").mkdir(parents=True)
    with pytest.raises(Damaged):
        store.load(KEY, "model")
    assert not store.has(KEY)


def test_a_second_writer_of_a_key_loses_and_is_compared_with_the_first(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save(KEY, 7, TENSORS, {})
    store.save(KEY, 7, TENSORS, {})
    assert "with the same bits" in capsys.readouterr().err
    store.save(KEY, 7, {**TENSORS, "model": {"w": -TENSORS["model"]["w"]}}, {})
    assert "with different bits: this machine's numerics are not reproducible" in capsys.readouterr().err
    assert torch.equal(store.load_weights(KEY)["w"], TENSORS["model"]["w"]), "the first one is kept"
    assert not list((store.root / "scratch").iterdir())


def test_a_planted_pickle_is_never_executed(store: Store, tmp_path: Path) -> None:
    store.save(KEY, 7, TENSORS, {})
    witness = tmp_path / "executed"

    class Malice:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {witness}",)

    for name in ("model.safetensors", "manifest.json", "model.bin", "pytorch_model.bin"):
        (folder(store) / name).write_bytes(pickle.dumps(Malice()))
    with pytest.raises(Damaged):
        store.load(KEY, "model")
    assert not witness.exists()


def test_interim_checkpoints_go_when_their_edge_is_kept(store: Store) -> None:
    store.save_partial(KEY, 3, TENSORS, {})
    store.save_partial(KEY, 5, TENSORS, {})
    assert store.partial_steps(KEY) == [5]
    assert store.load_partial(KEY, 5, "model")
    store.save(KEY, 7, TENSORS, {})
    assert store.partial_steps(KEY) == []


def test_a_result_that_was_altered_counts_as_none(store: Store) -> None:
    store.put_result("perplexity", "k", {"nll": 1.5})
    assert store.get_result("perplexity", "k") == {"nll": 1.5}
    path = store.root / "results/perplexity/k.json"
    path.write_text(path.read_text().replace("1.5", "1.4"))
    again = Store(store.root)
    assert again.get_result("perplexity", "k") is None
    assert not path.exists()
    assert again.get_result("perplexity", "k") is None


def _hold(root: Path, held: "multiprocessing.synchronize.Event") -> None:
    with Store(root).lease(KEY) as lease:
        assert lease is not None
        held.set()
        time.sleep(60)


def test_a_lease_has_one_holder_and_a_dead_ones_is_taken_over(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(store.root, held))
    holder.start()
    assert held.wait(30)
    with store.lease(KEY) as lease:
        assert lease is None
    assert KEY in store.leases()
    holder.kill()
    holder.join()
    with store.lease(KEY) as lease:
        assert lease is not None


def test_a_heartbeat_names_all_that_is_used_however_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter heartbeat once left the end of a longer one behind it, and nobody could read what was in use."""
    uses = [f"{number:064x}" for number in range(32)]
    with store.lease(KEY, *uses) as lease:
        assert lease is not None
        for step in (10**12, 1):
            monkeypatch.setattr(lease, "_next", 0.0)
            lease.beat({"key": KEY, "step": step})
            sign = store.leases()[KEY]
            assert (sign["step"], sign["uses"]) == (step, uses)


def test_a_lease_without_a_heartbeat_is_taken_over(store: Store) -> None:
    patient, impatient = Store(store.root, stale_seconds=60), Store(store.root, stale_seconds=0.05)
    with patient.lease(KEY) as first:
        assert first is not None
        time.sleep(0.1)
        with patient.lease(KEY) as none:
            assert none is None
        with impatient.lease(KEY) as second:
            assert second is not None


def test_a_lease_has_heartbeats_whatever_its_holder_does(store: Store) -> None:
    """A long evaluation, say, which gives none itself; again and again."""
    lease_file = store.root / "leases" / f"{KEY}.0"
    with Store(store.root, stale_seconds=0.1).lease(KEY):
        for _ in range(3):
            os.utime(lease_file, (0, 0))
            patience = time.monotonic() + 30
            while lease_file.stat().st_mtime == 0 and time.monotonic() < patience:
                time.sleep(0.01)
            assert KEY in store.leases()
            with store.lease(KEY) as none:
                assert none is None


def test_a_save_that_no_lock_tells_of_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `flock` does not reach other nodes: that of a writer there looks free."""
    monkeypatch.setattr(locks, "is_held", lambda path: False)
    renamed = store_module.renamed

    def slow(source: Path, target: Path) -> bool:
        long_ago = time.time() - 3600
        for path in (source, *source.iterdir()):
            os.utime(path, (long_ago, long_ago))
        Store(store.root).tidy()  # the lock is a heartbeat
        return renamed(source, target)

    monkeypatch.setattr(store_module, "renamed", slow)
    store.save(KEY, 7, TENSORS, {})
    assert store.load(KEY, "model", "optimizer")


def test_what_a_dead_process_was_writing_goes_once_it_is_stale(store: Store) -> None:
    left = store.root / "scratch" / ("ab" * 16)
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    left.with_suffix(".lock").touch()
    store.tidy()
    assert left.exists()
    time.sleep(0.05)
    Store(store.root, stale_seconds=0.01).tidy()
    assert not list((store.root / "scratch").iterdir())


def test_a_lease_is_free_again_after_an_error(store: Store) -> None:
    with pytest.raises(RuntimeError), store.lease(KEY):
        raise RuntimeError
    with store.lease(KEY) as lease:
        assert lease is not None


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*another store\.path"):
        Store(blocked / "store").check_writable()


def test_a_disk_without_room_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match="GB free"):
        store.check_writable(10**18)


def test_manifests_are_plain_json(store: Store) -> None:
    store.save(KEY, 7, TENSORS, {"numerics": {"threads": 1}})
    assert json.loads((folder(store) / "manifest.json").read_text())["numerics"] == {"threads": 1}


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store = Store(tmp_path / "store")
        store.save(KEY, 3, {"model": {"w": torch.ones(3)}}, {})
        store.save_partial("cd" * 32, 2, {"model": {"w": torch.ones(3)}}, {})
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and "scratch" not in path.parts]
    assert sum(path.suffix == ".safetensors" for path in files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}

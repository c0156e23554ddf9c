"""A store that others share: their files, their clocks, their permissions, their plans."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from repro import train
from repro.common import disk
from repro.common.disk import Flaw, read, write_document
from repro.common.errors import UserError
from repro.config.places import CONF
from repro.launching import job
from repro.planning import frozen, planner, sweeps
from repro.results import commands, ledger
from repro.store import __main__ as store_command
from repro.store import leases as leases_module
from repro.store import store as store_module
from repro.store import tables, upkeep
from repro.store.store import Store

Overrides = Callable[..., list[str]]
KEYS = [f"{number:x}" * 64 for number in range(8)]
TENSORS = {"model": {"w": torch.zeros(1)}}
THEIRS = ("notes.txt", "n" * 220, ".x.swp", "adapter.safetensors", "ema.1-of-2.safetensors")
SMALL = ("paradigm=ptfs", "stream.versions=2", "stream.steps_per_version=4", "schedule.warmup_steps=1")
NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for key in KEYS[:2]:
        store.save(key, 7, TENSORS, {"name": "a run", "version": 1})
    return store


def status(*arguments: str) -> int:
    try:
        store_command.main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextlib.contextmanager
def somebody_else() -> Iterator[Path]:
    """A folder that anybody may enter, and this process as somebody who owns nothing in it, if it may do that."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    try:
        yield place
    finally:
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(place)


# Their files


def test_the_home_folder_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(store.root.parent))
    assert status("verify", f"store.path=~/{store.root.name}") == 0


@pytest.mark.parametrize("verb", ["verify", "repair", "gc", "ls"])
def test_a_file_of_somebody_elses_in_a_checkpoints_folder_is_no_damage_and_stays(store: Store, verb: str) -> None:
    notes = [store.checkpoint_folder(key, 7) / name for key in KEYS[:2] for name in THEIRS]
    store.save_partial(KEYS[2], 3, TENSORS, {})
    notes += [store.root / "partial" / KEYS[2] / "todo.txt", store.root / "partial" / KEYS[2] / "3" / "plot.png"]
    for path in notes:
        path.write_text("mine")
    assert list(upkeep.damage(store)) == []
    more = ["delete=true"] if verb == "gc" else []
    assert status(verb, f"store.path={store.root}", *more) == 0
    store.save(KEYS[2], 7, TENSORS, {})  # after which places to resume from go
    assert [path for path in notes if not path.exists()] == []


def test_a_file_of_somebody_elses_is_quarantined_with_the_checkpoint_and_stays_there(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in KEYS[:2]:
        (store.checkpoint_folder(key, 7) / "model.safetensors").write_bytes(b"cut short")
    (store.checkpoint_folder(KEYS[0], 7) / "adapter.safetensors").write_text("mine")
    (store.checkpoint_folder(KEYS[0], 7) / "thesis.txt").write_text("mine")
    at = f"store.path={store.root}"
    assert status("repair", at) == 0
    assert status("gc", at, "quarantine=true", "delete=true") == 0
    assert "3 removed of 3" in capsys.readouterr().out  # one checkpoint, and the reasons of both
    left = {path.name for path in (store.root / "quarantine").rglob("*")}
    assert {"adapter.safetensors", "thesis.txt", "manifest.json", "model.safetensors"} <= left
    status("ls", at)
    assert "it stays, for adapter.safetensors in it is none of the store's files" in capsys.readouterr().out


def test_a_long_name_blocks_no_repair_and_names_reach_no_terminal_raw(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.checkpoint_folder(KEYS[0], 7)
    (folder / f"model.{'1' * 210}-of-2.safetensors").write_text("not ours, under a name of ours")
    store.quarantine(store.root.joinpath("checkpoints", "\x1b[31mred"), "is gone")
    (store.root / "checkpoints" / "\x1b[31mred").write_text("")
    store.quarantine(store.root / "checkpoints" / "\x1b[31mred", "is red")
    assert status("repair", f"store.path={store.root}") == 0
    assert "\x1b" not in "".join(capsys.readouterr())
    assert len(list((store.root / "quarantine").glob("*.reason.txt"))) == 2
    assert list(upkeep.damage(store)) == []


def test_a_pipe_in_a_store_hangs_nobody(store: Store) -> None:
    for path in (
        store.checkpoint_folder(KEYS[0], 7) / "model.safetensors",
        store.checkpoint_folder(KEYS[1], 7) / "manifest.json",
        store.root / "plans" / f"p{'a' * 15}.json",
        store.root / "results" / "perplexity" / f"{KEYS[0]}.json",
        store.root / "leases" / f"{KEYS[3]}.0",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    with pytest.raises(Flaw, match="no ordinary file"):
        read(store.root / "plans" / f"p{'a' * 15}.json")
    at = f"store.path={store.root}"
    assert status("verify", at) == 1
    assert KEYS[3] in store.leases()
    assert store.get_plan(f"p{'a' * 15}") is None
    assert status("repair", at) == 0
    assert status("verify", at) == 0


# What changes while one looks


def test_what_was_made_again_since_the_look_is_not_quarantined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [store.checkpoint_folder(key, 7) for key in KEYS[:2]]
    good = folders[0].joinpath("model.safetensors").read_bytes()
    for folder in folders:
        folder.joinpath("model.safetensors").write_bytes(b"")
    look = upkeep.damage

    def slow(store: Store) -> Iterator[tuple[Path, str]]:
        yield from list(look(store))
        folders[0].joinpath("model.safetensors").write_bytes(good)

    monkeypatch.setattr(upkeep, "damage", slow)
    with store.lease(KEYS[1]):  # and whoever works on the other one looks himself
        assert upkeep.repair(store) == 0
    assert all(folder.exists() for folder in folders)
    assert upkeep.repair(store) == 1
    assert [folder.exists() for folder in folders] == [True, False]


def test_a_note_that_was_written_again_since_it_was_read_is_not_quarantined(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_result("perplexity", KEYS[0], {"sound": True})
    path = store.root / "results" / "perplexity" / f"{KEYS[0]}.json"
    sound = path.read_bytes()
    path.write_bytes(b"torn")

    def late(place: Path) -> dict[str, object] | None:
        with contextlib.suppress(Flaw):
            return disk.read_document(place)
        disk.write_atomically(place, sound)
        raise Flaw("does not match its checksum")

    monkeypatch.setattr(store_module, "read_document", late)
    store.get_result("perplexity", KEYS[0])
    assert path.read_bytes() == sound
    monkeypatch.setattr(store_module, "read_document", disk.read_document)
    path.write_bytes(b"torn")
    assert store.get_result("perplexity", KEYS[0]) is None
    assert not path.exists(), "one that is still torn is"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_file_servers_clock_that_is_hours_off_costs_no_living_lease_and_keeps_no_dead_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr(leases_module.time, "time", lambda now=time.time: now() + 3600 * hours)
    left = store.root / "scratch" / ("ab" * 16)
    left.mkdir(parents=True)
    left.with_suffix(".lock").touch()
    with store.lease(KEYS[0]) as lease:
        assert lease is not None
        with Store(store.root).lease(KEYS[0]) as other:
            assert other is None, "its holder lives"
        assert Store(store.root).leases().keys() == {KEYS[0]}
        Store(store.root).tidy()
        assert left.exists()
        old = time.time() - 3600 * hours - 700  # by the file server's clock
        for path in (store.root / "leases" / f"{KEYS[0]}.0", left, left.with_suffix(".lock")):
            os.utime(path, (old, old))
        assert not Store(store.root).leases()
        with Store(store.root).lease(KEYS[0]) as other:
            assert other is not None, "its holder stands still"
    Store(store.root).tidy()
    assert not left.exists()


# Their permissions


@pytest.mark.parametrize("folder", ["", "results", "results/perplexity", "checkpoints", "plans", "leases", "scratch"])
def test_a_folder_that_may_not_be_read_is_named(
    smoke: Overrides, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    with somebody_else() as place:
        store = Store(place / "store")
        store.save(KEYS[0], 7, TENSORS, {"name": "a run", "version": 1})
        store.put_result("perplexity", KEYS[0], {})
        store.put_plan(f"p{'a' * 15}", {"study": "s", "scale": "x", "settings": [], "nodes": {}})
        with store.lease(KEYS[1]):
            pass
        given = [each for each in smoke(*SMALL) if not each.startswith(("store.path", "ledger.path"))]
        (place / "store" / folder).chmod(0o000)
        if os.geteuid() == 0:
            # It reads the data, and imports what this Python has, as somebody who may.
            planner.check_models(planner.make(sweeps.compose([*given, f"store.path={place / 'none'}"])))
            os.seteuid(NOBODY)
        at = f"store.path={store.root}"
        for verb in ("ls", "du", "gc", "verify"):
            assert status(verb, at) in (0, 2)
            assert "Traceback" not in capsys.readouterr().err
        assert folder in ("scratch", "leases") or status("ls", at) == 2
        with pytest.raises(SystemExit) as end:
            train.main([*given, at, f"ledger.path={place / 'ledger'}"])
        assert end.value.code == 2
        assert str(store.root) in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
@pytest.mark.parametrize("verb", ["ls", "du"])
def test_what_may_not_be_read_is_said_not_to_be_counted(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    with somebody_else() as place:
        store = Store(place / "store")
        store.put_result("perplexity", KEYS[0], {})
        for path in (store.root, *store.root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert status(verb, f"store.path={store.root}") == 0
        assert "counted" not in capsys.readouterr().err
        closed = store.root / "hydra" / "of somebody"
        closed.mkdir(parents=True)
        closed.chmod(0o700)
        os.seteuid(NOBODY)
        assert status(verb, f"store.path={store.root}") == 0
        assert f"not counted: 1, such as {closed}\n" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_what_cannot_be_removed_is_not_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    with somebody_else() as place:
        store = Store(place / "store", stale_seconds=0.0)
        for key in KEYS[:3]:
            store.save(key, 7, TENSORS, {"name": "a run", "version": 1})
        (store.root / "leases").mkdir()
        for path in (store.root, *store.root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.seteuid(NOBODY)
        assert status("gc", f"store.path={store.root}", "delete=true") != 0
        assert "3 removed" not in capsys.readouterr().out
        os.seteuid(0)
        for folder in ("", "leases", "scratch"):
            (store.root / folder).chmod(0o777)
        os.seteuid(NOBODY)
        assert status("gc", f"store.path={store.root}", "delete=true") == 1
        said = capsys.readouterr()
        assert "0 removed of 3" in said.out
        assert "3 could not be removed" in said.err
        assert store.steps().keys() == set(KEYS[:3])


def test_what_cannot_be_renamed_is_copied_and_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an overlay, for what lies on its lower layer."""
    rename = Path.rename

    def across(path: Path, target: Path) -> Path:
        if path.is_dir() and "scratch" not in path.parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", across)
    (store.checkpoint_folder(KEYS[0], 7) / "model.safetensors").write_bytes(b"")
    assert status("repair", f"store.path={store.root}") == 0
    assert store.steps().keys() == {KEYS[1]}
    (aside,) = [path for path in (store.root / "quarantine").iterdir() if path.is_dir()]
    assert {path.name for path in aside.iterdir()} == {"manifest.json", "model.safetensors"}
    assert status("gc", f"store.path={store.root}", "delete=true") == 0
    assert store.steps() == {}


# Their plans


def odd_plans() -> list[dict[str, object]]:
    settings: list[dict[str, object]] = [{}, {"ledger": "x"}, {"ledger": {"path": "x"}, "corpus": {}}]
    nodes: list[object] = [{}, [], {KEYS[0]: [1]}, {KEYS[0]: ["7", "x", 1, True]}]
    known = {"study": "s", "scale": "x"}
    return [
        {},
        {"settings": [], "nodes": {}},
        *(known | {"settings": [each], "nodes": {}} for each in settings),
        *(known | {"settings": [], "nodes": each} for each in nodes[1:]),
    ]


def test_plans_of_another_version_of_the_suite_are_named_and_stay(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(*SMALL)
    train.main(given)
    store = Store(tmp_path / "store")
    (own,) = store.plans()
    content = store.get_plan(own)
    assert content is not None
    newer = json.loads(json.dumps(content))
    newer["settings"][0]["model"]["invented_later"] = 1
    plans = [*odd_plans(), newer]
    names = [f"p{number:015x}" for number in range(len(plans))]
    for name, each in zip(names, plans, strict=True):
        write_document(store.root / "plans" / f"{name}.json", each)
    store.save(KEYS[0], 7, TENSORS, {"name": "a run", "version": 1})
    at = f"store.path={store.root}"
    for verb, *more in (["ls"], ["verify"], ["gc", "delete=true"], ["repair"]):
        capsys.readouterr()
        assert status(verb, at, *more) == 0
        said = "".join(capsys.readouterr())
        assert all(name in said for name in names[:-1]), verb
    assert store.has(KEYS[0]), "nobody knows whether one of them keeps it"
    (tmp_path / "ledger" / "runs.csv").write_text("damaged")
    train.main(given)
    said = capsys.readouterr().err
    assert all(f"rows of plan {name} are not made again" in said for name in names)
    assert set(Store(store.root).plans()) == {own, *names}
    assert list(tables.damage(tmp_path / "ledger")) == []


@pytest.mark.parametrize(("group", "setting"), [(None, "seed"), ("schedule", "max_lr"), ("stream", "versions")])
def test_a_plan_with_settings_of_other_types_costs_no_other_study_its_rows(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str | None, setting: str
) -> None:
    given = smoke(*SMALL)
    train.main(given)
    store = Store(tmp_path / "store")
    (own,) = store.plans()
    odd = json.loads(json.dumps(store.get_plan(own)))
    (odd["settings"][0] if group is None else odd["settings"][0][group])[setting] = "x"
    name = frozen._id(odd["settings"])  # as whoever made it would have named it
    write_document(store.root / "plans" / f"{name}.json", odd)
    before = (tmp_path / "ledger" / "runs.csv").read_bytes()
    (tmp_path / "ledger" / "runs.csv").write_text("damaged")
    train.main(given)
    assert f"rows of plan {name} are not made again" in capsys.readouterr().err
    assert (tmp_path / "ledger" / "runs.csv").read_bytes() == before


def test_a_plan_that_was_rewritten_is_not_used(smoke: Overrides, tmp_path: Path) -> None:
    plan = planner.make(sweeps.compose(smoke(*SMALL)))
    store = Store(tmp_path / "store")
    name = frozen.freeze(plan, store)
    assert frozen.thaw(name, store)[0] == [r.settings for r in plan.tree.runs]
    content = store.get_plan(name)
    assert content is not None
    content["settings"][0]["tasks"]["include_path"] = str(tmp_path / "planted")
    content["settings"][0]["extensions"] = ["planted"]
    store.put_plan(name, content)
    with pytest.raises(UserError, match="other settings than it was frozen with"):
        frozen.thaw(name, store)


def test_task_files_come_from_a_folder_that_the_command_line_named(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lm-eval would execute the Python beside them, and a plan may be somebody else's."""
    planted = tmp_path / "planted"
    shutil.copytree(CONF / "tasks" / "nine_local", planted)
    (planted / "utils.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    given = smoke(*SMALL)
    plan = planner.make(sweeps.compose([*given, f"tasks.include_path={planted}"]))
    name = frozen.freeze(plan, Store(tmp_path / "store"))
    (asked,) = sweeps.compose(given)
    asked = replace(asked, frozen_plan=name)
    job.forget_latest()
    ran: list[int] = []
    job.work(OmegaConf.create(asdict(asked)), lambda tree, own, store, stop: ran.append(own))
    said = capsys.readouterr().err
    assert f"tasks.include_path={planted}" in said
    assert "names conf/tasks/nine_local" in said
    job.forget_latest()
    trusted = replace(asked, tasks=replace(asked.tasks, include_path=str(planted)))
    job.work(OmegaConf.create(asdict(trusted)), lambda tree, own, store, stop: ran.append(own))
    assert ran == [0]
    assert not (tmp_path / "executed").exists()


def test_a_plan_beside_a_damaged_ledger_makes_nobody_write_where_it_says(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(*SMALL)
    train.main(given)
    store = Store(tmp_path / "store")
    content = store.get_plan(store.plans()[0])
    assert content is not None
    content["settings"][0]["data"]["path"] = str(tmp_path / "elsewhere")
    content["settings"][0]["stream"]["vocab_size"] -= 1
    content["settings"][0]["extensions"] = ["planted"]
    text = json.dumps(content["settings"], sort_keys=True)
    store.put_plan("p" + hashlib.sha256(text.encode()).hexdigest()[:15], content)
    (tmp_path / "ledger" / "runs.csv").write_text("damaged")
    train.main(given)
    assert not (tmp_path / "elsewhere").exists()
    assert "not prepared in data.path" in capsys.readouterr().err


def test_a_ledger_is_one_whatever_its_name_and_looked_at_from_anywhere(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each for each in smoke(*SMALL) if not each.startswith("ledger.path")]
    monkeypatch.chdir(tmp_path)
    train.main([*given, "ledger.path=tables"])
    train.main([*given, f"ledger.path={tmp_path / 'tables'}", "seed=1"])
    monkeypatch.chdir("/")
    at = f"store.path={tmp_path / 'store'}"
    capsys.readouterr()
    assert status("verify", at) == 0
    assert f"ledger: {tmp_path / 'tables'}\n" in capsys.readouterr().out
    before = (tmp_path / "tables" / "runs.csv").read_bytes()
    (tmp_path / "tables" / "runs.csv").write_bytes(before[:-2])
    assert status("verify", at) == 1
    (tmp_path / "tables" / "commands.json").unlink()
    train.main([*given, f"ledger.path={tmp_path / 'tables'}", "seed=1"])
    made = commands.read(tmp_path / "tables")["none"].values()
    assert sorted(each["train"].partition("ledger.path=")[2] for each in made) == sorted(
        ["tables", f"{tmp_path / 'tables'} seed=1"]
    )
    assert (tmp_path / "tables" / "runs.csv").read_bytes() == before, "the first run's rows as well"


def test_a_list_says_which_text_a_run_was_trained_on_and_when(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        for number in range(40):
            words = " ".join(hashlib.sha256(f"{name} {number} {word}".encode()).hexdigest() for word in range(60))
            (tmp_path / name / f"{number}.txt").write_text(words)
        plan = planner.make(sweeps.compose(smoke(*SMALL, "corpus=local", f"corpus.path={tmp_path / name}")))
        store = Store(tmp_path / "store")
        frozen.freeze(plan, store)
        for key, node in plan.tree.nodes.items():
            store.save(key, node.step, TENSORS, {})
    capsys.readouterr()
    assert status("ls", f"store.path={tmp_path / 'store'}") == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("ours", "theirs"):
        of = [line for line in lines if line.endswith(f"local {tmp_path / name}")]
        assert len(of) == 2, "two versions"
        assert any(f"corpus local {tmp_path / name}, frozen {time.strftime('%Y-')}" in line for line in lines)


# Their ledgers


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SHA256SUMS", f"{'0' * 64}  thesis.tar\n"),
        ("SHA256SUMS", f"{'0' * 64}  data.csv\n"),
        ("SHA256SUMS", "anything\n"),
        ("commands.json", '{"build": "make"}'),
    ],
)
def test_somebody_elses_files_are_refused_before_anything_is_trained(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / name).write_text(text)
    with pytest.raises(SystemExit) as end:
        train.main(smoke(*SMALL))
    assert end.value.code == 2
    assert f"{name} there is none of a ledger's; move it away, or choose another ledger.path" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == [name]
    assert (tmp_path / "ledger" / name).read_text() == text
    assert not Store(tmp_path / "store").steps()


@pytest.mark.parametrize("cell", ["1000000", "0", "-1", "1e3", "x", "9" * 5000])
def test_a_count_that_no_run_has_is_refused(smoke: Overrides, tmp_path: Path, cell: str) -> None:
    given = smoke(*SMALL)
    folder = tmp_path / "ledger"
    plan = planner.make(sweeps.compose(given))
    folder.mkdir()
    columns = ledger.COLUMNS["versions"]
    row = ["a", cell, "b", "1", "1", "1"]
    (folder / "versions.csv").write_text(f"{','.join(columns)}\n{','.join(row)}\n")
    with pytest.raises(UserError, match=r"line 2.*move the file away"):
        ledger.check(plan)
    (folder / "versions.csv").write_text(f"{','.join(columns)}\n{','.join(row[:3])}\n")
    with pytest.raises(UserError, match=r"line 2.*move the file away"):
        ledger.check(plan)


def test_the_checksums_that_are_advised_are_sound_beside_files_of_other_names(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main(smoke(*SMALL))
    folder = tmp_path / "ledger"
    (folder / "my-notes.csv").write_text("a,b\n")
    sums = subprocess.run("sha256sum *.csv", shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "my-notes.csv").write_text("a,c\n")
    capsys.readouterr()
    train.main(smoke(*SMALL))
    assert "quarantine" not in capsys.readouterr().err
    assert (folder / "my-notes.csv").read_text() == "a,c\n"


def test_a_ledger_without_rows_is_sound(smoke: Overrides, tmp_path: Path) -> None:
    """As it is left by a sweep that was asked to stop before any version was finished."""
    plan = planner.make(sweeps.compose(smoke(*SMALL)))
    store = Store(tmp_path / "store")
    frozen.freeze(plan, store)
    ledger.write(plan, store)
    assert (tmp_path / "ledger" / "SHA256SUMS").read_bytes() == b""
    assert status("verify", f"store.path={store.root}") == 0
    train.main(smoke(*SMALL))
    assert status("verify", f"store.path={store.root}") == 0
    (tmp_path / "ledger" / "SHA256SUMS").write_bytes(b"")
    assert status("verify", f"store.path={store.root}") == 1, "with tables beside it, it was emptied"

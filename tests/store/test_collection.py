"""Collecting garbage never takes what a frozen plan names, what is fine-tuned from that, or what is in use."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from repro import train
from repro.planning import planner, sweeps
from repro.store import __main__ as store_command
from repro.store import upkeep
from repro.store.store import Store

Overrides = Callable[..., list[str]]
KEYS = [f"{number:x}" * 64 for number in range(8)]
TUNED = {f"{number:x}" * 64: KEYS[number - 10] for number in range(10, 14)}
"""Fine-tuned models, with what they are made from."""
PLANS = [f"p{letter * 15}" for letter in "abc"]
TENSORS = {"model": {"w": torch.zeros(1)}}
keys = st.sampled_from(KEYS)


class Collection(RuleBasedStateMachine):
    """Plans are frozen and dropped, work is done and leased, and garbage is collected in between."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root / "store")
        self.store.root.mkdir()
        self.plans: dict[str, set[str]] = {}
        self.damaged, self.aside = set[str](), False
        self.stored: set[str] = set()
        self.partial: set[str] = set()
        self.leases: dict[str, tuple[contextlib.ExitStack, set[str]]] = {}

    def teardown(self) -> None:
        for stack, _ in self.leases.values():
            stack.close()
        shutil.rmtree(self.root)

    @property
    def unknown(self) -> bool:
        """Whether some plan cannot be read."""
        return self.aside or bool(self.damaged)

    @property
    def planned(self) -> set[str]:
        return set().union(*self.plans.values())

    @property
    def used(self) -> set[str]:
        return set(self.leases) | {use for _, uses in self.leases.values() for use in uses}

    @rule(key=keys)
    def train(self, key: str) -> None:
        if key not in self.stored:
            self.store.save(key, 7, TENSORS, {"name": "a run", "version": 1})
            self.stored.add(key)
            self.partial.discard(key)

    @rule(key=st.sampled_from(sorted(TUNED)))
    def fine_tune(self, key: str) -> None:
        if key not in self.stored and TUNED[key] in self.stored:
            self.store.save(key, 3, TENSORS, {"finetuned": TUNED[key], "seed": 0})
            self.stored.add(key)

    @rule(key=keys)
    def begin(self, key: str) -> None:
        self.store.save_partial(key, 3, TENSORS, {})
        self.partial.add(key)

    @rule(name=st.sampled_from(PLANS), nodes=st.sets(keys, min_size=1, max_size=4))
    def freeze(self, name: str, nodes: set[str]) -> None:
        with self.store.keeping():
            content = {key: [7, "a run", 1, index % 2 == 0] for index, key in enumerate(sorted(nodes))}
            self.store.put_plan(name, {"study": "s", "scale": "x", "settings": [], "nodes": content})
        self.plans[name] = nodes
        self.damaged.discard(name)  # it was overwritten

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.plans)))
        upkeep.forget(self.store, name)
        del self.plans[name]

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), found=st.booleans())
    def damage_a_plan(self, data: st.DataObject, found: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.plans)))
        path = self.store.root / "plans" / f"{name}.json"
        path.write_bytes(path.read_bytes()[:-1])
        del self.plans[name]
        if found:
            assert self.store.get_plan(name) is None
            self.aside = True
        else:
            self.damaged.add(name)

    @rule(key=keys, uses=st.sets(keys, max_size=2))
    def lease(self, key: str, uses: set[str]) -> None:
        if key not in self.leases:
            stack = contextlib.ExitStack()
            assert stack.enter_context(self.store.lease(key, *uses)) is not None
            self.leases[key] = stack, uses

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.leases.pop(data.draw(st.sampled_from(sorted(self.leases))))[0].close()

    @rule()
    def look(self) -> None:
        before = sorted(self.store.root.rglob("*"))
        upkeep.collect(self.store, delete=False)
        list(upkeep.survey(self.store))
        assert sorted(self.store.root.rglob("*")) == before

    @rule()
    def collect(self) -> None:
        upkeep.collect(self.store, delete=True)
        tuned = {key for key, base in TUNED.items() if base in self.planned}
        kept = self.stored if self.unknown else self.stored & (self.planned | tuned | self.used)
        assert set(Store(self.store.root).steps()) == kept
        partial = {key for key in self.partial - self.stored if self.unknown or key in self.planned | set(self.leases)}
        left = {path.name for path in (self.store.root / "partial").glob("*")}
        assert partial <= left <= partial | self.partial & self.used
        self.stored, self.partial = set(kept), left

    @rule()
    def give_up_on_damaged_plans(self) -> None:
        for name in PLANS:
            self.store.get_plan(name)  # sets a damaged one aside
        upkeep.collect(self.store, delete=True, quarantine=True)
        self.damaged, self.aside = set(), False
        self.collect()

    @invariant()
    def what_is_there_is_sound(self) -> None:
        assert all(path.parent.name == "plans" for path, _ in upkeep.damage(self.store))


TestCollection = Collection.TestCase
TestCollection.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.mark.torture
class TestCollectionAtLength(Collection.TestCase):  # type: ignore[name-defined]
    settings = settings(max_examples=1000, stateful_step_count=40, deadline=None, print_blob=True)


def planned(store: Store, *nodes: str) -> None:
    content = {key: [7, "a run", 1, True] for key in nodes}
    store.put_plan(PLANS[0], {"study": "s", "scale": "x", "settings": [], "nodes": content})


def test_what_is_fine_tuned_from_a_planned_version_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tuned, base), (other, gone) = list(TUNED.items())[:2]
    for key in (base, gone):
        store.save(key, 7, TENSORS, {"name": "a run", "version": 1})
    for key in (tuned, other):
        store.save(key, 3, TENSORS, {"finetuned": TUNED[key], "seed": 0})
    planned(store, base)
    with store.lease(other):
        upkeep.collect(store, delete=True)
        assert store.steps().keys() == {base, tuned, other}
    upkeep.collect(store, delete=True)
    assert store.steps().keys() == {base, tuned}


def test_the_untrained_control_stays_as_long_as_any_plan_does(tmp_path: Path) -> None:
    """What it was fine-tuned from is no node of any plan."""
    store = Store(tmp_path)
    base, control, other = KEYS[:3]
    store.save(base, 7, TENSORS, {"name": "a run", "version": 1})
    store.save(control, 3, TENSORS, {"finetuned": "f" * 64, "seed": 0, "name": "a run", "version": 0})
    store.save(other, 3, TENSORS, {"finetuned": "f" * 64, "seed": 0, "name": "a run", "version": 1})
    planned(store, base)
    upkeep.collect(store, delete=True)
    assert store.steps().keys() == {base, control}
    (tmp_path / "plans" / f"{PLANS[0]}.json").unlink()
    upkeep.collect(store, delete=True)
    assert not store.steps()


def test_what_goes_with_a_quarantined_plan_is_shown_before_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.save(KEYS[0], 7, TENSORS, {"name": "a run", "version": 1})
    planned(store, KEYS[0])
    path = tmp_path / "plans" / f"{PLANS[0]}.json"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.get_plan(PLANS[0]) is None
    store_command.main(["gc", f"store.path={tmp_path}"])
    told = capsys.readouterr()
    assert "0 could go" in told.out
    assert "so no checkpoint goes" in told.err
    store_command.main(["gc", "quarantine=true", f"store.path={tmp_path}"])
    told = capsys.readouterr()
    assert "3 could go" in told.out  # the plan, why it was set aside, and the checkpoint
    assert "checkpoints that it alone kept go with it" in told.err
    assert "so no checkpoint goes" not in told.err
    store_command.main(["gc", "delete=true", "quarantine=true", f"store.path={tmp_path}"])
    assert "3 removed of 3" in capsys.readouterr().out


def test_while_a_plan_cannot_be_read_nothing_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in KEYS[:2]:
        store.save(key, 7, TENSORS, {"name": "a run", "version": 1})
    planned(store, KEYS[0])
    path = tmp_path / "plans" / f"{PLANS[0]}.json"
    path.write_bytes(path.read_bytes()[:-1])
    upkeep.collect(store, delete=True)
    assert store.steps().keys() == set(KEYS[:2])
    assert store.get_plan(PLANS[0]) is None  # which quarantines it
    upkeep.collect(store, delete=True)
    assert store.steps().keys() == set(KEYS[:2])
    upkeep.collect(store, delete=True, quarantine=True)
    assert store.steps() == {}


def test_a_sweeps_store_is_listed_kept_while_planned_and_goes_when_its_plan_is_forgotten(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("study=headline", "stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=1")
    train.main(given)
    at = f"store.path={tmp_path / 'store'}"
    store = Store(tmp_path / "store")
    tree = planner.make(sweeps.compose(given)).tree
    store.save("f" * 64, 3, TENSORS, {"name": "older", "version": 4})
    capsys.readouterr()

    store_command.main(["ls", at])
    listed = capsys.readouterr().out
    (frozen,) = store.plans()
    assert f"plan {frozen}: study headline, scale smoke, 3 runs" in listed
    assert listed.count("version 2 of ") >= 3
    assert "branch point" in listed
    assert "no plan needs it; it was made for version 4 of older" in listed
    store_command.main(["du", at])
    assert {"version", "branch", "orphan", "results", "plans"} <= set(capsys.readouterr().out.split())

    store_command.main(["gc", at])
    assert "1 could go; delete=true removes them" in capsys.readouterr().out.replace("in 1 could", "1 could")
    store_command.main(["gc", at, "delete=true"])
    assert store.steps().keys() == tree.nodes.keys()
    store_command.main(["verify", at])
    assert "0 damaged" in capsys.readouterr().out

    store_command.main(["forget", at, f"plan={frozen}"])
    store_command.main(["gc", at, "delete=true"])
    assert store.steps() == {}
    train.main(given)
    assert store.steps().keys() == tree.nodes.keys()


def test_what_has_no_name_of_the_stores_is_somebody_elses_and_stays(tmp_path: Path) -> None:
    store = Store(tmp_path, stale_seconds=0.01)
    store.save_partial(KEYS[0], 3, TENSORS, {})
    hexadecimal = "0123456789abcdef" * 2
    own = [
        f"scratch/{hexadecimal}/model.safetensors",
        f"scratch/{hexadecimal}.lock",
        f"leases/{KEYS[1]}.0",
        f".probe-{hexadecimal}",
        f"plans/.{PLANS[0]}.json.{hexadecimal}",
        f"results/perplexity/.{KEYS[1]}.json.{hexadecimal}",
        f"quarantine/plans-{PLANS[0]}.json-01234567",
        f"quarantine/plans-{PLANS[0]}.json-01234567.reason.txt",
    ]
    foreign = [
        f"{folder}{name}"
        for folder in ("", "scratch/", "leases/", "checkpoints/", "partial/", "plans/", "results/", "results/x/")
        for name in (".env", ".notes.json", "notes.txt", "thesis.tex", "metrics.json", "1.0", "data/1/table.csv")
    ] + ["quarantine/for_later.txt"]
    for name in (*own, *foreign):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (0, 0))
    os.utime(tmp_path / "scratch" / hexadecimal, (0, 0))

    at = f"store.path={tmp_path}"
    store_command.main(["repair", at])
    store.tidy()
    store_command.main(["gc", at, "delete=true", "quarantine=true"])
    assert [name for name in foreign if not (tmp_path / name).exists()] == []
    assert [name for name in own if (tmp_path / name).exists()] == []
    assert store.partial_steps(KEYS[0]) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["gc", "delet=true"], "delet=true is unknown; did you mean delete=?"),
        (["lss"], "lss is unknown; did you mean ls? choose one of ls, du, verify, repair, gc, forget."),
        (["forget", "plan=../x"], "plan=../x"),
        (["gc", "delete=yes"], "delete=yes is unknown; true and false work."),
        (["ls", "store.path=nowhere"], "store.path=nowhere is no folder"),
        (["ls", "store.stale_seconds=nan"], "store.stale_seconds=nan must be a number above 0"),
        (["lss", "store.path=no"], "forget.\nstore.path=no is no folder; nothing was trained there."),
        (["lss", "delet=true"], "forget.\ndelet=true is unknown"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        store_command.main([wrong[0], f"store.path={tmp_path}", *wrong[1:]])
    assert refusal.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_no_store_is_not_said_to_be_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.md").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        store_command.main(["verify", f"store.path={tmp_path}"])
    assert "holds other things, and no store" in capsys.readouterr().err

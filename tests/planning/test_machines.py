"""A sweep launched where its numerics cannot be had: on a cluster's login node, trained on its nodes."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import evaluate, finetune, train
from repro.downstream import jobs
from repro.launching import training
from repro.models import numerics
from repro.planning import machines
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.results import ledger
from repro.store.store import Store

ELSEWHERE = {"processor": "another"}


@pytest.mark.slow
def test_a_sweep_trained_on_another_kind_of_machine_is_summed_up_where_it_was_launched(
    smoke: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("paradigm=cpt,ptfs", "stream.versions=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    there = make(compose(given, multirun=True)).tree
    # This process is the login node. Its workers are processes of their own, with the machine's true numerics.
    monkeypatch.setattr(numerics, "_processor", lambda device: ELSEWHERE)
    here = make(compose(given, multirun=True)).tree
    assert not set(here.nodes) & set(there.nodes)
    train.main([*given, "-m"])
    assert "not done" not in capsys.readouterr().err
    store = Store(tmp_path / "store")
    assert not there.missing(store.steps())
    assert not set(here.nodes) & set(store.steps())
    with (tmp_path / "ledger" / "versions.csv").open() as file:
        assert {row["key"] for row in csv.DictReader(file)} == {key for ends in there.ends for key in ends}

    def job() -> None:
        raise AssertionError("Hydra was asked to launch jobs")

    monkeypatch.setattr(training, "job", job)
    train.main([*given, "-m"])

    # A ledger that another sweep finds damaged is made again with what that machine trained.
    (tmp_path / "ledger" / "versions.csv").unlink()
    ledger.write(make(compose(smoke("paradigm=cpt", "seed=7"))), store)
    with (tmp_path / "ledger" / "versions.csv").open() as file:
        assert {row["key"] for row in csv.DictReader(file)} == {key for ends in there.ends for key in ends}

    # Nor is it forgotten under settings that change nothing of training.
    elsewhere = tmp_path / "elsewhere"
    train.main([*given, f"ledger.path={elsewhere}", "-m"])
    with (elsewhere / "versions.csv").open() as file:
        assert {row["key"] for row in csv.DictReader(file)} == {key for ends in there.ends for key in ends}
    monkeypatch.setattr(jobs, "check_tasks", lambda plan: None)
    for command, seeds, left in ((finetune, "[0,1]", 4), (evaluate, "[]", 2)):
        capsys.readouterr()
        monkeypatch.setattr(command, "job", lambda: None)
        with pytest.raises(SystemExit) as status:
            command.main([*given, f"finetune.seeds={seeds}", "-m"])
        assert status.value.code == 1, "started, and the job did nothing"
        assert f"{left} models are not done" in capsys.readouterr().err


def test_a_machine_whose_nodes_are_planned_already_leaves_its_note(
    smoke: Callable[..., list[str]], tmp_path: Path
) -> None:
    tree = make(compose(smoke("paradigm=cpt"))).tree
    store = Store(tmp_path / "store")
    machines.note(tree, {key: node.step for key, node in tree.nodes.items()}, store)
    assert len(store.results(machines.KIND)) == 1

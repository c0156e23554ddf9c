"""Every study, from its Hydra command to its tables, at scale smoke and in one store."""

import csv
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import report
from analysis.studies import STUDIES
from repro import evaluate, finetune, train
from repro.launching import training
from repro.planning import sweeps
from repro.planning.planner import make
from repro.planning.sweeps import compose


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def arguments(place: Path, data_path: Path, *more: str, root: Path | None = None) -> list[str]:
    """
    Args:
        root: where the ledger goes; None: beside the store, with those of other tests.
    """
    return [
        "scale=smoke",
        f"store.path={place}/store",
        f"data.path={data_path}",
        f"ledger.path={root or place}/smoke/data",
        *more,
    ]


def rows(place: Path, table: str) -> list[dict[str, str]]:
    with (place / "smoke/data" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


LONG = (
    "alpha",
    "architecture",
    "branch",
    "chronological",
    "components",
    "data_scale",
    "downstream",
    "first_stage",
    "frontier",
    "future",
    "grow",
    "ladder",
    "main",
    "max_lr",
    "model_size",
    "orders",
    "pilot",
    "pilot_for_advice",
    "plasticity",
    "rates",
    "second_stage",
    "unequal",
    "versions",
)
"""Minutes together, and of recipes and tables that others run as well: pytest -m slow."""


@pytest.mark.parametrize(
    "study", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in sweeps.studies()]
)
@pytest.mark.usefixtures("undrawn")
def test_a_study_runs_from_its_command_to_its_table(
    place: Path, data_path: Path, study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = place / study  # a report of this study alone
    given = arguments(place, data_path, f"study={study}", root=root)
    train.main(given)
    assert "PPL by version" in capsys.readouterr().out
    planned = make(compose(given))
    assert planned.missing_steps == 0
    runs = {row["run"] for row in rows(root, "studies") if row["study"] == study}
    assert len(runs) == len(planned.tree.runs)
    versions = [row for row in rows(root, "versions") if row["run"] in runs]
    assert len(versions) == sum(r.versions for r in planned.tree.runs)
    slices = [row for row in rows(root, "perplexity") if row["run"] in runs]
    assert len(slices) == sum(r.versions * r.settings.stream.versions for r in planned.tree.runs)
    report.main(["scale=smoke", f"root={root}"])
    tables = {path.stem for path in (root / "smoke/tables").glob("*.csv")}
    if "evaluate" not in STUDIES[study].verbs:
        assert {study, f"study_{study}"} & tables


def test_a_sweep_run_again_trains_nothing(place: Path, data_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(place, data_path, "study=headline")
    train.main(given)
    before = {path.name: path.stat().st_mtime_ns for path in (place / "store/checkpoints").iterdir()}
    ledger = {path.name: path.read_bytes() for path in (place / "smoke/data").iterdir()}

    def job() -> None:
        raise AssertionError("Hydra was asked to launch jobs")

    monkeypatch.setattr(training, "job", job)
    train.main(given)
    assert before == {path.name: path.stat().st_mtime_ns for path in (place / "store/checkpoints").iterdir()}
    assert ledger == {path.name: path.read_bytes() for path in (place / "smoke/data").iterdir()}


PILOT = ["study=pilot", "stream.versions=2", "stream.steps_per_version=20"]
"""Runs enough for two workers at once, of edges that they share."""


def test_two_workers_of_joblib_give_the_same_ledger_as_one(place: Path, data_path: Path, tmp_path: Path) -> None:
    train.main(arguments(place, data_path, *PILOT))
    train.main(arguments(tmp_path, data_path, *PILOT, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))
    assert multiprocessing.active_children() == []
    assert_same_results(tmp_path, place, "pilot")


def test_two_workers_of_ray_give_the_same_ledger_as_one(place: Path, data_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs pip install hydra-ray-launcher")
    train.main(arguments(place, data_path, *PILOT))
    launcher = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
    given = arguments(tmp_path, data_path, *PILOT, *launcher)
    done = subprocess.run([sys.executable, "-m", "repro.train", *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_results(tmp_path, place, "pilot")


def assert_same_results(mine: Path, place: Path, study: str) -> None:
    """All of a place's results are those that another has of the study."""
    runs = {row["run"] for row in rows(place, "studies") if row["study"] == study}
    for table in ("versions", "perplexity", "curves", "paths", "runs"):
        found = rows(mine, table)
        assert found
        assert found == [row for row in rows(place, table) if row["run"] in runs]


@pytest.mark.network
def test_fine_tuning_and_lm_eval_run_on_a_studys_versions(place: Path, data_path: Path) -> None:
    root = place / "scores"  # a report of these runs alone
    given = arguments(place, data_path, "study=headline", "finetune.seeds=[0,1]", "finetune.max_examples=9", root=root)
    with pytest.raises(SystemExit) as refusal:
        evaluate.main(given)
    assert refusal.value.code == 2
    train.main(given)
    finetune.main(given)
    evaluate.main(given)
    scores = rows(root, "downstream")
    assert {row["finetune_seed"] for row in scores} == {"", "0", "1"}
    assert len({row["task"] for row in scores}) == 9
    assert len(scores) == 3 * 3 * 9
    report.main(["scale=smoke", f"root={root}"])
    assert (root / "smoke/tables/downstream.csv").exists()

"""A schedule and a recipe of a user's own, from outside: planned, trained by workers, kept and reported as ours are."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.common.errors import UserError
from repro.common.registry import Registry
from repro.config.registries import RECIPES, SCHEDULES
from repro.planning import frozen
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "docs" / "examples" / "extension"
OURS = ["extensions=[my_update]", f"hydra.searchpath=[file://{EXTENSION / 'conf'}]"]
CHOSEN = ["paradigm=ptfs,my_update", "schedule=one_minus_sqrt"]
Overrides = Callable[..., list[str]]


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example, importable, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXTENSION))
    monkeypatch.setenv("PYTHONPATH", str(EXTENSION))
    yield
    sys.modules.pop("my_update", None)
    RECIPES.pop("my_update", None)
    SCHEDULES.pop("one_minus_sqrt", None)


def test_the_command_in_the_example_plans_as_typed(smoke: Overrides) -> None:
    text = (EXTENSION / "my_update.py").read_text()
    command = text[text.index("    PYTHONPATH=") : text.index("repro.train, repro")]
    places = " ".join(smoke()[1:])
    typed = command.replace("python -m", f"{sys.executable} -m").strip() + f" output=json {places}"
    said = subprocess.run(["bash", "-c", typed], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    costs = {run["paradigm"]: run["relative_cost"] for run in json.loads(said)["runs"]}
    # Trunk to 160 steps, and branches of 10, 20, 30 and 40, of the 500 steps that PTFS takes.
    assert costs == {"ptfs": 1.0, "my_update": 260 / 500}


@pytest.mark.slow
@pytest.mark.usefixtures("extension")
def test_two_workers_train_it_and_the_ledger_says_what_it_is(smoke: Overrides, tmp_path: Path) -> None:
    given = [*smoke(*OURS, *CHOSEN, "study=headline", "stream.versions=2"), "hydra/launcher=joblib"]
    command = [sys.executable, "-m", "repro.train", *given, "hydra.launcher.n_jobs=2"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(EXTENSION)})
    with (tmp_path / "ledger" / "runs.csv").open() as file:
        assert {(row["paradigm"], row["schedule"]) for row in csv.DictReader(file)} == {
            ("ptfs", "one_minus_sqrt"),
            ("my_update", "one_minus_sqrt"),
        }
    plan = make(compose([*smoke(*OURS, *CHOSEN, "study=headline", "stream.versions=2")]))
    assert not plan.missing


@pytest.mark.slow
@pytest.mark.usefixtures("extension")
def test_two_processes_of_torchrun_train_it_together(smoke: Overrides) -> None:
    short = ["paradigm=my_update", "schedule=one_minus_sqrt", "stream.versions=1", "stream.steps_per_version=10"]
    given = smoke(*OURS, *short, "schedule.warmup_steps=2", "numerics.parallel=ddp", "numerics.world_size=2")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, "-m", "repro.train", *given], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not make(compose(given)).missing


@pytest.mark.usefixtures("extension")
def test_its_curve_decays_to_zero_and_it_branches_where_it_says(smoke: Overrides) -> None:
    run = make(compose(smoke(*OURS, "paradigm=my_update", "schedule=one_minus_sqrt"))).tree.runs[0]
    rates = run.trajectories[3].learning_rates
    assert set(rates[5:160]) == {0.01}
    assert rates[160] == 0.01 * (1 - (1 / 40) ** 0.5)
    assert rates[-1] == 0.0


@pytest.mark.usefixtures("extension")
def test_an_extension_and_where_it_lies_enter_no_key(smoke: Overrides) -> None:
    with_it, without = (make(compose(smoke(*more, "paradigm=cpt"))).tree for more in (OURS, ()))
    assert with_it.ends == without.ends


@pytest.mark.usefixtures("extension")
def test_a_frozen_plan_of_an_extension_that_is_not_loaded_says_so(smoke: Overrides, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    name = frozen.freeze(make(compose(smoke(*OURS, "paradigm=my_update", "schedule=one_minus_sqrt"))), store)
    assert frozen.thaw(name, store)[0][0].paradigm.kind == "my_update"
    del RECIPES["my_update"]
    with pytest.raises(UserError, match=r"paradigm\.kind='my_update' is unknown"):
        frozen.thaw(name, store)


def test_a_module_that_cannot_be_imported_is_refused(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"extensions=\[not_there\] cannot be imported: ModuleNotFoundError"):
        compose(smoke("extensions=[not_there]"))
    (tmp_path / "broken_update.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"extensions=\[broken_update\] cannot be imported: ZeroDivisionError"):
        compose(smoke("extensions=[broken_update]"))


def test_a_name_that_is_taken_is_refused() -> None:
    registry: Registry[type] = Registry("schedule.kind")
    registry.add("int", int)
    registry.add("int", int)  # a module that is read twice
    with pytest.raises(UserError, match=r"schedule\.kind=int is defined twice"):
        registry.add("int", str)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("paradigm.alfa=0.5", r"paradigm\.alfa is unknown; did you mean alpha\?"),
        ("schedule.explor_share=0.5", r"schedule\.explor_share is unknown; did you mean explore_share\?"),
        ("paradigm.kind=path_swiching", r"paradigm\.kind='path_swiching' is unknown; did you mean path_switching\?"),
        ("stream.block_tokens=32", r"stream\.block_tokens is now called stream\.sequence_length"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(smoke: Overrides, given: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        compose(smoke(f"+{given}" if "alfa" in given or "explor_" in given else given))

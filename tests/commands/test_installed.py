"""The wheel holds all that the commands need: it is built, installed into a folder, and used from another one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

pytestmark = pytest.mark.skipif(
    # By metadata: asking for pip's module would have setuptools hand out another distutils than torch.compile needs.
    not {"pip", "hatchling"} <= {each.metadata["Name"] for each in distributions()},
    reason="without pip and hatchling (the extra test) no wheel is built offline",
)

Python = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed into; what it depends on is there already."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    build = ["wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels)]
    subprocess.run([*PIP, *build], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    return target


@pytest.fixture
def python(installed: Path, tmp_path: Path) -> Python:
    """Runs Python in a folder that is empty at first, with the installed packages before all others."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_configuration_travels_whole(installed: Path) -> None:
    def files(folder: Path) -> dict[Path, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {path.relative_to(folder): path.read_bytes() for path in paths}

    assert files(installed / "repro" / "conf") == files(ROOT / "conf")
    assert all((installed / package / "py.typed").exists() for package in ("repro", "analysis"))
    assert not {"tests", "conf", "docs"} & {path.name for path in installed.iterdir()}


def test_a_study_is_planned_from_another_folder(python: Python, installed: Path, data_path: Path) -> None:
    place = "from repro.config import places; from repro.downstream import items; print(places.HOME, items.CHECKSUMS)"
    home = installed / "repro"
    assert python("-c", place).split() == [str(home), str(home / "conf/tasks/nine_local/checksums.json")]
    plan = python("-m", "repro.plan", "study=headline", "scale=smoke", "output=json", f"data.path={data_path}")
    assert json.loads(plan)["unique_steps"] > 0
    folder = (
        "from repro.planning import sweeps; from repro.config import places;"
        "print(places.tasks(sweeps.compose(['scale=smoke'])[0].tasks.include_path))"
    )
    assert python("-c", folder).strip() == str(home / "conf" / "tasks" / "nine_local")


def test_commands_are_listed_and_the_sizes_counted(python: Python) -> None:
    assert "python -m repro.train" in python("-m", "repro")
    assert "| w64_l2 | 64 |" in python("-m", "repro.sizes")


def test_a_report_is_made_from_another_folder(python: Python, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "advice" / "stdlib", tmp_path / "results" / "quick" / "data")
    python("-m", "analysis.report", "scale=quick")
    assert (tmp_path / "results" / "quick" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "results" / "quick" / "report.md").read_text().startswith("# ")

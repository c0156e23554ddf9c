"""What CONTRIBUTING.md says about things of one's own, carried out as it stands there, up to a finished table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"## Adding an? (\w+)\n(.*?)(?=\n## |\Z)", TEXT, flags=re.DOTALL))
SHOWS = {
    "schedule": ("schedule", "quadratic"),
    "recipe": ("paradigm", "half_way"),
    "order": ("order", "newest_first"),
    "corpus": ("corpus", "python_help"),
    "architecture": ("architecture", "my_model"),
    "optimizer": ("schedule", "cosine"),
    "study": ("paradigm", "cpt"),
}
"""A column of runs.csv, and what is in it afterwards."""


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], flags=re.DOTALL)


@pytest.fixture
def mine(tmp_path: Path, data_path: Path) -> Path:
    """A folder with all files of all sections, under the names that the comments at their tops say."""
    for section in SECTIONS:
        for block in (*blocks(section, "python"), *blocks(section, "yaml")):
            (name,) = re.findall(r"\A(?:# @.*\n)?# (\S+)\n", block)
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    data_path.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data").symlink_to(data_path)
    return tmp_path


def test_every_kind_of_addition_has_a_recipe() -> None:
    assert SECTIONS.keys() == SHOWS.keys() | {"claim"}
    for section in SHOWS:
        assert blocks(section, "bash"), section


SELDOM = ("order", "corpus", "architecture", "optimizer", "study")
"""Added as the others are, in one file and one registry; tests of these rooms train, or report, with one of a user's
own."""


@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=pytest.mark.slow if name in SELDOM else ()) for name in SHOWS]
)
def test_an_addition_works_as_it_is_described(section: str, mine: Path) -> None:
    folder = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    for block in blocks(section, "bash"):
        done = subprocess.run(["bash", "-ec", block], cwd=mine, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    column, value = SHOWS[section]
    runs = pd.read_csv(mine / "results" / "smoke" / "data" / "runs.csv")
    assert value in set(runs[column])
    if section == "study":
        report = (mine / "results" / "smoke" / "report.md").read_text()
        assert "How far does CPT fall behind here?" in report
        assert "X1" in report

"""The scripts that measure and torture: their command lines, and the quickest of them from end to end."""

import csv
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    "tests.torture.kill",
    *(
        f"tests.bench.{path.stem}"
        for path in sorted((ROOT / "tests/bench").glob("*.py"))
        if "__main__" in path.read_text()
    ),
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_does_and_refuses_what_it_does_not_know(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(name).main
    tables = {path: path.stat().st_mtime_ns for path in (ROOT / "docs" / "benchmarks").glob("*.csv")}
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert f"python -m {name}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="nonsense=1 is no option; there are "):
        main(["nonsense=1"])
    assert tables == {path: path.stat().st_mtime_ns for path in (ROOT / "docs" / "benchmarks").glob("*.csv")}


@pytest.mark.slow
def test_plans_are_measured_into_a_table_of_the_published_form(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.plans", "seeds=1", f"output={tmp_path / 'plans.csv'}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with (tmp_path / "plans.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (ROOT / "docs" / "benchmarks" / "plans.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    assert rows[0].keys() == published[0].keys()
    assert [row["operation"] for row in rows] == list(dict.fromkeys(row["operation"] for row in published))
    assert {row["runs"] for row in rows} == {"5"}

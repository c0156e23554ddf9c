"""The list of commands, help that only helps, and the table of sizes."""

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import report
from repro import __main__ as overview
from repro import __version__, plan, sizes, train
from repro.store import __main__ as store

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_overview_says_what_each_command_does_and_imports_none(tmp_path: Path) -> None:
    known = overview.commands()
    assert {"repro.train", "repro.plan", "repro.store", "analysis.report"} <= known.keys()
    heavy = "import sys; from repro.__main__ import main; main([]); print(sorted(sys.modules), file=sys.stderr)"
    shown = python("-c", heavy, cwd=tmp_path)
    assert shown.returncode == 0
    for module, line in known.items():
        assert len(line) > 10, module
        assert any(row.split() == f"python -m {module} {line}".split() for row in shown.stdout.splitlines()), module
    for package in ("hydra", "omegaconf", "numpy", "torch"):
        assert f"'{package}'" not in shown.stderr


def test_the_overview_takes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    overview.main(["--help"])
    assert "repro.train" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        overview.main(["train"])
    assert "'train' is no argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "flag"),
    [*((module, "--help") for module in overview.commands()), ("repro.plan", "-h"), ("repro.train", "-h")],
)
def test_help_only_helps(
    module: str, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    documents = {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.md")}
    command = importlib.import_module(f"{module}.__main__" if module == "repro.store" else module)
    try:
        command.main([flag])
    except SystemExit as status:
        assert not status.code  # noqa: PT017  (some end the process, and some return)
    shown = capsys.readouterr().out
    assert f"python -m {module}" in shown
    if module in ("repro.finetune", "repro.evaluate"):
        assert "repro.train study=" not in shown, "what Hydra prints is headed by the command that was asked"
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.md")} == documents


@pytest.mark.parametrize("module", ["repro", "repro.plan", "repro.train"])
def test_help_ends_well_as_it_is_typed(module: str, tmp_path: Path) -> None:
    shown = python("-m", module, "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"python -m {module}" in shown.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("main", [overview.main, plan.main, train.main, report.main, store.main])
def test_the_version_is_ours_not_hydras(main: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"lr-path-switching {__version__}\n"


def test_flags_of_hydras_that_do_nothing_here_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.main(["--shell-completion", "install=bash"])
    assert "--shell-completion: not supported; -m, --help" in capsys.readouterr().err


def test_the_table_of_sizes_is_printed_or_put_in_place_of_a_documents_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes.main([])
    table = capsys.readouterr().out
    assert table.startswith("| size | hidden size |")
    document = tmp_path / "models.md"
    document.write_text("Before.\n\n| size | old |\n|---|---|\n| 1 | 2 |\n\nAfter.\n\n| another |\n")
    sizes.main([f"output={document}"])
    assert document.read_text() == f"Before.\n\n{table}\nAfter.\n\n| another |\n"
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sizes=3", "sizes=3 is unknown; there is output=."),
        ("output=nowhere/models.md", "nowhere/models.md cannot be written"),
        ("output=plain.md", "has no table of sizes"),
    ],
)
def test_what_sizes_refuses(
    given: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.md").write_text("Nothing.\n")
    with pytest.raises(SystemExit, match="2"):
        sizes.main([given])
    assert message in capsys.readouterr().err
    assert (tmp_path / "plain.md").read_text() == "Nothing.\n"

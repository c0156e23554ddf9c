"""Places that may not be entered end in a message, whichever command meets them, and wherever."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro import update
from repro.common.errors import refusals
from repro.store import __main__ as store_command


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize(
    "command",
    [
        ["repro.store", "ls", "store.path={}/store"],
        ["repro.plan", "scale=smoke", "corpus=releases", "stream=releases", "corpus.path={}/dumps"],
        ["repro.plan", "scale=smoke", "corpus=local", "corpus.path={}/texts"],
        ["repro.plan", "scale=smoke", "stream.tokenizer={}/tokenizer"],
        ["analysis.report", "root={}/results"],
        ["repro.advise", "scale=smoke", "ledger.path={}/ledger"],
    ],
    ids=" ".join,
)
def test_a_place_behind_a_closed_folder_is_named(command: list[str], closed: Path, tmp_path: Path) -> None:
    module, *rest = (each.format(closed) for each in command)
    as_anyone: list[str] = []
    if os.geteuid() == 0:  # which enters every folder, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root needs setpriv to be like anyone")
        as_anyone = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    given = [*as_anyone, sys.executable, "-m", module, *rest, *(["data.path=data"] if module == "repro.plan" else [])]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        given, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert str(closed) in done.stderr
    assert "Permission denied" in done.stderr


def test_a_name_that_is_too_long_for_any_disk_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = tmp_path / ("a" * 300)
    for main, words in (
        (store_command.main, ["ls", f"store.path={long}"]),
        (update.main, [f"output={long}", "corpus.path=x"]),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        said = capsys.readouterr().err
        assert f"{long}: File name too long. A shorter name works." in said


def test_what_is_no_place_is_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PermissionError), refusals():
        raise PermissionError(1, "Operation not permitted")
    assert not capsys.readouterr().err


def test_ctrl_c_ends_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="130"), refusals():
        raise KeyboardInterrupt
    assert capsys.readouterr().err.strip() == "interrupted"

"""What takes more than a few seconds says how far it is and how long it takes, on a terminal alone."""

import io
import json
import re
import sys
import time
from pathlib import Path

import pytest
from advice.lawful import World, candidates, write
from ledgers import build

from analysis import report
from repro import advise
from repro.common import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def read_plainly(self) -> str:
        """Without what moves the cursor and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


def opened(monkeypatch: pytest.MonkeyPatch, patience: float = 0.0) -> Terminal:
    """Standard error from now on. (Not a fixture's: pytest puts its own in place before a test's body.)"""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "PATIENCE", patience)
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


def work(seconds: float) -> None:
    with progress.steps("Working", 4) as done:
        for _ in range(4):
            time.sleep(seconds)
            done()


def test_a_bar_shows_the_share_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    work(0.3)
    assert re.search(r"Working .*\d+% \d+:\d\d:\d\d", terminal.read_plainly())


def test_what_takes_little_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch, patience=2.0)
    work(0.0)
    assert terminal.getvalue() == ""


def test_without_a_terminal_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    work(0.01)
    assert capsys.readouterr() == ("", "")


def test_an_error_ends_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)

    def spoilt() -> None:
        with progress.steps("Working", 2) as done:
            done()
            raise ValueError("spoilt")

    with pytest.raises(ValueError, match="spoilt"):
        spoilt()
    before = terminal.getvalue()
    time.sleep(0.3)  # several times what a bar waits between two looks
    assert terminal.getvalue() == before


def test_advice_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    terminal = opened(monkeypatch)
    write(tmp_path, candidates("paradigm=ptfs,cpt,path_switching"), World(seeds=(0, 1)))
    advise.main(["scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt,path_switching", "output=json"])
    assert json.loads(capsys.readouterr().out)["decision"]
    for what in ("Planning recipes", "Fitting laws", "Drawing seeds again"):
        assert what in terminal.read_plainly()


@pytest.mark.usefixtures("undrawn")
def test_a_report_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    terminal = opened(monkeypatch)
    build(tmp_path, ["headline"])
    report.main(["scale=synthetic", f"root={tmp_path}"])
    assert "report.html" in capsys.readouterr().out
    shown = [int(share) for share in re.findall(r"Writing the report .*?(\d+)%", terminal.read_plainly())]
    assert shown == sorted(shown)
    assert shown[-1] == 100

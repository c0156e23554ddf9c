"""Results and statuses do not depend on who reads what is printed, nor on what the reader can show."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import train
from repro.store import tables

Overrides = Callable[..., list[str]]
SMALL = ("paradigm=ptfs", "stream.versions=2", "stream.steps_per_version=4", "schedule.warmup_steps=1")

FORKS = """
import json, os, sys
import repro.__main__, repro.adopt, repro.export, repro.plan, repro.prepare, repro.sizes, repro.tasks, repro.train
import repro.store.__main__ as store
import torch, transformers, hydra, rich.table
given, output, how = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
COMMANDS = {
    "repro": lambda: repro.__main__.main([]),
    "help": lambda: repro.adopt.main(["--help"]),
    "train help": lambda: repro.train.main(["--help"]),
    "train settings": lambda: repro.train.main(["--cfg", "job"]),
    "plan": lambda: repro.plan.main(given),
    "json": lambda: repro.plan.main([*given, "output=json"]),
    "prepare": lambda: repro.prepare.main(given),
    "export": lambda: repro.export.main([*given, f"output={output}"]),
    "sizes": lambda: repro.sizes.main([]),
    "store": lambda: store.main(["ls", next(each for each in given if each.startswith("store.path="))]),
}
statuses = {}
for name, command in COMMANDS.items():
    if (child := os.fork()) == 0:
        if how == "pipe":
            gone, pipe = os.pipe()
            os.close(gone)
        else:
            pipe = os.open("/dev/full", os.O_WRONLY)
        os.dup2(pipe, 1)
        status = 0
        try:
            command()
        except SystemExit as end:
            status = end.code
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            status = 99
        os._exit(status)
    statuses[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(statuses))
"""


def run(script: str, *, encoding: str = "utf-8") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["bash", "-c", script], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding})


@pytest.mark.parametrize(
    "streams",
    [*(pytest.param(how, marks=pytest.mark.slow) for how in (">&- 2>/dev/full", ">/dev/full 2>&-")), "<&- >&- 2>&-"],
)
def test_results_are_written_whether_or_not_anybody_reads(smoke: Overrides, tmp_path: Path, streams: str) -> None:
    given = " ".join(smoke(*SMALL))
    done = run(f"{sys.executable} -m repro.train {given} {streams}")
    assert done.returncode == 0
    assert (tmp_path / "ledger" / "runs.csv").exists()
    assert list(tables.damage(tmp_path / "ledger")) == []
    store = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"elapsed" in path.read_bytes() for path in store), "no message went into a file"


@pytest.mark.parametrize(("how", "status"), [pytest.param("pipe", 141, marks=pytest.mark.slow), ("full", 1)])
def test_a_command_whose_output_is_its_result_says_that_it_was_not_delivered(
    smoke: Overrides, tmp_path: Path, how: str, status: int
) -> None:
    given = smoke(*SMALL)
    train.main(given)
    command = [sys.executable, "-c", FORKS, json.dumps(given), str(tmp_path / "models"), how]
    done = subprocess.run(command, capture_output=True, text=True)
    statuses = json.loads(done.stdout)
    assert statuses == dict.fromkeys(statuses, status), done.stderr
    assert done.stderr.count("cannot be written: No space left on device") == (len(statuses) if how == "full" else 0)
    assert any((tmp_path / "models").iterdir()), "the export is there all the same"


def test_where_there_is_no_utf_8_plain_characters_are_shown(smoke: Overrides) -> None:
    done = run(f"{sys.executable} -m repro.plan {' '.join(smoke(*SMALL))}", encoding="ascii")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.decode("ascii").splitlines() if "ptfs" in line]
    assert "#" in row, "a learning-rate curve"
    assert "\\u" not in row

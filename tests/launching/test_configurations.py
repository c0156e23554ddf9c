"""Wrong and extreme configurations, made at random: each is planned, or refused with status 2 and a message.

Nothing ends in a traceback, hangs, or leaves anything behind but a prepared stream. Names from configurations and
corpora are data wherever they are shown or written.
"""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import FrameType

import pytest
from omegaconf import OmegaConf

from analysis import report
from repro import export, train
from repro import plan as plan_command
from repro.common.errors import UserError
from repro.config.places import CONF
from repro.config.resolve import checked
from repro.config.settings import Settings
from repro.planning import sweeps

CASE_SECONDS = {signal.ITIMER_PROF: 30, signal.ITIMER_REAL: 600}
"""Of the processor, and by the clock (on a busy machine): much longer than any plan of this size takes."""

NUMBERS = ("-1", "0", "1", "2", "3", "7", "0.5", "-0.0", "1e-300", "1e308", "1e309", "-1e400", "nan", "inf", "-inf")
NUMBERS += (
    str(2**31),
    str(2**63),
    str(2**64),
    str(10**30),
    "9" * 5000,
    "0.1" + "0" * 300,
    "1/3",
    "3/5",
    "1/0",
    "1e1e1",
)
TYPES = (
    "null",
    "true",
    "False",
    "two",
    "''",
    '""',
    "[]",
    "{}",
    "[1,2]",
    "[null]",
    "{a:1}",
    "{a:{b:[c]}}",
    "???",
    "0x10",
)
TYPES += ("[0,-1]", "[1e9]", "[[1]]", "['x']", "'null'", "'1'", "1_000", "0o7", "1.", ".5", "01", "+1", "yes")
TEXTS = (
    "π",
    "\u202etxt",
    "\x1b[31mred",
    "[red]",
    "[/]",
    "<script>",
    "a b",
    "'a b'",
    "../../x",
    "/",
    "/proc/self/mem",
    "~",
)
TEXTS += (
    "\ud800",
    "'\\x00'",
    "\x00",
    "日本",
    "a" * 10_000,
    "%s%n",
    "{0}",
    "CON",
    "nowhere/at/all",
    "/dev/null",
    "😀",
    "\t",
    "-m",
)
REFERENCES = ("${nope}", "${seed}", "${oc.env:HOME}", "${oc.env:NOPE}", "${.}", "${..max_lr}", "${", "$", "${schedule}")
REFERENCES += ("${oc.decode:x}", "${hydra:job.num}", "${study}${study}", "\\${x}", "@", "@:x")
SWEPT = (
    "1,2",
    "0,1,0",
    "range(1,4)",
    "range(0,1e9)",
    "choice(1,2)",
    "glob(*)",
    "shuffle(1,2)",
    "interval(0,1)",
    "1,",
    ",",
    "sort(2,1)",
)
PLAUSIBLE = (
    "0",
    "1",
    "2",
    "3",
    "4",
    "8",
    "10",
    "16",
    "50",
    "0.1",
    "0.2",
    "0.5",
    "0.9",
    "1e-3",
    "true",
    "false",
    "null",
    "x",
)
VALUES = NUMBERS + TYPES + TEXTS + REFERENCES + SWEPT
GARBAGE = (
    "",
    "=",
    "==",
    "a",
    "a=b=c",
    "=1",
    "a..b=1",
    ".a=1",
    "a.=1",
    "[]=1",
    "seed",
    "seed=",
    "~seed",
    "+seed=1",
    "++seed=1",
)
GARBAGE += (
    "~nope",
    "+nope=1",
    "++nope.a=1",
    "seed@x=1",
    "model@y=llama",
    "--nope",
    "-x",
    "--cfg",
    "seed=1 seed=2",
    "sched\nule=1",
)
HYDRA = (
    "hydra.mode=MULTIRUN",
    "hydra.mode=nope",
    "hydra.run.dir=${nope}",
    "hydra.sweeper.params=1",
    "hydra=nope",
    "hydra.job=1",
)
HYDRA += (
    "hydra/launcher=nope",
    "hydra/launcher=joblib",
    "hydra.sweeper.params={seed:'0,1'}",
    "hydra.sweeper.params={x:'1'}",
)
HYDRA += (
    "hydra.searchpath=[nope]",
    "hydra.sweep.dir=null",
    "hydra.verbose=x",
    "hydra.output_subdir=../..",
    "~hydra",
    "hydra/nope=1",
)
ELSEWHERE = ("botocore", "mixed", "rfc", "hf", "synthetic")
NOT_HERE = {"corpus": ELSEWHERE, "corpus.kind": ELSEWHERE}
"""They fetch what this test should not; or make 32 MB of text."""


def settings(of: type = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting there is."""
    for field in fields(of):
        if isinstance(field.type, type) and is_dataclass(field.type):
            yield from settings(field.type, f"{prefix}{field.name}.")
        yield f"{prefix}{field.name}"


SETTINGS = sorted(settings())
GROUPS = {
    folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONF.iterdir() if folder.is_dir()
}
CASES = int(os.environ.get("CONFIGURATIONS", "60"))
SEED = int(os.environ.get("CONFIGURATIONS_SEED", "2"))


def wrong(chance: random.Random) -> str:
    """One override."""
    kind = chance.random()
    if kind < 0.7:
        name = chance.choice(SETTINGS)
        prefix = chance.choice(["", "", "", "", "", "+", "++", "~"])
        return f"{prefix}{name}={chance.choice(chance.choice([PLAUSIBLE, NUMBERS, VALUES]))}"
    if kind < 0.85:
        group = chance.choice(sorted(GROUPS))
        return f"{group}={chance.choice([*GROUPS[group], *VALUES])}"
    return chance.choice([*GARBAGE, *HYDRA])


def configurations(count: int, seed: int) -> Iterator[list[str]]:
    chance = random.Random(seed)
    while count:
        given = [wrong(chance) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        names = [override.lstrip("+~").partition("=")[::2] for override in given]
        if not any(value in NOT_HERE.get(name, ()) for name, value in names):
            yield given
            count -= 1


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough text for scale smoke, tokenized in no time."""
    chance = random.Random(0)
    words = ["".join(chance.choices("aeioubcdfgklmnprst", k=chance.randint(2, 7))) for _ in range(400)]
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    with path.open("w") as file:
        for number in range(400):
            text = " ".join(chance.choices(words, k=150))
            file.write(json.dumps({"text": text, "date": f"{1900 + number // 4}"}) + "\n")
    return path


class Hang(BaseException):
    """A plan took too long."""


def outcome(given: list[str]) -> tuple[str, str]:
    """How planning ended, and what it said."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hang

    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    for timer, seconds in CASE_SECONDS.items():
        signal.setitimer(timer, seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            plan_command.main(given)
        ended = "planned"
    except SystemExit as status:
        ended = "refused" if status.code == 2 else f"status {status.code}"
    except Hang:
        ended = "hang"
    except BaseException:
        ended = traceback.format_exc()
    finally:
        for timer in CASE_SECONDS:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    return ended, out.getvalue() + err.getvalue()


def test_every_configuration_is_planned_or_refused_and_leaves_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "here"
    home.mkdir()
    monkeypatch.chdir(home)
    base = ["scale=smoke", "corpus=local", f"corpus.path={corpus}", f"store.path={home / 'store'}"]
    base += [f"data.path={tmp_path / 'data'}", f"ledger.path={home / 'ledger'}"]
    assert outcome(base)[0] == "planned"
    counts = {"planned": 0, "refused": 0}
    bad = []
    begin = time.monotonic()
    for given in configurations(CASES, SEED):
        ended, said = outcome([*base, *given])
        prepared = any("data.path=" in each for each in given)  # streams are kept there, wherever it is
        written = [] if prepared else sorted(path.name for path in home.iterdir())
        message = ended != "refused" or (said.startswith("error: ") and len(said) < 5_000)
        if ended not in counts or "Traceback" in said or "\x1b" in said or written or not message:
            bad.append(f"{[each[:80] for each in given]!r}: {ended[-1500:]} {said[:300]!r} {written}")
        else:
            counts[ended] += 1
        shutil.rmtree(home)
        home.mkdir()
        monkeypatch.chdir(home)
    print(f"{CASES} configurations, seed {SEED}: {counts}, {time.monotonic() - begin:.0f} s")
    assert not bad, f"{len(bad)} of {CASES} (seed {SEED}):\n" + "\n\n".join(bad)
    assert counts["planned"] > CASES / 20
    assert counts["refused"] > CASES / 4


NAME = r"[red]<script>alert(1)</script>[/]{{7*7}} ../../x|&:smile:$\\frac{1$ %s"


@pytest.mark.usefixtures("undrawn")
def test_names_are_data_in_terminals_folders_tables_and_reports(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")  # room for a name on one line
    given = ["scale=smoke", "study=headline", "corpus=local", f"corpus.path={corpus}", "stream.versions=2"]
    given += ["stream.steps_per_version=10", "schedule.warmup_steps=2", f'model.name="{NAME}"']
    given += [f"store.path={tmp_path / 'store'}", f"data.path={tmp_path / 'data'}"]
    given += [f"ledger.path={tmp_path / 'smoke' / 'data'}"]
    name = sweeps.compose(given)[0].model.name
    assert name.startswith("[red]<script>")
    plan_command.main([*given[:-4], f'model.name="{NAME}",plain', "paradigm=cpt", *given[-3:]])
    assert "[red]<script>alert(1)</script>[/]{{7*7}} ../../x|&:smile:$" in capsys.readouterr().out
    train.main(given)
    export.main([*given, f"output={tmp_path / 'models'}"])
    folders = list((tmp_path / "models").iterdir())
    assert len(folders) == 6
    assert all((folder / "config.json").is_file() for folder in folders)
    with (tmp_path / "smoke/data/runs.csv").open(newline="") as file:
        assert {row["size"] for row in csv.DictReader(file)} == {name}
    report.main(["scale=smoke", f"root={tmp_path}"])
    page = (tmp_path / "smoke/report.html").read_text()
    assert "<script>alert" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "models", "smoke", "store"]


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\ud800", "x" * 1000])
def test_names_that_would_control_a_terminal_are_refused(corpus: Path, tmp_path: Path, name: str) -> None:
    settings = sweeps.compose(["scale=smoke"])[0]
    with pytest.raises(UserError, match=r"model\.name"):
        checked(OmegaConf.structured(replace(settings, model=replace(settings.model, name=name))))


def test_a_document_whose_name_would_control_a_terminal_is_spelled_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a\x1b[31m[red]b.jsonl").write_text("{")
    ended, said = outcome(["scale=smoke", "corpus=local", f"corpus.path={folder}", f"data.path={tmp_path / 'data'}"])
    assert ended == "refused"
    assert r"a\x1b[31m[red]b.jsonl, line 1 is no JSON" in said

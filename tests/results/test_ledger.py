"""The ledger grows by runs and repeats itself to the byte."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stops import die, killed, left_long_ago

from analysis import reading
from repro import train
from repro.common.errors import UserError
from repro.planning import planner, sweeps
from repro.results import commands, ledger, rows
from repro.results.columns import TEXT
from repro.store import tables
from repro.store.store import Store


def slices(run: str, nll: float) -> list[dict[str, object]]:
    return [
        {"run": run, "version": version, "slice": 1, "nll": nll, "tokens": 10, "bytes": 30} for version in (1, 2, 10)
    ]


def test_rows_are_replaced_by_run_and_sorted_by_value(tmp_path: Path) -> None:
    path = tmp_path / "perplexity.csv"
    ledger._replace(tmp_path, {"perplexity": slices("bb", 1.5)})
    ledger._replace(tmp_path, {"perplexity": slices("aa", 2.5)})
    ledger._replace(tmp_path, {"perplexity": slices("bb", 0.1)})
    assert [row[:2] + row[3:4] for row in ledger.read(path, "perplexity")] == [
        ["aa", "1", "2.5"],
        ["aa", "2", "2.5"],
        ["aa", "10", "2.5"],
        ["bb", "1", "0.1"],
        ["bb", "2", "0.1"],
        ["bb", "10", "0.1"],
    ]


def test_writing_the_same_rows_again_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "perplexity.csv"
    ledger._replace(tmp_path, {"perplexity": slices("aa", 1 / 3)})
    before = path.stat().st_mtime_ns, path.read_bytes()
    ledger._replace(tmp_path, {"perplexity": slices("aa", 1 / 3)})
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert float(ledger.read(path, "perplexity")[0][3]) == 1 / 3


def test_a_run_can_belong_to_several_studies(tmp_path: Path) -> None:
    path = tmp_path / "studies.csv"
    for study in ("main", "headline", "main"):
        ledger._replace(tmp_path, {"studies": [{"study": study, "run": "aa"}]})
    assert ledger.read(path, "studies") == [["headline", "aa"], ["main", "aa"]]


def test_scores_of_one_version_leave_those_of_others_alone(tmp_path: Path) -> None:
    def scores(version: int, seed: object, value: float) -> list[dict[str, object]]:
        row = dict.fromkeys(ledger.COLUMNS["downstream"], "")
        return [row | {"run": "aa", "version": version, "finetune_seed": seed, "value": value}]

    for some in (scores(1, "", 0.1), scores(4, "", 0.2), scores(4, 0, 0.3), scores(4, 0, 0.4)):
        ledger._replace(tmp_path, {"downstream": some})
    kept = [(row[1], row[2], row[5]) for row in ledger.read(tmp_path / "downstream.csv", "downstream")]
    assert kept == [("1", "", "0.1"), ("4", "0", "0.4"), ("4", "", "0.2")]


def test_a_ledger_from_before_there_was_a_column_of_settings_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    columns = ledger.COLUMNS["runs"]
    row: dict[str, object] = {name: "" if name in TEXT["runs"] else "1" for name in columns}
    row |= {"run": "aa", "alpha": "0.6"}
    since = columns.index("settings")
    header, old = ",".join(columns[:since]), ",".join(map(str, list(row.values())[:since]))
    path.write_text(f"{header}\n{old}\n")
    ledger._replace(tmp_path, {"runs": [row | {"run": "bb", "settings": "branch=0.2"}]})
    assert [(line[0], line[since]) for line in ledger.read(path, "runs")] == [("aa", "alpha=0.6"), ("bb", "branch=0.2")]


def test_a_file_with_other_columns_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "perplexity.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"perplexity\.csv"):
        ledger._replace(tmp_path, {"perplexity": slices("aa", 1.0)})
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(("seed", "0.0"), ("max_lr", "high"), ("versions", "4.0"), ("max_lr", ""), ("tokens_per_step", "1e400")),
        *(("warmup_steps", "5 6"), ("steps_per_version", "5 x"), ("alpha", "half"), ("parameters", "1_000")),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_its_line(tmp_path: Path, column: str, cell: str) -> None:
    row = dict.fromkeys(ledger.COLUMNS["runs"], "1") | {"flops": ""}
    (tmp_path / "runs.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    assert ledger.read(tmp_path / "runs.csv", "runs") == [list(row.values())]
    row[column] = cell
    (tmp_path / "runs.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with pytest.raises(UserError, match=rf"runs\.csv, column {column}: .* \(line 2\)"):
        ledger.read(tmp_path / "runs.csv", "runs")
    with pytest.raises(UserError, match=rf"runs\.csv, column {column}: .* \(line 2\)"):
        reading._table(tmp_path / "runs.csv", "runs")  # reports refuse what the suite does


def test_a_write_that_is_cut_off_at_any_file_leaves_a_sound_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"perplexity": slices("aa", 1.0), "studies": [{"study": "main", "run": "aa"}]}
    write, left = tables.write_atomically, [0]

    def limited(path: Path, data: bytes) -> None:
        if left[0] == 0:
            raise UserError("full")
        left[0] -= 1
        write(path, data)

    monkeypatch.setattr(tables, "write_atomically", limited)
    for writes in range(4):
        folder = tmp_path / str(writes)
        folder.mkdir()
        left[0] = writes
        with pytest.raises(UserError, match="full"):
            ledger._replace(folder, rows)
        assert list(tables.damage(folder)) == []
        left[0] = 9
        ledger._replace(folder, rows)
        assert list(tables.damage(folder)) == []
        (folder / "studies.csv").unlink()
        assert [(path.name, reason) for path, reason in tables.damage(folder)] == [("studies.csv", "is missing")]


def test_runs_that_are_measured_or_called_otherwise_are_runs_of_their_own(smoke: Callable[..., list[str]]) -> None:
    """CPT over two versions is a two-stage run of two whole cycles; held-out blocks change no training."""
    given = smoke("stream.versions=2", "stream.steps_per_version=10", "schedule.warmup_steps=2")
    given += ["paradigm=cpt,two_stage", "paradigm.first_cycle=1", "stream.heldout_blocks=2,4"]
    tree = planner.make(sweeps.compose(given, multirun=True)).tree
    assert len(tree.runs) == 4
    assert tree.unique_steps == 20  # merged, whichever stream each run was opened with
    assert len({tuple(ends) for ends in tree.ends}) == 1

    train.main([*given, "-m"])
    folder = Path(tree.runs[0].settings.ledger.path)
    runs = {
        row[0]: dict(zip(ledger.COLUMNS["runs"], row, strict=True)) for row in ledger.read(folder / "runs.csv", "runs")
    }
    assert len(runs) == 4
    assert len({row["conditions"] for row in runs.values()}) == 2
    tokens = {run: int(count) for run, _, _, _, count, _ in ledger.read(folder / "perplexity.csv", "perplexity")}
    for run, row in runs.items():
        twin = [other for other in runs if runs[other]["paradigm"] == row["paradigm"] and other != run]
        assert len(twin) == 1
        assert tokens[run] in (2 * tokens[twin[0]], tokens[twin[0]] / 2)


def test_a_run_tells_its_optimizer_with_what_is_unusual_of_it(smoke: Callable[..., list[str]]) -> None:
    sweeps_of = {
        "paradigm=ptfs,schedule_free": {"adamw"},  # one that a recipe brings is the recipe's
        "optimizer=adamw,muon": {"adamw", "muon"},
        "optimizer.beta2=0.95,0.99": {"adamw", "adamw beta2=0.99"},
    }
    for sweep, told in sweeps_of.items():
        tree = planner.make(sweeps.compose(smoke(sweep), multirun=True)).tree
        assert {rows._run_row(tree, index)["optimizer"] for index in range(2)} == told


@pytest.mark.parametrize("copy", ["copy", "a copy", 'a copy, (2) [x]="1"\'\\$'])
def test_a_ledger_that_was_copied_is_mended_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    usual, named, copied = tmp_path / "results" / "smoke" / "data", tmp_path / "named (1)", tmp_path / copy
    line = "python -m repro.train study=main scale=smoke"
    for folder, typed in ((usual, line), (named, f"{line} 'ledger.path=\"named (1)\"'")):
        folder.mkdir(parents=True)
        commands.record(folder, {"main": {"a": {"train": typed}}})
        assert commands.mending(folder) == typed
        shutil.copytree(folder, copied)
        words = shlex.split(commands.mending(copied))
        assert words[:-1] == shlex.split(typed)
        (asked,) = sweeps.compose(["scale=smoke", *words[-1:]])
        assert asked.ledger.path == str(copied)
        shutil.rmtree(copied)


def test_what_a_killed_write_left_goes_once_nobody_can_be_writing_it(
    smoke: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = smoke("paradigm=cpt", "stream.versions=1", "stream.steps_per_version=10")
    train.main(given)
    plan, store, folder = planner.make(sweeps.compose(given)), Store(tmp_path / "store"), tmp_path / "ledger"
    whole = {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("repro.common.disk.sync", die)
        killed(lambda: ledger.write(plan, store))
    (left,) = folder.glob(".SHA256SUMS.*")
    (folder / ".mine").touch()
    ledger.write(plan, store)
    assert left.exists(), "another machine may be writing it, whose locks do not reach here"
    for path in (left, folder / ".mine"):
        left_long_ago(path)
    ledger.write(plan, store)
    assert {path.name for path in folder.iterdir()} == {*whole, ".mine"}

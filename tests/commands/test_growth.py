"""Updating a model as data arrive: releases that come one at a time, or several, are all of them at once."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from dumps import dump

from analysis import reading
from repro import plan, prepare, train
from repro.config.registries import RECIPES
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.results import growth, ledger, rows
from repro.store.store import Store

Overrides = Callable[..., list[str]]
LENGTHS = (10, 20, 5, 30, 10)


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    for release, count in enumerate((16, 30, 9, 45, 16), start=1):
        dump(tmp_path / "dumps", release, count)
    return tmp_path / "dumps"


def asked(place: Path, dumps: Path, versions: int) -> list[str]:
    steps = ",".join(map(str, LENGTHS[:versions]))
    return [
        *("scale=smoke", "corpus=releases", f"corpus.path={dumps}", f"stream.versions={versions}"),
        *(f"stream.steps_per_version=[{steps}]", "schedule.warmup_steps=2", "stream.heldout_blocks=4"),
        *("paradigm=path_switching,cpt,ptfs", "-m", "hydra/launcher=basic", f"store.path={place / 'store'}"),
        *(f"data.path={place / 'data'}", f"ledger.path={place / 'ledger'}"),
    ]


def planned(arguments: list[str]) -> dict[str, int]:
    summary = make(compose([each for each in arguments if each != "-m"], multirun=True)).summary()
    return {name: summary[name] for name in ("unique_steps", "stored_steps")}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def test_growing_from_one_release_to_five_is_training_five_at_once(dumps: Path, tmp_path: Path) -> None:
    unique = 0
    for versions in (1, 2, 5):  # one more, and several at once
        given = asked(tmp_path / "grown", dumps, versions)
        before = planned(given)
        assert before["stored_steps"] == unique
        train.main(given)
        after = planned(given)
        unique = after["unique_steps"]
        assert after["stored_steps"] == unique > before["stored_steps"]
    once = asked(tmp_path / "once", dumps, 5)
    train.main(once)
    assert planned(once)["unique_steps"] == unique
    assert files(tmp_path / "grown" / "ledger") == files(tmp_path / "once" / "ledger")
    stores = [Store(tmp_path / name / "store").steps() for name in ("grown", "once")]
    assert stores[1].items() <= stores[0].items()
    texts = files(tmp_path / "once" / "ledger")
    assert b"10 20 5 30 10" in texts["runs.csv"]
    assert b"releases dumps" in texts["runs.csv"]
    assert texts["runs.csv"].count(b"\n") == 1 + 3
    assert set(reading._table(tmp_path / "once" / "ledger" / "runs.csv", "runs")["steps_per_version"]) == {15.0}


def test_scores_of_a_version_stay_when_the_run_has_grown(dumps: Path, tmp_path: Path) -> None:
    """They are of the same checkpoint, whichever run it is the version of by then."""
    folder = tmp_path / "ledger"

    def score(run: str, version: int, value: float) -> None:
        row = {"run": run, "version": version, "finetune_seed": 0, "task": "a", "metric": "acc", "value": value}
        row |= {"stderr": 0.1, "chance": 0.25, "items": 9, "gold_bits_per_byte": 1.0, "lm_eval": "0"}
        ledger._replace(folder, {"downstream": [row]})

    def ids() -> dict[int, str]:
        with (folder / "runs.csv").open(newline="") as file:
            return {int(row["versions"]): row["run"] for row in csv.DictReader(file)}

    def scores() -> set[tuple[str, str, str]]:
        with (folder / "downstream.csv").open(newline="") as file:
            return {(row["run"], row["version"], row["value"]) for row in csv.DictReader(file)}

    def grow(versions: int) -> str:
        given = [each for each in asked(tmp_path, dumps, versions) if not each.startswith("paradigm=")]
        train.main([*given, "paradigm=cpt"])
        assert ids().keys() == {versions}
        return ids()[versions]

    first = grow(1)
    score(first, 1, 0.5)
    second = grow(2)
    assert scores() == {(second, "1", "0.5")}
    score(second, 2, 0.75)
    third = grow(3)
    assert scores() == {(third, "1", "0.5"), (third, "2", "0.75")}


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES.find(name).__module__.startswith("repro.")])
def test_whatever_follows_a_runs_length_keeps_no_run_from_having_grown(name: str, smoke: Overrides) -> None:
    """Of every recipe: as `growth.outgrown` compares them, a run and what it grows into are alike."""
    given = [f"paradigm={name}", "stream=dealt", "schedule.warmup_steps=2", "stream.global_batch_size=4"]
    given += ["paradigm.intermediate_before=40", "paradigm.grow_at=3"] if name == "grow" else []
    short, long = (
        rows._run_row(make(compose(smoke(*given, f"stream.versions={versions}"))).tree, 0) for versions in (2, 4)
    )
    assert {column for column in short if short[column] != long[column]} <= growth.FOLLOWS_LENGTH


def test_a_model_that_grows_at_a_later_release_stays_one_run(dumps: Path, tmp_path: Path) -> None:
    for versions in (1, 3):
        given = [each for each in asked(tmp_path, dumps, versions) if not each.startswith("paradigm=")]
        train.main([*given, "paradigm=grow", "paradigm.grow_at=2", "paradigm.intermediate_before=40"])
    with (tmp_path / "ledger" / "runs.csv").open(newline="") as file:
        assert [row["versions"] for row in csv.DictReader(file)] == ["3"]


def test_auto_uses_each_release_once_and_the_plan_says_what_is_left_over(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each for each in asked(tmp_path, dumps, 5) if not each.startswith("stream.steps_per_version")]
    given += ["stream.steps_per_version=auto", "schedule=cosine,knee"]
    plan.main([*given, "output=json"])
    summary = json.loads(capsys.readouterr().out)
    rows = summary["left_over"]
    assert [row["version"] for row in rows] == [1, 2, 3, 4, 5]
    # alpha is 3/5 and Knee's half of it 3/10: multiples of 10
    assert all(row["steps"] % 10 == 0 and 0 <= row["unused_blocks"] < 10 * 4 for row in rows)
    assert len({row["steps"] for row in rows}) > 2
    plan.main(given)
    assert "left over, version 3" in capsys.readouterr().out
    plan.main([*(each for each in given if not each.startswith("stream.versions")), "stream.versions=4", "output=json"])
    told = capsys.readouterr()
    shorter = json.loads(told.out)["left_over"]
    assert [row["steps"] for row in shorter] == [row["steps"] for row in rows[:4]]
    assert "has 5 releases" not in told.err  # nothing is prepared


def test_who_trains_on_a_part_of_a_release_is_told_so_once(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each for each in asked(tmp_path, dumps, 2) if "," not in each] + ["paradigm=path_switching"]
    said = "note: of version 2's new text, "
    train.main([*given, "stream.steps_per_version=10"])
    told = capsys.readouterr().err
    assert re.search(rf"{said}[\d,]+ blocks \(\d+%\) after 10 steps stay unread", told)
    assert "of version 1's" not in told
    train.main([*given, "stream.steps_per_version=10"])
    assert said not in capsys.readouterr().err, "nothing is trained"
    train.main([*given, "stream.steps_per_version=auto"])
    assert said not in capsys.readouterr().err


def test_prepare_tells_what_was_left_out(dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dumps / "dump-2" / "again.txt").write_text((dumps / "dump-1" / "deep" / "0.txt").read_text("utf-8-sig"))
    given = [each for each in asked(tmp_path, dumps, 2) if "," not in each] + ["stream.steps_per_version=10"]
    prepare.main(given)
    captured = capsys.readouterr()
    told = captured.out
    assert "has 5 releases, of which the first stream.versions=2 are used" in captured.err
    assert "unit 2: 30 documents" in told
    assert "1 copies of earlier versions' documents" in told

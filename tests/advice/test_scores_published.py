"""The scored tables of docs/advice.md are what the committed ledgers say of the committed predictions."""

import contextlib
import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from repro import advise
from repro.advice import evidence, laws, records
from repro.advice.candidates import same
from repro.advice.laws import Parameter
from repro.common.disk import read_document
from repro.common.errors import UserError
from tests.advice import backtest, lengths
from tests.advice.backtest import LEDGERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "advice.md"


def row(name: str, told: dict) -> list[list[str]]:
    """Lines of the page's table for one record."""
    lines = []
    for summary in (told["summary"], told["summary"]["updates"]):
        if not summary["predictions"]:
            continue
        rank = "" if told["rank_correlation"] is None else f"{told['rank_correlation']:.2f}"
        regret = "" if told["regret_percent"] is None else f"{told['regret_percent']:.2f}"
        lines.append(
            [f"`{name}`", "all" if summary is told["summary"] else "updates in range", str(summary["predictions"]),
             f"{summary['median_error_percent']:.2f}", f"{summary['worst_error_percent']:.2f}",
             f"{100 * summary['coverage']:.0f}", rank, regret]
        )  # fmt: skip
    return lines


def scored(name: str) -> list[list[str]]:
    """Of every record that the ledger can tell about by now."""
    folder = LEDGERS[name]
    cells, lines = evidence.read(folder), []
    for path in sorted((folder / evidence.PREDICTIONS).glob("*.json")):
        with contextlib.suppress(UserError):
            lines += row(f"{name}/{path.stem}", records.score(path, cells))
    return lines


@pytest.mark.parametrize("name", LEDGERS)
def test_the_page_shows_every_prediction_as_it_came_out(name: str) -> None:
    shown = re.findall(rf"^\| (`{name}/.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert [[cell.strip() for cell in line.split("|")] for line in shown] == scored(name)
    assert shown


SINCE = ("main_from_alpha", "frontier_from_alpha", "multi_step_from_main", "versions_from_alpha",
         "next_size_from_ladder", "length_500_from_ladder", "length_1000_from_ladder",
         "unequal_from_frontier", "maximum_0.002_from_rates", "maximum_0.0056_from_rates",
         "branch_from_all", "branch_floor_from_all", "branch_by_power", "branch_floor_by_power",
         "sqrt_from_branch")  # fmt: skip
"""Records with the intervals of 27 November 2026."""
WORDS = {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen",
         17: "seventeen", 18: "eighteen"}  # fmt: skip


def test_the_page_says_whether_the_bar_is_met_as_advice_is_now() -> None:
    lines = [re.split(r" *\| *", line) for line in PAGE.read_text().splitlines() if line.startswith("| `proxy/")]
    mine = [each for each in lines if each[1].strip("`").removeprefix("proxy/") in SINCE]
    every = [each for each in mine if each[2] == "all"]
    assert len(every) == len(SINCE)
    held = sum(round(int(each[3]) * int(each[6]) / 100) for each in every)
    n = sum(int(each[3]) for each in every)
    medians = {each[1].strip("`"): float(each[4]) for each in mine if each[2] == "updates in range"}
    failed = medians.pop("proxy/sqrt_from_branch")
    inside = list(medians.values())
    worst = max(float(each[8]) for each in every if each[8])
    text = " ".join(PAGE.read_text().split())
    assert f"the {WORDS[len(SINCE)]} records since" in text
    assert f"{min(inside):.2f} to {max(inside):.2f} % in the median in range but for the last" in text
    assert f"which has {failed:.2f} %; {held} of {n} intervals held" in text
    assert f"not by `sqrt_from_branch` ({failed:.2f})" in text
    assert f"({100 * held / n:.0f} %), regret at most {worst:.2f}." in text
    assert max(inside) <= 1
    assert 0.8 <= held / n <= 0.97
    beyond = [each[1].strip("`").removeprefix("proxy/") for each in every if each[8] and float(each[8]) > 0.5]
    assert f"regret is above the bar in {', '.join(f'`{name}`' for name in beyond)}." in text


def test_the_page_says_what_became_of_the_advice() -> None:
    with (ROOT / "paper_figures/proxy/tables/advice.csv").open(newline="") as file:
        (one,) = (each for each in csv.DictReader(file) if each["recipe"] == "path_switching_a1, multi_step")
    assert one["basis"] == "measured"
    over, low, high = (float(one[name]) for name in ("ppl_over_retraining_percent", "low", "high"))
    came = f"Four seeds came to {over:+.1f} % [{low:+.1f}, {high:+.1f}]"
    text = " ".join(PAGE.read_text().split())
    assert f"of PTFS's PPL at {100 * float(one['cost']):.0f} % of its cost. {came}" in text


def test_the_page_counts_every_set_against_the_bar_for_the_median_error() -> None:
    lines = [re.split(r" *\| *", line) for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    every = {each[1].strip("`"): float(each[4]) for each in lines if len(each) > 4 and each[2] == "updates in range"}
    met = [error for error in every.values() if error <= 1]
    text = " ".join(PAGE.read_text().split())
    said = (
        f"met for updates in {WORDS[len(met)]} of {WORDS[len(every)]} sets ({min(met):.2f} to {max(met):.2f}); not by"
    )
    assert said in text
    for name, error in every.items():
        if error > 1:
            assert re.search(rf"`{name.split('/')[1 if name.startswith('proxy') else 0]}` \({error:.2f}", text), name


def test_the_page_says_what_the_pilot_alone_would_have_advised() -> None:
    told = json.loads((ROOT / "paper_figures/proxy/data/advice.json").read_text())["content"]
    agreed, rows = told["agreement"], {each["name"]: each for each in told["recipes"]}
    ratio = rows[agreed["decision"]]["cost"] / rows["schedule_free, cosine"]["cost"]
    text = " ".join(PAGE.read_text().split())
    assert f"alone `{agreed['decision']}` would have been advised: {agreed['worse_percent']:.1f} % of PPL above" in text
    assert f"there, and {ratio:.1f} times its cost" in text
    steps = f"{told['pilot']['steps']:,} steps, where retraining all four versions once takes"
    assert f"{steps} {rows['ptfs, cosine']['steps']:,}" in text


def test_the_page_says_by_which_power_rates_count_and_what_the_law_misses() -> None:
    law = json.loads((ROOT / "paper_figures/proxy/data/advice.json").read_text())["content"]["law"]
    power = law["parameters"]["power"]
    text = " ".join(PAGE.read_text().split())
    assert "on `proxy` it is {value:.2f} [{low:.2f}, {high:.2f}]".format(**power) in text
    (ptfs,) = (
        each["errors_percent"][3]
        for each in law["left_out"]
        if each["cell"].startswith("ptfs order=mixed curve=cycle, cosine") and each["steps_per_version"] == "2000"
    )
    assert f"misses the fourth version of PTFS under a cosine by {abs(ptfs):.1f} % of PPL" in text
    assert f"with which it is {law['errors'][law['name']]['rms']:.1f} %" in text


WITH_POWER = ("branch_by_power", "branch_floor_by_power")
WITHOUT = ("branch_from_all", "branch_floor_from_all")


def updates(records_: Sequence[Path]) -> list[dict]:
    """How predictions came out for versions from 2 on of branches of alpha 0.4."""
    cells = evidence.read(LEDGERS["proxy"])
    rows = [each for path in records_ for each in records.score(path, cells)["rows"]]
    return [each for each in rows if "path_switching_a0.4" in each["recipe"] and each["version"] > 1]


def missed(rows: Sequence[dict]) -> str:
    return f"{np.median([abs(each['error_percent']) for each in rows]):.2f} %"


def test_the_page_says_what_the_power_foretold() -> None:
    folder = LEDGERS["proxy"] / evidence.PREDICTIONS
    power, without = (updates([folder / f"{name}.json" for name in names]) for names in (WITH_POWER, WITHOUT))
    assert len(power) == len(without) == 21
    assert all(each["covered"] for each in power)
    for page in (PAGE, ROOT / "docs" / "protocol.md"):
        text = " ".join(page.read_text().split())
        for said in (missed(power), missed(without)):
            assert said in text.partition("was put into")[2]
    text = " ".join(PAGE.read_text().split())
    assert f"its 21 updates are missed by {missed(power)} in the median and all intervals held" in text
    assert f"the records without it miss them by {missed(without)}" in text


@pytest.mark.slow
def test_the_page_says_what_a_power_of_one_would_have_foretold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the ledger without what was predicted. Fits end elsewhere on another processor."""
    every = evidence.read(LEDGERS["proxy"])
    asked = {
        "schedule=linear,sqrt,exponential": "schedule.min_lr=0,0.0004",
        "schedule=cosine": "schedule.min_lr=0",
    }
    told = [
        row
        for name in WITH_POWER
        for row in read_document(LEDGERS["proxy"] / evidence.PREDICTIONS / f"{name}.json")["predictions"]
    ]
    before = [cell for cell in every if not any(same(row["about"], dict(cell.about)) for row in told)]
    assert len(before) == len(every) - 7
    paths = []
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "read", lambda folder: before)
        patch.setattr(laws, "POWER", Parameter("power", 1.0, 0.999, 1.001, log=False))
        for number, (schedules, floors) in enumerate(asked.items()):
            paths.append(tmp_path / f"{number}.json")
            words = ["scale=proxy", f"ledger.path={LEDGERS['proxy']}", "-m", "paradigm=path_switching"]
            advise.main([*words, "paradigm.alpha=0.4", schedules, floors, f"record={paths[-1]}"])
    (said,) = re.findall(r"known by then with a power of 1, it is ([\d.]+) %", " ".join(PAGE.read_text().split()))
    assert float(missed(updates(paths)).removesuffix(" %")) == pytest.approx(float(said), abs=0.1)


@pytest.mark.slow
def test_the_page_shows_what_the_length_of_a_pilot_is_worth() -> None:
    text = PAGE.read_text()
    for line in lengths.lines():
        assert line in text, line


@pytest.mark.slow
def test_the_page_shows_how_often_intervals_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """What is counted is the same everywhere; fits stop early, and end elsewhere on another processor."""
    backtest.main()
    shown = {cells[:3]: cells[3:] for cells in _cells(PAGE.read_text())}
    counted = [cells for cells in _cells(capsys.readouterr().out) if re.match(r"`|0\.", cells[0])]
    assert len(counted) > 2 * len(LEDGERS)
    for cells in counted:
        assert cells[:3] in shown
        for number, published, near in zip(cells[3:], shown[cells[:3]], (0.15, 0.3, 3), strict=False):
            assert float(number) == pytest.approx(float(published), abs=near)


def _cells(text: str) -> list[tuple[str, ...]]:
    """Of the rows of a page's tables."""
    return [tuple(line.strip("| ").split(" | ")) for line in text.splitlines() if line.startswith("| ")]


if __name__ == "__main__":
    for each in LEDGERS:
        for line in scored(each):
            print(f"| {' | '.join(line)} |")

"""The ladder's trend and extrapolation, and the tasks that separate, on ledgers whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import Synthetic, build, read, write

from analysis.contrasts import CPT, SWITCH
from analysis.figures.ladder import ladder as figure
from analysis.frames import load
from analysis.ladder import PAPER, Rung, rungs, trend
from analysis.report import build as build_report
from analysis.tables.ladder import ladder
from analysis.tables.scale import scale
from analysis.tables.tasks import tasks
from analysis.verdicts import judge

SIZES = {"small": (1e4, 50), "middle": (1e5, 100), "large": (1e6, 200)}


def sweep() -> list[dict[str, str]]:
    return [
        {"size": size, "parameters": f"{count:.0f}", "steps_per_version": str(steps), "paradigm": paradigm}
        for size, (count, steps) in SIZES.items()
        for paradigm in ("ptfs", "cpt", "path_switching")
    ]


def test_the_ladder_shows_every_size_and_marks_what_is_extrapolated(tmp_path: Path) -> None:
    build(tmp_path, ["ladder"], Synthetic(gap=0.02, recovered=0.9, noise=0.0), sweep=sweep())
    view = load(tmp_path, "synthetic").primary()
    table = ladder(view)
    assert table is not None
    data = table.data[table.data["reference"] == "ptfs"]
    assert list(data["kind"]) == ["measured"] * 3 + ["a tenfold", "extrapolated"]
    shown = data[data["kind"] != "a tenfold"]
    assert shown["recovered_share"].to_numpy() == pytest.approx(0.9, abs=1e-6)
    assert shown["cpt_above_nats"].to_numpy() == pytest.approx(0.02 * 3, abs=1e-6)
    assert data["path_switching_above_nats"].iloc[3] == pytest.approx(0, abs=1e-9)
    assert any("EXTRAPOLATED" in cell for row in table.rows for cell in row)
    assert "not a measurement" in table.caption
    assert figure(view) is not None


@pytest.mark.usefixtures("undrawn")
def test_a_ladder_on_a_text_of_its_own_is_where_g2_is_judged(tmp_path: Path) -> None:
    build(tmp_path, ["main"])
    elsewhere = {"corpus": "large", "conditions": "1a59e000"}
    build(tmp_path, ["ladder"], Synthetic(recovered=1.0, noise=1e-5, setting=elsewhere), sweep=sweep())
    view = load(tmp_path, "synthetic").primary()
    assert "ladder" not in view.ran
    judged = {one.claim.id: one for one in judge(view)}
    assert judged["G2"].view.setting["corpus"] == "large"
    assert judged["G2"].verdict == "reproduced"
    assert len([part for part in judged["G2"].parts if "version 4" in part.what and part.role == "decides"]) > 3
    assert judged["P1"].view is view
    page = build_report("synthetic", tmp_path).with_suffix(".md").read_text()
    assert "| G2 " in page.partition("Another setting: corpus=large")[0]
    assert (tmp_path / "synthetic/tables/ladder_setting2.csv").is_file()


def test_a_trend_is_one_line_for_each_seed_and_extrapolates_what_it_says() -> None:
    def rung(parameters: float, seeds: list[int]) -> Rung:
        octaves = np.log10(parameters)
        cpt = pd.Series({seed: 0.01 * octaves + 0.1 * seed for seed in seeds})
        return Rung("any", parameters, 100, 9, cpt, pd.Series(dict.fromkeys(seeds, 0.002 * octaves)))

    line = trend([rung(1e4, [0, 1]), rung(1e5, [0, 1]), rung(1e6, [0])], 1e9)
    assert line is not None
    assert line.slope[CPT].to_dict() == pytest.approx({0: 0.01})
    assert line.there[SWITCH].to_dict() == pytest.approx({0: 0.018})
    assert trend([rung(1e4, [0])]) is None
    assert trend([rung(1e4, [0]), rung(1e5, [1])]) is None
    assert PAPER == 1.2e9


def test_the_ladder_pairs_with_each_order_of_ptfs(tmp_path: Path) -> None:
    world = Synthetic(noise=0.0)
    build(tmp_path, ["ladder"], world, sweep=sweep())
    twins = [one | {"order": "arrival"} for one in sweep() if one["paradigm"] == "ptfs"]
    build(tmp_path, ["ladder"], replace(world, gap=0.03), sweep=twins)
    view = load(tmp_path, "synthetic").primary()
    assert len(rungs(view, "cosine")) == 3
    table = ladder(view)
    assert table is not None
    assert list(dict.fromkeys(table.data["reference"])) == ["ptfs", "ptfs, order=arrival"]


def test_a_task_is_judged_where_pretraining_helps_and_not_elsewhere(tmp_path: Path) -> None:
    folder = build(tmp_path, ["downstream"])
    rows = read(folder / "downstream.csv")
    ptfs = {row["run"] for row in read(folder / "runs.csv") if row["paradigm"] == "ptfs"}
    noise = np.random.default_rng(0)
    for row in rows:
        gain = 0.05 * int(row["version"]) if row["task"] == "sentiment" else 0.0
        row["gold_bits_per_byte"] = 2 - gain + noise.normal(0, 0.01)
    untrained = [
        row | {"version": "0", "gold_bits_per_byte": 2 + noise.normal(0, 0.01)}
        for row in rows
        if row["version"] == "1" and row["run"] in ptfs
    ]
    write(folder / "downstream.csv", [*rows, *untrained])
    table = tasks(load(tmp_path, "synthetic").primary())
    assert table is not None
    judged = dict(zip(table.data["task"], table.data["judged"], strict=True))
    assert judged["sentiment"]
    assert sum(judged.values()) < 4
    assert table.data.set_index("task")["pretraining_bits_over_noise"]["sentiment"] > 3


def test_version_1s_table_gives_what_its_decay_gains(tmp_path: Path) -> None:
    rates = [{"max_lr": f"{rate:g}", "min_lr": f"{rate / 10:g}"} for rate in (0.002, 0.004)]
    cells = [{"paradigm": paradigm, **rate} for paradigm in ("ptfs", "trunk") for rate in rates]
    build(tmp_path, ["rates"], Synthetic(noise=0.0), sweep=cells)
    table = scale(load(tmp_path, "synthetic").primary())
    assert table is not None
    data = table.data.set_index("max_lr")
    assert data["decay_gain_nats"].to_numpy() == pytest.approx(0.1, abs=1e-9)  # the ledger's formula for a trunk
    assert data["above_best_nats"].to_dict() == pytest.approx({0.002: 0.03, 0.004: 0.0}, abs=1e-9)


def test_d1_is_judged_where_it_was_fine_tuned_and_under_the_schedules_there(tmp_path: Path) -> None:
    """The largest model of a ladder has a text, a size and a T of its own, and a cosine."""
    build(tmp_path, ["main"])
    elsewhere = {"corpus": "large", "conditions": "1a59e000", "size": "large", "parameters": "1000000"}
    cosine = [{"paradigm": paradigm} for paradigm in ("ptfs", "cpt", "path_switching")]
    build(tmp_path, ["downstream"], Synthetic(setting=elsewhere), sweep=cosine)
    primary, other = load(tmp_path, "synthetic").views
    (one,) = (one for one in judge(primary) if one.claim.id == "D1")
    assert one.view.setting == other.setting
    assert one.verdict == "reproduced"

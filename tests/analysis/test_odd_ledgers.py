"""Runs that somebody adds to a study, of another length, rate or schedule: what is compared stays of one kind.

Each of these had ended in an error, or had been taken for what it stands beside.
"""

from pathlib import Path

import numpy as np
import pytest
from ledgers import Synthetic, build, read, rewrite, write

from analysis import frontiers
from analysis.claims.downstream import BITS, by_version, gained
from analysis.components import components
from analysis.contrasts import downstream_scores, downstream_shared, forgetting_matrix, two_stage
from analysis.figures.stages import FIRST_STAGE, SECOND_STAGE
from analysis.findings.ledger import missing
from analysis.frames import View, load
from analysis.ladder import rungs
from analysis.registries import Plot
from analysis.tables.scale import scale
from analysis.tables.stages import stages
from analysis.tables.tasks import tasks
from analysis.verdicts import judge

THREE = ("ptfs", "cpt", "path_switching")


def view(root: Path) -> View:
    return load(root, "synthetic").primary()


@pytest.mark.parametrize("study", ["first_stage", "second_stage"])
def test_a_two_stage_study_is_of_one_schedule(tmp_path: Path, study: str) -> None:
    build(tmp_path, [study])
    before = two_stage(view(tmp_path), study, 2), stages(view(tmp_path), study)
    build(tmp_path, [study], Synthetic(seeds=(3,), setting={"schedule": "linear"}))
    after = two_stage(view(tmp_path), study, 2), stages(view(tmp_path), study)
    assert after[0].equals(before[0])
    assert before[1] is not None
    assert after[1] is not None
    assert after[1].rows == before[1].rows


@pytest.mark.parametrize("plot", [FIRST_STAGE, SECOND_STAGE])
def test_rates_that_a_figure_of_stages_draws_are_of_the_runs_that_it_measures(tmp_path: Path, plot: Plot) -> None:
    folder = build(tmp_path, [plot.name], Synthetic(seeds=(1, 2)))
    known = {row["run"] for row in read(folder / "runs.csv")}
    build(tmp_path, [plot.name], Synthetic(seeds=(0,), setting={"schedule": "linear"}))
    rewrite(folder / "curves.csv", lambda row: row.update({} if row["run"] in known else {"lr": "9"}))
    figure = plot.make(view(tmp_path))
    assert figure is not None
    assert max(mark.rows["y"].max() for mark in figure.marks if mark.kind == "line") < 9


@pytest.mark.parametrize("other", [{"steps_per_version": "60"}, {"warmup_steps": "20"}])
def test_a_size_of_the_ladder_at_a_second_length_or_warm_up_is_one_rung(tmp_path: Path, other: dict[str, str]) -> None:
    build(tmp_path, ["main", "ladder"])
    rows = [{"size": "small", "parameters": "10000", "paradigm": paradigm, **other} for paradigm in THREE]
    before = [rung.cpt.tolist() for rung in rungs(view(tmp_path), "cosine")]
    build(tmp_path, ["ladder"], Synthetic(seeds=(0, 1)), sweep=[{"steps_per_version": "50"} | row for row in rows])
    assert [rung.cpt.tolist() for rung in rungs(view(tmp_path), "cosine")] == before
    (one,) = (one for one in judge(view(tmp_path)) if one.claim.id == "G2" and not one.reading and not one.beside)
    assert any(part.what.startswith("growth of path switching's distance") for part in one.parts)


def test_crossed_cuts_are_of_as_many_versions_as_most(tmp_path: Path) -> None:
    build(tmp_path, ["components"], Synthetic(seeds=(10, 11)))
    before = components(view(tmp_path))
    longer = [{"paradigm": p, "versions": "3", "split_seed": "0", "conditions": "k0"} for p in THREE]
    build(tmp_path, ["components"], Synthetic(seeds=(10,)), sweep=longer)
    assert components(view(tmp_path)) == before


def test_the_next_update_is_of_nothing_but_updates(tmp_path: Path) -> None:
    build(tmp_path, ["plasticity"])
    before = frontiers.updates(view(tmp_path), "cosine")
    build(tmp_path, ["plasticity"], Synthetic(seeds=(0, 1), setting={"carry_optimizer": "False"}))
    assert frontiers.updates(view(tmp_path), "cosine").equals(before)


def test_an_update_that_was_stopped_at_version_2_is_not_finished(tmp_path: Path) -> None:
    """As many versions as there are releases: of two stages there are two in any setting, and of updates of them."""
    cells = [{"paradigm": "updated", "settings": f"of={name}"} for name in ("cpt", "path_switching", "two_stage")]
    folder = build(tmp_path, ["plasticity"], Synthetic(seeds=(0,)), sweep=cells)
    rewrite(folder / "runs.csv", lambda row: row.update(versions="2") if row["settings"] == "of=two_stage" else None)
    stopped = {row["run"] for row in read(folder / "runs.csv") if row["settings"] != "of=path_switching"}
    for name in ("versions", "perplexity", "curves", "paths"):
        rows = read(folder / f"{name}.csv")
        write(folder / f"{name}.csv", [row for row in rows if row["run"] not in stopped or row["version"] in "12"])
    at = view(tmp_path)
    assert [note for note in missing(at) if note.startswith("plasticity: 1 of 3 runs are not finished")]
    assert set(at.runs("plasticity")["settings"]) == {"of=cpt", "of=path_switching", "of=two_stage"}


def test_whether_the_optimizer_was_carried_tells_runs_apart_where_it_makes_a_difference(tmp_path: Path) -> None:
    """PTFS has nothing to carry, but for its control with path switching's curve, whose branch may be reset."""
    curve = {"paradigm": "ptfs", "settings": "order=mixed curve=path_switching alpha=0.6 branch=decay"}
    for carried, seeds in (("True", (0, 1)), ("False", (0, 1))):
        setting = {"carry_optimizer": carried}
        build(tmp_path, ["main"], Synthetic(seeds=seeds, setting=setting), sweep=[{"paradigm": "ptfs"}, curve])
    runs = view(tmp_path).runs("main")
    counts = runs.groupby("paradigm").size()
    assert counts["ptfs"] == 2
    assert sorted(counts.index)[1:] == [
        "ptfs, curve=path_switching", "ptfs, curve=path_switching, carry_optimizer=false",
    ]  # fmt: skip


def test_maxima_are_compared_within_seeds(tmp_path: Path) -> None:
    """One seed is much harder than the others, and diverged at the highest maximum, which is no better for that."""
    rates = [{"max_lr": f"{rate:g}", "min_lr": f"{rate / 10:g}"} for rate in (0.002, 0.004, 0.008, 0.016)]
    cells = [{"paradigm": "ptfs", **rate} for rate in rates]
    folder = build(tmp_path, ["rates"], Synthetic(noise=0.0), sweep=cells)
    runs = {row["run"]: row for row in read(folder / "runs.csv")}

    def change(row: dict[str, str]) -> None:
        run = runs[row["run"]]
        if run["seed"] == "1":
            row["nll"] = str(float(row["nll"]) + 1000)
        if run["max_lr"] == "0.016" or (run["max_lr"], run["seed"]) == ("0.008", "1"):
            row["nll"] = "nan"

    rewrite(folder / "perplexity.csv", change)
    table = scale(view(tmp_path))
    assert table is not None
    above = dict(zip(table.data["max_lr"], table.data["above_best_nats"], strict=True))
    assert above[0.004] == 0
    assert (above[0.002], above[0.008]) == pytest.approx((0.03, 0.03), abs=1e-9)
    assert table.rows[-1][:3] == ["0.016", "diverged", ""]
    assert table.rows[-2][-1] == "2"


def test_forgetting_is_shown_over_the_seeds_that_came_to_the_last_version(tmp_path: Path) -> None:
    folder = build(tmp_path, ["main"], Synthetic(noise=0.0))
    whole = forgetting_matrix(view(tmp_path), "cpt")
    runs = {row["run"]: row for row in read(folder / "runs.csv")}
    rows = [
        row
        for row in read(folder / "perplexity.csv")
        if (runs[row["run"]]["paradigm"], runs[row["run"]]["seed"], row["version"]) != ("cpt", "2", "4")
    ]
    write(folder / "perplexity.csv", rows)
    found = forgetting_matrix(view(tmp_path), "cpt")
    assert whole is not None
    assert found is not None
    ratio = np.log(found / whole).to_numpy()
    assert np.ptp(ratio) == pytest.approx(0, abs=1e-9)  # the same two seeds in every cell
    assert abs(ratio[0, 0]) > 1e-4


def test_gains_after_fine_tuning_are_within_a_task_and_a_fine_tuning_seed(tmp_path: Path) -> None:
    """A second fine-tuning seed, by which everything needs a bit more, scored one version of one recipe alone."""
    folder = build(tmp_path, ["downstream"])
    scores = downstream_scores(view(tmp_path))
    before = gained(by_version(scores, BITS), 1, 4), downstream_shared(view(tmp_path), THREE, BITS)
    rows = read(folder / "downstream.csv")
    ptfs = {row["run"] for row in read(folder / "runs.csv") if row["paradigm"] == "ptfs"}
    harder = [
        row | {"finetune_seed": "1", "gold_bits_per_byte": float(row["gold_bits_per_byte"]) + 1}
        for row in rows
        if row["version"] == "4" and row["run"] in ptfs and row["task"] == "sentiment"
    ]
    write(folder / "downstream.csv", [*rows, *harder])
    scores = downstream_scores(view(tmp_path))
    assert gained(by_version(scores, BITS), 1, 4).equals(before[0])
    assert downstream_shared(view(tmp_path), THREE, BITS).equals(before[1])


def test_claims_are_judged_where_a_study_ran_at_an_unusual_setting_alone(tmp_path: Path) -> None:
    """With a run that diverged among them, the report had ended in an error."""
    build(tmp_path, ["main"])
    folder = build(tmp_path, ["first_stage"], Synthetic(setting={"max_lr": "0.002", "min_lr": "0.0002"}))
    runs = {row["run"]: row for row in read(folder / "runs.csv")}

    def diverge(row: dict[str, str]) -> None:
        run = runs[row["run"]]
        if (run["paradigm"], run["seed"], run["first_cycle"]) == ("two_stage", "1", "4"):
            row["nll"] = "nan"

    rewrite(folder / "perplexity.csv", diverge)
    found = {one.claim.id: one for one in judge(view(tmp_path)) if not one.beside}
    assert [part.seeds for part in found["S1"].parts] == [(0, 2)] * len(found["S1"].parts)
    assert "1 run diverged" in found["S1"].reason


def test_most_runs_decide_under_which_schedule_a_two_stage_study_is_read(tmp_path: Path) -> None:
    build(tmp_path, ["second_stage"], Synthetic(setting={"schedule": "knee"}))
    stray = [{"paradigm": "two_stage", "first_cycle": "endless", "second_cycle": "1"}]
    build(tmp_path, ["second_stage"], Synthetic(seeds=(0,)), sweep=stray)
    assert len(two_stage(view(tmp_path), "second_stage", 2)) == 3


def test_a_control_that_was_fine_tuned_otherwise_separates_nothing_and_that_is_said(tmp_path: Path) -> None:
    folder = build(tmp_path, ["downstream"])
    rows = read(folder / "downstream.csv")
    write(folder / "downstream.csv", [row | {"finetune_seed": "7"} if row["version"] == "0" else row for row in rows])
    (one,) = (one for one in judge(view(tmp_path)) if one.claim.id == "D1" and not one.beside)
    assert "no untrained model was fine-tuned as a control" in one.reason
    assert tasks(view(tmp_path)) is None

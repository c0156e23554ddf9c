"""The studies of every recipe, of rates, of the branch and of updates after fine-tuning; and comparisons that would
mislead: refused, left out or labelled."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import EVERY, SCHEDULES, Synthetic, build, read, rewrite, write

from analysis import contrasts, frontiers, names
from analysis.figures.costs import pareto
from analysis.findings.comparison import headline
from analysis.findings.frontier import frontier as beyond
from analysis.findings.future import future as updating
from analysis.findings.grow import grow as growing
from analysis.findings.ledger import missing
from analysis.frames import View, load
from analysis.rates import tried
from analysis.registries import CLAIMS
from analysis.tables import slices
from analysis.tables.branch import branch
from analysis.tables.comparison import by_version
from analysis.tables.frontier import plasticity, regrets
from analysis.tables.future import future, paired
from analysis.tables.grow import grow
from analysis.tables.rates import rates
from analysis.tables.shapes import same_shape
from analysis.tables.table import NOT_COMPARED
from repro.common.errors import UserError
from repro.config.registries import RECIPES

DECAYED = [recipe for recipe in EVERY if recipe != "trunk"]


def view(root: Path, *studies: str, synthetic: Synthetic | None = None) -> View:
    build(root, studies, synthetic)
    return load(root, "synthetic").primary()


def percent(nats: float) -> float:
    return 100 * float(np.expm1(nats))


def test_regret_is_measured_from_the_best_recipe_slice_by_slice(tmp_path: Path) -> None:
    """CPT forgets: 0.06 nats behind on average, 0.105 on slice 1 and 0.015 on slice 4."""
    at = view(tmp_path, "frontier")
    found = frontiers.regret(at, "cosine")
    assert found is not None
    assert set(found.by_slice.index) == set(DECAYED)
    assert list(found.by_slice.loc["cpt"]) == pytest.approx([0.105, 0.075, 0.045, 0.015], abs=0.002)
    assert found.worst["cpt"].mean() == pytest.approx(0.105, abs=0.002)
    assert found.by_slice.min().abs().max() == 0
    table = regrets(at, "frontier", "regret")
    assert table is not None
    (row,) = (row for row in table.rows if row[1] == "CPT")
    assert float(row[2].split()[0]) == pytest.approx(10.5, abs=0.3)
    assert row[2].split()[0] == row[-2].split()[0].removeprefix("+"), "on its worst slice, in the same unit"
    unbeaten, worst = beyond(at)
    # At 40 %, WSD-S lies 0.02 nats behind PTFS, merge 0.04 (0.01, and an octave off its best rate) and CPT 0.06; path
    # switching lies 0.003 behind it, at 58 %.
    names_, costs = zip(*re.findall(r"([\w -]+), [\d.]+ at ([\d.]+) %", unbeaten.split(": ")[1]), strict=True)
    assert [name.strip().removeprefix("and ") for name in names_] == ["WSD-S", "path switching", "PTFS"]
    assert costs == ("40", "58", "100")
    assert re.search(r"least with PTFS \(.* and largest with CPT \(10\.\d+ %\)", worst)


def test_undecayed_versions_are_in_no_front_and_no_distance(tmp_path: Path) -> None:
    at = view(tmp_path, "frontier")
    points, seeds = frontiers.points(at, "cosine")
    assert (set(points["paradigm"]), seeds) == (set(DECAYED), 3)
    assert set(points[points["paradigm"] == "ptfs"]["cost"]) == {1.0}
    table = by_version(at, "frontier")
    assert table is not None
    assert table.rows[-1][1] == "undecayed trunk"
    assert [row[1] for row in table.rows if row[-2] == NOT_COMPARED] == ["undecayed trunk"]
    # Run as part of the main comparison, too, and next to a schedule that never decays.
    trunk, constant = {"paradigm": "trunk"}, {"paradigm": "cpt", "schedule": "constant"}
    build(tmp_path, ["headline"])
    build(tmp_path, ["headline"], sweep=[trunk, constant])
    pooled = load(tmp_path, "synthetic").primary()
    assert not [said for said in headline(pooled) if said.startswith("PPL") and "undecayed" in said]
    figure = pareto(pooled)
    assert figure is not None
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"PTFS", "CPT"} <= shown
    assert not {"undecayed trunk", "constant"} & shown


def test_other_scores_do_not_stand_for_a_study_of_updates(tmp_path: Path) -> None:
    at = view(tmp_path, "headline", "downstream")
    assert "future" not in at.ran
    # It is best in a ledger of its own, and no scale lacks it.
    assert not any(note.startswith(("downstream", "future")) for note in missing(at))


def test_fine_tuned_undecayed_versions_are_compared(tmp_path: Path) -> None:
    build(tmp_path, ["downstream"])
    trunks = [{"paradigm": "trunk", "schedule": schedule} for schedule in SCHEDULES]
    build(tmp_path, ["downstream"], sweep=trunks)
    found = load(tmp_path, "synthetic").primary()
    assert "trunk" in contrasts.downstream_recipes(found)
    parts, _ = CLAIMS["D1"].evaluate(found)
    (beside,) = (part for part in parts if "undecayed trunk" in part.what)
    assert (beside.role, len(beside.seeds)) == ("shown", 3)
    scores = contrasts.downstream_shared(found, ("path_switching", "trunk"), "gold_bits_per_byte")
    by_seed = scores.groupby(level="seed").mean()
    assert beside.estimate == pytest.approx((by_seed["path_switching"] - by_seed["trunk"]).mean())


def test_slices_of_one_schedule_are_compared(tmp_path: Path) -> None:
    build(tmp_path, ["headline"])
    build(tmp_path, ["headline"], sweep=[{"paradigm": "wsd", "schedule": "knee"}])
    found = load(tmp_path, "synthetic").primary()
    assert "wsd" in set(found.runs("headline")["paradigm"])
    assert contrasts.forgetting_matrix(found, "wsd") is None
    assert contrasts.forgetting_matrix(found, "cpt") is not None


@pytest.mark.parametrize(
    ("column", "value"), [("conditions", "c1"), ("corpus", "rfc"), ("steps_per_version", 50), ("tokens_per_step", 64)]
)
def test_unequal_data_are_refused(tmp_path: Path, column: str, value: object) -> None:
    scores = view(tmp_path, "headline").scores("headline")
    assert contrasts.losses(scores, ("ptfs", "cpt"), [2])
    scores[column] = scores[column].astype(object)
    scores.loc[scores["paradigm"] == "cpt", column] = value
    with pytest.raises(UserError, match=rf"column {column}: .*{value}.* are unequal data, and runs over them are not"):
        contrasts.losses(scores, ("ptfs", "cpt"), [2])
    assert contrasts.losses(scores, ("ptfs", "path_switching"), [2])


def test_the_next_update_is_read_by_what_was_updated(tmp_path: Path) -> None:
    at = view(tmp_path, "plasticity")
    means = frontiers.updates(at, "cosine").mean()
    assert means["cpt"] - means["trunk"] == pytest.approx(0.03, abs=0.002)
    table = plasticity(at)
    assert table is not None
    assert [row[2] for row in table.rows if row[1] == "undecayed trunk"] == ["undecayed"]
    (row,) = (row for row in table.rows if row[1] == "path switching")
    assert float(row[4].split()[0]) == pytest.approx(percent(-0.02), abs=0.3)


def test_each_recipe_stands_at_its_own_best_rate(tmp_path: Path) -> None:
    """Losses rise by 0.03 nats for an octave away from the best rate: 0.002 for merge, 0.004 for the others."""
    at = view(tmp_path, "rates")
    last = {one.recipe: one for one in tried(at) if one.version == 4}
    assert set(last) == set(DECAYED)
    assert {recipe: one.best for recipe, one in last.items()} == {r: 0.002 if r == "merge" else 0.004 for r in DECAYED}
    for factor in (0.5, 2.0):
        cost = last["cpt"].off(factor)
        assert cost is not None
        assert cost.mean() == pytest.approx(0.03, abs=0.002)
    table = rates(at)
    assert table is not None
    (merge,) = (row for row in table.rows if row[1] == "merge")
    assert merge[5] == "0.002*"  # nothing lower was tried
    assert merge[7] == "not tried"
    assert float(merge[9].split()[0]) == pytest.approx(percent(0.01), abs=0.2)
    assert "not tuned alike" not in table.caption


def test_a_rate_that_diverges_is_named(tmp_path: Path) -> None:
    folder = build(tmp_path, ["rates"])
    runs = load(tmp_path, "synthetic").runs.set_index("run")

    def diverge(row: dict[str, str]) -> None:
        run = runs.loc[row["run"]]
        if run["paradigm"] == "cpt" and run["max_lr"] == 0.008:
            row["nll"] = "nan"

    rewrite(folder / "perplexity.csv", diverge)
    table = rates(load(tmp_path, "synthetic").primary())
    assert table is not None
    (cpt,) = (row for row in table.rows if row[1] == "CPT")
    assert (cpt[5], cpt[8]) == ("0.004", "diverges")


def test_rates_tuned_for_one_side_only_are_labelled(tmp_path: Path) -> None:
    build(tmp_path, ["headline"])
    table = by_version(load(tmp_path, "synthetic").primary(), "headline")
    assert table is not None
    assert "tuned" not in table.caption
    rates_of_ptfs = [{"paradigm": "ptfs", "max_lr": rate, "min_lr": "0.0004"} for rate in ("0.002", "0.004", "0.008")]
    build(tmp_path, ["rates"], sweep=rates_of_ptfs)
    table = by_version(load(tmp_path, "synthetic").primary(), "headline")
    assert table is not None
    assert "not tuned alike under cosine (maximum rates tried: PTFS 3, CPT 1, path switching 1)" in table.caption


def test_shape_floor_and_length_of_the_branch_are_told_apart(tmp_path: Path) -> None:
    table = branch(view(tmp_path, "branch"))
    assert table is not None
    assert len(table.rows) == 8
    assert table.head[4:8] == [*(f"v{version} to a cosine to 10 %" for version in (2, 3, 4)), "v4 to PTFS"]
    for column in (4, 5, 6):
        beside = {tuple(row[:3]): row[column] for row in table.rows}
        assert beside["cosine", "10 %", "0.6"] == ""
        assert float(beside["cosine", "0", "0.6"].split()[0]) == pytest.approx(percent(-0.01), abs=0.2)
    assert {row[8] for row in table.rows if row[2] == "0.2"} == {"46 %"}
    assert {row[7] for row in table.rows} == {""}, "no PTFS was run"
    beside_ptfs = branch(view(tmp_path, "frontier"))  # of the same seeds and numerics
    assert beside_ptfs is not None
    assert beside_ptfs.data["to_ptfs_nats"].notna().all()
    other = Synthetic(numerics=("n1", "n1", "n1"))
    build(tmp_path / "apart", ["frontier"], other)
    build(tmp_path / "apart", ["branch"])
    apart = branch(load(tmp_path / "apart", "synthetic").primary())
    assert apart is not None
    assert {row[7] for row in apart.rows} == {""}, "PTFS has other numerics"
    build(tmp_path / "fewer", ["frontier"], Synthetic(seeds=(0, 1)))
    build(tmp_path / "fewer", ["branch"])
    fewer = branch(load(tmp_path / "fewer", "synthetic").primary())
    assert fewer is not None
    assert {(row[7].partition("] ")[2], row[9]) for row in fewer.rows} == {("(n = 2)", "3")}


def test_a_reference_that_lacks_the_last_version_leaves_its_cell_empty(tmp_path: Path) -> None:
    folder = build(tmp_path, ["branch"])
    runs = {row["run"]: row for row in read(folder / "runs.csv")}

    def unfinished(row: dict[str, str]) -> bool:
        run = runs[row["run"]]
        usual = run["schedule"] == "cosine" and float(run["min_lr"]) > 0 and "0.6" in run["settings"]
        return usual and row["version"] == "4"

    write(folder / "perplexity.csv", [row for row in read(folder / "perplexity.csv") if not unfinished(row)])
    table = branch(load(tmp_path, "synthetic").primary())
    assert table is not None
    beside = {tuple(row[:3]): row[4:7] for row in table.rows}
    v2, v3, v4 = beside["linear", "10 %", "0.6"]
    assert v2
    assert v3
    assert v4 == ""
    assert all(beside["linear", "10 %", "0.2"])


def test_recipes_of_one_shape_stand_beside_each_other_whatever_else_ran_elsewhere(tmp_path: Path) -> None:
    """A cosine down to 0, which costs nobody anything but 0.01 nats less."""
    assert same_shape(view(tmp_path / "alone", "branch")) is None  # path switching alone has the shape
    elsewhere = Synthetic(numerics=("n1", "n1", "n1"))
    build(tmp_path, ["main"], elsewhere)
    build(tmp_path, ["frontier", "branch"])
    build(tmp_path, ["main"], sweep=[{"paradigm": p, "min_lr": "0"} for p in ("ptfs", "cpt")])
    table = same_shape(load(tmp_path, "synthetic").primary())
    assert table is not None
    found = {tuple(row[:3]): row[3:] for row in table.rows}
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert len(found) == len(table.rows) == 12  # for two lengths four each of path switching's, and two of its own
    shape = "cosine to 0 over a cosine to 10 %"
    for recipe, alpha in (("PTFS", ""), ("CPT", ""), ("path switching", "0.2"), ("path switching", "0.6")):
        (v1, v2, v3, v4, n) = found[recipe, shape, alpha]
        assert n == "3"
        assert [float(each.split()[0]) for each in (v1, v2, v3, v4)] == pytest.approx([-1.0] * 4, abs=0.15)
    for under in ("a cosine to 10 %", "cosine to 0"):
        gap = float(found["CPT over path switching", under, "0.6"][3].split()[0])
        assert gap == pytest.approx(100 * 0.95 * 0.06, abs=0.2)


def test_a_maximum_that_another_study_ran_stands_beside_those_tried(tmp_path: Path) -> None:
    """Of the same numerics alone: headline's base cell was trained on another machine."""
    rates = [{"max_lr": f"{rate:g}", "min_lr": f"{rate / 10:g}"} for rate in (0.002, 0.008)]
    sweep = [{"paradigm": recipe, **rate} for recipe in ("ptfs", "cpt", "path_switching") for rate in rates]
    there = Synthetic(numerics=("n1", "n1", "n1"))
    build(tmp_path, ["headline"])
    build(tmp_path, ["max_lr"], there, sweep=sweep)
    alone = tried(load(tmp_path, "synthetic").primary(), "max_lr")
    assert {tuple(one.rates) for one in alone} == {(0.002, 0.008)}
    build(tmp_path, ["frontier"], there)
    both = tried(load(tmp_path, "synthetic").primary(), "max_lr")
    assert {tuple(one.rates) for one in both} == {(0.002, 0.004, 0.008)}
    assert all(one.bracketed and one.best == 0.004 for one in both)


def test_slices_are_compared_in_pairs_with_and_without_replay(tmp_path: Path) -> None:
    world = Synthetic(gap=0.02, noise=0.0)
    plain = "start=max rewarm_steps=0"
    sweep = [{"paradigm": "ptfs"}, *({"paradigm": "cpt", "settings": s} for s in (plain, f"{plain} replay=0.25"))]
    build(tmp_path, ["chronological"], world, sweep=sweep)
    table = slices.paired(load(tmp_path, "synthetic").primary())
    assert table is not None
    found = table.data.set_index(["paradigm", "over", "slice"])["nats"]
    assert found["cpt", "ptfs", "all"] == pytest.approx(0.06)  # at version 4
    assert found["cpt", "ptfs", 1] > found["cpt", "ptfs", "all"] > found["cpt", "ptfs", 4]  # which forgets
    assert found["cpt, replay=0.25", "cpt", "all"] == pytest.approx(0.0)


def test_ways_to_update_the_fine_tuned_model_stand_side_by_side(tmp_path: Path) -> None:
    table = future(view(tmp_path, "future"))
    assert table is not None
    assert table.head[3:6] == ["anew", "continue", "transfer"]
    assert {row[6] for row in table.rows} == {"3"}
    assert {row[2] for row in table.rows} == {"v2", "v3", "v4"}
    assert "over 9 tasks" in table.caption

    def normalize(row: dict[str, str]) -> None:
        row["metric"] = "acc_norm" if row["task"].startswith("choice") else row["metric"]

    rewrite(tmp_path / "synthetic" / "data" / "downstream.csv", normalize)
    again = future(load(tmp_path, "synthetic").primary())
    assert again is not None
    assert again.rows == table.rows  # whichever metric a task has, it counts
    said, *paired_ = updating(view(tmp_path, "future"))
    anew, further, transfer = map(float, re.findall(r"([\d.]+) (?:anew|continue|transfer)", said)[:3])
    assert (further - anew, anew - transfer) == pytest.approx((1, 1), abs=0.3)  # points, by construction
    assert [text.partition(":")[0] for text in paired_] == [
        "With cosine, going on less fine-tuning anew at version 4",
        "With cosine, taking over less fine-tuning anew at version 4",
        *(f"With cosine, less PTFS in the same way ({way}) at version 4" for way in ("anew", "continue", "transfer")),
    ]
    assert re.search(
        r"path switching \+[12]\.\d\d \[.*\] points and -0\.0[12]\d \[.*\] bits a byte \(n = 3\)", paired_[2]
    )


def test_ways_to_update_are_paired_by_seed_with_intervals(tmp_path: Path) -> None:
    """By construction, going on gains a point over fine-tuning anew, and path switching two over PTFS, whose seeds
    differ by much more: what they share drops out."""
    table = paired(view(tmp_path, "future"))
    assert table is not None
    data = table.data.set_index(["paradigm", "version", "update"])
    assert list(dict.fromkeys(data.index.get_level_values("paradigm"))) == ["ptfs", "cpt", "path_switching"]
    assert ("ptfs", 2, "anew") not in data.index  # there is nothing to compare it with
    for (recipe, _, way), row in data.iterrows():
        gain = {"anew": np.nan, "continue": 1.0, "transfer": -1.0}[way]
        ahead = {"ptfs": np.nan, "cpt": 0.0, "path_switching": 2.0}[recipe]
        for beside, truth in (("anew", gain), ("ptfs", ahead)):
            of = f"points_less_{beside}"
            assert row[of] == pytest.approx(truth, abs=0.3, nan_ok=True)
            assert row[f"bits_less_{beside}"] == pytest.approx(-truth / 100, abs=0.003, nan_ok=True)
            assert np.isnan(truth) or row[of] - row[f"{of}_low"] < 0.6
    assert {row[-1] for row in table.rows} == {"3"}


def test_ways_are_compared_over_the_fine_tuning_seeds_and_tasks_that_all_have(tmp_path: Path) -> None:
    """A second fine-tuning seed that scores nothing and that going on lacks, and a task that path switching lacks."""
    whole = paired(view(tmp_path, "future"))
    assert whole is not None
    path = tmp_path / "synthetic" / "data" / "downstream.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    runs = pd.read_csv(path.with_name("runs.csv"), dtype=str, keep_default_na=False).set_index("run")
    paradigms, settings = (rows["run"].map(runs[column]) for column in ("paradigm", "settings"))
    lacking = (paradigms == "path_switching") & (rows["task"] == rows["task"].max())
    more = rows[~settings.str.contains("update=continue")].assign(finetune_seed="1", value="0")
    pd.concat([rows[~lacking], more]).to_csv(path, index=False)
    table = paired(load(tmp_path, "synthetic", unchecked=True).primary())
    assert table is not None
    keys = ["paradigm", "version", "update"]
    before, after = (each.data.set_index(keys)["points_less_anew"].dropna() for each in (whole, table))
    going_on = after[after.index.get_level_values("update") == "continue"]
    assert len(going_on) == 9
    assert going_on.to_numpy() == pytest.approx(before[going_on.index].to_numpy(), abs=0.3)
    assert "over 8 tasks" in table.caption


def test_a_model_that_grows_stands_beside_the_larger_one_with_steps_and_flops(tmp_path: Path) -> None:
    """It starts 0.05 nats behind PTFS, and gains 0.01 with every version that is the larger model's."""
    at = view(tmp_path, "grow")
    table = grow(at)
    assert table is not None
    assert [row[1:4] for row in table.rows] == [
        ["PTFS", "", ""],
        ["path switching", "", ""],
        ["growing", "at v2", "1 layer"],
        ["growing", "at v3", "1 layer"],
        ["growing", "never", "1 layer"],
    ]
    # A tree of 4 T, of PTFS's 10 T; each of its steps takes three quarters of the larger model's FLOPs.
    assert [row[8:10] for row in table.rows] == [["100 %"] * 2, ["58.0 %"] * 2, *[["40.0 %", "30.0 %"]] * 3]
    last = [float(row[10].split()[0]) for row in table.rows[2:]]
    assert last == pytest.approx([percent(0.02), percent(0.03), percent(0.05)], abs=0.3)
    (said,) = growing(at)
    assert "for growing at v3 (from 1 layer), at 40.0 % of the steps and 30.0 % of the FLOPs" in said
    build(tmp_path / "alone", ["grow"], sweep=[{"paradigm": "grow", "settings": "grow_at=3 layers_before=1"}])
    assert grow(load(tmp_path / "alone", "synthetic").primary()) is None  # there is nothing to compare with


def test_recipes_are_told_apart_by_colour() -> None:
    ours = [name for name, recipe in RECIPES.items() if recipe.__module__.startswith("repro.")]
    assert len({names.colour(name) for name in ours}) == len(ours)

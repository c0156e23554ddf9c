"""Verdicts: in worlds made so that a claim must hold, must fail, or cannot be told."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import SCHEDULES, Synthetic, build, read, rewrite, write

from analysis import contrasts
from analysis.claims import main as main_claims
from analysis.claims import parts as claim_parts
from analysis.claims import pilot as pilot_claims
from analysis.claims import stages
from analysis.commands import command
from analysis.evidence import Part, weakest
from analysis.findings import ledger as findings
from analysis.findings.alpha import alpha as alpha_findings
from analysis.formats import ENDLESS
from analysis.frames import load
from analysis.registries import CLAIMS, STUDIES
from analysis.tables.alpha import alpha as alpha_table
from analysis.tables.comparison import generality as generality_table
from analysis.verdicts import Judged, decide, elsewhere, judge
from repro.results import commands

DOCS = Path(__file__).resolve().parents[2] / "docs"


def judged(root: Path, scale: str = "synthetic") -> dict[str, Judged]:
    return {one.claim.id: one for one in judge(load(root, scale).primary())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A world in which every claim holds, every study run with three seeds."""
    root = tmp_path_factory.mktemp("whole")
    build(root, STUDIES)
    return root


@pytest.fixture(scope="module")
def true(whole) -> dict[str, Judged]:
    """What is said of it."""
    return judged(whole)


def test_every_claim_is_reproduced_where_it_is_true(true):
    assert {one.verdict for one in true.values()} == {"reproduced"}


def test_each_claim_has_a_source_an_estimator_a_margin_and_a_place_in_the_documentation():
    documented = re.findall(r"^\| ([A-Z]\d(?: [a-z]+)?) \|", (DOCS / "claims.md").read_text(), re.MULTILINE)
    assert list(CLAIMS) == documented
    assert len(set(documented)) == 16
    for claim in CLAIMS.values():
        assert set(re.findall(r"\[(\w+)\]", claim.source)) <= {"abstract", "article", "review"}
        assert claim.source
        assert claim.estimator
        assert claim.margin
        assert claim.study in STUDIES


def test_the_documented_margins_are_the_ones_in_force():
    """In the row of their own claim: `1 %` alone stands in other numbers, too."""
    rows = re.findall(r"^\| ([A-Z]\d(?: [a-z]+)?) \|.*\| ([^|]+) \|$", (DOCS / "claims.md").read_text(), re.MULTILINE)
    documented, match = dict(rows), f"{100 * claim_parts.MATCH:g} %"
    beside = " and ".join(f"{100 * margin:g}" for margin in claim_parts.STRICTER_AND_LOOSER)
    tie, cost = f"{100 * stages.TIE:g} %", f"{100 * main_claims.PUBLISHED_COST:g} %"
    half = {0.5: "half"}[pilot_claims.FAR_LESS]
    for claim, there, here in (
        ("M1 matches", f" < {match}, every version", f"below {match} for every version"),
        ("M1 matches", f"margins of {beside} % and", f"({beside} % beside it decide nothing)"),
        ("G2", f"grows by less than {match} for ten times", f"at most {match} for ten times the parameters"),
        ("S1", f"ties of {tie} allowed", f"ties of {tie} of PPL allowed"),
        ("M2", f"{cost} of PTFS's steps to the whole per cent", f"{cost} as published, to the whole per cent"),
        ("M2", f"alpha {main_claims.PUBLISHED_ALPHA:g}, four versions", ""),
        ("P3", f"at most {half} of PTFS's steps", f"at most {half} of PTFS's at version N"),
    ):
        assert there in documented[claim], claim
        assert here in CLAIMS[claim].margin, claim


def test_estimates_are_those_that_the_world_was_made_with(true):
    parts = {part.what: part for one in true.values() for part in one.parts}
    # Gaps of 0.02, 0.04 and 0.06 nats per token at versions 2 to 4, of which 95 % are recovered.
    for version, gap in ((2, 2), (3, 4), (4, 6)):
        assert parts[f"CPT above PTFS, version {version}, cosine"].estimate == pytest.approx(gap, abs=0.1)
        behind = parts[f"path switching above PTFS, version {version}, cosine"]
        assert behind.estimate == pytest.approx(gap / 20, abs=0.15)
        assert behind.contrast.mean() == pytest.approx(0.01 - behind.estimate / 100)
    assert parts["growth of CPT's gap to PTFS, Knee"].estimate == pytest.approx(2, abs=0.1)
    assert parts["gap recovered, version 4, cosine"].estimate == pytest.approx(95, abs=3)
    assert parts["fall of PPL for each 0.1 of alpha, version 3, cosine"].estimate == pytest.approx(0.2, abs=0.05)
    bits = parts["bits per byte of gold answers, path switching less PTFS, 9 tasks"]
    assert bits.estimate == pytest.approx(-0.02, abs=0.002)
    assert true["P1"].weakest.seeds == (0, 1, 2)


def test_a_reversed_gap_contradicts_p1_and_p2(tmp_path):
    build(tmp_path, ["pilot"], Synthetic(gap=-0.05))
    found = judged(tmp_path)
    assert found["P1"].verdict == "contradicted"
    assert found["P2"].verdict == "contradicted"
    assert "cosine" in found["P1"].reason


def test_noise_without_an_effect_decides_nothing(tmp_path):
    build(tmp_path, ["main"], Synthetic(gap=0.001, noise=0.02))
    found = judged(tmp_path)
    for claim in ("P1", "P2", "M1 beats", "M1 matches"):
        assert found[claim].verdict == "undecided"
        said = r"3 seeds; \d of \d parts neither hold nor, corrected over all of them, fail"
        assert re.search(said, found[claim].reason)


def test_one_seed_shows_an_estimate_and_decides_nothing_but_costs(tmp_path):
    build(tmp_path, STUDIES, Synthetic(seeds=(0,)))
    found = judged(tmp_path)
    exact = {"P3", "M2", "T1"}
    assert {claim for claim, one in found.items() if one.verdict == "reproduced"} == exact
    for claim in found.keys() - exact:
        assert found[claim].verdict == "undecided"
        assert "1 seed; at least 2 needed for an interval" in found[claim].reason
        assert found[claim].weakest is not None
        assert found[claim].weakest.estimate == found[claim].weakest.estimate


def test_what_was_not_run_is_named_with_the_command_that_runs_it(tmp_path):
    build(tmp_path, ["headline"])
    found = judged(tmp_path)
    for claim in ("S1", "S2", "C1", "A1", "D1", "G1", "G2", "G3", "G4"):
        one = found[claim]
        assert one.verdict == "not run"
        assert one.parts == []
        assert f"study={one.claim.study} scale=synthetic" in one.reason


def test_one_schedule_of_three_is_not_enough(tmp_path):
    build(tmp_path, ["headline"])
    one = judged(tmp_path)["P1"]
    assert one.verdict == "undecided"
    assert "not run: Knee, multi-step (python -m repro.train study=pilot scale=synthetic" in one.reason
    build(tmp_path, ["pilot"])
    assert judged(tmp_path)["P1"].verdict == "reproduced"


def test_path_switching_must_come_near_ptfs_at_every_version(tmp_path):
    build(tmp_path, ["main"], Synthetic(recovered=0.5))
    found = judged(tmp_path)
    assert found["P1"].verdict == "reproduced"
    assert found["M1 beats"].verdict == "reproduced"
    assert found["M1 matches"].verdict == "contradicted"
    shares = [part for part in found["M1 matches"].parts if part.unit == "% of the gap"]
    assert {part.role for part in shares} == {"shown"}
    assert [part.estimate for part in shares] == pytest.approx([50] * 9, abs=6)
    # 1, 2 and 3 % behind at versions 2 to 4: 0.5 and 2 % are shown, and decide nothing.
    held = {part.what: part.holds for part in found["M1 matches"].parts if "margin" in part.what}
    assert held["path switching above PTFS, version 2, cosine, margin 2 %"]
    assert not held["path switching above PTFS, version 2, cosine, margin 0.5 %"]
    assert not held["path switching above PTFS, version 4, cosine, margin 2 %"]


def test_without_a_gap_no_share_of_it_is_shown(tmp_path):
    build(tmp_path, ["main"], Synthetic(gap=0.0, noise=0.01))
    assert not [part for part in judged(tmp_path)["M1 matches"].parts if part.unit == "% of the gap"]


def test_the_published_cost_is_compared_with_the_tree_and_not_with_itself(tmp_path):
    folder = build(tmp_path, ["main"], Synthetic(seeds=(0,)))
    assert judged(tmp_path)["M2"].weakest.estimate == pytest.approx(58.0)

    def dearer(row):
        if row["version"] == "4" and row["unique_steps"] == "580":
            row["unique_steps"], row["relative_cost"] = "620", "0.62"

    rewrite(folder / "versions.csv", dearer)
    found = judged(tmp_path)
    assert found["M2"].verdict == "contradicted"
    assert found["M2"].weakest.estimate == pytest.approx(62.0)
    assert found["T1"].verdict == "contradicted"


def last_version_takes(folder: Path, paradigm: str, steps: int) -> None:
    """Of its tree so many steps, where retraining takes 1,000."""
    runs = {row["run"] for row in read(folder / "runs.csv") if row["paradigm"] == paradigm}

    def change(row):
        if row["run"] in runs and row["version"] == "4":
            row["unique_steps"], row["relative_cost"] = str(steps), str(steps / 1000)

    rewrite(folder / "versions.csv", change)


@pytest.mark.parametrize(("steps", "holds"), [(574, False), (576, True), (584, True), (586, False)])
def test_the_published_cost_is_met_to_the_whole_per_cent(tmp_path, steps, holds):
    folder = build(tmp_path, ["main"], Synthetic(seeds=(0,)))
    last_version_takes(folder, "path_switching", steps)
    assert judged(tmp_path)["M2"].verdict == ("reproduced" if holds else "contradicted")


@pytest.mark.parametrize(("steps", "holds"), [(500, True), (501, False)])
def test_half_of_retrainings_cost_is_far_less_and_a_step_more_is_not(tmp_path, steps, holds):
    folder = build(tmp_path, ["pilot"], Synthetic(seeds=(0,)))
    last_version_takes(folder, "cpt", steps)
    assert judged(tmp_path)["P3"].verdict == ("reproduced" if holds else "contradicted")


def test_the_published_cost_is_only_compared_at_its_own_alpha_and_versions(tmp_path):
    build(tmp_path, ["main"], Synthetic(setting={"alpha": "0.4"}), scale="alpha")
    build(tmp_path, ["main"], Synthetic(setting={"versions": "3"}), scale="versions")
    for scale in ("alpha", "versions"):
        one = judged(tmp_path, scale)["M2"]
        assert one.verdict == "not run"
        assert "published for 4 versions and alpha 0.6" in one.reason
        assert judged(tmp_path, scale)["T1"].verdict == "reproduced"


def test_fine_tuning_that_shows_nothing_of_training_decides_nothing(tmp_path):
    """Version 4 needs no fewer bits than version 1, after fine-tuning."""
    folder = build(tmp_path, ["downstream"])

    def flatten(row):
        if row["version"] != "0":
            row["gold_bits_per_byte"] = str(float(row["gold_bits_per_byte"]) + 0.05 * int(row["version"]))

    rewrite(folder / "downstream.csv", flatten)
    one = judged(tmp_path)["D1"]
    assert one.verdict == "undecided"
    assert "premise is not established: bits per byte of gold answers, version 1 above version 4, PTFS" in one.reason


def test_only_tasks_that_separate_are_judged(tmp_path):
    folder = build(tmp_path, ["downstream"])

    def blind(row):
        if row["task"] == "sentiment":
            row["gold_bits_per_byte"] = "2.5"

    rewrite(folder / "downstream.csv", blind)
    one = judged(tmp_path)["D1"]
    assert one.verdict == "reproduced"
    assert any(part.what.endswith("path switching less CPT, 8 tasks") for part in one.parts)


def test_without_a_control_nothing_is_said_of_fine_tuning(tmp_path):
    build(tmp_path, ["downstream"], Synthetic(control=False))
    one = judged(tmp_path)["D1"]
    assert one.verdict == "not run"
    assert "no untrained model was fine-tuned as a control" in one.reason


def test_what_was_fine_tuned_under_another_numerics_than_the_main_comparisons_is_judged(tmp_path):
    build(tmp_path, ["main", "alpha"])
    build(tmp_path, ["downstream"], Synthetic(numerics=("other",)))
    view = load(tmp_path, "synthetic").primary()
    assert set(view.runs("main", "downstream")["numerics"]) == {"n0"}
    assert set(contrasts.downstream_scores(view)["numerics"]) == {"other"}
    assert judged(tmp_path)["D1"].verdict == "reproduced"


def test_a_better_paradigm_downstream_contradicts_d1(tmp_path):
    build(tmp_path, ["downstream"], Synthetic(downstream_gain=-0.02))
    assert judged(tmp_path)["D1"].verdict == "contradicted"


def test_a_value_alone_shows_no_generality(tmp_path):
    build(tmp_path, ["architecture"])
    folder = tmp_path / "synthetic" / "data"
    rewrite(folder / "studies.csv", lambda row: row)
    runs = {row["run"] for row in csv.DictReader((folder / "runs.csv").open()) if row["architecture"] == "qwen2"}
    kept = [line for line in (folder / "studies.csv").read_text().splitlines() if line.split(",")[1] not in runs]
    (folder / "studies.csv").write_text("\n".join(kept) + "\n")
    one = judged(tmp_path)["G1"]
    assert one.verdict == "undecided"
    assert "only architecture llama was run" in one.reason


def test_the_command_of_a_study_says_what_made_its_products(tmp_path):
    build(tmp_path, ["main"])
    build(tmp_path, ["alpha"], Synthetic(numerics=("older",), more_numerics=()))
    view = load(tmp_path, "synthetic").primary()
    assert command("main", "synthetic", view).endswith(" numerics.matmul=onednn")
    assert command("alpha", "synthetic", view).endswith(" numerics.matmul=torch")


def test_the_command_of_a_study_that_was_not_run_makes_what_can_be_paired_with_the_others(tmp_path):
    build(tmp_path, ["main"], Synthetic(more_numerics=()))
    view = load(tmp_path, "synthetic").primary()
    assert command("alpha", "synthetic", view).endswith(" numerics.matmul=torch")


def test_the_command_of_a_study_that_was_not_run_has_what_all_that_was_typed_shares(tmp_path):
    folder = build(tmp_path, ["main"])
    build(tmp_path, ["rates"])
    shared = "scale=synthetic store.path=here"
    typed = {"main": "study=main paradigm=ptfs,cpt", "rates": "study=rates seed=200,201 stream.versions=2"}
    of = {study: [row["run"] for row in read(folder / "studies.csv") if row["study"] == study] for study in typed}
    commands.record(
        folder,
        {s: {run: {"train": f"python -m repro.train {line} {shared}"} for run in of[s]} for s, line in typed.items()},
    )
    view = load(tmp_path, "synthetic").primary()
    assert command("alpha", "synthetic", view) == f"python -m repro.train study=alpha {shared}"
    assert command("rates", "synthetic", view) == f"python -m repro.train {typed['rates']} {shared}"


def test_runs_of_different_numerics_are_never_paired(tmp_path):
    folder = build(tmp_path, ["pilot"])
    assert judged(tmp_path)["P1"].weakest.seeds == (0, 1, 2)

    def move(row):
        if row["paradigm"] == "cpt" and row["seed"] == "2":
            row["numerics"] = "elsewhere"

    rewrite(folder / "runs.csv", move)
    assert judged(tmp_path)["P1"].weakest.seeds == (0, 1)


def test_ptfs_and_path_switching_are_compared_wherever_both_are_whether_or_not_cpt_is(tmp_path):
    """CPT is needed for the share of its gap alone, which is shown beside the claim."""
    for seeds, recipes in (((0, 1, 2), ("ptfs", "path_switching")), ((0,), ("cpt",))):
        sweep = [{"paradigm": each, "schedule": schedule} for schedule in SCHEDULES for each in recipes]
        build(tmp_path, ["main"], Synthetic(seeds=seeds), sweep=sweep)
    parts = judged(tmp_path)["M1 matches"].parts
    assert {len(part.seeds) for part in parts if part.role == "decides"} == {3}
    assert {len(part.seeds) for part in parts if part.unit == "% of the gap"} == {1}


def test_arithmetic_that_speaks_against_a_claim_leaves_no_p_that_speaks_for_it():
    nats = pd.Series([-0.02, -0.0201, -0.0199])
    holds = claim_parts.measured("measured", nats, below=0.0, role="decides")
    fails = claim_parts.exact("arithmetic", 70.0, False, unit="%", needs="58", role="decides")
    assert decide([holds]).p_for < 0.01
    assert decide([holds, fails]).p_for == 1.0


def test_a_part_of_which_nothing_is_known_leaves_the_others_their_p_in_whatever_order():
    """NaN compares as false: the first of two would have decided."""
    unknown = claim_parts.measured("one seed", pd.Series([-0.02]), below=0.0, role="decides")
    for sign in (-1, 1):
        nats = sign * pd.Series([0.02, 0.0201, 0.0199])
        known = claim_parts.measured("three seeds", nats, below=0.0, role="decides")
        one, other = decide([unknown, known]), decide([known, unknown])
        assert one == other
        assert one.p_for == 1.0
        assert one.p_against == pytest.approx(1 - known.p)
        assert one.verdict == ("contradicted" if sign > 0 else "undecided")
    assert np.isnan(decide([unknown]).p_for)


def test_a_diverged_run_is_left_out_of_comparisons(tmp_path):
    folder = build(tmp_path, ["pilot"])
    runs = {row["run"]: row for row in csv.DictReader((folder / "runs.csv").open())}

    def diverge(row):
        if runs[row["run"]]["paradigm"] == "cpt" and runs[row["run"]]["seed"] == "1":
            row["nll"] = "nan"

    rewrite(folder / "perplexity.csv", diverge)
    assert judged(tmp_path)["P1"].weakest.seeds == (0, 2)


def test_another_setting_has_verdicts_of_its_own(tmp_path):
    build(tmp_path, ["pilot", "headline"])
    build(tmp_path, ["pilot"], Synthetic(gap=-0.05, setting={"stream": "chronological"}))
    primary, other = load(tmp_path, "synthetic").views
    verdicts = [next(one for one in judge(view) if one.claim.id == "P1").verdict for view in (primary, other)]
    assert verdicts == ["reproduced", "contradicted"]


def test_of_another_setting_is_told_what_was_judged_there_on_other_numbers(tmp_path):
    """CPT costs what it costs in the primary setting, unless there are more versions or fewer."""
    build(tmp_path, ["pilot", "alpha"])
    for setting in ({"stream": "chronological"}, {"versions": "3"}):
        build(tmp_path, ["pilot"], Synthetic(gap=-0.05, setting=setting))
    primary, *others = load(tmp_path, "synthetic").views
    done = []
    found = elsewhere(judge(primary), others, lambda: done.append(len(done)))
    assert done == [0, 1]
    verdicts = {view.label: {} for view in others}
    for one in found:
        verdicts[one.view.label][one.claim.id] = one.verdict
    contradicted = {"P1": "contradicted", "P2": "contradicted"}
    assert sorted(verdicts.values(), key=len) == [contradicted, contradicted | {"P3": "reproduced"}]


def test_another_schedule_is_shown_and_decides_nothing(tmp_path):
    build(tmp_path, ["main"])
    build(tmp_path, ["headline"], Synthetic(gap=-0.05, setting={"schedule": "constant"}))
    found = judged(tmp_path)
    for claim in ("P1", "P2", "M1 beats", "M1 matches"):
        assert found[claim].verdict == "reproduced"
        assert "constant" in {part.what.split(", ")[-1] for part in found[claim].parts if part.role == "shown"}


def test_alpha_and_cpt_of_different_numerics_are_never_paired(tmp_path):
    build(tmp_path, ["main"], Synthetic(numerics=("n0",)))
    build(tmp_path, ["alpha"], Synthetic(numerics=("nA",)))
    view = load(tmp_path, "synthetic").primary()
    assert len(contrasts.alpha_block(view, "cosine")) == 3
    assert contrasts.alpha_to_cpt(view, "cosine").empty
    assert not [note for note in findings.missing(view) if note.startswith("Left out")]


def test_seeds_that_lack_an_alpha_are_used_in_every_pair_that_they_have(tmp_path):
    build(tmp_path, ["alpha"])
    folder = tmp_path / "synthetic" / "data"
    runs = {row["run"]: row for row in csv.DictReader((folder / "runs.csv").open())}
    (gone,) = (run for run, row in runs.items() if row["alpha"] == "0.2" and row["seed"] == "2")
    text = (folder / "perplexity.csv").read_text().splitlines()
    (folder / "perplexity.csv").write_text("\n".join(line for line in text if not line.startswith(gone)) + "\n")
    view = load(tmp_path, "synthetic").primary()
    assert list(contrasts.alpha_block(view, "cosine").index) == [0, 1]
    table = alpha_table(view)
    assert table is not None
    assert [row[-1] for row in table.rows] == ["2", "3", "3", "3"]
    assert list(table.data["n"]) == [2, 3, 3, 3]
    assert "Rows of different n are means over different seeds" in table.caption
    assert any("seed 2 without some alpha" in note for note in findings.missing(view))
    fall = next(part for part in judged(tmp_path)["A1"].parts if part.what.startswith("fall of PPL"))
    assert fall.seeds == (0, 1, 2)


def test_more_alphas_of_one_seed_cost_the_others_nothing(tmp_path):
    """README's own sequence: the study, then two more alphas of a seed or three."""
    build(tmp_path, ["main", "alpha"])
    before = judged(tmp_path)["A1"]
    build(tmp_path, ["alpha"], Synthetic(seeds=(0,)), sweep=[{"alpha": a} for a in ("0.3", "0.5")])
    after = judged(tmp_path)["A1"]
    assert before.verdict == after.verdict == "reproduced"
    assert before.parts[0].seeds == after.parts[0].seeds == (0, 1, 2)
    view = load(tmp_path, "synthetic").primary()
    assert list(contrasts.alpha_block(view, "cosine").columns) == [0.2, 0.4, 0.6, 0.8]
    said = " ".join(alpha_findings(view))
    assert "with alpha 0.3 (n = 1)" in said
    assert "with alpha 0.4 (n = 3)" in said
    assert "from alpha 0.2 to 0.8" in said


def test_too_few_values_for_a_trend_are_named(tmp_path):
    folder = build(tmp_path, ["alpha", "first_stage"])
    runs = {row["run"]: row for row in csv.DictReader((folder / "runs.csv").open())}
    few = {run for run, row in runs.items() if row["alpha"] in ("0.2", "0.8") or row["first_cycle"] in ("1", "2")}
    rows = (folder / "studies.csv").read_text().splitlines()
    kept = [line for line in rows[1:] if line.split(",")[1] in few]
    (folder / "studies.csv").write_text("\n".join([rows[0], *kept]) + "\n")
    found = judged(tmp_path)
    assert "at least 3 alphas" in found["A1"].reason
    assert "at least 3 cycles" in found["S1"].reason


def test_a_base_cell_that_another_study_ran_is_not_run_again(tmp_path):
    """Nor by another machine: recipes are compared within a length, and a length has one numerics."""
    build(tmp_path, ["main"], Synthetic(seeds=(100, 101, 102), numerics=("a",)))
    elsewhere = Synthetic(seeds=(100, 101), numerics=("b",))
    sweep = [{"steps_per_version": "50", "paradigm": paradigm} for paradigm in ("ptfs", "cpt", "path_switching")]
    build(tmp_path, ["data_scale"], elsewhere, sweep=sweep)
    one = judged(tmp_path)["G3"]
    base = [part for part in one.parts if part.what.endswith("base cell")]
    assert [part.role for part in base] == ["shown"] * len(base) != []
    assert {part.seeds for part in base} == {(100, 101, 102)}
    assert {part.seeds for part in one.parts if part.role == "decides"} == {(100, 101)}
    assert one.verdict == "reproduced"
    factor = STUDIES["data_scale"].factor
    assert factor is not None
    table = generality_table(load(tmp_path, "synthetic").primary(), "data_scale", factor)
    assert table is not None
    assert {row[0] for row in table.rows} == {"50", "100"}
    assert "a (seeds 100, 101, 102); b (seeds 100, 101)" in table.caption


def test_what_goes_along_with_a_factor_may_vary_on_its_own(tmp_path):
    build(tmp_path, ["main", "max_lr"])
    build(tmp_path, ["max_lr"], Synthetic(setting={"min_lr": "0.0001"}))
    found = judged(tmp_path)["G4"]
    labels = {part.what for part in found.parts}
    cell = "CPT above path switching, version 4, maximum learning rate 0.004"
    assert f"{cell}, min_lr 0.0001, cosine" in labels
    assert f"{cell}, min_lr 0.0004, cosine, base cell" in labels


def test_a_trend_is_not_claimed_from_two_versions(tmp_path):
    build(tmp_path, ["pilot"], Synthetic(setting={"versions": "2"}))
    found = judged(tmp_path)
    assert found["P1"].verdict == "reproduced"
    assert found["P2"].verdict == "not run"
    assert found["T1"].verdict == "not run"


def altered(root: Path, claim: str, change) -> Judged:
    """The claim's verdict in a world whose perplexities `change(run, row)` has altered in place."""
    folder = root / "synthetic" / "data"
    original = (folder / "perplexity.csv").read_text()
    runs = {row["run"]: row for row in csv.DictReader((folder / "runs.csv").open())}
    try:
        rewrite(folder / "perplexity.csv", lambda row: change(runs[row["run"]], row))
        return judged(root)[claim]
    finally:
        (folder / "perplexity.csv").write_text(original)


def test_all_parts_must_hold(whole):
    """One cycle out of line is enough to contradict a claim about all of them."""

    def improve(run, row):
        if run["paradigm"] == "two_stage" and run["second_cycle"] == "2" and run["first_cycle"] == ENDLESS:
            row["nll"] = str(float(row["nll"]) * 0.9)

    one = altered(whole, "S2", improve)
    assert one.verdict == "contradicted"
    assert one.weakest.what == "2 T above 1 T"


def test_a_swept_value_at_which_path_switching_diverged_speaks_against_it(whole):
    def diverge(run, row):
        if run["paradigm"] == "path_switching" and run["steps_per_version"] == "50":
            row["nll"] = "nan"

    one = altered(whole, "G3", diverge)
    assert one.verdict == "contradicted"
    assert "diverged, T 50, cosine" in one.reason


def test_a_swept_value_without_results_leaves_a_claim_open(whole):
    def diverge(run, row):
        if run["paradigm"] == "cpt" and run["steps_per_version"] == "50" and run["seed"] == "1":
            row["nll"] = "nan"

    one = altered(whole, "G3", diverge)
    assert one.verdict == "undecided"
    assert "T 50, cosine: not all three paradigms came to version 4 with seeds 1" in one.reason


def test_a_checkpoint_that_nothing_tells_apart_is_not_the_worst(whole):
    def flatten(run, row):
        if run["paradigm"] == "two_stage" and row["version"] == "1":
            row["nll"] = str(1000 * (3.499 if run["first_cycle"] == ENDLESS else 3.5))

    assert altered(whole, "S1", flatten).verdict != "reproduced"


def test_the_weakest_part_is_judged_by_its_p_not_by_its_t():
    few, many = np.array([0.9, 1.0, 2.2]), np.tile([0.5, 1.5, 1.1, -0.1, 1.2], 2)
    parts = [
        Part(what=name, unit="", needs="", estimate=0, low=0, high=0, contrast=values, seeds=tuple(range(len(values))))
        for name, values in (("many", many), ("few", few))
    ]
    assert [part.holds for part in parts] == [True, False]
    least = weakest(parts)
    assert least is not None
    assert least.what == "few"


def test_downstream_averages_are_over_what_all_three_have(tmp_path):
    folder = build(tmp_path, ["downstream"])
    runs = {row["run"]: row for row in csv.DictReader((folder / "runs.csv").open())}
    rows = read(folder / "downstream.csv")
    easy = [row for row in rows if not (runs[row["run"]]["paradigm"] == "ptfs" and row["task"] == "sentiment")]
    before = contrasts.downstream_means(load(tmp_path, "synthetic").primary()).mean()
    write(folder / "downstream.csv", easy)
    means = contrasts.downstream_means(load(tmp_path, "synthetic").primary()).mean()
    assert means["cpt"] - means["ptfs"] == pytest.approx(before["cpt"] - before["ptfs"], abs=0.2)
    one = judged(tmp_path)["D1"]
    assert one.verdict == "undecided"
    assert "8 of 9 tasks were scored for all three paradigms" in one.reason

"""How a ledger is read, and cut into settings."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import VERSIONS, Synthetic, build, read, seal, write

from analysis import plans
from analysis.findings.ledger import set_up
from analysis.frames import load
from analysis.registries import STUDIES
from analysis.tables.alpha import alpha as by_alpha
from analysis.tables.comparison import by_version
from analysis.tables.rates import rates
from analysis.tables.table import numerics_note
from repro.common.errors import UserError
from repro.results import commands, measures
from repro.store import tables


def test_every_study_that_can_be_run_is_known():
    conf = Path(__file__).resolve().parents[2] / "conf" / "study"
    assert set(STUDIES) == {path.stem for path in conf.glob("*.yaml")}


def test_ppl_of_a_version_is_over_all_slices_of_the_stream(tmp_path):
    build(tmp_path, ["headline"])
    ledger = load(tmp_path, "synthetic")
    for row in ledger.scores.sample(6, random_state=0).to_dict("records"):
        mine = ledger.perplexity[
            (ledger.perplexity["run"] == row["run"]) & (ledger.perplexity["version"] == row["version"])
        ]
        assert len(mine) == VERSIONS
        assert row["ppl"] == pytest.approx(np.exp(mine["nll"].sum() / mine["tokens"].sum()))
        assert row["bits_per_byte"] == pytest.approx(mine["nll"].sum() / np.log(2) / mine["bytes"].sum())


def test_a_version_with_a_slice_missing_has_no_ppl(tmp_path):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    path = folder / "perplexity.csv"
    rows = read(path)
    gone = rows.pop(next(i for i, row in enumerate(rows) if row["slice"] == "1" and row["version"] == "3"))
    write(path, rows)
    scores = load(tmp_path, "synthetic").scores
    assert not ((scores["run"] == gone["run"]) & (scores["version"] == 3)).any()
    assert len(scores) == 3 * VERSIONS - 1


def test_runs_of_another_setting_are_a_view_of_their_own(tmp_path):
    build(tmp_path, ["headline", "alpha", "max_lr"])
    build(tmp_path, ["headline"], Synthetic(setting={"stream": "chronological"}, seeds=(0, 1)))
    primary, other = load(tmp_path, "synthetic").views
    assert primary.setting["stream"] == "shuffled"
    assert other.label == "stream=chronological"
    assert set(primary.runs("headline")["stream"]) == {"shuffled"}
    assert set(other.runs("headline")["stream"]) == {"chronological"}
    assert set(primary.runs("max_lr")["max_lr"]) == {0.002, 0.004}
    assert set(primary.runs("headline", "max_lr")["max_lr"]) == {0.002, 0.004}
    assert other.runs("max_lr").empty


def test_runs_of_other_conditions_are_never_compared(tmp_path):
    """Another optimizer, say; another stream is other text as well, which goes without saying."""
    build(tmp_path, ["headline", "alpha"])
    for setting in ({"conditions": "1"}, {"stream": "chronological", "conditions": "2"}):
        build(tmp_path, ["headline"], Synthetic(setting=setting, seeds=(0, 1)))
    views = load(tmp_path, "synthetic").views
    assert [view.label for view in views] == ["", "stream=chronological", "conditions=1"]
    assert [set(view.runs("headline")["conditions"]) for view in views] == [{"c0ffee00"}, {"2"}, {"1"}]
    build(tmp_path, ["headline"], Synthetic(setting={"stream": "chronological", "conditions": "3"}, seeds=(0, 1)))
    assert [view.label for view in load(tmp_path, "synthetic").views[1:]] == [
        "stream=chronological, conditions=2",
        "stream=chronological, conditions=3",
        "conditions=1",
    ]


def test_studies_of_one_setting_are_one_view_whichever_were_run(tmp_path):
    build(tmp_path / "a", ["first_stage", "alpha"])
    build(tmp_path / "b", ["first_stage", "max_lr"])
    for folder, study in (("a", "alpha"), ("b", "max_lr")):
        (view,) = load(tmp_path / folder, "synthetic").views
        assert len(view.runs(study)) == len(load(tmp_path / folder, "synthetic").runs) - len(view.runs("first_stage"))
        assert view.last == VERSIONS


def test_runs_of_a_smaller_setting_stay_together(tmp_path):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    build(tmp_path, ["first_stage"], Synthetic(setting={"size": "small"}))
    primary, other = load(tmp_path, "synthetic").views
    assert len(primary.runs("first_stage")) == 15
    assert len(other.runs("headline")) == 3
    assert other.label.startswith("size=base")


def test_two_stage_runs_fit_a_stream_of_any_number_of_versions(tmp_path):
    build(tmp_path, ["headline"])
    folder = build(tmp_path, ["first_stage"], Synthetic(setting={"versions": "2"}))
    assert ",2," in (folder / "runs.csv").read_text()
    (view,) = load(tmp_path, "synthetic").views
    assert view.last == VERSIONS
    assert len(view.runs("first_stage")) == 15


def test_all_runs_of_a_seed_share_their_numerics(tmp_path):
    build(tmp_path, ["main"])
    build(tmp_path, ["headline"], Synthetic(seeds=(0,), numerics=("other",)))
    view = load(tmp_path, "synthetic").primary()
    runs = view.runs("main", "headline")
    assert set(runs["numerics"]) == {"n0"}
    assert set(view.left_out("main", "headline")["numerics"]) == {"other"}


def test_lengths_of_different_machines_stand_in_one_view(tmp_path):
    build(tmp_path, ["headline"], Synthetic(numerics=("a",)))
    build(tmp_path, ["data_scale"], Synthetic(numerics=("b",)))
    view = load(tmp_path, "synthetic").primary()
    runs = view.runs("headline", "data_scale")
    own = view.setting["steps_per_version"]
    assert set(runs[runs["steps_per_version"] == own]["numerics"]) == {"a"}
    assert set(runs[runs["steps_per_version"] != own]["numerics"]) == {"b"}
    assert set(view.left_out("headline", "data_scale")["steps_per_version"]) <= {own}


def test_seeds_of_different_machines_stand_in_one_view(tmp_path):
    build(tmp_path, ["headline"], Synthetic(numerics=("a", "a", "b")))
    runs = load(tmp_path, "synthetic").primary().runs("headline")
    assert dict(zip(runs["seed"], runs["numerics"], strict=True)) == {0: "a", 1: "a", 2: "b"}


def test_an_id_that_looks_like_a_number_stays_an_id(tmp_path):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    run = next(iter(read(folder / "runs.csv")))["run"]
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace(run, "000123456e78"))
    assert "000123456e78" in set(load(tmp_path, "synthetic").scores["run"])


def test_alpha_and_cycles_are_read_as_they_are_written_in_settings(tmp_path):
    build(tmp_path, ["alpha", "second_stage"])
    runs = load(tmp_path, "synthetic").runs
    assert set(runs["alpha"].dropna()) == {0.2, 0.4, 0.6, 0.8}
    assert set(runs["second_cycle"].dropna()) == {0.5, 1.0, 2.0, 3.0, 4.0, np.inf}


def test_results_that_may_not_be_read_are_no_missing_ones(tmp_path, monkeypatch):
    (tmp_path / "smoke" / "data").mkdir(parents=True)  # nobody but its owner sees what is in it
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"smoke/data may not be read; its owner can let others"):
        load(tmp_path, "smoke")


def test_without_any_results_what_makes_some_is_said(tmp_path):
    with pytest.raises(UserError, match=r"scale=NAME is missing.*To make some: python -m repro.train study=headline"):
        load(tmp_path, "")


def test_an_unknown_scale_is_refused_with_those_there_are(tmp_path):
    build(tmp_path, ["headline"], scale="one")
    build(tmp_path, ["headline"], scale="two")
    with pytest.raises(UserError, match=r"'three' has no results .*one, two\.$"):
        load(tmp_path, "three")
    with pytest.raises(UserError, match=r"'smoke'.*one, two.*study=headline scale=smoke ledger\.path="):
        load(tmp_path, "smoke")


@pytest.mark.parametrize("scale", ["..", "one/../one", "./one", ""])
def test_a_scale_is_no_path(tmp_path, scale):
    build(tmp_path, ["headline"], scale="one")
    with pytest.raises(UserError, match="There are results for: one"):
        load(tmp_path, scale)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("perplexity", lambda text: None, r"perplexity\.csv is missing"),
        ("perplexity", lambda text: text.replace("nll", "loss"), r"perplexity\.csv lacks the column nll"),
        ("runs", lambda text: text.replace(",128,", ",,"), r"runs\.csv, column tokens_per_step: an entry is empty"),
        (
            "runs",
            lambda text: text.replace(",128,", ",1e400,"),
            r"column tokens_per_step: no run has '1e400'",
        ),
        ("runs", lambda text: text.replace(",100,", f",{'9' * 5000} 5,"), r"runs\.csv, column steps_per_version: "),
        ("versions", lambda text: text.replace(",100,", ",many,"), r"versions\.csv, column .*many"),
        ("versions", lambda text: text.replace(",1,", ",1000000,"), r"column version: no run has '1000000'"),
        ("runs", lambda text: text.splitlines()[0] + "\n", r"holds no run"),
        ("runs", lambda text: "", r"runs\.csv is no CSV table"),
        (
            "curves",
            lambda text: text + text.splitlines()[-1].replace(text.splitlines()[-1][:12], "stranger") + "\n",
            "stranger",
        ),
    ],
)
def test_a_damaged_ledger_is_refused_by_file_and_column(tmp_path, name, change, message):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    path = folder / f"{name}.csv"
    changed = change(path.read_text())
    path.unlink() if changed is None else path.write_text(changed)
    with pytest.raises(UserError, match=message):
        load(tmp_path, "synthetic")


def test_a_ledger_without_fine_tuning_is_whole(tmp_path):
    folder = build(tmp_path, ["headline"])
    (folder / "downstream.csv").unlink()
    assert load(tmp_path, "synthetic").downstream.empty


# What belongs to a schedule or a recipe


def test_schedules_with_settings_of_their_own_are_compared_side_by_side(tmp_path):
    """A schedule that decays to 0, beside a cosine that decays to a tenth."""
    build(tmp_path, ["headline"], Synthetic(seeds=(0, 1)))
    build(
        tmp_path,
        ["headline"],
        Synthetic(seeds=(0, 1, 2), setting={"schedule": "mine", "min_lr": "0", "warmup_steps": "20"}),
    )
    (view,) = load(tmp_path, "synthetic").views
    assert list(dict.fromkeys(view.runs("headline")["schedule"])) == ["cosine", "mine"]
    table = by_version(view, "headline")
    assert table is not None
    assert [row[:2] + row[-1:] for row in table.rows] == [
        [schedule, recipe, n]
        for schedule, n in (("cosine", "2"), ("mine", "3"))
        for recipe in ("PTFS", "CPT", "path switching")
    ]


def test_which_text_a_versions_ppl_is_of_is_said_where_it_is_shown(tmp_path):
    """Of the last version, all slices are those up to its own; of others, two texts are two numbers."""
    build(tmp_path, ["headline", "alpha", "rates"])
    ledger = load(tmp_path, "synthetic")
    for (run, version), rows in ledger.perplexity.groupby(["run", "version"]):
        (everywhere,) = ledger.scores.loc[(ledger.scores["run"] == run) & (ledger.scores["version"] == version), "ppl"]
        so_far = measures.perplexity(rows.to_dict("records"), version)
        assert (so_far == pytest.approx(everywhere, rel=1e-9)) == (version == VERSIONS)
    view = ledger.primary()
    said = " ".join(set_up(view))
    assert f"PPL of a version is {measures.EVERY}" in said
    assert measures.SO_FAR in said
    for table in (by_version(view, "headline"), by_alpha(view), rates(view)):
        assert measures.EVERY in table.caption


def test_one_schedule_with_two_settings_is_two_and_never_averaged(tmp_path):
    build(tmp_path, ["headline"])
    build(tmp_path, ["headline"], Synthetic(seeds=(0,), setting={"max_lr": "0.002", "min_lr": "0.0002"}))
    build(tmp_path, ["headline"], Synthetic(seeds=(1,), setting={"carry_optimizer": "False"}))
    (view,) = load(tmp_path, "synthetic").views
    runs = view.runs("headline")
    assert set(runs["schedule"]) == {"cosine", "cosine, max_lr=0.002"}
    assert set(runs["paradigm"]) == {
        "ptfs", "cpt", "path_switching", "cpt, carry_optimizer=false", "path_switching, carry_optimizer=false",
    }  # fmt: skip
    plain = runs[(runs["schedule"] == "cosine") & ~runs["paradigm"].str.contains(",")]
    assert plain.groupby("paradigm").size().to_dict() == {"ptfs": 3, "cpt": 3, "path_switching": 3}
    assert not runs.duplicated(["paradigm", "schedule", "seed"]).any()


def test_among_equally_many_the_scales_own_rates_are_the_usual_ones(tmp_path):
    own = {name: f"{value:g}" for name, value in plans.rates("smoke", "cosine").items()}
    for min_lr in ("1e-05", own["min_lr"]):
        build(tmp_path, ["headline"], Synthetic(setting=own | {"min_lr": min_lr}), scale="smoke")
    (view,) = load(tmp_path, "smoke").views
    runs = view.runs("headline")
    assert set(runs["schedule"]) == {"cosine", "cosine, min_lr=1e-05"}
    assert set(runs["min_lr"][runs["schedule"] == "cosine"]) == {float(own["min_lr"])}
    assert view.own["min_lr"] == float(own["min_lr"])
    assert plans.rates("no such scale", "cosine") == {} == plans.rates("smoke", "of one's own")


def test_what_a_study_varies_on_purpose_makes_no_variant(tmp_path):
    build(tmp_path, ["main", "max_lr", "alpha", "first_stage", "second_stage"])
    (view,) = load(tmp_path, "synthetic").views
    runs = view.runs(*STUDIES)
    assert not runs["paradigm"].str.contains(",").any()
    assert not runs["schedule"].str.contains(",").any()


def test_two_settings_of_a_recipe_of_ones_own_are_two_runs(tmp_path):
    """What its extension said tells its runs apart stands in `settings`; nothing here knows the recipe."""
    for branch, seeds in (("0.3", (0, 1, 2)), ("1/2", (0, 1))):
        build(
            tmp_path, ["headline"], Synthetic(seeds=seeds, setting={"paradigm": "mine", "settings": f"branch={branch}"})
        )
    view = load(tmp_path, "synthetic").primary()
    runs = view.runs("headline")
    assert runs.groupby("paradigm").size().to_dict() == {"mine": 3, "mine, branch=0.5": 2}
    assert view.left_out("headline").empty


def test_a_setting_written_in_two_ways_is_one(tmp_path):
    for alpha in ("0.6", "3/5", "0.60"):
        build(tmp_path, ["headline"], Synthetic(seeds=(0,)), sweep=[{"alpha": alpha}])
    view = load(tmp_path, "synthetic").primary()
    assert list(view.runs("headline")["paradigm"]) == ["path_switching"]
    assert len(view.left_out("headline")) == 2


@pytest.mark.parametrize("more", [1, 2])
def test_a_setting_that_is_written_only_where_it_is_no_default_tells_runs_apart(tmp_path, more):
    """Whichever of both most runs have."""
    plain, replayed = "start=max rewarm_steps=0", "start=max rewarm_steps=0 replay=0.25"
    sweep = [{"paradigm": "ptfs", "settings": "order=mixed curve=cycle"}, {"paradigm": "cpt", "settings": replayed}]
    build(tmp_path, ["chronological"], Synthetic(seeds=(0, 1)), sweep=sweep)
    build(tmp_path, ["chronological"], Synthetic(seeds=(0, 1)[:more]), sweep=[{"paradigm": "cpt", "settings": plain}])
    view = load(tmp_path, "synthetic").primary()
    names = {"ptfs": 2, "cpt": more, "cpt, replay=0.25": 2} if more == 2 else {"ptfs": 2, "cpt, replay=0": 1, "cpt": 2}
    assert dict(view.runs("chronological")["paradigm"].value_counts()) == names
    assert view.left_out("chronological").empty


def test_a_ledger_from_before_there_was_a_column_of_settings_is_read_as_it_was(tmp_path):
    folder = build(tmp_path, ["main", "alpha", "first_stage"])
    now = load(tmp_path, "synthetic")
    rows = read(folder / "runs.csv")
    # A branch was a whole cycle then.
    known = {"alpha=0.6 branch=cycle", "order=mixed", "first_cycle=1 second_cycle=1", ""}
    assert {row.pop("settings") for row in rows} >= known
    write(folder / "runs.csv", rows)
    then = load(tmp_path, "synthetic")
    pd.testing.assert_frame_equal(now.runs, then.runs, check_like=True)


# Checksums


def test_a_table_that_was_altered_is_named_and_refused(tmp_path):
    folder = build(tmp_path, ["headline"])
    seal(folder)
    before = load(tmp_path, "synthetic").scores
    path = folder / "perplexity.csv"
    text = path.read_text()
    place = text.index(".", text.index("\n")) + 1
    path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    with pytest.raises(
        UserError, match=r"(?s)perplexity\.csv was altered since it was written.*unchecked=true"
    ) as refusal:
        load(tmp_path, "synthetic")
    assert "runs.csv" not in str(refusal.value)
    assert "unchecked=true" in str(refusal.value)
    assert not load(tmp_path, "synthetic", unchecked=True).scores.equals(before)
    path.write_text(text)
    assert load(tmp_path, "synthetic").scores.equals(before)


def test_a_table_that_is_gone_or_not_in_the_list_is_refused(tmp_path):
    folder = build(tmp_path, ["downstream"])
    seal(folder)
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text("".join(line for line in sums.splitlines(True) if "downstream" not in line))
    with pytest.raises(UserError, match=r"downstream\.csv was altered"):
        load(tmp_path, "synthetic")
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "downstream.csv").unlink()
    with pytest.raises(UserError, match=r"downstream\.csv is missing"):
        load(tmp_path, "synthetic")


def test_advice_never_leads_into_what_is_published(monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    with pytest.raises(UserError, match=r"repro\.train study=headline scale=smoke$") as refusal:
        load(Path("paper_figures"), "smoke")
    assert "ledger.path" not in str(refusal.value)


def test_what_only_one_schedule_has_tells_its_runs_apart(tmp_path):
    """Most runs' value goes without saying, whether it is the default or not."""
    knee = {"paradigm": "cpt", "schedule": "knee"}
    own = "schedule.explore_share=1/4"
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)), sweep=[knee, knee | {"settings": own}])
    build(tmp_path, ["main"], Synthetic(seeds=(0,)), sweep=[knee])
    view = load(tmp_path, "synthetic").primary()
    assert set(view.runs("headline")["schedule"]) == {"knee", "knee, explore_share=0.25"}
    assert set(view.runs("headline")["paradigm"]) == {"cpt"}
    assert view.left_out("headline").empty
    build(tmp_path, ["pilot"], Synthetic(seeds=(0, 1)), sweep=[knee | {"settings": own}])
    view = load(tmp_path, "synthetic").primary()
    assert set(view.runs("headline")["schedule"]) == {"knee", "knee, explore_share=0.5"}


def test_a_ledger_that_was_half_written_names_the_commands_that_write_it_whole(tmp_path):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    (folder / "versions.csv").unlink()
    with pytest.raises(UserError, match=r"versions\.csv is missing; .*python -m repro\.train \.\.\. with its ledger"):
        load(tmp_path, "synthetic")
    line = "python -m repro.train study=headline 'corpus.path=\"my texts\"'"
    commands.record(folder, {"headline": {"aa": {"train": line}, "bb": {"train": line}}})
    with pytest.raises(UserError) as refusal:
        load(tmp_path, "synthetic")
    # It was built elsewhere than the command would write.
    assert str(refusal.value).endswith(f"To write all of them again from the store: {line} ledger.path={folder}.")
    path = folder / "commands.json"
    path.write_text(path.read_text().replace("headline", "headlime", 1))
    assert [each.name for each, _ in tables.damage(folder)] == ["commands.json"]


def test_a_caption_says_where_each_seed_has_a_text_of_its_own(tmp_path):
    said = "Each seed has its own text and tokenizer"
    build(tmp_path / "follows", ["main"], Synthetic(follows=True))
    view = load(tmp_path / "follows", "synthetic").primary()
    assert said in numerics_note(view, "main")
    build(tmp_path / "fixed", ["main", "data_scale"], Synthetic())
    assert said not in numerics_note(load(tmp_path / "fixed", "synthetic").primary(), "main", "data_scale")
    build(tmp_path / "one", ["main"], Synthetic(follows=True, seeds=(100,)))
    assert said not in numerics_note(load(tmp_path / "one", "synthetic").primary(), "main")

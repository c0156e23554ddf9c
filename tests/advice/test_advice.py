"""Advice on ledgers whose truth is known, and what is refused."""

import csv
import json
import pickle
import re
import shutil
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from advice.lawful import HARD, TRUE, World, candidates, write
from threadpoolctl import threadpool_info, threadpool_limits

from repro import advise
from repro.advice import evidence, fits, records
from repro.advice.candidates import Candidate, planned
from repro.advice.fits import Evidence
from repro.advice.laws import Annealing, Law
from repro.advice.predictions import Knowledge
from repro.advice.question import Question
from repro.common.errors import UserError
from repro.config.registries import RECIPES
from repro.recipes.orders import Mixed, Order
from repro.recipes.recipe import Recipe, Releases
from repro.recipes.trajectory import Phase

ASKED = ["paradigm=ptfs,cpt,path_switching,wsd_s", "paradigm.alpha=0.2,0.6"]
EVERY = "paradigm=ptfs,cpt,path_switching,wsd,schedule_free"
PILOT = ("paradigm=ptfs,cpt,path_switching", "paradigm.alpha=0.2,0.6")
WHY_NOT = "the ledger has it and retraining, but never under one seed on one text"


def told(capsys, *words: str) -> dict:
    advise.main([*words, "output=json"])
    return json.loads(capsys.readouterr().out)


FITTED: dict[tuple[str, bytes], object] = {}


@pytest.fixture
def every_law() -> None:
    """Have all laws tried, and one of them chosen."""


@pytest.fixture(autouse=True)
def one_law(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have that tried alone which made these ledgers: most of a fit's time goes into the others."""

    def candidates(evidence: Evidence) -> list[Law]:
        return [Annealing(sizes=len(evidence.sizes), rates=len(evidence.rates))]

    if "every_law" not in request.fixturenames:
        monkeypatch.setattr(fits, "candidates", candidates)


@pytest.fixture(autouse=True)
def fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests ask one ledger several questions, and many share a ledger: the same laws are fitted to it once."""
    for each in (fits.choose, fits.bootstrap):

        def kept(*known, each=each):
            key = each.__name__, pickle.dumps(known)
            if key not in FITTED:
                FITTED[key] = each(*known)
            return FITTED[key]

        monkeypatch.setattr(fits, each.__name__, kept)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lawful") / "data"
    write(folder, candidates(*PILOT), World())
    return folder


@pytest.fixture
def ledger(pilot, tmp_path):
    return shutil.copytree(pilot, tmp_path / "lawful" / "data")


@pytest.mark.usefixtures("every_law")
def test_advice_finds_the_recipe_that_is_best(ledger, capsys) -> None:
    """Among recipes that the ledger does not hold."""
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=path_switching,wsd_s,falling_cosine"]
    found = told(capsys, *words, "paradigm.alpha=0.4,0.8", "advise.margin=0")
    world = World()
    truth = {each.name: world.ends(each) for each in candidates(*words[3:], "paradigm.alpha=0.4,0.8")}
    assert found["decision"]["recipe"] == min(truth, key=lambda name: truth[name][-1])
    for row in found["recipes"]:
        for number, version in enumerate(row["versions"], start=1):
            assert version["loss"] == pytest.approx(truth[row["name"]][number - 1] + HARD[:number].mean(), abs=0.01)
    assert {"decision", "runner_up", "flips", "recipes", "law", "scored"} <= found.keys()
    assert found["law"]["source"] == "2408.11029"
    for name, each in found["law"]["parameters"].items():
        assert each["low"] <= each["high"], name
    advise.main([*words, "paradigm.alpha=0.4,0.8", "advise.margin=0"])
    floor = found["law"]["parameters"]["floor"]
    assert f"floor {floor['value']:.3g} [{floor['low']:.3g}, {floor['high']:.3g}]" in capsys.readouterr().out


def test_without_a_sweep_all_recipes_are_asked_about_under_the_schedules_of_the_ledger(ledger, capsys) -> None:
    write(ledger, candidates("paradigm=ptfs,cpt", "schedule=multi_step"), World())
    words = ("scale=smoke", f"ledger.path={ledger}")
    found = told(capsys, *words)
    rows = {row["name"]: row for row in found["recipes"]}
    assert {row["about"]["schedule"] for row in rows.values()} == {"cosine", "multi_step"}
    assert {row["about"]["schedule"] for row in told(capsys, *words, "schedule=knee")["recipes"]} == {"knee"}
    assert {"ptfs_arrival, multi_step", "wsd_s_d0.4, multi_step", "path_switching_a0.4, multi_step"} <= rows.keys()
    # Others are compared with retraining under the settings' own schedule, as it was measured.
    retraining, other = rows["ptfs, cosine"], rows["wsd_s_d0.4, multi_step"]
    assert (retraining["ppl_over_retraining_percent"], retraining["interval_percent"]) == (0, None)
    assert (retraining["basis"], other["basis"]) == ("measured", "law")
    assert len(rows["ptfs, multi_step"]["interval_percent"]) == 2
    world = World()
    truth = [world.ends(each)[-1] for each in candidates("paradigm=wsd_s", "schedule=multi_step")]
    truth += [world.ends(each)[-1] for each in candidates("paradigm=ptfs")]
    assert other["versions"][-1]["over"] == pytest.approx(truth[0] - truth[1], abs=0.01)
    shown = [row for row in rows.values() if row["shown"]]
    assert {row["name"] for row in rows.values() if row["basis"] == "measured"} <= {row["name"] for row in shown}
    assert {name.rpartition(",")[0] for name in rows} == {row["name"].rpartition(",")[0] for row in shown}
    assert len(shown) < len(rows)
    advise.main([*words])
    text = capsys.readouterr().out
    assert "measured, or under the best of cosine, multi_step" in text


@pytest.mark.usefixtures("every_law")
def test_the_same_ledger_gives_the_same_advice(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
    FITTED.clear()
    once = told(capsys, *words)
    FITTED.clear()
    assert told(capsys, *words) == once


def test_advice_does_not_depend_on_how_many_threads_linear_algebra_has(ledger, capsys, monkeypatch) -> None:
    """With two, a fit to a large ledger ends elsewhere in the fourth digit."""
    seen = set()

    def fit(*known, own=fits.fit):
        seen.update(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return own(*known)

    monkeypatch.setattr(fits, "fit", fit)
    FITTED.clear()
    with threadpool_limits(2, user_api="blas"):
        told(capsys, "scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
        assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {2}
    assert seen == {1}


def test_a_budget_and_a_delay_bind(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
    free = told(capsys, *words)
    costs = {row["name"]: row["steps"] for row in free["recipes"]}
    bound = told(capsys, *words, "advise.budget=200 steps")
    assert costs[bound["decision"]["recipe"]] <= 200
    for row in bound["recipes"]:
        assert row["steps"] == costs[row["name"]]
    with pytest.raises(SystemExit):
        advise.main([*words, "advise.budget=10 steps"])
    assert "the cheapest takes 200 steps" in capsys.readouterr().err


def test_a_delay_binds_where_the_best_takes_longer(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT), World(beyond={"ptfs": -0.5}))
    words = ("scale=smoke", f"ledger.path={tmp_path}", "-m", *PILOT)
    free = told(capsys, *words)
    delays = {row["name"]: row["delay"] for row in free["recipes"]}
    best = free["decision"]["recipe"]
    assert best.startswith("ptfs")
    shorter = max(delay for delay in delays.values() if delay < delays[best])
    assert delays[told(capsys, *words, f"advise.delay={shorter} steps")["decision"]["recipe"]] <= shorter


def test_the_cheaper_of_two_that_are_equal_is_advised(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
    found = told(capsys, *words, "advise.margin=20")
    compared = [row for row in found["recipes"] if row["predicted"]]
    assert found["decision"]["steps"] == min(row["steps"] for row in compared)


def test_merged_weights_are_not_predicted_and_the_trunk_is_not_compared(ledger, capsys) -> None:
    found = told(capsys, "scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=merge,soup,trunk,cpt,schedule_free",
                 "stream.steps_per_version=50")  # fmt: skip
    rows = {row["recipe"]: row for row in found["recipes"]}
    for recipe in ("merge", "soup", "schedule_free"):
        assert not rows[recipe]["predicted"]
        assert rows[recipe]["why_not"]
    assert rows["trunk"]["predicted"]
    assert not rows["trunk"]["compared"]
    assert found["decision"]["recipe"].startswith("cpt")


@pytest.mark.parametrize("best", ["soup", "schedule_free"])
def test_what_no_law_speaks_of_is_advised_where_the_ledger_has_measured_it(ledger, capsys, best) -> None:
    recipes = "paradigm=merge,soup,branch_average,schedule_free"
    write(ledger, candidates(recipes), World(beyond=dict.fromkeys(("merge", "branch_average"), 0.1) | {best: -0.2}))
    words = ("scale=smoke", f"ledger.path={ledger}")
    found = told(capsys, *words, "advise.margin=0")
    own = [row for row in found["recipes"] if row["recipe"] in recipes and row["about"]["schedule"] == "cosine"]
    assert len(own) == 4
    assert {row["basis"] for row in own} == {"measured"}
    assert found["decision"]["recipe"].startswith(best)
    row = found["recipes"][0]
    truth = [World().ends(each)[-1] for each in candidates(f"paradigm={best},ptfs")]
    assert row["versions"][-1]["over"] == pytest.approx(truth[0] - 0.2 - truth[1], abs=0.005)
    assert row["extra_steps"] is None  # by what law?
    laws = [each["recipe"] for each in found["law"]["left_out"]]
    assert not set(laws) & {"merge", "soup", "branch_average", "schedule_free"}
    assert any("optimizer of its own" in line for line in found["limits"]) == (best == "schedule_free")
    advise.main([*words, "advise.margin=0"])
    assert f"{row['name']}. PPL" in capsys.readouterr().out
    with pytest.raises(SystemExit):  # it has been seen, so that it is not predicted
        advise.main([*words, f"paradigm={best}", f"record={ledger / 'late.json'}", "-m"])
    assert "already holds runs" in capsys.readouterr().err


def test_what_was_measured_is_compared_within_one_numerics(tmp_path, capsys) -> None:
    """The other's seeds are a tenth of a nat easier there, for both."""
    write(tmp_path, candidates(*PILOT), World())
    elsewhere = World(numerics="other", levels=dict.fromkeys((0, 1), -0.1), seeds=(0, 1))
    write(tmp_path, candidates("paradigm=ptfs,soup"), elsewhere)
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=soup,cpt")
    world = World()
    truth = {each.run.settings.paradigm.kind: world.ends(each)[-1] for each in candidates("paradigm=ptfs,soup,cpt")}
    for row in found["recipes"]:
        over = truth[row["recipe"]] - truth["ptfs"]
        assert row["versions"][-1]["over"] == pytest.approx(over, abs=0.005), row["name"]


@pytest.mark.parametrize("what", ["cut", "order", "conditions"])
def test_what_was_measured_is_compared_within_one_cut_of_the_text_one_order_and_the_same_conditions(
    tmp_path, what: str
) -> None:
    """Each seed ran under four of them, which are a tenth of a nat apart; whichever of them a table ends with."""
    for number in range(4):
        levels = dict.fromkeys((0, 1, 2), 0.1 * number)
        write(tmp_path, candidates(*PILOT), replace(World(levels=levels, noise=0.0), **{what: str(number)}))
    ptfs, cpt, *_ = evidence.read(tmp_path)
    (truth,) = {round(float(np.subtract(*(World().ends(each)[-1] for each in candidates("paradigm=cpt,ptfs")))), 9)}
    assert list(cpt.versions[-1].above(ptfs.versions[-1]).values()) == pytest.approx([truth] * 3)
    assert len(cpt.versions[-1].losses) == 12


def test_what_was_measured_on_other_text_is_not_compared(tmp_path, capsys) -> None:
    """Two numerics are of one text; another cut of it, other conditions or another order are not compared."""
    write(tmp_path, candidates("paradigm=ptfs"), World(noise=0.0, numerics="other"))
    write(tmp_path, candidates("paradigm=cpt,path_switching,wsd", "schedule=cosine,linear"), World(noise=0.0))
    write(tmp_path, candidates("paradigm=schedule_free"), World(noise=0.0, conditions="c1"))
    write(tmp_path, candidates("paradigm=soup"), World(noise=0.0, cut="3"))
    write(tmp_path, candidates("paradigm=merge"), World(noise=0.0, order="7"))
    ptfs, cpt, *_, apart, cut, order = evidence.read(tmp_path)
    assert set(cpt.versions[-1].above(ptfs.versions[-1])) == {0, 1, 2}
    assert [each.versions[-1].above(ptfs.versions[-1]) for each in (apart, cut, order)] == [{}, {}, {}]
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", EVERY)
    rows = {row["recipe"]: row for row in found["recipes"]}
    assert rows["schedule_free"]["why_not"] == WHY_NOT


def test_recipes_without_a_seed_in_common_with_retraining_are_compared_by_law_or_say_so(ledger, capsys) -> None:
    write(ledger, candidates("paradigm=wsd,schedule_free"), World(seeds=(10, 11, 12)))
    found = told(capsys, "scale=smoke", f"ledger.path={ledger}", "-m", EVERY)
    rows = {row["recipe"]: row for row in found["recipes"]}
    assert rows["cpt"]["basis"] == "measured"
    assert rows["wsd"]["basis"] == "law"
    assert np.isfinite(rows["wsd"]["ppl_over_retraining_percent"])
    assert rows["schedule_free"]["why_not"] == WHY_NOT
    assert all(each["rms"] < 3 for each in found["law"]["errors"].values())  # no seed's effect is guessed


def test_a_sweep_that_is_half_finished_has_advice(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT), World())
    runs = {row["run"]: row for row in csv.DictReader((tmp_path / "runs.csv").open(newline=""))}
    path = tmp_path / "perplexity.csv"
    rows = list(csv.DictReader(path.open(newline="")))
    last = max(int(row["version"]) for row in rows)

    def unfinished(row: dict[str, str]) -> bool:
        run = runs[row["run"]]
        return int(row["version"]) == last and (run["paradigm"] == "ptfs") != (run["seed"] == "0")

    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if not unfinished(row))
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", *PILOT)
    assert all(np.isfinite(row["ppl_over_retraining_percent"]) for row in found["recipes"])


def test_a_training_whose_versions_were_fine_tuned_in_several_ways_counts_once(ledger) -> None:
    """As in the studies quick and future: a run for each way, with the same versions and losses."""
    before = evidence.read(ledger)
    for table in ("studies", "runs", "versions", "perplexity", "curves", "paths"):
        path = ledger / f"{table}.csv"
        rows = list(csv.DictReader(path.open(newline="")))
        tuned = {"settings": " update=continue"} if table == "runs" else {}
        again = [row | {"run": f"{row['run']}c"} | {n: row[n] + more for n, more in tuned.items()} for row in rows]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows([*rows, *again])
    after = evidence.read(ledger)
    assert [cell.about for cell in after] == [cell.about for cell in before]
    assert [2 * len(cell.runs) for cell in before] == [len(cell.runs) for cell in after]
    for one, other in zip(before, after, strict=True):
        assert [v.loss for v in one.versions] == [v.loss for v in other.versions]
        assert all(np.array_equal(v.training, w.training) for v, w in zip(one.versions, other.versions, strict=True))
    assert Evidence(tuple(after)).freedom == Evidence(tuple(before)).freedom


def test_a_training_with_no_optimizer_to_carry_is_one_whatever_is_said_of_it(ledger, capsys) -> None:
    """PTFS, but for its control, and the trunk: from scratch, nothing is carried or reset."""

    def reset(row: dict[str, str]) -> dict[str, str]:
        return row | {"carry_optimizer": "False"} if row["paradigm"] == "ptfs" and row["seed"] == "0" else row

    before = evidence.read(ledger)
    path = ledger / "runs.csv"
    rows = [reset(row) for row in csv.DictReader(path.open(newline=""))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert [cell.about for cell in evidence.read(ledger)] == [cell.about for cell in before]
    both = ["paradigm=ptfs,cpt", "paradigm.carry_optimizer=true,false"]
    found = told(capsys, "scale=smoke", f"ledger.path={ledger}", "-m", *both)
    assert [row["recipe"] for row in found["recipes"]].count("ptfs") == 1
    assert [row["recipe"] for row in found["recipes"]].count("cpt") == 2


def test_retraining_is_plain_ptfs_wherever_it_is_asked(tmp_path) -> None:
    """By candidates, by a ledger's cells, and by what a law is said to miss of differences to it."""
    asked = candidates("paradigm=ptfs", "paradigm.order=mixed,arrival", "paradigm.curve=cycle,path_switching")
    asked += candidates("paradigm=cpt")
    write(tmp_path, asked, World(seeds=(0,)))
    cells = evidence.read(tmp_path)
    assert [cell.retrains for cell in cells] == [each.retrains for each in asked] == [True, False, False, False, False]
    missed = (0.0, 0.1, 0.2, 0.3, 0.4)
    left_out = [
        fits.LeftOut(cell, np.full(len(cell.versions), error)) for cell, error in zip(cells, missed, strict=True)
    ]
    law = SimpleNamespace(left_out=left_out, error=9.0)
    knowledge = Knowledge(tuple(cells), Evidence(tuple(cells)), (law,), ())
    assert knowledge._contrast_error == pytest.approx(np.sqrt(np.mean(np.square(missed[1:]))))


@dataclass(frozen=True, kw_only=True)
class Mixing(Recipe):
    """An extension's, on mixed data."""

    label = "mixing"
    mixes = True

    def data_order(self, releases: Releases, version: int) -> Order:
        return releases.order(Mixed, version)

    def phases(self, releases: Releases, version: int) -> list[Phase]:
        steps = releases.until(version)
        return [Phase(steps=steps, curve=releases.schedule.cycle(steps, warm=True))]


def test_an_extensions_recipe_on_mixed_data_is_one_in_a_ledger_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(RECIPES, "mixing", Mixing)
    settings = candidates("paradigm=cpt")[0].run.settings
    asked = Candidate(planned(replace(settings, paradigm=Mixing(kind="mixing")), Question()))
    assert not asked.unpredicted
    write(tmp_path, [asked], World())
    (cell,) = evidence.read(tmp_path)
    for version, curve in zip(cell.versions, asked.curves(cell.parameters), strict=True):
        assert fits.curve_of(cell, version).since.tolist() == curve.since.tolist() == [0.0] * version.number
    monkeypatch.setattr(Mixing, "mixes", False)
    assert "does not say so" in Candidate(asked.run).unpredicted


def test_without_retraining_what_no_law_speaks_of_says_what_is_missing(tmp_path, capsys) -> None:
    write(tmp_path, candidates(PILOT[0].replace("ptfs,", ""), PILOT[1]), World())
    write(tmp_path, candidates("paradigm=schedule_free"), World())
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", EVERY)
    (row,) = (row for row in found["recipes"] if row["recipe"] == "schedule_free")
    assert row["why_not"].startswith("the ledger has it, but no retraining under")


def test_what_lacks_its_package_is_named_as_left_out(ledger, capsys, monkeypatch) -> None:
    monkeypatch.setattr("repro.advice.candidates.find_spec", lambda name: None)
    found = told(capsys, "scale=smoke", f"ledger.path={ledger}")
    assert "pip install schedulefree" in found["left_out"]["schedule_free"]


def test_recipes_say_whether_laws_speak_of_them_as_their_plans_do() -> None:
    # Other tests register recipes of their own, which have no file in conf/paradigm.
    kinds = [name for name, each in RECIPES.items() if each.__module__.startswith("repro.") and each.asked]
    plans = {each.run.settings.paradigm.kind: each.unpredicted for each in candidates(f"paradigm={','.join(kinds)}")}
    assert plans.keys() == set(kinds)
    assert {name for name, why in plans.items() if not why} == {name for name in kinds if RECIPES.find(name).lawful}


def test_a_larger_model_that_never_comes_is_no_reason_to_let_laws_speak() -> None:
    (never,) = candidates("paradigm=grow", "paradigm.grow_at=1000", "paradigm.intermediate_before=40")
    assert "one model trained from a random start" in never.unpredicted


def test_a_schedules_own_settings_tell_candidates_apart(tmp_path, capsys) -> None:
    own = ("schedule=knee", "schedule.explore_share=0.3,0.5")
    both = {each.name: each for each in candidates("paradigm=cpt", *own)}
    assert set(both) == {"cpt, knee, explore_share 0.3", "cpt, knee"}
    write(tmp_path, candidates(*PILOT, "schedule=cosine,knee"), World())
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=ptfs,cpt", *own)
    bases = {row["name"]: row["basis"] for row in found["recipes"]}
    assert bases["cpt, knee"] == "measured"
    assert bases["cpt, knee, explore_share 0.3"] != "measured", "what was trained at 0.5 says nothing of it for certain"


def test_each_optimizer_of_a_ledger_has_advice_of_its_own(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
    alone = told(capsys, *words)
    write(ledger, candidates(*PILOT, "optimizer=muon"), World(beyond={"cpt": -0.5}))
    both = told(capsys, *words)
    assert [both[name] for name in ("decision", "recipes", "law")] == [
        alone[name] for name in ("decision", "recipes", "law")
    ]
    with pytest.raises(SystemExit):
        advise.main([*words, "optimizer=adamw,muon"])
    assert "one optimizer at a time" in capsys.readouterr().err
    every = told(capsys, *words[:2], "optimizer=muon")
    bases = {row["name"]: row["basis"] for row in every["recipes"]}
    assert bases["cpt, cosine"] == "measured"
    assert "schedule_free, cosine" not in bases, "it is AdamW's"
    assert "optimizer.kind=muon another" in every["left_out"]["schedule_free"]
    muon = told(capsys, *words[:3], *PILOT, "optimizer=muon")
    assert muon["decision"]["recipe"].startswith("cpt")
    assert {row["basis"] for row in muon["recipes"]} == {"measured"}


def test_a_ledger_from_before_it_named_optimizers_is_adamws(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", *ASKED)
    now = told(capsys, *words)
    lines = [line.rsplit(",", 2)[0] for line in (ledger / "runs.csv").read_text().splitlines()]
    assert lines[0].endswith("uncut_conditions")
    (ledger / "runs.csv").write_text("\n".join(lines) + "\n")
    then = told(capsys, *words)
    assert now.pop("ledger") != then.pop("ledger")
    assert now == then


def test_far_from_the_fit_it_says_how_far(ledger, capsys) -> None:
    words = ("scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=cpt,path_switching", "stream=dealt")
    near = told(capsys, *words[:-1])
    assert all(row["extrapolated"] == [] for row in near["recipes"])
    far = told(capsys, *words[:-1], "advise.releases=8")
    assert any("2 times the most steps" in line for row in far["recipes"] for line in row["extrapolated"])


def test_maximum_rates_are_told_apart_and_each_is_predicted_from_runs_of_its_own(tmp_path, capsys) -> None:
    rates, world = "schedule.max_lr=0.005,0.01", World()
    write(tmp_path, candidates(*PILOT, rates), world)
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=path_switching", "paradigm.alpha=0.4")
    found = told(capsys, *asked, rates)
    rows = {row["name"]: row for row in found["recipes"] if row["about"]["paradigm"] == "path_switching"}
    assert rows.keys() == {f"path_switching_a0.4, cosine, rate {rate}" for rate in ("0.005", "0.01")}
    for one in candidates("paradigm=path_switching", "paradigm.alpha=0.4", rates):
        row = rows[f"{one.name}, rate {one.about['max_lr']}"]
        assert row["versions"][-1]["loss"] == pytest.approx(world.ends(one)[-1] + HARD[:4].mean(), abs=0.01)
        assert row["extrapolated"] == []


def test_a_rate_that_the_ledger_lacks_is_uncertain_by_what_the_law_missed_of_its_highest(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT, "schedule.max_lr=0.005,0.01"), World())
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt")
    known, beyond, far = (
        told(capsys, *asked, f"schedule.max_lr={rate}")["recipes"][-1]["versions"][-1]["spread"]
        for rate in (0.01, 0.02, 0.04)
    )
    assert known < beyond < far


def test_a_rate_that_only_another_size_had_is_known(tmp_path, capsys) -> None:
    small, large = candidates(*PILOT, "schedule.max_lr=0.005,0.01"), candidates(*PILOT, "size=w48_l2")
    write(tmp_path, [*small, *large], World())
    sizes = [small[0].run.parameters, large[0].run.parameters]
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt", "size=w48_l2")
    assert told(capsys, *asked, "schedule.max_lr=0.005")["law"]["sizes"] == sizes
    assert told(capsys, *asked, "schedule.max_lr=0.01")["law"]["sizes"] == sizes[1:]


def test_what_is_compared_with_retraining_at_a_rate_that_nobody_knows_is_as_uncertain(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT, "schedule.max_lr=0.005,0.01"), World())
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt", "stream.steps_per_version=60")
    spread = {}
    for rates in ("0.01,0.005", "0.04,0.01"):
        found = told(capsys, *asked, f"schedule.max_lr={rates}")
        (row,) = (row for row in found["recipes"] if row["name"] == "cpt, cosine, rate 0.01")
        spread[rates] = row["versions"][-1]["over_spread"]
        assert f"All are compared with retraining at a maximum rate of {rates.split(',')[0]}." in found["limits"]
        assert all(each["shown"] for each in found["recipes"])
    assert spread["0.01,0.005"] < spread["0.04,0.01"]


def test_of_several_rates_retraining_is_that_of_the_first_that_was_measured(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT, "schedule.max_lr=0.005,0.01"), World())
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "schedule.max_lr=0.02,0.01,0.005")
    for recipes in ("cpt", "ptfs,cpt"):
        found = told(capsys, *asked, f"paradigm={recipes}")
        assert "All are compared with retraining at a maximum rate of 0.01." in found["limits"]
        basis = {row["name"].rpartition(" ")[2]: row["basis"] for row in found["recipes"] if row["recipe"] == "cpt"}
        assert basis == {"0.02": "law", "0.01": "measured", "0.005": "measured"}


def test_rates_with_runs_enough_are_told_together_as_they_are_one_by_one(tmp_path, capsys) -> None:
    """What a drop of the rate is worth differs between these two by more than one law for both can say."""
    slow, fast = candidates(*PILOT, "schedule.max_lr=0.005"), candidates(*PILOT, "schedule.max_lr=0.01")
    world = World(values=TRUE | {"memory": 40.0, "B": 30.0})
    write(tmp_path, slow, world)
    write(tmp_path, fast, World())
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=path_switching", "paradigm.alpha=0.4,0.8")
    both = told(capsys, *asked, "schedule.max_lr=0.01,0.005")
    assert any("laws of their own" in line for line in both["limits"])
    for rate, one in (("0.01", World()), ("0.005", world)):
        alone = {row["name"]: row for row in told(capsys, *asked, f"schedule.max_lr={rate}")["recipes"]}
        for candidate in candidates(*asked[3:], f"schedule.max_lr={rate}"):
            (row,) = (row for row in both["recipes"] if row["name"] == f"{candidate.name}, rate {rate}")
            losses = [version["loss"] for version in row["versions"]]
            assert losses == [version["loss"] for version in alone[candidate.name]["versions"]]
            assert losses[-1] == pytest.approx(one.ends(candidate)[-1] + HARD[:4].mean(), abs=0.01)
    with pytest.raises(SystemExit) as stopped:
        advise.main([*asked, "schedule.max_lr=0.01,0.005", f"record={tmp_path / 'both.json'}"])
    assert stopped.value.code == 2
    assert "record them one at a time" in capsys.readouterr().err


def test_a_law_that_never_saw_the_seeds_of_retraining_is_less_sure_of_a_difference_to_it(tmp_path, capsys) -> None:
    """Seeds differ by far more than runs of one."""
    world = World(levels={0: -0.2, 1: 0.2, 2: 0.05, 3: -0.2, 4: 0.2, 5: 0.05})
    spread = {}
    for seeds in ((0, 1, 2), (3, 4, 5)):
        folder = tmp_path / str(seeds[0])
        write(folder, candidates("paradigm=ptfs", "schedule.max_lr=0.01"), world)
        write(folder, candidates(*PILOT, "schedule.max_lr=0.005"), replace(world, seeds=seeds))
        asked = ("scale=smoke", f"ledger.path={folder}", "-m", "paradigm=ptfs,falling_cosine")
        rows = told(capsys, *asked, "schedule.max_lr=0.01,0.005")["recipes"]
        (row,) = (row for row in rows if row["name"] == "falling_cosine, cosine, rate 0.005")
        spread[seeds] = row["versions"][-1]["over_spread"]
    assert spread[0, 1, 2] < 0.05 < 0.1 < spread[3, 4, 5]


@pytest.mark.parametrize(
    ("sweep", "words", "says"),
    [
        (("paradigm=trunk,cpt,ptfs", "schedule=constant"), (), "no advice without decayed runs"),
        (PILOT, ("corpus=rfc",), "no advice on another kind of data"),
        (PILOT, ("model=qwen",), "no advice on another kind of data, model or optimizer"),
        (PILOT, ("optimizer.beta2=0.99",), "optimizer=adamw beta2=0.99; it holds"),
        (("paradigm=cpt,ptfs",), (), "a law needs three"),
        (PILOT, ("advise.parameters=1000000",), "a size law needs two"),
        (PILOT, ("schedule.max_lr=0.02",), "schedule.max_lr=0.02: the ledger has one maximum, 0.01"),
    ],
)
def test_refusals(tmp_path, capsys, sweep, words, says) -> None:
    write(tmp_path, candidates(*sweep), World())
    with pytest.raises(SystemExit) as stopped:
        advise.main(["scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt,path_switching", *words])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_limits_that_nothing_keeps_are_answered_in_their_own_units(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT), World(seeds=(0, 1)))
    asked = ["scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt,path_switching"]
    with pytest.raises(SystemExit):
        advise.main([*asked, "advise.budget=1 token", "advise.delay=1 step"])
    said = capsys.readouterr().err
    least, first = re.search(r"cheapest takes ([\d,]+) tokens.*quickest takes ([\d,]+) steps", said).groups()
    with pytest.raises(SystemExit):
        advise.main([*asked, "advise.tokens=7"])
    assert len(capsys.readouterr().err.splitlines()) == 1  # and not once for each recipe
    advise.main([*asked, f"advise.budget={least} tokens"])
    advise.main([*asked, f"advise.delay={first} steps"])


def test_one_seed_gives_no_interval(tmp_path, capsys) -> None:
    write(tmp_path, candidates(*PILOT), World(seeds=(0,)))
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=path_switching,cpt")
    assert all(row["interval_percent"] is None for row in found["recipes"])
    assert any("one seed" in line for line in found["limits"])


def test_seeds_that_share_no_run_with_others_take_nothing_from_those_that_do(tmp_path) -> None:
    """What they differ by from the others is not known, and costs no degree of freedom."""
    write(tmp_path, candidates(*PILOT), World(seeds=(0, 1, 2)))
    before = Evidence(tuple(evidence.read(tmp_path)))
    write(tmp_path, candidates("paradigm=wsd_s,falling_cosine"), World(seeds=(8,)))
    write(tmp_path, candidates("paradigm=trunk"), World(seeds=(9,)))
    after = Evidence(tuple(evidence.read(tmp_path)))
    assert (before.freedom, before.compared) == (after.freedom, after.compared)
    assert after.compared == 2
    assert after.noise == pytest.approx(before.noise)
    assert after.scatter == pytest.approx(before.scatter)


def test_seeds_of_which_no_two_share_a_run_are_no_single_seed(tmp_path, capsys) -> None:
    for seed, each in enumerate(PILOT[0].partition("=")[2].split(",")):
        write(tmp_path, candidates(f"paradigm={each}", "schedule=cosine,linear"), World(seeds=(seed,)))
    found = told(capsys, "scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=path_switching,cpt")
    assert any("seeds share too few runs" in line for line in found["limits"])
    assert not any("one seed" in line for line in found["limits"])


def test_runs_of_a_growing_stream_that_end_at_different_versions_are_averaged_over_what_both_know() -> None:
    losses = {
        evidence.Chance(0, numerics, "", "0", ""): np.array(each)
        for numerics, each in (("a", [1.0, 2.0]), ("b", [3.0, 4.0, 5.0]))
    }
    version = evidence.Version(1, np.ones(3), losses, np.ones(3), np.empty((0, 2)))
    assert version.heldout[0].tolist() == [2.0, 3.0]


def test_a_size_that_was_never_trained_has_the_losses_and_the_price_of_that_size(tmp_path, capsys) -> None:
    """By the size law that made the ledger of two others; a step takes so many times the FLOPs as it has parameters."""
    world = World(values=TRUE | {"F": 0.3}, noise=0.0005, seeds=(0, 1))
    write(tmp_path, candidates("paradigm=ptfs,cpt,path_switching", "size=w32_l1,w48_l2"), world)
    asked = ("scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=cpt", "advise.parameters=30000")
    (cpt,) = (row for row in told(capsys, *asked)["recipes"] if row["recipe"] == "cpt")
    (own,) = candidates("paradigm=cpt")
    curves = own.curves(30_000)
    truth = world.loss(curves, [[len(curve.rates)] for curve in curves])
    for number, version in enumerate(cpt["versions"], start=1):
        assert version["loss"] == pytest.approx(truth[number - 1] + HARD[:number].mean(), abs=0.005)
    assert (cpt["basis"], cpt["steps"]) == ("law", 200)
    assert cpt["flops"] == pytest.approx(200 * own.run.step_flops * 30_000 / own.run.parameters)


def test_what_is_recorded_is_of_a_size_that_can_be_trained(ledger, tmp_path, capsys) -> None:
    write(ledger, candidates(*PILOT, "size=w48_l2"), World())
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=wsd_s", "advise.parameters=400000"]
    with pytest.raises(SystemExit, match="2"):
        advise.main([*words, f"record={tmp_path / 'p.json'}"])
    assert "advise.parameters asks about another size" in capsys.readouterr().err
    assert not (tmp_path / "p.json").exists()


def test_an_altered_ledger_is_refused(ledger, capsys) -> None:
    (ledger / "SHA256SUMS").write_text("".join(f"{'0' * 64}  {each.name}\n" for each in sorted(ledger.glob("*.csv"))))
    with pytest.raises(SystemExit):
        advise.main(["scale=smoke", f"ledger.path={ledger}", "-m", *ASKED])
    said = capsys.readouterr().err
    assert "was altered" in said
    assert "writes the rows of what is stored again" in said


def test_predictions_are_recorded_before_and_scored_after(ledger, tmp_path, capsys) -> None:
    file = ledger / "predictions" / "alpha.json"
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=path_switching,wsd_s,falling_cosine"]
    words.append("paradigm.alpha=0.4,0.8")
    advise.main([*words, f"record={file}"])
    with pytest.raises(UserError, match="holds none of the predicted runs yet"):
        records.score(file, evidence.read(ledger))
    before = json.loads(file.read_text())["content"]
    assert before["ledger"] == evidence.fingerprint(ledger)
    write(ledger, candidates(*words[3:]), World(seeds=(0, 1, 2, 3, 4)))
    capsys.readouterr()
    after = told(capsys, *words, f"score={file}")
    assert len(after["rows"]) == 4 * 4
    assert after["summary"]["median_error_percent"] < 0.5
    assert after["summary"]["coverage"] >= 0.8  # of 16 that move together, by intervals that are to hold 90 %
    assert after["rank_correlation"] > 0.7
    assert after["regret_percent"] < 0.5
    assert np.isfinite(after["rows"][0]["half_percent"])
    advise.main([*words, f"score={file}"])
    told_plainly = capsys.readouterr().out
    assert f"All, 16 predictions: off by {after['summary']['median_error_percent']:.2f} % of PPL" in told_plainly
    assert "{" not in told_plainly
    (scored,) = told(capsys, *words)["scored"]
    assert scored["summary"] == after["summary"]
    with pytest.raises(SystemExit):
        advise.main([*words, f"record={tmp_path / 'again.json'}"])
    error = capsys.readouterr().err
    assert "already holds runs that would be predicted" in error
    assert "path_switching_a0.4" in error


def test_what_is_no_record_is_not_scored(ledger, capsys) -> None:
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=path_switching"]
    advise.main([*words, "keep=true"])
    with pytest.raises(UserError, match=r"is no record of predictions \(it has no predictions\)"):
        records.score(ledger / evidence.KEPT, evidence.read(ledger))


def test_a_recipe_with_other_versions_than_asked_for_is_refused_or_left_out(ledger, capsys) -> None:
    words = ["scale=smoke", f"ledger.path={ledger}", "-m"]
    found = told(capsys, *words, "paradigm=path_switching,two_stage")
    (why,) = found["left_out"].values()
    assert why == "two_stage releases 2 versions, whatever N is."
    with pytest.raises(SystemExit):
        advise.main([*words, "paradigm=two_stage"])
    assert "no recipe that is asked about fits: two_stage releases 2 versions" in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_digit_of_advice_is_cut_off(ledger, capsys, monkeypatch, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=path_switching,wsd_s"]
    found = told(capsys, *words)
    advise.main(words)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert all(f"{row['cost']:.2f}" in shown for row in found["recipes"])


def test_a_record_that_was_changed_scores_nothing(ledger, tmp_path, capsys) -> None:
    file = tmp_path / "one.json"
    words = ["scale=smoke", f"ledger.path={ledger}", "-m", "paradigm=wsd_s,falling_cosine"]
    advise.main([*words, f"record={file}"])
    with pytest.raises(SystemExit):
        advise.main([*words, f"record={file}"])
    assert "is there already" in capsys.readouterr().err
    file.write_text(file.read_text().replace('"loss": ', '"loss": 0', 1))
    with pytest.raises(UserError, match="does not match its checksum"):
        records.score(file, evidence.read(ledger))
    with pytest.raises(UserError, match="does not match its checksum"):
        records.scores(tmp_path, evidence.read(ledger))  # of a folder: one that failed does not disappear


def test_a_seeds_own_level_is_no_scatter(tmp_path, capsys) -> None:
    """Seeds may differ in their text and tokenizer: what they do to all runs alike is told apart, and given back."""
    write(tmp_path, candidates(*PILOT), World(seeds=(0, 1, 2), levels={1: 0.3, 2: -0.3}))
    words = ["scale=smoke", f"ledger.path={tmp_path}", "-m", "paradigm=wsd_s,falling_cosine"]
    assert told(capsys, *words)["seed_scatter_percent"] < 1
    file = tmp_path / "one.json"
    advise.main([*words, f"record={file}"])
    write(tmp_path, candidates(*words[3:]), World(seeds=(1,), levels={1: 0.3}))
    scored = records.score(file, evidence.read(tmp_path))
    assert scored["summary"]["median_error_percent"] < 1
    assert max(row["half_percent"] for row in scored["rows"]) < 10
    write(tmp_path, candidates(*words[3:]), World(seeds=(3,), levels={3: 0.1}))
    scored = records.score(file, evidence.read(tmp_path))
    assert min(row["half_percent"] for row in scored["rows"]) > 20  # what an unknown seed's level may be


def test_what_is_published_is_read_where_nothing_else_is_there_and_never_written(tmp_path, monkeypatch, capsys) -> None:
    published = tmp_path / advise.PUBLISHED / "quick" / "data"
    shutil.copytree(advise.PUBLISHED / "quick" / "data", published)
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stop:
        advise.main(["scale=quick", "paradigm=path_switching", "keep=true"])
    assert stop.value.code == 2
    assert "keep=true writes beside the ledger, and" in capsys.readouterr().err
    advise.main(["scale=quick", "paradigm=path_switching"])
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before

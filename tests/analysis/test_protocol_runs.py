"""The protocol's runs: what is asked for, in which order, and at which maximum."""

import csv
from pathlib import Path

import pytest

from analysis import protocol
from analysis.protocol import Maxima, parts, read_best
from repro.planning import sweeps
from repro.planning.planner import make


@pytest.fixture
def best(tmp_path: Path) -> Maxima:
    path = tmp_path / "best_rates.csv"
    rows = [
        ("cosine", "ptfs", "", "0.008"), ("cosine", "cpt", "", "0.004"), ("cosine", "path_switching", "", "0.002"),
        ("knee", "path_switching", "decay", "0.002"), ("knee", "path_switching", "cycle", "0.008"),
    ]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("schedule", "paradigm", "reading", "max_lr"), *rows])
    return read_best(path)


@pytest.mark.slow
def test_every_part_composes_at_smoke_and_its_plan_is_checked(best: Maxima, data_path: Path, tmp_path: Path) -> None:
    common = ["scale=smoke", f"data.path={data_path}", f"store.path={tmp_path}"]
    asked = [given for sweep in parts(best, "smoke").values() for given in sweep]
    every = [one for given in asked for one in sweeps.compose([*given, *common])]
    assert make(every).missing_steps > 0
    assert {one.study for one in every} == {*protocol.ORDER} - {"shape", "largest"}


def test_a_recipe_runs_at_the_shared_maximum_and_at_its_own_best(best: Maxima) -> None:
    asked = parts(best, "smoke")
    assert asked["headline"] == [
        ["study=headline", "schedule.max_lr=0.008"],
        ["study=headline", "schedule=cosine", "paradigm=cpt", "schedule.max_lr=0.004"],
        ["study=headline", "schedule=cosine", "paradigm=path_switching", "schedule.max_lr=0.002"],
    ]
    knee = [given for given in asked["main"] if "schedule=knee" in given]
    assert knee == [
        ["study=main", "schedule=knee", "paradigm=path_switching", "paradigm.branch=decay", "schedule.max_lr=0.002"]
    ], "the other reading's best is the shared one"


def test_without_tuning_all_have_the_scales_own_maximum(tmp_path: Path) -> None:
    asked = parts(read_best(tmp_path / "none.csv"), "smoke")
    assert asked["headline"] == [["study=headline"]]
    assert not any("max_lr=" in word for sweep in asked.values() for given in sweep for word in given)


def test_the_seeds_are_the_protocols() -> None:
    def seeds(study: str) -> set[int]:
        return {one.seed for one in sweeps.compose([f"study={study}", "scale=proxy"])}

    for study in ("headline", "first_stage", "second_stage"):
        assert seeds(study) == set(range(100, 108))
    for study in ("versions", "unequal", "chronological"):
        assert seeds(study) == set(range(100, 105))
    assert seeds("ladder") == {100, 101, 102}
    assert seeds("rates") == {200, 201}


@pytest.mark.parametrize("scale", ["proxy", "smoke"])
def test_the_largest_model_is_fine_tuned_as_the_ladder_trains_it(scale: str) -> None:
    [given] = parts(Maxima({}), scale)["largest"]
    runs = sweeps.compose([*given, f"scale={scale}"])
    ladder = sweeps.compose(["study=ladder", f"scale={scale}"])
    ladder = [one for one in ladder if one.model.name == ladder[-1].model.name]
    by_seed = {one.seed: one for one in ladder}
    assert {one.seed for one in runs} == set(by_seed)
    for one in runs:
        assert (one.study, one.finetune.versions) == ("downstream", [0, 1, one.stream.versions])
        for part in ("model", "corpus", "stream", "schedule"):
            assert getattr(one, part) == getattr(by_seed[one.seed], part)


@pytest.mark.parametrize("apart", protocol.APART)
def test_what_future_fine_tunes_stays_apart_from_what_d1_is_judged_on(
    apart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(protocol, "_run", lambda module, given: ran.append([module, *given]))
    protocol.carry_out("smoke", tmp_path, ["downstream", apart], [], [])
    ledgers = {word for words in ran for word in words[-1:] if word.startswith("ledger.path=")}
    assert ledgers == {f"ledger.path={tmp_path / place / 'data'}" for place in ("smoke", f"{apart}/smoke")}
    [chosen] = parts(read_best(tmp_path / "none.csv"), "smoke")[apart]
    mine = [words for words in ran if chosen == words[1 : 1 + len(chosen)]]
    assert [words[0] for words in mine] == ["repro.train", "repro.finetune", "repro.evaluate"]
    assert all(words[-1] == f"ledger.path={tmp_path / apart / 'smoke/data'}" for words in mine)
    assert all(sum(word.startswith("ledger.path=") for word in words) == 1 for words in mine)
    reports = [words[1:] for words in ran if words[0] == "analysis.report"]
    assert reports == [["scale=smoke", f"root={place}"] for place in (tmp_path, tmp_path / apart)]
    ran.clear()
    protocol.carry_out("smoke", tmp_path, [apart], [], [])
    alone = [words[1:] for words in ran if words[0] == "analysis.report"]
    assert alone == [["scale=smoke", f"root={tmp_path / apart}"]], "there may be nothing in the usual place"


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param("smoke", marks=pytest.mark.slow),
        "quick",
        pytest.param("paper", marks=pytest.mark.slow),
        "proxy",
    ],
)
def test_a_ladders_models_have_as_many_tokens_a_parameter(scale: str) -> None:
    from repro.models.architectures.architecture import architecture

    runs = sweeps.compose(["study=ladder", f"scale={scale}"])
    ratios = {
        s.stream.steps[0] * s.stream.global_batch_size * s.stream.sequence_length
        / architecture(s.model).parameters(s.stream.vocab_size, s.stream.sequence_length)
        for s in runs
    }  # fmt: skip
    assert len({s.model.name for s in runs}) > 1
    assert max(ratios) < 1.02 * min(ratios)
    assert all(s.schedule.warmup_steps * 10 == s.stream.steps[0] for s in runs)
    if scale == "proxy":
        assert min(ratios) > 8.75


def test_a_best_maximum_at_the_end_of_the_grid_is_looked_for_beyond_once(tmp_path: Path) -> None:
    path = tmp_path / "best_rates.csv"
    assert protocol.extended(path, "smoke") == []
    grid = "0.0014 0.002 0.0028 0.004 0.0056"
    rows = [
        ("cosine", "ptfs", "", "", "cosine", grid), ("cosine", "cpt", "", "lowest", "cosine", grid),
        ("knee", "path_switching", "decay", "highest", "knee", grid), ("knee", "cpt", "", "lowest", "cosine", grid),
        ("multi_step", "cpt", "", "highest", "multi_step", grid + " 0.0078"),
    ]  # fmt: skip
    with path.open("w", newline="") as file:
        head = ("schedule", "paradigm", "reading", "end_of_grid", "tuned_under", "grid")
        csv.writer(file).writerows([head, *rows])
    found = protocol.extended(path, "proxy")
    common = ["study=rates", "stream.versions=2"]
    assert found == [
        [*common, "schedule=cosine", "paradigm=cpt", "schedule.max_lr=0.00098"],
        [*common, "schedule=knee", "paradigm=path_switching", "schedule.max_lr=0.0078", "paradigm.branch=decay"],
    ]
    (one, other) = (sweeps.compose([*given, "scale=proxy"]) for given in found)
    assert {run.seed for run in one} == {200, 201}
    assert {run.schedule.max_lr for run in other} == {0.0078}

"""A ledger made by formula for a synthetic scale (never a result), and how `analysis.frames` reads one."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import frames
from analysis.frames import load
from repro.common.errors import UserError

T = 100
VERSIONS = 4
TASKS = {"arithmetic": 0.0, "sentiment": 0.5} | {f"choice{number}": 0.25 for number in range(1, 8)}
SCHEDULES = ("cosine", "knee", "multi_step")
PARADIGMS = ("ptfs", "cpt", "path_switching")


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """What the synthetic results say. Losses are in nats a token."""

    seeds: tuple[int, ...] = (0, 1, 2)
    gap: float = 0.02
    """CPT's lag behind PTFS at version 2; it grows by as much with each version."""
    recovered: float = 0.95
    """Share of it that path switching recovers at alpha 0.6."""
    noise: float = 0.0005
    downstream_gain: float = 0.02
    """Path switching's score over the other paradigms'."""
    above_chance: float = 0.2
    numerics: tuple[str, ...] = ("n0", "n0", "n0")
    """One a seed."""
    more_numerics: tuple[tuple[str, str], ...] = (("matmul", "onednn"),)
    setting: dict[str, str] = field(default_factory=dict)
    """Columns of runs.csv that depart from the defaults below."""


def build(root: Path, studies: Iterable[str], synthetic: Synthetic | None = None, scale: str = "synthetic") -> Path:
    """Add a ledger's CSV files for `studies`; the folder they are in."""
    world = synthetic or Synthetic()
    folder = root / scale / "data"
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[dict[str, Any]]] = {name: _read(folder / f"{name}.csv") for name in frames._TEXT}
    for study in studies:
        for change in _sweep(study):
            for place, seed in enumerate(world.seeds):
                numerics = world.numerics[place % len(world.numerics)]
                _add(tables, study, world, {**change, **world.setting}, seed, numerics)
    for name, rows in tables.items():
        columns = [*frames._TEXT[name], *frames._NUMBERS[name]]
        unique = {tuple(str(row[c]) for c in columns): None for row in rows}
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *sorted(unique)])
    return folder


def _sweep(study: str) -> list[dict[str, str]]:
    three = [{"paradigm": p} for p in PARADIGMS]
    if study == "pilot":
        return [{"paradigm": p, "schedule": s} for s in SCHEDULES for p in PARADIGMS[:2]]
    if study in ("main", "downstream"):
        return [{"paradigm": p, "schedule": s} for s in SCHEDULES for p in PARADIGMS]
    if study == "alpha":
        return [{"paradigm": "path_switching", "alpha": a} for a in ("0.2", "2/5", "0.6", "0.8")]
    if study == "first_stage":
        return [
            {"paradigm": "two_stage", "first_cycle": c, "second_cycle": "1"} for c in ("1", "2", "3", "4", "endless")
        ]
    if study == "second_stage":
        cycles = ("1/2", "1", "2", "3", "4", "endless")
        return [{"paradigm": "two_stage", "first_cycle": "endless", "second_cycle": c} for c in cycles]
    factors: dict[str, list[dict[str, str]]] = {
        "headline": [{}],
        "architecture": [{"architecture": "llama"}, {"architecture": "qwen2"}],
        "model_size": [{"size": "small", "parameters": "50000"}, {"size": "base", "parameters": "100000"}],
        "data_scale": [{"steps_per_version": "50"}, {"steps_per_version": str(T)}],
        "max_lr": [{"max_lr": "0.002", "min_lr": "0.0002"}, {"max_lr": "0.004", "min_lr": "0.0004"}],
    }
    return [{**factor, **paradigm} for factor in factors[study] for paradigm in three]


def _add(
    tables: dict[str, list[dict[str, Any]]],
    study: str,
    world: Synthetic,
    change: dict[str, str],
    seed: int,
    numerics: str,
) -> None:
    row: dict[str, Any] = {
        "schedule": "cosine", "order": "", "alpha": "", "first_cycle": "", "second_cycle": "",
        "carry_optimizer": "True", "architecture": "llama", "size": "base", "parameters": "100000", "corpus": "sotu",
        "stream": "shuffled", "versions": str(VERSIONS), "steps_per_version": str(T), "tokens_per_step": "128",
        "max_lr": "0.004",
        "min_lr": "0.0004", "warmup_steps": "10", "conditions": "c0ffee00",
    }  # fmt: skip
    row |= {key: value for key, value in change.items() if key not in ("alpha", "order")}
    if row["paradigm"] == "ptfs":
        row["order"] = change.get("order", "mixed")
    if row["paradigm"] == "path_switching":
        row["alpha"] = change.get("alpha", "0.6")
    row |= {"seed": str(seed), "numerics": numerics}
    row["name"] = f"{row['paradigm']} {row['schedule']}"
    row["run"] = run = hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:12]
    t = int(row["steps_per_version"])
    last = 2 if row["paradigm"] == "two_stage" else int(row["versions"])
    own = [_own_steps(row, k, t) for k in range(1, last + 1)]
    scratch = [t * k * (k + 1) // 2 for k in range(1, last + 1)]
    row |= {
        "logical_steps": own[-1],
        "unique_steps": own[-1],
        "relative_cost": own[-1] / scratch[-1],
        "flops": 1e9 * own[-1],
    }
    tables["studies"].append({"study": study, "run": run})
    tables["runs"].append(row)
    for setting, value in (("torch", f"2.13 on {numerics}"), ("device", "cpu"), *world.more_numerics):
        tables["numerics"].append({"numerics": numerics, "setting": setting, "value": value})
    noise, scores = np.random.default_rng(int(run, 16)).spawn(2)
    shared = np.random.default_rng(seed).normal(0, 0.01)
    for version in range(1, last + 1):
        at = {"run": run, "version": version}
        steps = version * t
        tables["versions"].append(
            at
            | {"key": f"{run}{version}", "steps": steps, "unique_steps": own[version - 1]}
            | {"relative_cost": own[version - 1] / scratch[version - 1]}
        )
        loss = 3.6 - 0.1 * version + shared + _lag(row, version, world) + noise.normal(0, world.noise)
        for part in range(1, int(row["versions"]) + 1):
            off = 0.1 * (part > version)
            if row["paradigm"] == "cpt" and part <= version:
                off = 0.03 * ((version - part) - (version - 1) / 2)
            tables["perplexity"].append(at | {"slice": part, "nll": 1000 * (loss + off), "tokens": 1000, "bytes": 2500})
        tables["paths"] += [at | one for one in _paths(row, version, t)]
        begin = min(int(one["from_step"]) for one in _paths(row, version, t))
        for step in np.linspace(begin, steps - 1, 50).astype(int):
            rate = _rate(row, version, int(step), t)
            tables["curves"].append(at | {"step": step, "lr": rate, "loss": 3.5 + 3 * np.exp(-step / 40) + 20 * rate})
        if study == "downstream":
            gain = world.downstream_gain if row["paradigm"] == "path_switching" else 0.0
            for task, chance in TASKS.items():
                score = chance + world.above_chance + gain + scores.normal(0, 0.002)
                tables["downstream"].append(
                    at
                    | {"finetune_seed": 0, "task": task, "metric": "acc", "value": score, "stderr": 0.02}
                    | {"chance": chance, "items": 500, "gold_bits_per_byte": 2.0 - gain, "lm_eval": "0.4.13"}
                )


def _own_steps(row: dict[str, Any], k: int, t: int) -> int:
    if row["paradigm"] == "ptfs":
        return t * k * (k + 1) // 2
    if row["paradigm"] == "path_switching":
        return t * k + (k - 1) * round(frames._number("alpha", row["alpha"]) * t)
    return t * k


def _lag(row: dict[str, Any], version: int, world: Synthetic) -> float:
    gap = world.gap * (version - 1)
    if row["paradigm"] == "cpt":
        return gap
    if row["paradigm"] == "path_switching":
        return gap * (1 - world.recovered) + 0.02 * (0.6 - frames._number("alpha", row["alpha"]))
    if row["paradigm"] == "two_stage":
        rank = {"1/2": 0.5, "endless": 5}
        first, second = (float(rank.get(row[c], row[c])) for c in ("first_cycle", "second_cycle"))
        return 0.02 * first if version == 1 else 0.03 * abs(second - 1) - 0.02 * first
    return 0.0


def _paths(row: dict[str, Any], version: int, t: int) -> list[dict[str, Any]]:
    if row["paradigm"] == "ptfs":
        return [{"segment": 0, "kind": "start", "from_step": 0, "to_step": version * t}]
    if row["paradigm"] != "path_switching":
        return [{"segment": 0, "kind": "trunk", "from_step": (version - 1) * t, "to_step": version * t}]
    branch = round(frames._number("alpha", row["alpha"]) * t)
    leaves = version * t - branch
    before = leaves - t if version > 1 else 0
    return [
        {"segment": 0, "kind": "trunk", "from_step": before, "to_step": leaves},
        {"segment": 1, "kind": "branch", "from_step": leaves, "to_step": version * t},
    ]


def _rate(row: dict[str, Any], version: int, step: int, t: int) -> float:
    high = float(row["max_lr"])
    if step < 10:
        return high * (step + 1) / 10
    kind, length, begin = row["paradigm"], t, (version - 1) * t
    if kind == "ptfs":
        length, begin = version * t, 0
    if kind == "path_switching":
        length = round(frames._number("alpha", row["alpha"]) * t)
        begin = version * t - length
        if step < begin:
            return high
    if kind == "two_stage":
        cycle = row["first_cycle"] if version == 1 else row["second_cycle"]
        if cycle == "endless":
            return high
        length = int(t * frames._number("cycle", cycle))
    share = min(1.0, (step - begin) / length)
    return high * (0.1 + 0.45 * (1 + float(np.cos(np.pi * share))))


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_ledgers_columns_are_those_the_writer_writes():
    from repro.results.ledger import COLUMNS

    assert {name: set(columns) for name, columns in COLUMNS.items()} == {
        name: {*frames._TEXT[name], *frames._NUMBERS[name]} for name in frames._TEXT
    }


def test_every_study_that_can_be_run_is_known():
    conf = Path(__file__).resolve().parents[2] / "conf" / "study"
    assert set(frames.STUDIES) == {path.stem for path in conf.glob("*.yaml")}


def test_ppl_of_a_version_is_over_the_slices_up_to_it(tmp_path):
    build(tmp_path, ["headline"])
    ledger = load(tmp_path, "synthetic")
    for row in ledger.scores.sample(6, random_state=0).to_dict("records"):
        mine = ledger.perplexity[
            (ledger.perplexity["run"] == row["run"]) & (ledger.perplexity["version"] == row["version"])
        ]
        seen = mine[mine["slice"] <= row["version"]]
        assert row["ppl"] == pytest.approx(np.exp(seen["nll"].sum() / seen["tokens"].sum()))
        assert row["bits_per_byte"] == pytest.approx(seen["nll"].sum() / np.log(2) / seen["bytes"].sum())


def test_a_version_with_a_slice_missing_has_no_ppl(tmp_path):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    path = folder / "perplexity.csv"
    rows = _read(path)
    gone = rows.pop(next(i for i, row in enumerate(rows) if row["slice"] == "1" and row["version"] == "3"))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(gone))
        writer.writeheader()
        writer.writerows(rows)
    scores = load(tmp_path, "synthetic").scores
    assert not ((scores["run"] == gone["run"]) & (scores["version"] == 3)).any()
    assert len(scores) == 3 * VERSIONS - 1


def test_runs_of_another_setting_are_a_view_of_their_own(tmp_path):
    build(tmp_path, ["headline", "alpha", "max_lr"])
    build(tmp_path, ["headline"], Synthetic(setting={"stream": "chronological"}, seeds=(0, 1)))
    primary, other = load(tmp_path, "synthetic").views()
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
    views = load(tmp_path, "synthetic").views()
    assert [view.label for view in views] == ["", "stream=chronological", "conditions=1"]
    assert [set(view.runs("headline")["conditions"]) for view in views] == [{"c0ffee00"}, {"2"}, {"1"}]
    build(tmp_path, ["headline"], Synthetic(setting={"stream": "chronological", "conditions": "3"}, seeds=(0, 1)))
    assert [view.label for view in load(tmp_path, "synthetic").views()[1:]] == [
        "stream=chronological, conditions=2",
        "stream=chronological, conditions=3",
        "conditions=1",
    ]


def test_studies_of_one_setting_are_one_view_whichever_were_run(tmp_path):
    build(tmp_path / "a", ["first_stage", "alpha"])
    build(tmp_path / "b", ["first_stage", "max_lr"])
    for folder, study in (("a", "alpha"), ("b", "max_lr")):
        (view,) = load(tmp_path / folder, "synthetic").views()
        assert len(view.runs(study)) == len(load(tmp_path / folder, "synthetic").runs) - len(view.runs("first_stage"))
        assert view.last == VERSIONS


def test_runs_of_a_smaller_setting_stay_together(tmp_path):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    build(tmp_path, ["first_stage"], Synthetic(setting={"max_lr": "0.002"}))
    primary, other = load(tmp_path, "synthetic").views()
    assert len(primary.runs("first_stage")) == 15
    assert len(other.runs("headline")) == 3
    assert other.label.startswith("max_lr=0.004")


def test_two_stage_runs_fit_a_stream_of_any_number_of_versions(tmp_path):
    build(tmp_path, ["headline"])
    folder = build(tmp_path, ["first_stage"], Synthetic(setting={"versions": "2"}))
    assert ",2," in (folder / "runs.csv").read_text()
    (view,) = load(tmp_path, "synthetic").views()
    assert view.last == VERSIONS
    assert len(view.runs("first_stage")) == 15


def test_all_runs_of_a_seed_share_their_numerics(tmp_path):
    build(tmp_path, ["main"])
    build(tmp_path, ["headline"], Synthetic(seeds=(0,), numerics=("other",)))
    view = load(tmp_path, "synthetic").primary()
    runs = view.runs("main", "headline")
    assert set(runs["numerics"]) == {"n0"}
    assert set(view.left_out("main", "headline")["numerics"]) == {"other"}


def test_seeds_of_different_machines_stand_in_one_view(tmp_path):
    build(tmp_path, ["headline"], Synthetic(numerics=("a", "a", "b")))
    runs = load(tmp_path, "synthetic").primary().runs("headline")
    assert dict(zip(runs["seed"], runs["numerics"], strict=True)) == {0: "a", 1: "a", 2: "b"}


def test_an_id_that_looks_like_a_number_stays_an_id(tmp_path):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    run = next(iter(_read(folder / "runs.csv")))["run"]
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace(run, "000123456e78"))
    assert "000123456e78" in set(load(tmp_path, "synthetic").scores["run"])


def test_alpha_and_cycles_are_read_as_they_are_written_in_settings(tmp_path):
    build(tmp_path, ["alpha", "second_stage"])
    runs = load(tmp_path, "synthetic").runs
    assert set(runs["alpha"].dropna()) == {0.2, 0.4, 0.6, 0.8}
    assert set(runs["second_cycle"].dropna()) == {0.5, 1.0, 2.0, 3.0, 4.0, np.inf}


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
        ("versions", lambda text: text.replace(",100,", ",many,"), r"versions\.csv, column .*many"),
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

"""The two readings of path switching's branch: judged each by itself, and one training where they are one."""

from pathlib import Path

import pytest
from ledgers import SCHEDULES, Synthetic, build, read

from analysis import readings
from analysis.findings.comparison import main as sentences
from analysis.frames import load
from analysis.tables.comparison import by_version
from analysis.tables.verdicts import claim_parts, scorecard
from analysis.verdicts import Judged, counted, judge

DECAY = [{"schedule": s, "paradigm": "path_switching", "settings": "alpha=0.6 branch=decay"} for s in SCHEDULES]


def m1(root: Path) -> dict[str, Judged]:
    return {one.reading: one for one in judge(load(root, "synthetic").primary()) if one.claim.id == "M1 matches"}


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Read as a cycle, a branch recovers half of the gap; read as a decay, nearly all of it; a cosine's too."""
    build(tmp_path, ["main"], Synthetic(recovered=0.5))
    build(tmp_path, ["main"], sweep=DECAY)
    folder = tmp_path / "synthetic" / "data"
    cycles = (row for row in read(folder / "runs.csv") if "branch=cycle" in row["settings"])
    cosine = [row["run"] for row in cycles if row["schedule"] == "cosine"]
    for table in ("runs", "versions", "perplexity", "curves", "paths", "studies"):
        path = folder / f"{table}.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line for line in lines if not any(run in line for run in cosine)) + "\n")
    return tmp_path


def test_a_ledger_from_before_the_setting_is_of_whole_cycles(tmp_path: Path) -> None:
    build(tmp_path, ["main"])
    found = m1(tmp_path)
    assert found["cycle"].verdict == "reproduced"
    assert found["decay"].verdict == "undecided"
    assert "not run: Knee, multi-step (python -m repro.train study=main" in found["decay"].reason


def test_each_reading_is_judged_on_its_own_runs(both: Path) -> None:
    found = m1(both)
    assert found["decay"].verdict == "reproduced"
    assert found["cycle"].verdict == "contradicted"
    assert {part.what for part in found["decay"].parts} & {
        "gap recovered, version 4, cosine",
        "gap recovered, version 4, Knee",
    } == {"gap recovered, version 4, cosine"}
    shares = {part.what: part.estimate for one in found.values() for part in one.parts}
    assert shares["gap recovered, version 4, Knee, branch read as a decay"] == pytest.approx(95, abs=4)
    assert shares["gap recovered, version 4, Knee, branch read as a cycle"] == pytest.approx(50, abs=4)


def test_the_scorecard_shows_both_and_counts_both(both: Path) -> None:
    judged = judge(load(both, "synthetic").primary())
    rows = [row for row in scorecard(judged).rows if row[0] == "M1 matches"]
    assert [row[1].rsplit(" ", 1)[1] for row in rows] == ["decay", "cycle"]
    parts = [row[2] for row in claim_parts(judged).rows if row[0] == "M1 matches"]
    assert len(parts) == len(set(parts))
    assert counted(judged).startswith("16 claims: ")
    assert counted(judged).endswith(
        "M1 beats, M1 matches are judged under each reading of the branch, and count for each."
    )


def test_the_report_names_the_reading_that_is_not_the_usual_one(both: Path) -> None:
    view = load(both, "synthetic").primary()
    table = by_version(view, "main")
    assert table is not None
    switching = [(row[0], row[1]) for row in table.rows if row[1].startswith("path switching")]
    # Among equals the default is the plain one.
    assert switching == [
        ("cosine", "path switching"),
        *((s, p) for s in ("Knee", "multi-step") for p in ("path switching", "path switching, branch=cycle")),
    ]
    said = " ".join(sentences(view))
    assert "With Knee, branch read as a cycle, at version 4, path switching's PPL is" in said
    assert "alpha T steps that all decay" in said


def test_runs_of_both_readings_that_are_one_training_are_one_run(tmp_path: Path) -> None:
    """Under a cosine a branch of the ledger stands for both; where its weights differ, it is two runs."""
    build(tmp_path, ["main"], Synthetic(seeds=(0,)))
    folder = tmp_path / "synthetic" / "data"
    build(tmp_path, ["main"], Synthetic(seeds=(0,)), sweep=DECAY)
    keys = {r["run"]: r for r in read(folder / "runs.csv") if r["schedule"] == "cosine" and "branch" in r["settings"]}
    assert len(keys) == 2
    versions = (folder / "versions.csv").read_text()
    one, other = keys
    (folder / "versions.csv").write_text(versions.replace(f",{other}1,", f",{one}1,"))
    assert len(load(tmp_path, "synthetic").runs) == len(read(folder / "runs.csv"))  # version 2 to 4 still differ
    for version in range(2, 5):
        versions = (folder / "versions.csv").read_text()
        (folder / "versions.csv").write_text(versions.replace(f",{other}{version},", f",{one}{version},"))
    (folder / "versions.csv").write_text((folder / "versions.csv").read_text().replace(f",{other}1,", f",{one}1,"))
    assert len(load(tmp_path, "synthetic").runs) == len(read(folder / "runs.csv")) - 1


@pytest.mark.parametrize(
    ("schedule", "two"), [("cosine", False), ("linear", False), ("knee", True), ("multi_step", True), ("wsd", True)]
)
def test_readings_differ_where_a_cycle_holds_the_maximum(schedule: str, two: bool) -> None:
    assert readings.differ(schedule) is two
    assert readings.differ(f"{schedule}, max_lr=0.1") is two

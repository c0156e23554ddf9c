"""Versions of unequal lengths: claims that speak of equal ones leave them out, all else states its denominator."""

from pathlib import Path

import pytest
from ledgers import Synthetic, build

from analysis import lengths
from analysis.contrasts import tree_costs
from analysis.figures.costs import cost_growth
from analysis.figures.curves import LEARNING_RATES
from analysis.figures.stages import FIRST_STAGE
from analysis.frames import View, load
from analysis.registries import CLAIMS, STUDIES
from analysis.report import main as report
from analysis.tables.comparison import by_version
from analysis.tables.cost import cost
from analysis.tables.verdicts import scorecard
from analysis.verdicts import Judged, judge

OF_EQUAL = {"P1", "P2", "P3", "M1 beats", "M1 matches", "M2", "T1", "A1", "G1", "G2", "G3", "G4"}
DOUBLING = "20 40 80 160"
UNEQUAL = {"steps_per_version": DOUBLING, "conditions": "d0ub1e"}


def judged(view: View) -> dict[str, Judged]:
    return {one.claim.id: one for one in judge(view)}


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which every claim would hold, over versions each of which is twice as long as the one before."""
    root = tmp_path_factory.mktemp("unequal")
    build(root, [name for name in STUDIES if name != "data_scale"], Synthetic(setting=UNEQUAL))
    return root


def test_which_claims_speak_of_equal_versions() -> None:
    assert {claim.id for claim in CLAIMS.values() if claim.equal_versions} == OF_EQUAL


def test_claims_of_equal_versions_are_not_judged_on_others_and_say_so(unequal: Path) -> None:
    found = judged(load(unequal, "synthetic").primary())
    for claim in OF_EQUAL - {"G3"}:
        assert found[claim].verdict == "not run"
        assert found[claim].parts == []
    assert "judged on equal versions only: 12 runs of unequal versions left out" in found["A1"].reason
    # Nine of the main comparison, with three seeds each.
    for claim in ("P1", "P2", "P3", "M1 beats", "M1 matches", "M2", "T1"):
        assert "judged on equal versions only: 27 runs of unequal versions left out" in found[claim].reason
    for claim in ("S1", "S2", "C1", "D1"):
        assert found[claim].verdict == "reproduced"
        assert "unequal" not in found[claim].reason


def test_equal_versions_are_judged_as_if_the_others_were_not_there(tmp_path: Path) -> None:
    build(tmp_path, STUDIES)
    before = judged(load(tmp_path, "synthetic").primary())
    # Runs that would contradict: of another length in a study of lengths, and of another setting.
    against = Synthetic(gap=-0.05, setting={"steps_per_version": DOUBLING})
    sweep = [{"paradigm": paradigm} for paradigm in ("ptfs", "cpt", "path_switching")]
    build(tmp_path, ["data_scale"], against, sweep=sweep)
    build(tmp_path, ["headline"], Synthetic(gap=-0.05, setting=UNEQUAL))
    primary, *others = load(tmp_path, "synthetic").views
    after = judged(primary)
    left_out = "; judged on equal versions only: 9 runs of unequal versions left out"
    assert left_out in after["G3"].reason
    assert after["G3"].reason.replace(left_out, "") == before["G3"].reason
    for claim, one in before.items():
        now = after[claim]
        assert (now.verdict, [part.estimate for part in now.parts]) == (
            one.verdict,
            [part.estimate for part in one.parts],
        )
    (other,) = (view for view in others if view.differs)
    assert other.label == f"steps_per_version={DOUBLING}"
    assert judged(other)["P1"].verdict == "not run"
    (row,) = (row for row in scorecard(list(after.values())).rows if row[0] == "G3")
    assert "judged on equal versions only: 9 runs of unequal versions left out" in row[-1]


def test_costs_of_doubling_versions_and_their_denominator(unequal: Path) -> None:
    """58 % holds for four equal versions; where each is twice as long as the one before, 74 %, and CPT 58 %."""
    view = load(unequal, "synthetic").primary()
    scratch = 20 + 60 + 140 + 300
    shares = {one.paradigm: one.share for one in tree_costs(view)}
    assert shares["ptfs"] == pytest.approx(1)
    assert shares["cpt"] == pytest.approx(300 / scratch)
    assert shares["path_switching"] == pytest.approx((300 + 0.6 * 140) / scratch)
    assert (round(100 * shares["cpt"]), round(100 * shares["path_switching"])) == (58, 74)
    table = cost(view)
    assert table is not None
    said = "Versions of 20, 40, 80, 160 steps: T is their mean, and costs are over PTFS's steps for the same lengths."
    assert said in table.caption
    (row,) = (row for row in table.rows if row[:3] == ["path switching", "cosine, Knee, multi-step", "v1 to v4"])
    assert row[3:5] == ["5.12 T", "384"]
    compared = by_version(view, "main")
    assert compared is not None
    assert said in compared.caption
    assert {row[-3] for row in compared.rows if row[1] == "path switching"} == {"74 %"}


def test_figures_say_what_t_is_and_cut_where_version_1_ends(unequal: Path) -> None:
    view = load(unequal, "synthetic").primary()
    growth, rates = cost_growth(view), LEARNING_RATES.make(view)
    assert growth is not None
    assert rates is not None
    for label in (growth.axes[-1].get_ylabel(), rates.get_supxlabel()):
        assert "T = one version's new data, on average" in label
    stages = FIRST_STAGE.make(view)
    assert stages is not None
    cuts = [line.get_xdata() for line in stages.axes[0].lines if line.get_linestyle() == ":"]
    assert [float(x[0]) for x in cuts] == [20 / 75]


def test_nothing_is_said_of_equal_versions(tmp_path: Path) -> None:
    build(tmp_path, ["main"])
    view = load(tmp_path, "synthetic").primary()
    assert lengths.note(view.runs("main")) == ""
    assert lengths.axis(view.runs("main")) == "T = one version's new data"
    assert "equal versions" not in judged(view)["M1 matches"].reason


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_unequal_versions(tmp_path: Path) -> None:
    build(tmp_path, ["main", "alpha"], Synthetic(setting=UNEQUAL))
    report([f"root={tmp_path}", "scale=synthetic"])
    text = (tmp_path / "synthetic" / "report.md").read_text()
    assert "27 runs of unequal versions left out" in text
    assert "T = 75 steps of 128 tokens per version (9,600 tokens). Versions of 20, 40, 80, 160 steps" in text

"""A control tells apart what makes a recipe what it is: tables and claims show it, as no way to update."""

from pathlib import Path

import pytest
from ledgers import Synthetic, build, read, rewrite

from analysis import contrasts, names, pages
from analysis.contrasts import CURVE, TWIN, comparable
from analysis.figures.costs import cost_growth, pareto
from analysis.figures.curves import LEARNING_RATES
from analysis.figures.slices import forgetting
from analysis.findings.abstract import answer
from analysis.findings.comparison import headline, main
from analysis.frames import View, load
from analysis.tables.comparison import by_version
from analysis.tables.own import own


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """PTFS, CPT and path switching, and PTFS with path switching's curve, half of path switching's way behind PTFS."""
    root = tmp_path_factory.mktemp("controls")
    world = Synthetic(noise=0.0, gap=0.02, recovered=0.5)
    build(root, ["headline"], world)
    control = {"paradigm": "ptfs", "settings": "order=mixed curve=path_switching alpha=0.6 branch=decay"}
    build(root, ["headline"], world, sweep=[control])
    return load(root, "synthetic").primary()


def test_which_recipes_are_controls() -> None:
    assert names.control(CURVE)
    assert names.control("ptfs, order=arrival, curve=path_switching")
    assert not any(map(names.control, ("ptfs", TWIN, "path_switching, branch=cycle", "nobody, curve=mine")))


def test_tables_show_a_control_and_pictures_of_ways_to_update_do_not(view: View) -> None:
    assert CURVE in set(view.runs("headline")["paradigm"])
    assert CURVE not in set(comparable(view.scores("headline"))["paradigm"])
    table = by_version(view, "headline")
    assert table is not None
    assert names.recipe_name(CURVE) in {row[0] for row in table.rows} | {row[1] for row in table.rows}
    for figure in (pareto(view), cost_growth(view), forgetting(view), LEARNING_RATES.make(view)):
        assert figure is not None
        drawn = figure.data()["recipe"]
        assert {"PTFS", "CPT", "path switching"} <= set(drawn)
        assert names.recipe_name(CURVE) not in set(drawn)
    assert "curve=" not in " ".join([*answer(view), *headline(view)])


def test_what_the_curve_does_is_said(view: View) -> None:
    (said,) = (sentence for sentence in main(view) if "own curve" in sentence)
    assert "With cosine, PTFS with path switching's own curve has a PPL of version 4 of +0.00 %" in said
    assert "in order of arrival, +3.00 %" in said  # half of three gaps of 0.02 nats


def test_a_schedule_of_controls_alone_leaves_no_forgetting_to_compare(tmp_path: Path) -> None:
    build(tmp_path, ["headline"], sweep=[{"paradigm": "ptfs", "settings": "order=mixed curve=path_switching"}])
    build(tmp_path, ["main"], sweep=[{"paradigm": each, "schedule": "knee"} for each in ("ptfs", "cpt")])
    assert contrasts.forgetting_matrix(load(tmp_path, "synthetic").primary(), "cpt") is None


def test_in_a_study_that_nothing_registered_ptfs_is_ptfs_as_published(tmp_path: Path) -> None:
    """Its variants are called PTFS there, too."""
    orders = [{"paradigm": "ptfs", "settings": f"order={order} curve=cycle"} for order in ("arrival", "mixed")]
    build(tmp_path, ["mine"], sweep=[*orders, {"paradigm": "cpt"}])
    scores = load(tmp_path, "synthetic").primary().scores("mine")
    assert set(scores["paradigm"]) == {"ptfs", "cpt"}
    alike = pages._alike(scores, scores[scores["paradigm"] == "cpt"])
    beside = alike[alike["paradigm"] == "ptfs"]
    assert len(beside) > 0
    assert beside["settings"].str.contains("order=mixed").all()


def test_what_versions_share_is_counted_once_of_ptfs_in_order_of_arrival_too(tmp_path: Path) -> None:
    """Wherever it is called PTFS. Of plain PTFS, whose versions share nothing, a ledger says so itself."""
    orders = [{"paradigm": "ptfs", "settings": f"order={order} curve=cycle"} for order in ("arrival", "mixed")]
    folder = build(tmp_path, ["mine", "main"], Synthetic(seeds=(0,)), sweep=orders)
    shares = {row["run"] for row in read(folder / "runs.csv") if "arrival" in row["settings"]}

    def shared(row: dict[str, str]) -> None:
        if row["run"] in shares:
            row["unique_steps"], row["relative_cost"] = "700", "0.7"

    for name in ("runs", "versions"):
        rewrite(folder / f"{name}.csv", shared)
    view = load(tmp_path, "synthetic").primary()
    table = own(view, "mine")
    assert table is not None
    assert sorted(row[-2] for row in table.rows) == ["100 %", "70 %"]
    assert {one.paradigm: one.share for one in contrasts.tree_costs(view)} == {"ptfs": 1.0, "ptfs, order=arrival": 0.7}

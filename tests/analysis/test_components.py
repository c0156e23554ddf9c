"""Components of chance, where they are known."""

from pathlib import Path

import numpy as np
import pytest
from ledgers import Synthetic, build, read, rewrite

from analysis.components import components, crossed, reductions
from analysis.frames import load
from analysis.tables.components import of_chance, of_orders, of_reductions


def test_components_are_those_that_a_crossing_was_made_with() -> None:
    random = np.random.default_rng(0)
    tables = [
        random.normal(0, 3, (4, 1)) + random.normal(0, 2, (1, 4)) + random.normal(0, 1, (4, 4)) for _ in range(4000)
    ]
    cut, seed, rest = np.mean([crossed(table) for table in tables], axis=0)
    assert cut == pytest.approx(9, rel=0.1)
    assert seed == pytest.approx(4, rel=0.1)
    assert rest == pytest.approx(1, rel=0.05)


def test_without_an_effect_of_cuts_their_component_is_none() -> None:
    assert crossed(np.array([[1.0, 2.0], [1.0, 2.0]])) == (0.0, 0.5, 0.0)


def test_the_ledgers_crossing_gives_cut_seed_rest_and_evaluation(tmp_path: Path) -> None:
    """CPT loses 1 % more in cut 1 and 2 % more with seed 11; slice 2 is 0.4 % worse for CPT alone."""
    build(tmp_path, ["main"], Synthetic(seeds=(0, 1, 2)))
    folder = build(tmp_path, ["components"], Synthetic(seeds=(10, 11), noise=0.0))
    runs = {row["run"]: row for row in read(folder / "runs.csv")}
    studied = {row["run"] for row in read(folder / "studies.csv") if row["study"] == "components"}

    def change(row: dict[str, str]) -> None:
        run = runs[row["run"]]
        if row["run"] in studied:
            loss = 3.5 if run["paradigm"] != "cpt" else 3.6
            if run["paradigm"] == "cpt":
                loss += 0.01 * int(run["split_seed"]) + 0.02 * (run["seed"] == "11") + 0.004 * (row["slice"] == "2")
            row["nll"] = str(1000 * loss)

    rewrite(folder / "perplexity.csv", change)
    view = load(tmp_path, "synthetic").primary()
    found = components(view)["CPT less PTFS"]
    assert (found.rows, found.seeds) == (2, 2)
    # Variances of two values: half of the squared difference.
    assert found.row == pytest.approx(0.01**2 / 2)
    assert found.seed == pytest.approx(0.02**2 / 2)
    assert found.rest == pytest.approx(0, abs=1e-12)
    assert found.evaluation == pytest.approx(0.004**2 / 2 / 2)
    assert components(view)["ln PPL of PTFS"].judged == pytest.approx(0, abs=1e-12)
    table = of_chance(view)
    assert table is not None
    assert "CPT less PTFS in order of arrival" in set(table.data["quantity"])


def test_orders_crossed_with_initializations_are_told_apart(tmp_path: Path) -> None:
    """CPT loses 1 % more in order 1 and 2 % more from initialization 11."""
    build(tmp_path, ["main"], Synthetic(seeds=(0, 1, 2)))
    folder = build(tmp_path, ["orders"], Synthetic(seeds=(10, 11), noise=0.0))
    runs = {row["run"]: row for row in read(folder / "runs.csv") if row["versions"] == "2"}

    def change(row: dict[str, str]) -> None:
        if run := runs.get(row["run"]):
            loss = 3.5 if run["paradigm"] != "cpt" else 3.6
            if run["paradigm"] == "cpt":
                loss += 0.01 * int(run["data_seed"]) + 0.02 * (run["seed"] == "11")
            row["nll"] = str(1000 * loss)

    rewrite(folder / "perplexity.csv", change)
    table = of_orders(load(tmp_path, "synthetic").primary())
    assert table is not None
    (row,) = table.data[table.data["quantity"] == "CPT less PTFS"].to_dict("records")
    assert row["sd_order_percent"] == pytest.approx(1 / np.sqrt(2))
    assert row["sd_initialization_percent"] == pytest.approx(2 / np.sqrt(2))
    assert (row["orders"], row["initializations"]) == (2, 2)
    # Another cut, of fewer runs, and an order's seed among crossed cuts are no cells of these.
    few = [{"paradigm": p, "versions": "2", "data_seed": "1", "conditions": "elsewhere"} for p in ("ptfs", "cpt")]
    build(tmp_path, ["orders"], Synthetic(seeds=(10, 11)), sweep=[{**each, "split_seed": "301"} for each in few])
    build(tmp_path, ["components"], Synthetic(seeds=(10, 11)))
    build(tmp_path, ["components"], Synthetic(seeds=(10, 11)), sweep=[{**each, "split_seed": "1"} for each in few])
    at = load(tmp_path, "synthetic").primary()
    again, crossing = of_orders(at), components(at)["CPT less PTFS"]
    assert again is not None
    assert again.data.equals(table.data)
    assert (crossing.rows, crossing.seeds) == (2, 2)


def test_pooling_and_the_twin_say_what_they_gave(tmp_path: Path) -> None:
    build(tmp_path, ["main"], Synthetic(seeds=(0, 1, 2), noise=0.01))
    build(tmp_path, ["components"], Synthetic(seeds=(10, 11)))
    view = load(tmp_path, "synthetic").primary()
    found = {one.way.split()[0]: one for one in reductions(view)}
    assert set(found) == {"the", "pooling"}
    # Noise of runs is independent in this world: three schedules have about a third of one's variance.
    assert found["pooling"].after < found["pooling"].before
    table = of_reductions(view)
    assert table is not None
    assert list(table.data["variance_ratio"]) == pytest.approx([one.before / one.after for one in reductions(view)])

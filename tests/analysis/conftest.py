"""Shared by the tests of reports."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ledgers import HOSTILE, Synthetic, build
from undrawn import left_empty

from analysis import report
from analysis.registries import STUDIES


def make(root: Path) -> None:
    """Every study, a second setting, and a hostile name."""
    build(root, STUDIES, Synthetic(setting={"corpus": HOSTILE}))
    build(root, ["headline"], Synthetic(setting={"corpus": HOSTILE, "stream": "chronological"}))
    assert report.build("synthetic", root) == root / "synthetic" / "report.html"


@pytest.fixture(scope="session")
def whole(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The folder of a scale with everything in it, of whose figures some are drawn."""

    def some(root: Path) -> None:
        with left_empty({"ppl_by_version", "pareto"}):
            make(root)

    return once("whole", some) / "synthetic"


@pytest.fixture(scope="session")
def drawn(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The same, and all of its figures are."""
    return once("drawn", make) / "synthetic"

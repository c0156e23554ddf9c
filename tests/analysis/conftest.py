"""Shared by the tests of reports."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ledgers import HOSTILE, Synthetic, build

from analysis import report
from analysis.registries import STUDIES


@pytest.fixture(scope="session")
def whole(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The folder of a scale with every study, a second setting, and a hostile name."""

    def make(root: Path) -> None:
        build(root, STUDIES, Synthetic(setting={"corpus": HOSTILE}))
        build(root, ["headline"], Synthetic(setting={"corpus": HOSTILE, "stream": "chronological"}))
        assert report.build("synthetic", root) == root / "synthetic" / "report.html"

    return once("whole", make) / "synthetic"

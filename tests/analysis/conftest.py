"""Shared by the tests of reports."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, and recorded, and their files are empty: for what is asserted of the rest of a report."""

    def save(figure: Figure, folder: Path, name: str) -> list[Path]:
        paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
        for path in paths:
            path.touch()
        return paths

    monkeypatch.setattr("repro.common.style.save", save)

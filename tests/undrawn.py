"""Reports without the drawing, which is most of the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from repro.common import style


@contextmanager
def left_empty(but: set[str]) -> Iterator[None]:
    """Figures are made, and recorded, and their files are empty: for what is asserted of the rest of a report.

    Args:
        but: names of figures that are drawn all the same.
    """
    draw = style.save

    def save(figure: Figure, folder: Path, name: str) -> list[Path]:
        if name in but:
            return draw(figure, folder, name)
        paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
        for path in paths:
            path.touch()
        return paths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", save)
        yield

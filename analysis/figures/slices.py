"""PPL of every version on every slice."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import PTFS, forgetting_matrix, without_controls
from analysis.figures import chart
from analysis.frames import View
from analysis.registries import Plot, pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def forgetting(view: View) -> "Figure | None":
    """PTFS's PPL, and how far the others lie from it: slices differ, and that would hide what was forgotten."""
    runs = without_controls(view.runs(*pooled()))
    matrices = {p: forgetting_matrix(view, p) for p in names.recipes(runs["paradigm"])}
    known = {p: matrix for p, matrix in matrices.items() if matrix is not None}
    if not known:
        return None
    base = known.get(PTFS)
    figure = chart.new(max(4.0, 2.5 * len(known) + (1.6 if base is not None else 0.8)), 3.0)
    panels = figure.subplots(1, len(known), squeeze=False)[0]
    levels = {PTFS: base} if base is not None else known
    low, high = _span(levels.values())
    far = max([1e-9, *(float(_above(m, base).abs().to_numpy().max()) for m in known.values() if base is not None)])
    images = {}
    for axes, (paradigm, matrix) in zip(panels, known.items(), strict=True):
        if paradigm in levels:
            images["PPL"] = axes.imshow(
                np.log(matrix), cmap="cividis", vmin=low, vmax=max(high, low + 1e-9), aspect="auto"
            )
            cells, form, light = matrix, "{:.1f}", matrix < np.exp((low + high) / 2)
        else:
            assert base is not None
            cells, form = _above(matrix, base), "{:+.1f}"
            images["above"] = axes.imshow(cells, cmap="PuOr_r", vmin=-far, vmax=far, aspect="auto")
            light = cells.abs() > 0.65 * far
        _write(axes, cells, form, light)
        what = "PPL" if paradigm in levels else "% above PTFS"
        axes.set_title(f"{names.recipe_name(paradigm)}\n{what}", color=names.colour(paradigm), fontweight="bold")
        _record(figure, axes, paradigm, cells)
    panels[0].set_ylabel("model version")
    _bars(figure, list(panels), images, low, high)
    return figure


def _above(matrix: pd.DataFrame, base: pd.DataFrame | None) -> pd.DataFrame:
    """In per cent of PTFS's PPL."""
    return matrix if base is None else 100 * (matrix / base - 1)


def _span(matrices: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Of logarithms."""
    values = np.log(np.concatenate([matrix.to_numpy().ravel() for matrix in matrices]))
    return float(values.min()), float(values.max())


def _write(axes: "Axes", cells: pd.DataFrame, form: str, light: pd.DataFrame) -> None:
    for (i, j), value in np.ndenumerate(cells.to_numpy()):
        colour = "white" if light.to_numpy()[i, j] else "black"
        axes.text(j, i, form.format(value), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(cells.shape[1]), [str(s) for s in cells.columns])
    axes.set_yticks(range(cells.shape[0]), [str(v) for v in cells.index])
    axes.grid(False)
    axes.set_xlabel("held-out slice")


def _record(figure: chart.Chart, axes: "Axes", paradigm: str, cells: pd.DataFrame) -> None:
    rows = [{"x": j, "y": i, "value": value} for (i, j), value in np.ndenumerate(cells.to_numpy())]
    figure.mark(axes, "cells", pd.DataFrame(rows), recipe=paradigm)


def _bars(figure: chart.Chart, panels: "list[Axes]", images: "dict[str, AxesImage]", low: float, high: float) -> None:
    """Scales of colours beside the panels."""
    if "PPL" in images:
        bar = figure.colorbar(images["PPL"], ax=panels, shrink=0.9, pad=0.02)
        ticks = [float(tick) for tick in np.linspace(low, high, 5 if high > low else 1)]
        bar.set_ticks(ticks, labels=[f"{np.exp(tick):.1f}" for tick in ticks])
        bar.set_label("PPL (logarithmic colours)")
    if "above" in images:
        figure.colorbar(images["above"], ax=panels, shrink=0.9, pad=0.02).set_label("PPL above PTFS (%)")


FORGETTING = Plot(
    "forgetting", make=forgetting, per_setting=True,
    caption="PPL of PTFS's versions on every version's held-out slice, and how far the other recipes lie above it "
    "there, in per cent; each recipe's own PPL where there is no PTFS (one schedule, cosine if any was run with it; "
    "geometric mean over the seeds of each).",
)  # fmt: skip

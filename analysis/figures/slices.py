"""PPL of every version on every slice."""

from typing import TYPE_CHECKING

import numpy as np

from analysis import names
from analysis.contrasts import forgetting_matrix
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forgetting(view: View) -> "Figure | None":
    matrices = {p: forgetting_matrix(view, p) for p in names.recipes(view.runs(*pooled())["paradigm"])}
    matrices = {p: matrix for p, matrix in matrices.items() if matrix is not None}
    if not matrices:
        return None
    figure = style.new(max(4.0, 2.5 * len(matrices) + 0.8), 3.0)
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    low = min(float(np.log(matrix.to_numpy()).min()) for matrix in matrices.values() if matrix is not None)
    high = max(float(np.log(matrix.to_numpy()).max()) for matrix in matrices.values() if matrix is not None)
    for one, (paradigm, matrix) in zip(axes, matrices.items(), strict=True):
        assert matrix is not None
        image = one.imshow(np.log(matrix), cmap="cividis", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        for (i, j), value in np.ndenumerate(matrix.to_numpy()):
            dark = (np.log(value) - low) < 0.5 * (high - low)
            one.text(j, i, f"{value:.1f}", ha="center", va="center", color="white" if dark else "black", fontsize=9)
        one.set_title(names.recipe_name(paradigm), color=names.colour(paradigm), fontweight="bold")
        one.set_xticks(range(matrix.shape[1]), [str(s) for s in matrix.columns])
        one.set_yticks(range(matrix.shape[0]), [str(v) for v in matrix.index])
        one.grid(False)
        one.set_xlabel("held-out slice")
    axes[0].set_ylabel("model version")
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    ticks = [float(tick) for tick in np.linspace(low, high, 5 if high > low else 1)]
    bar.set_ticks(ticks, labels=[f"{np.exp(tick):.1f}" for tick in ticks])
    bar.set_label("PPL (logarithmic colours)")
    return figure


FORGETTING = Plot(
    "forgetting", make=forgetting, per_setting=True,
    caption="PPL of every version on every version's held-out slice (cosine if it was run; geometric mean over seeds).",
)  # fmt: skip

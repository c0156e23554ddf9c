"""What a law missed of runs that it was not fitted to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import names
from analysis.figures import chart
from analysis.figures.drawing import legend_below, recipe_handles
from repro.common import style

CAPTION = (
    "Residuals of the law behind the advice: predicted less seen PPL by version, of each kind of run in turn, which "
    "the law was not fitted to then. A line is one kind of run, the mean of its seeds."
)


def residuals(left_out: Sequence[Mapping[str, Any]]) -> chart.Chart | None:
    """
    Args:
        left_out: by kind of run `cell`, its name, `recipe` and `errors_percent`, one for each version.
    """
    known = [each for each in left_out if each["errors_percent"]]
    if not known:
        return None
    figure = chart.new(6.4, 3.6)
    axes = figure.subplots()
    axes.axhline(0, color=style.GREY, linewidth=1.0)
    for each in known:
        errors, colour = np.array(each["errors_percent"], dtype=np.float64), names.colour(each["recipe"])
        x = np.arange(1, len(errors) + 1)
        axes.plot(x, errors, "o-", color=colour, linewidth=0.8, markersize=4, alpha=0.8)
        rows = pd.DataFrame({"x": x, "y": errors, "version": x, "note": each["cell"]})
        figure.mark(axes, "curve", rows, recipe=each["recipe"])
    axes.set_xticks(range(1, 1 + max(len(each["errors_percent"]) for each in known)))
    axes.set_xlabel("version")
    axes.set_ylabel("PPL predicted less seen (%)")
    legend_below(figure, recipe_handles(names.recipes(each["recipe"] for each in known)))
    return figure

"""The two-stage studies: learning rates, and what they lead to."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import lengths
from analysis.contrasts import TWO_STAGE, ppl, swept_cycle, two_stage, two_stage_runs
from analysis.figures import chart
from analysis.figures.drawing import WITHIN, fit, series, within
from analysis.formats import cycle as cycle_label
from analysis.frames import View
from analysis.registries import Plot
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _stages(view: View, study: str, label: str) -> "Figure | None":
    updated = two_stage(view, study, 2)
    if updated.empty:
        return None
    cycles = [float(cycle) for cycle in updated.columns]
    names = [cycle_label(cycle) for cycle in cycles]
    colours = style.gradient(len(cycles))
    results = {"updated model": updated}
    if study == "first_stage":
        results = {"checkpoint": two_stage(view, study, 1), **results}
    figure = chart.new(7.6, 4.4 if len(results) == 2 else 3.5)
    axes: dict[str, Axes] = figure.subplot_mosaic([["rates", name] for name in results], width_ratios=[1.25, 1])
    runs = two_stage_runs(view, study)
    for cycle, name, colour in zip(cycles, names, colours, strict=True):
        run = runs[runs[swept_cycle(study)] == cycle].sort_values("seed").iloc[0]
        curve = view.ledger.curves[view.ledger.curves["run"] == run["run"]].sort_values("step")
        t = float(run["steps_per_version"])
        for version, label_ in ((1, name), (2, None)):
            part = curve[curve["version"] == version]
            axes["rates"].plot(part["step"] / t, part["lr"], color=colour, label=label_)
            rows = pd.DataFrame({"x": part["step"] / t, "y": part["lr"], "note": name}).iloc[::5]
            figure.mark(axes["rates"], "line", rows, recipe=TWO_STAGE, colour=style.hexadecimal(colour))
    cut = lengths.first(runs) / float(runs["steps_per_version"].iloc[0])
    axes["rates"].axvline(cut, color=style.GREY, linewidth=0.8, linestyle=":")
    axes["rates"].set_xlabel(f"steps since the initialization ({lengths.axis(runs)})")
    axes["rates"].set_ylabel("learning rate")
    axes["rates"].yaxis.set_major_formatter("{x:g}")
    axes["rates"].set_ylim(0, None)
    places = np.arange(len(cycles), dtype=float)
    for name, loss in results.items():
        one = axes[name]
        fit(one, [series(one, places, within(ppl(loss)), TWO_STAGE, "cosine")])
        for place, value, colour in zip(places, ppl(loss).mean(), colours, strict=True):
            one.plot(place, value, "o", color=colour, markersize=7, zorder=4)
        one.set_title(f"{name}, n = {len(loss)}", fontsize=9.5)
        one.set_ylabel("PPL")
        one.set_xticks(places, names)
        one.set_xlim(-0.4, len(places) - 0.6)
        one.set_xlabel(label)
    handles, labels = axes["rates"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(cycles), title=label, title_fontsize=9)
    return figure


FIRST_STAGE = Plot(
    "first_stage", make=lambda view: _stages(view, "first_stage", "cycle of the first stage"),
    caption="First stage: a cosine of several cycles, cut at T; then a full cosine over T. Left: learning rates. "
    f"Right: PPL {EVERY}, of the checkpoint and of the model updated from it. {WITHIN}",
)  # fmt: skip
SECOND_STAGE = Plot(
    "second_stage", make=lambda view: _stages(view, "second_stage", "cycle of the second stage"),
    caption="Second stage: a constant first stage, then a cosine of several cycles, cut at T. Left: learning rates. "
    f"Right: PPL {EVERY}, of the updated model. {WITHIN}",
)  # fmt: skip

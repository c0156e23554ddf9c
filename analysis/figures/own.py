"""Runs of a study that nothing registered, as what they are: PPL by version, a curve for each recipe and setting."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from analysis import names
from analysis.contrasts import cells
from analysis.figures import chart
from analysis.figures.drawing import fit, series
from analysis.formats import file_name
from analysis.frames import View
from analysis.registries import Plot
from repro.common import style
from repro.results.measures import EVERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 12
"""A legend of more is not read; the table has them all."""


def draw(view: View, study: str) -> "Figure | None":
    scores = view.scores(study)
    scores = scores[scores["ppl"].notna()]
    groups = cells(scores)[:MOST_CURVES]
    if not groups:
        return None
    figure = chart.new(6.4, 3.6 + 0.18 * len(groups))
    axes = figure.subplots()
    kinds = [str(rows["paradigm"].iloc[0]) for _, rows in groups]
    alone = len(set(kinds)) == len(kinds)  # else several curves of a recipe would share its colour
    handles, drawn = [], []
    for kind, (label, rows), shade in zip(kinds, groups, style.gradient(len(groups)), strict=True):
        schedule = str(rows["schedule"].iloc[0])
        table = rows.pivot_table(index="seed", columns="version", values="ppl")
        colour = names.colour(kind) if alone else style.hexadecimal(shade)
        x, said = np.array(table.columns, float), label.partition(": ")[2]
        drawn.append(series(axes, x, table, kind, schedule, colour=colour, notes=[said] * len(x)))
        handle = Line2D([], [], color=colour, marker=names.marker(schedule), label=f"{label}, n = {len(table)}")
        handle.set(linestyle=names.line(schedule))
        handles.append(handle)
    fit(axes, drawn)
    axes.set_xticks(sorted(set(scores["version"])))
    axes.set_xlabel("version")
    axes.set_ylabel("PPL")
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if len(groups) > 4 else 2)
    return figure


def plot(study: str) -> Plot:
    return Plot(
        f"study_{file_name(study)}", make=lambda view: draw(view, study),
        caption=f"PPL {EVERY} by version, of the first {MOST_CURVES} combinations of recipe, schedule and settings, "
        "at most.",
    )  # fmt: skip

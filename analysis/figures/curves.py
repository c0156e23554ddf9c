"""Learning rates and training losses along each recipe's own paths."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import MaxNLocator

from analysis import lengths, names
from analysis.frames import View
from analysis.registries import Plot, pooled
from repro.common import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _by_paradigm(view: View, column: str, label: str) -> "Figure | None":
    """One panel a paradigm, the curves of the lowest seed along its own tree."""
    runs = view.runs(*pooled())
    curves = view.ledger.curves[view.ledger.curves[column].notna()]
    runs = runs[runs["run"].isin(curves["run"])]
    if runs.empty:
        return None
    chosen = runs.sort_values("seed", kind="stable").drop_duplicates("paradigm").set_index("paradigm")
    shown = names.recipes(chosen.index)
    figure = style.new(6.4, 0.9 + 1.55 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, paradigm in zip(panels, shown, strict=True):
        run = str(chosen.loc[paradigm, "run"])
        t = float(str(chosen.loc[paradigm, "steps_per_version"]))
        colour = names.colour(paradigm)
        mine = curves[curves["run"] == run]
        paths = view.ledger.paths[view.ledger.paths["run"] == run]
        branches, scratch = (paths["kind"] == "branch").any(), bool((paths["kind"] == "start").all())
        for branch, line in _lines(mine, paths, joined=bool(branches)):
            thin = 0.6 if column == "loss" else 1.0
            strength = 0.35 + 0.65 * line["version"].iloc[0] / view.last if scratch else 1.0
            axes.plot(
                line["step"] / t, line[column], color=style.tint(colour, strength),
                linewidth=thin * (1.2 if branch else 2.4 if branches else 1.7), zorder=2.5 if branch else 2,
            )  # fmt: skip
        for released, line in mine.groupby("version"):
            last = line.sort_values("step").iloc[-1]
            axes.plot(last["step"] / t, last[column], "o", color=colour, markersize=4.5, zorder=3)
            if column == "lr":
                axes.annotate(
                    f"v{released}", (last["step"] / t, last[column]), xytext=(5, -3), textcoords="offset points",
                    fontsize=8.5, color=colour,
                )  # fmt: skip
        axes.set_title(names.recipe_name(paradigm), loc="left", color=colour, fontweight="bold")
        if column == "lr":
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_ylim(0, None)
    if column == "loss":
        settled = curves[curves["run"].isin(chosen["run"]) & (curves["step"] > 0.05 * t)][column]
        spread = float(settled.max() - settled.min())
        panels[0].set_ylim(float(settled.min()) - 0.05 * spread, float(settled.max()) + 0.05 * spread)
    panels[-1].set_xlim(0, view.last + 0.25)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel(f"steps since the initialization ({lengths.axis(runs)})")
    figure.supylabel(label, fontsize=9.5)
    return figure


def _lines(curves: pd.DataFrame, paths: pd.DataFrame, *, joined: bool) -> list[tuple[bool, pd.DataFrame]]:
    """A run's curves as lines to draw, each with whether it is a branch; `joined` makes one line of its main path."""
    main: list[pd.DataFrame] = []
    branches: list[pd.DataFrame] = []
    for part in paths.to_dict("records"):
        steps = curves[curves["version"] == part["version"]]
        steps = steps[(steps["step"] >= int(part["from_step"])) & (steps["step"] < int(part["to_step"]))]
        (branches if part["kind"] == "branch" else main).append(steps)
    if joined and main:
        main = [pd.concat(main).sort_values("step").drop_duplicates("step")]
    return [(branch, line) for branch, lines in ((False, main), (True, branches)) for line in lines if len(line)]


LEARNING_RATES = Plot(
    "learning_rates", make=lambda view: _by_paradigm(view, "lr", "learning rate"),
    caption="Learning rate of each paradigm against the step, from its initialization. Dots are released versions; "
    "path switching's main path is thick and never decays, its branches are thin.",
)  # fmt: skip
TRAINING_LOSS = Plot(
    "training_loss", make=lambda view: _by_paradigm(view, "loss", "training loss (nats a token)"),
    caption="Training loss along the same paths (one seed; mean over bins of steps, of which every version has equally "
    "many, so that longer paths look smoother).",
)  # fmt: skip

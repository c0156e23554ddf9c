"""A figure that also keeps what it shows as numbers: its CSV file and its interactive twin are made of them.

What is drawn is recorded by the functions that draw it, so that the three cannot differ.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from analysis import names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEAN = "mean"
"""In place of a seed."""
NUMBERS = ("version", "x", "y", "value", "low", "high", "n")
COLUMNS = ("panel", "recipe", "schedule", "note", "version", "seed", "x", "y", "value", "low", "high", "n")
"""Of a figure's CSV file, less those that are empty: a point each, with the ends of its 95 % interval over n seeds."""

Kind = Literal["curve", "line", "points", "cells"]
"""A curve is a line with its points marked; cells are a table in colours."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Points that share a look."""

    axes: "Axes"
    kind: Kind
    rows: pd.DataFrame
    """Some of `COLUMNS`; `shift`: how far beside x a point is drawn."""
    recipe: str = ""
    schedule: str = ""
    colour: str = ""
    hidden: bool = False
    """Not in the still figure: other versions of what it shows, to choose from in the interactive one."""

    @property
    def label(self) -> str:
        shown = (names.recipe_name(self.recipe), names.schedule_name(self.schedule))
        return ", ".join(part for part in shown if part)


class Chart(Figure):
    """Apart from pyplot's global state. Draw and save it inside `repro.common.style.context`."""

    def __init__(self, *rest: Any, **options: Any) -> None:
        super().__init__(*rest, **options)
        self.marks: list[Mark] = []
        self.focus: int | None = None
        """The version of which it shows points, where it has those of other versions, too."""

    def mark(
        self, axes: "Axes", kind: Kind, rows: pd.DataFrame, *, recipe: str = "", schedule: str = "", colour: str = "",
        hidden: bool = False,
    ) -> None:  # fmt: skip
        """Record what was drawn on `axes`."""
        colour = colour or (names.colour(recipe) if recipe else "")
        self.marks.append(
            Mark(axes=axes, kind=kind, rows=rows, recipe=recipe, schedule=schedule, colour=colour, hidden=hidden)
        )

    @property
    def panels(self) -> list["Axes"]:
        return list(dict.fromkeys(mark.axes for mark in self.marks))

    def data(self) -> pd.DataFrame:
        """All points as a table, the axes' labels as names of columns where all panels share them."""
        parts = [pd.DataFrame(columns=COLUMNS), *(_tidy(mark) for mark in self.marks)]  # nothing may be left to draw
        whole = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True).reindex(columns=COLUMNS)
        panels = self.panels
        measures = list(dict.fromkeys(label(axes, "y") for axes in panels))
        told: dict[str, Callable[[Mark], str]] = {
            "panel": lambda mark: title(mark.axes),
            "recipe": lambda mark: names.recipe_name(mark.recipe),
            "schedule": lambda mark: names.schedule_name(mark.schedule),
        }
        if len(measures) > 1:
            told["measure"] = lambda mark: label(mark.axes, "y")
        for column, tell in told.items():  # for all marks at once: a new column costs more than its rows
            whole[column] = [said for mark in self.marks for said in [tell(mark)] * len(mark.rows)]
        whole = whole.dropna(axis=1, how="all").loc[:, lambda frame: (frame != "").any()]
        across = list(dict.fromkeys(label(axes, "x") for axes in panels))
        renamed = {"x": across[0] if len(across) == 1 else "x", "y": measures[0] if len(measures) == 1 else "y"}
        return whole.rename(columns={old: new for old, new in renamed.items() if new and new not in whole.columns})

    def csv(self) -> str:
        """`data` as a file: what is drawn needs no more digits."""
        return self.data().to_csv(index=False, float_format="%.7g", lineterminator="\n")

    def json(self) -> str:
        """`spec`, safe inside a page."""
        whole = json.dumps(self.spec(), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return whole.replace("<", "\\u003c").replace("&", "\\u0026")

    @property
    def recipes(self) -> set[str]:
        return {mark.recipe for mark in self.marks if mark.recipe}

    def described(self) -> str:
        """What it is a chart of, for those who do not see it."""
        panels = self.panels
        measures = dict.fromkeys(f"{label(axes, 'y')} by {label(axes, 'x')}" for axes in panels)
        titles = [text for axes in panels if (text := " ".join(title(axes).split()))]
        who = [names.recipe_name(recipe) for recipe in names.recipes(self.recipes)]
        said = [f"Chart of {'; '.join(measures)}"]
        said += [f"{len(panels)} panels: {', '.join(titles)}"] if len(panels) > 1 and titles else []
        said += [f"of {', '.join(who)}"] if who else []
        return ". ".join(said) + ". Its values are in the CSV file beside it."

    def spec(self) -> dict[str, Any]:
        """What the interactive twin is drawn from, as JSON takes it. Saving a figure gives its panels their places."""
        panels = self.panels
        return {
            "focus": self.focus,
            "size": [_short(inches) for inches in self.get_size_inches()],
            "panels": [_panel(axes) for axes in panels],
            "series": [
                {
                    "panel": panels.index(mark.axes), "kind": mark.kind, "recipe": names.recipe_name(mark.recipe),
                    "schedule": names.schedule_name(mark.schedule), "colour": mark.colour or "#666666",
                    "symbol": _symbol(mark.schedule), "dash": _dash(mark.schedule),
                    "rows": dict(_columns(mark.rows)), **_shades(mark),
                }
                for mark in self.marks
            ],
        }  # fmt: skip


SHADES = 33
"""Colours that stand for a colour map, which lie evenly on it."""


def _shades(mark: Mark) -> dict[str, Any]:
    """What the cells of a table are coloured by, as in the still figure; nothing of other marks."""
    if mark.kind != "cells":
        return {}
    image = mark.axes.images[-1]
    shown = image.get_array()
    assert shown is not None
    low, high = image.get_clim()
    scale = [[_short(at), to_hex(image.get_cmap()(at))] for at in np.linspace(0, 1, SHADES)]
    return {"shades": [_short(value) for value in np.ravel(shown)], "span": [low, high], "scale": scale}


def new(width: float, height: float) -> Chart:
    """An empty figure in inches."""
    chart = Chart(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(chart)
    return chart


def of(axes: "Axes") -> Chart:
    """The chart that axes belong to."""
    chart = axes.get_figure(root=True)
    assert isinstance(chart, Chart)
    return chart


def label(axes: "Axes", which: Literal["x", "y"]) -> str:
    """An axis' label; of panels in a row or column, that of the one that has it."""
    group = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    for one in (axes, *group.get_siblings(axes), *axes.figure.axes):
        if text := (one.get_xlabel() if which == "x" else one.get_ylabel()):
            return str(text)
    return str(of(axes).get_supxlabel() if which == "x" else of(axes).get_supylabel())


def title(axes: "Axes") -> str:
    return " ".join(text for where in ("left", "center", "right") if (text := axes.get_title(loc=where)))


def categories(axes: "Axes", which: Literal["x", "y"]) -> dict[float, str]:
    """Places of an axis that have names, by their number; empty for an axis of numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    locator, formatter = axis.get_major_locator(), axis.get_major_formatter()
    if not (isinstance(locator, FixedLocator) and isinstance(formatter, FuncFormatter)):
        return {}
    places = [float(place) for place in locator()]
    return {place: text.replace("\n", " ") for place, text in zip(places, formatter.format_ticks(places), strict=True)}


def _tidy(mark: Mark) -> pd.DataFrame:
    rows = mark.rows
    for which in ("x", "y"):
        known = categories(mark.axes, which)
        if known and which in rows:
            rows = rows.assign(**{which: [known.get(float(place), place) for place in rows[which]]})
    return rows


def _panel(axes: "Axes") -> dict[str, Any]:
    (left, bottom), (right, top) = axes.bbox.transformed(of(axes).transFigure.inverted()).get_points()
    return {
        "title": title(axes),
        "x": _axis(axes, "x"),
        "y": _axis(axes, "y"),
        "box": [_short(part) for part in (left, right, bottom, top)],
    }


def _axis(axes: "Axes", which: Literal["x", "y"]) -> dict[str, Any]:
    """An axis; `shows` its ticks and label where the still figure does, and not where a panel beside it has them."""
    axis, limits = (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    locator = axis.get_major_locator()
    ticks = bool(axis.get_tick_params().get("labelbottom" if which == "x" else "labelleft", True))
    labelled = any((one.get_xlabel() if which == "x" else one.get_ylabel()) for one in axes.figure.axes)
    return {
        "label": label(axes, which), "log": axis.get_scale() == "log", "range": [_short(limit) for limit in limits],
        "names": [[_short(place), text] for place, text in categories(axes, which).items()],
        "ticks": [_short(place) for place in locator()] if isinstance(locator, FixedLocator) else [],
        "shows": {"ticks": ticks, "label": bool(axis.get_label().get_text()) or (ticks and not labelled)},
    }  # fmt: skip


def _columns(rows: pd.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    """Columns as lists; one value if all rows share it, none if there are none."""
    for name in rows:
        values = rows[name].tolist()
        shown = [_short(v) for v in values] if name in (*NUMBERS, "shift") else [str(value) for value in values]
        if any(value not in (None, "") for value in shown):
            same = name not in ("x", "y") and len(set(map(str, shown))) == 1
            yield str(name), shown[:1] if same else shown


def _short(value: Any) -> float | int | None:
    """Six digits are more than a screen shows."""
    number = np.nan if value == "" else float(value)
    if not np.isfinite(number):
        return None
    number = float(f"{number:.6g}")
    return int(number) if number.is_integer() else number


SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "d": "diamond-tall",
    "p": "pentagon", "h": "hexagon", "H": "hexagon2", "<": "triangle-left", ">": "triangle-right", "8": "octagon",
    "X": "x", "P": "cross", "*": "star", "x": "x-thin-open", "+": "cross-thin-open",
}  # fmt: skip
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


def _symbol(schedule: str) -> str:
    return SYMBOLS.get(names.marker(schedule), "circle") if schedule else "circle"


def _dash(schedule: str) -> str:
    line = names.line(schedule) if schedule else "-"
    return DASHES.get(line, "longdash") if isinstance(line, str) else "longdash"

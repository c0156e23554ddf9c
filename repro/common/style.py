"""One look for all figures. What recipes and schedules look like, their registries say.

Colours are Okabe and Ito's, told apart with any colour vision. Files carry no date and no version, so that redrawing
from the same ledger gives the same pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

GREY = "#666666"
ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
DPI = 160

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "errorbar.capsize": 2.5,
    "figure.dpi": 100,
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,
    "svg.hashsalt": "lr-path-switching",
    # Names come from configurations: a dollar sign in one is a dollar sign.
    "text.parse_math": False,
}


@contextmanager
def context() -> Iterator[None]:
    """Matplotlib's own defaults with `RC` over them, whatever a user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def new(width: float, height: float) -> Figure:
    """An empty figure in inches, apart from pyplot's global state. Draw and save it inside `context`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `name`.png and `name`.pdf, with what the font lacks spelled out."""
    spell_out(figure)
    png, pdf = folder / f"{name}.png", folder / f"{name}.pdf"
    figure.savefig(png, metadata={"Software": None})
    figure.set_layout_engine(None)  # settled: once is enough, and any engine has all drawn once more
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return [png, pdf]


def spell_out(figure: Figure) -> None:
    """Signs that the font lacks, as of a name in Chinese, become their numbers, where boxes would be drawn."""
    known = get_font(findfont(RC["font.family"])).get_charmap()

    def spelled(text: str) -> str:
        return "".join(each if ord(each) in known or each.isspace() else f"\\u{ord(each):04x}" for each in text)

    for artist in figure.findobj(Text):
        assert isinstance(artist, Text)
        if artist.get_text() != spelled(artist.get_text()):
            artist.set_text(spelled(artist.get_text()))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            labels = formatter.format_ticks  # what labels are made with at each drawing
            setattr(formatter, "format_ticks", lambda ticks, labels=labels: [spelled(each) for each in labels(ticks)])  # noqa: B010


def gradient(count: int) -> list[tuple[float, float, float, float]]:
    """Colours for ordered values, dark to light, legible on white."""
    colours = mpl.colormaps["viridis"]
    return [colours(0.88 * i / max(count - 1, 1)) for i in range(count)]


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """`colour` mixed with white; strength 1 is the colour itself."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return (1 - strength * (1 - red), 1 - strength * (1 - green), 1 - strength * (1 - blue))


def hexadecimal(colour: tuple[float, float, float, float]) -> str:
    return mpl.colors.to_hex(colour)

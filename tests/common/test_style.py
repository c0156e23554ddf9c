"""Figures that can be read whatever things are called."""

import warnings
from pathlib import Path

from matplotlib.figure import Figure

from repro.common import style


def test_signs_that_the_font_lacks_are_spelled_out_and_no_box_is_drawn(tmp_path: Path) -> None:
    with style.context():
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], label="北京 ß")
        axes.set_xticks([0, 1], ["日本", "plain"])
        axes.set_title("naïve, Привет")
        figure.legend()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # matplotlib warns of each box
            style.save(figure, tmp_path, "one")
    assert figure.legends[0].get_texts()[0].get_text() == r"\u5317\u4eac ß"
    assert [each.get_text() for each in axes.get_xticklabels()] == [r"\u65e5\u672c", "plain"]
    assert axes.get_title() == "naïve, Привет"

"""Tables in a terminal: whole at any width."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from repro.common import grid

NAMES = ("cosine-path_switching_a0.6-llama-w64_l2-T600-lr0.004-s0", "cpt", "[bold]not markup[/bold]")


def shown(versions: int, width: int) -> list[str]:
    made = grid.Grid(
        "PPL by version", ["run", *(f"v{v}" for v in range(1, versions + 1)), "cost over PTFS"], caption="c"
    )
    for name in NAMES:
        made.add(name, *(f"{100 + v}.{v:02d}" for v in range(versions)), "0.58")
    out = Console(width=width, file=io.StringIO(), record=True, markup=False, emoji=False)
    out.print(made)
    return out.export_text().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("versions", [2, 4, 8, 12])
def test_no_digit_is_cut_and_no_line_is_longer_than_the_terminal(versions: int, width: int) -> None:
    lines = shown(versions, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for version in range(versions):
        assert text.count(f"{100 + version}.{version:02d}") == len(NAMES)


@pytest.mark.parametrize("width", range(24, 90, 6))
def test_names_of_wide_characters_cut_no_digit(width: int) -> None:
    numbers = ("1234.56", "2345.67", "3456.78", "+11.1%")
    made = grid.Grid("t", ["held-out text of", *(f"日本語の文章集{number}" for number in range(3)), "change"])
    made.add("日本語の文章集1", *numbers)
    out = Console(width=width, file=io.StringIO(), record=True, markup=False, emoji=False)
    out.print(made)
    text = out.export_text()
    assert max(map(cell_len, text.splitlines())) <= width
    assert [number for number in numbers if number not in text] == []


def test_a_name_is_folded_and_is_no_markup() -> None:
    text = "".join(line.strip("│┃ ").split("│")[0].strip() for line in shown(4, 80))
    assert NAMES[0] in text
    assert NAMES[2] in text


def test_what_has_room_is_a_table_with_room() -> None:
    assert any(line.startswith("│ cpt ") for line in shown(2, 120))


def test_columns_are_heeded_where_output_goes_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert grid.console().width >= grid.FILE_WIDTH
    monkeypatch.setenv("COLUMNS", "80")
    assert grid.console().width == 80


@pytest.mark.parametrize("width", range(60, 130, 3))
def test_a_column_of_sentences_leaves_every_border_on_the_terminal(width: int) -> None:
    """rich had made wrapping columns narrower than they were told, and then wider than there was room."""
    made = grid.Grid("t", ["recipe", "loss", "next", "delay", "basis"])
    basis = "law; extrapolated: 1.5 times the most steps of the fit; 1.51 times the most steps below the maximum"
    made.add("path_switching_a0.6, cosine", "3.036", "0.23", "2,000", basis)
    made.add("cpt, cosine", "3.1", "0.14", "2,000", "measured")
    out = Console(width=width, file=io.StringIO(), record=True, markup=False, emoji=False)
    out.print(made)
    table = [line for line in out.export_text().splitlines() if line[:1] in "│┃"]
    assert all(len(line.rstrip()) <= width and line.rstrip()[-1] in "│┃" for line in table)
    words = " ".join(line.split("│")[5].strip() for line in table if line.startswith("│"))
    assert not table or words.startswith(basis)

"""A table that is read whole at any width: a terminal has 80 columns, and a digit that is cut off is a wrong number."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from repro.common.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

LEAST = 12
"""Columns that a name needs before it is folded further than anyone reads."""
_SEVERAL = re.compile(r"[^\W\d]\W+[^\W\d]")
"""A cell of words, which may break between them; a number and its unit may not."""
FILE_WIDTH = 120
"""Of output that goes to no terminal."""


class Grid:
    """Names at the left, then cells that are never cut: without room, headers break, and then rows are stacked."""

    def __init__(
        self, title: str, head: Sequence[str], *, names: int = 1, left: Sequence[str] = (), caption: str = ""
    ) -> None:  # fmt: skip
        """
        Args:
            names: how many of the first columns may be folded.
            left: columns that are set to the left besides those.
        """
        self._title, self._head, self._names, self._left, self._caption = title, list(head), names, set(left), caption
        self._rows: list[list[str]] = []

    def add(self, *cells: str) -> None:
        self._rows.append([*map(printable, cells), *[""] * (len(self._head) - len(cells))])

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        from rich.text import Text

        for squeeze in (0, 1, 2):
            widths = self._widths(squeeze)
            room = options.max_width - sum(widths) - len(self._head) * (1 if squeeze == 2 else 3) - 1
            if room >= 0:
                yield self._table(squeeze, self._filled(widths, room))
                return
        yield Text(self._title, style="italic")
        for row in self._rows:
            names = [cell for cell in row[: self._names] if cell]
            yield Text(", ".join(names), style="bold")
            rest = zip(self._head[self._names :], row[self._names :], strict=True)
            yield Text("  " + "; ".join(f"{head} {cell}" for head, cell in rest if cell))
        if self._caption:
            yield Text(self._caption)

    def _widths(self, squeeze: int) -> list[int]:
        """What each column takes. Squeezed once, headers, names and cells of several words break between words; twice,
        names within them, too."""
        from rich.cells import cell_len

        widths = []
        for place, head in enumerate(self._head):
            cells = [row[place] for row in self._rows]
            if squeeze:
                words = [
                    _longest(cell) if place < self._names or _SEVERAL.search(cell) else cell_len(cell) for cell in cells
                ]
                widest = max([_longest(head), *words])
            else:
                widest = max(map(cell_len, [head, *cells]))
            widths.append(min(widest, LEAST) if place < self._names and squeeze == 2 else widest)
        return widths

    def _filled(self, widths: Sequence[int], room: int) -> list[int]:
        """The same, with the columns that were squeezed given what room there is."""
        filled = []
        for wanted, width in zip(self._widths(0), widths, strict=True):
            more = min(max(wanted - width, 0), room)
            filled.append(width + more)
            room -= more
        return filled

    def _table(self, squeeze: int, widths: Sequence[int]) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(self._title), title_justify="left", caption=Text(self._caption) if self._caption else None,
            caption_justify="left", padding=(0, 0) if squeeze == 2 else (0, 1),
        )  # fmt: skip
        for place, (head, width) in enumerate(zip(self._head, widths, strict=True)):
            name = place < self._names
            wraps = name or any(_SEVERAL.search(row[place]) for row in self._rows)
            justify = "left" if name or head in self._left else "right"
            shown = Text("\n".join(head.split()) if squeeze and not name else head)
            table.add_column(shown, justify=justify, no_wrap=not wraps, width=width, overflow="fold")  # type: ignore[arg-type]
        for row in self._rows:
            table.add_row(*map(Text, row))
        return table


def _longest(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split()), default=0)


def console() -> "Console":
    """Where results are printed: names in them are data, not markup. `COLUMNS` is heeded; else a file has room."""
    from rich.console import Console

    plain = Console(markup=False, emoji=False, highlight=False)
    if plain.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return plain
    return Console(width=max(plain.width, FILE_WIDTH), markup=False, emoji=False, highlight=False)

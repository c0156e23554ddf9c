"""What a terminal shows at the end: PPL and cost by paradigm and version, verdicts, and where the report is."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table as Cells
from rich.text import Text

from analysis.findings import ledger as findings
from analysis.frames import View
from analysis.registries import TableOf
from analysis.sections import study_of
from analysis.tables.table import Table, quantity
from analysis.verdicts import Judged, counted, scorecard
from repro.common.grid import Grid

STYLES = {"reproduced": "green", "contradicted": "red"}


def summary(view: View, judged: list[Judged], report: Path) -> RenderableType:
    """
    Args:
        view: the primary setting.
        judged: every claim, in that setting.
        report: its place.
    """
    lines: list[RenderableType] = _first_table(view)
    grid = Cells(title="Claims of the paper", title_justify="left")
    for column in ("", "claim", "weakest evidence [95 % interval]", "verdict"):
        grid.add_column(column)
    for one in (one for one in scorecard(judged) if one.verdict != "not run"):
        part = one.weakest
        evidence = f"{part.what}: {quantity(part)}" if part else ""
        verdict = Text(one.verdict, style=STYLES.get(one.verdict, "dim"))
        grid.add_row(one.claim.id, one.statement, Text(evidence), verdict)
    idle = ", ".join(one.claim.id for one in scorecard(judged) if one.verdict == "not run")
    counts = counted(judged).replace("not run.", f"not run ({idle})." if idle else "not run.")
    left_out = [Text(note) for note in findings.missing(view) if note.startswith("Left out")]
    lines += [grid] if grid.row_count else []
    return Group(*lines, Text(counts), *left_out, Text(f"Report: {report}"))


def _first_table(view: View) -> list[RenderableType]:
    """PPL by version of the first study that has such a table."""
    makers = ((name, one) for name in view.ran for one in study_of(name).shows[:1] if isinstance(one, TableOf))
    shown: tuple[str, Table] | None = next(((name, t) for name, one in makers if (t := one.make(view))), None)
    if shown is None:
        return []
    name, table = shown
    title = f"{study_of(name).heading} at scale {view.ledger.scale}: means over seeds"
    start = 0 if len({row[0] for row in table.rows}) > 1 or table.head[0] != "schedule" else 1
    head = table.head[start:]
    names = sum(column in ("schedule", "paradigm", "recipe", "settings") for column in head)
    grid = Grid(title, head, names=names)
    for row in table.rows:
        # Intervals are in the report: a terminal has 80 columns.
        grid.add(*(cell.split(" ±")[0].split(" [")[0] for cell in row[start:]))
    return [grid]

"""Results as plain tables: what tables, figures and claims are made from, and nothing else.

Each file has one row a fact, sorted, with floats as Python prints them (exact). Rows are replaced by run: writing a
study again, or another study, or on another machine, adds to what is there. `SHA256SUMS` beside them is what
`sha256sum --check` reads: a file that does not match it is never added to.
"""

import csv
import io
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from repro.common import locks
from repro.common.disk import Flaw, check_folder, clear_errors
from repro.common.disk import read as read_file
from repro.common.errors import UserError, printable
from repro.data.opening import is_prepared
from repro.planning import frozen, machines, planner
from repro.planning.planner import Plan
from repro.results import commands, growth, rows
from repro.results.columns import COLUMNS, LATER, flaw, settings_of_old
from repro.results.rows import Row
from repro.store import leftovers, tables
from repro.store.store import Store

FILES = [f"{name}.csv" for name in COLUMNS]


def write(plan: Plan, store: Store) -> None:
    """Add the finished versions of a plan's runs to the ledger that each run names.

    Where a table turns out damaged, it is quarantined, and the store's other plans add their rows again as well.

    Raises:
        UserError: the disk refuses, or a table is none of ours.
    """
    for folder in sorted({Path(r.settings.ledger.path) for r in plan.tree.runs}):
        with ExitStack() as stack:
            with clear_errors(folder):
                stack.enter_context(locks.held(folder / ".lock"))
            _refuse_foreign(folder)
            leftovers.tidy(folder, leftovers.unfinished(*FILES, tables.SUMS, tables.COMMANDS))
            sources = [(plan, frozen.name(plan))]
            for path, reason in list(tables.damage(folder, FILES)):
                tables.quarantine(path, reason)
                sources = [sources[0], *_others(plan, folder, store)]
            new: dict[str, list[Row]] = {}
            made: commands.Commands = {}
            for source, name in sources:
                found = _rows(source, folder, store)
                for table, more in found.items():
                    new.setdefault(table, []).extend(more)
                if by := frozen.commands(name, store):
                    for row in found.get("studies", []):
                        known = made.setdefault(row["study"], {})
                        known[row["run"]] = by | known.get(row["run"], {})
            commands.record(folder, made, _replace(folder, new))


def check(plan: Plan) -> None:
    """Refuse a folder that holds something else, before anything is trained for it.

    Raises:
        UserError
    """
    for folder in sorted({Path(r.settings.ledger.path) for r in plan.tree.runs}):
        check_folder(folder, "ledger.path")
        with clear_errors(folder, setting="ledger.path"):
            _refuse_foreign(folder)
            damaged = {path.name for path, _ in tables.damage(folder)}
            for name in COLUMNS:
                if f"{name}.csv" not in damaged:  # which is quarantined and made again
                    read(folder / f"{name}.csv", name)


def _refuse_foreign(folder: Path) -> None:
    if name := tables.foreign(folder, FILES):
        raise UserError(
            f"ledger.path={folder}: {name} there is none of a ledger's; move it away, or choose another ledger.path."
        )


def _replace(folder: Path, new: dict[str, list[Row]]) -> Collection[str]:
    """Put rows in place of what the tables say of the same runs; those that have grown into others, which go. What was
    scored of their versions is of the longer run's, and stays."""
    before = {
        name: [dict(zip(COLUMNS[name], row, strict=True)) for row in read(folder / f"{name}.csv", name)]
        for name in ("runs", "versions", "studies")
    }
    gone = growth.outgrown([before, new])
    if gone:
        there = [name for name in COLUMNS if name in new or (folder / f"{name}.csv").exists()]
        scores = [row | {"run": gone.get(row["run"], row["run"])} for row in new.get("downstream", [])]
        new = {name: [row for row in new.get(name, []) if row.get("run") not in gone] for name in there}
        new |= {"downstream": scores} if "downstream" in new else {}
    tables.replace(folder, {f"{name}.csv": _text(folder / f"{name}.csv", name, new[name], gone) for name in new})
    return gone


def _others(plan: Plan, folder: Path, store: Store) -> Iterator[tuple[Plan, str]]:
    """The store's other plans that write to this ledger, with their names.

    Their data are looked for where this command was told to keep its own: a plan alone never says where to write.
    """
    first = plan.tree.runs[0].settings
    for name in store.plans():
        try:
            frozen_settings = frozen.thaw(name, store)[0]
            every = [
                replace(s, data=first.data, store=first.store, ledger=replace(s.ledger, path=str(folder)))
                for s in frozen_settings
                if os.path.realpath(s.ledger.path) == os.path.realpath(folder)
            ]
            for s in every:
                if not is_prepared(s.corpus, s.stream, Path(s.data.path)):
                    raise UserError(
                        f"its text is not prepared in data.path={s.data.path}; its own command makes them again"
                    )
            if every:
                yield machines.nearest(planner.make(every), lambda plan, _: plan.missing_steps, store), name
        except UserError as error:
            print(printable(f"ledger: rows of plan {name} are not made again: {error}"), file=sys.stderr)
        except Exception as error:  # whatever settings of other types lead to; this plan's own rows do not wait for it
            said = f"ledger: rows of plan {name} are not made again: its settings are of another version of this suite"
            print(printable(f"{said} ({type(error).__name__}: {error})"), file=sys.stderr)


def _rows(plan: Plan, folder: Path, store: Store) -> dict[str, list[Row]]:
    """Rows of every table of the runs that write to this ledger."""
    found: dict[str, list[Row]] = {}
    scores = rows.downstream(plan.tree, store)
    stored = store.steps()
    for index, r in enumerate(plan.tree.runs):
        if Path(r.settings.ledger.path) != folder:
            continue
        for table, more in (rows.of(plan.tree, index, stored, store) | {"downstream": scores.get(index, [])}).items():
            if more:
                found.setdefault(table, []).extend(more)
    return found


def _text(path: Path, table: str, rows: list[Row], gone: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A CSV file with rows in place of what it says of the same runs (numerics; study and run; model).

    Args:
        gone: runs that it is to say nothing of any more, with those that they have grown into.
    """
    columns = COLUMNS[table]
    new = [[str(row[column]) for column in columns] for row in rows]
    depth = {"studies": 2, "downstream": 3}.get(table, 1)
    replaced = {tuple(row[:depth]) for row in new}
    kept = [row for row in read(path, table) if tuple(row[:depth]) not in replaced]
    if "run" in columns:
        place = columns.index("run")
        own = [row for row in kept if row[place] not in gone]
        if table == "downstream":
            replaced |= {tuple(row[:depth]) for row in own}
            moved = [[*row[:place], gone[row[place]], *row[place + 1 :]] for row in kept if row[place] in gone]
            own += [row for row in moved if tuple(row[:depth]) not in replaced]
        kept = own
    unique = sorted({tuple(row) for row in [*kept, *new]}, key=lambda row: [_order(cell) for cell in row])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *unique])
    return text.getvalue().encode()


def read(path: Path, table: str) -> list[list[str]]:
    """Rows of one of the ledger's files; none where there is no such file. Whoever reads a ledger reads it here: what
    one refuses, all do.

    Raises:
        UserError: it has other columns, or rows that no run leads to.
    """
    if not path.exists():
        return []
    away = "move the file away to start a new one."
    try:
        header, *rows = list(csv.reader(io.StringIO(read_file(path).decode(), newline=""))) or [[]]
    except (UnicodeDecodeError, csv.Error, Flaw) as error:
        raise UserError(f"{path} is no CSV table ({error}); {away}") from None
    if not header:
        raise UserError(f"{path} is no CSV table; {away}")
    columns = COLUMNS[table]
    lacks = [column for column in columns if column not in header]
    if lacking := [column for column in lacks if table != "runs" or column not in LATER]:
        raise UserError(f"{path} lacks the column {', '.join(lacking)}; {away}")
    if header != [column for column in columns if column in header]:
        raise UserError(f"{path} has other columns than a {table}.csv; {away}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(f"{path}, line {number} has {len(row)} cells for {len(header)} columns; {away}")
    for place, column in enumerate(header):
        odd = {cell: why for cell in {row[place] for row in rows} if (why := flaw(table, column, cell))}
        for number, row in enumerate(rows if odd else (), start=2):
            if row[place] in odd:
                raise UserError(f"{path}, column {column}: {odd[row[place]]} (line {number}); {away}")
    return [_whole(dict(zip(header, row, strict=True)), columns) for row in rows] if lacks else rows


def _whole(row: dict[str, str], columns: list[str]) -> list[str]:
    """A row that was written before there were some of the columns: it says nothing in them, but for its settings."""
    if "settings" not in row:
        row["settings"] = settings_of_old(row)
    return [row.get(column, "") for column in columns]


def _order(cell: str) -> tuple[int, float, str]:
    """Numbers by value, before text."""
    try:
        return 0, float(cell), cell
    except ValueError:
        return 1, 0.0, cell

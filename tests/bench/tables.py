"""Tables to which each machine adds its rows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def add(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], told_apart_by: Sequence[str]) -> None:
    """Write rows to a table; of those that are there, only the ones that are measured anew go.

    Args:
        told_apart_by: columns in which two measurements that both stay differ, the machine among them.
    """
    new = [dict(zip(columns, map(str, row), strict=True)) for row in rows]
    anew = {tuple(row[name] for name in told_apart_by) for row in new}
    kept = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [{name: row.get(name) or "" for name in columns} for row in csv.DictReader(file)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in kept if tuple(row[name] for name in told_apart_by) not in anew)
        writer.writerows(new)

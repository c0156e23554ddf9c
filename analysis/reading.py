"""A ledger's CSV files as frames: checksums first, and every file, column and value checked as `repro.results` does."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.formats import ENDLESS
from repro.common.errors import UserError
from repro.config.exact import fraction
from repro.results import commands as noted
from repro.results import ledger
from repro.results.columns import COLUMNS, LENGTHS, TEXT
from repro.store import tables

NUMBERS = {name: [column for column in columns if column not in TEXT[name]] for name, columns in COLUMNS.items()}
OPTIONAL = {"downstream", "curves"}
"""Not there before something was fine-tuned, or where all training diverged."""
SORTED = (
    *("study", "run", "version", "slice", "segment", "step", "finetune_seed", "task", "metric", "numerics", "setting"),
)


def read(folder: Path, *, unchecked: bool = False) -> dict[str, pd.DataFrame]:
    """Every table of a ledger, sorted.

    Args:
        unchecked: use tables that differ from the checksums beside them.

    Raises:
        UserError: a file or column is missing, a value is of the wrong kind, or a table was altered.
    """
    if not unchecked:
        _check(folder)
    return {name: _table(folder / f"{name}.csv", name) for name in COLUMNS}


def _check(folder: Path) -> None:
    """Refuse tables that are not what was written: a digit that flipped would change a verdict silently."""
    flaws = list(tables.damage(folder, [f"{name}.csv" for name in COLUMNS]))
    if flaws:
        raise UserError(
            "\n".join(f"{path} {reason}." for path, reason in flaws)
            + f"\nTo mend a ledger of yours: {noted.mending(folder)} writes the rows of what is stored again. "
            "To report on the tables as they are: unchecked=true."
        )


def _table(path: Path, name: str) -> pd.DataFrame:
    if not path.is_file() and name in OPTIONAL:
        return pd.DataFrame(
            {c: pd.Series(dtype="str") for c in TEXT[name]} | {c: pd.Series(dtype="float64") for c in NUMBERS[name]}
        )
    if not path.is_file():
        raise UserError(
            f"{path} is missing; a ledger has {', '.join(f'{n}.csv' for n in sorted(TEXT))}. "
            f"To write all of them again from the store: {noted.mending(path.parent)}."
        )
    # As text: a hexadecimal id such as 12e45678 must not become a number.
    frame = pd.DataFrame(ledger.read(path, name), columns=COLUMNS[name], dtype=object)
    if name == "runs":
        frame["lengths"] = frame["steps_per_version"]
        frame["steps_per_version"] = frame["lengths"].map(mean_steps)
    for column in NUMBERS[name]:
        frame[column] = _numbers(frame[column])
    return frame.sort_values([c for c in SORTED if c in frame], kind="stable", ignore_index=True)


def _numbers(written: "pd.Series[str]") -> "pd.Series[float]":
    """A column as numbers. Each spelling is read once: most are there many times over."""
    place, spelled = pd.factorize(written, use_na_sentinel=False)
    numbers = pd.to_numeric(pd.Series(spelled).mask(spelled.isin(["", "nan"])))
    return pd.Series(numbers.to_numpy()[place], index=written.index)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with Python's own strings, as names of columns too: of tables as small as a ledger's, rows are taken in
    three quarters of the time that Arrow's strings need. And with columns of a kind in one block: a row is then taken
    from a few of them rather than from each column."""
    frame = frame.astype({column: object for column, kind in frame.dtypes.items() if kind == "str"})
    frame.columns = frame.columns.astype(object)
    return frame.copy()


def mean_steps(written: str) -> str:
    """T as one number: of versions whose lengths differ (`20 40 10 60`) the mean, which units of T then stand for."""
    if not LENGTHS.fullmatch(written):
        return written
    lengths = written.split()
    return f"{sum(map(int, lengths)) / len(lengths):.10g}"


def share(column: str, value: str) -> float:
    """A share of T as written, in runs.csv: NaN where there is none, infinite for an endless cycle."""
    if value == "":
        return np.nan
    return np.inf if value == ENDLESS else float(fraction(f"runs.csv, column {column}", value))


def canonical(value: str) -> str:
    """A setting's value as one spelling of it: 3/5 and 0.60 are 0.6."""
    try:
        number = fraction("", value)
    except UserError:
        return value
    return f"{float(number):g}" if fraction("", f"{float(number):g}") == number else str(number)

"""Files and rows of a user's own text."""

import datetime
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from repro.common import disk
from repro.common.errors import UserError
from repro.data.corpora.corpus import Document


def from_row(
    row: dict[str, Any], place: str, text_column: str, date_column: str | None, optional_date: str | None = None
) -> Document:
    for setting, column in (("text_column", text_column), ("date_column", date_column)):
        if column is not None and column not in row:
            raise UserError(
                f"{place} has no corpus.{setting}={column}; it has {', '.join(map(str, row)) or 'nothing'}."
            )
    text, date = row[text_column], row.get(date_column or optional_date or "")
    if not isinstance(text, str):
        raise UserError(f"{place}: {text_column} must be a string, not {type(text).__name__}.")
    if isinstance(date, datetime.date):
        date = date.isoformat()
    if date is not None and not (isinstance(date, str) and re.match(r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?$", date)):
        raise UserError(f"{place}: the date {date!r} is not ISO 8601, such as 2024-05-31, 2024-05 or 2024.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: {text_column} is no valid Unicode: {error}.") from None
    return Document(text, place, date)


def files_within(paths: Iterable[Path]) -> list[Path]:
    """The files, and those in the folders."""
    folders = [[path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()) for path in paths]
    return list(itertools.chain.from_iterable(folders))


def content_hashes(files: Iterable[Path]) -> list[list[str]]:
    """What a local corpus consists of: each file's kind and content, not its name."""
    try:
        return sorted([path.suffix.lower(), disk.sha256(path)] for path in files)
    except OSError as error:
        raise UserError(f"The corpus cannot be read: {error}") from None

"""Documents in files: text, JSON, CSV and Parquet, by ending, whatever their encoding and line ends."""

import codecs
import csv
import datetime
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from repro.common.disk import sha256
from repro.common.errors import UserError
from repro.data.corpora.corpus import Document
from repro.data.corpora.reading import files
from repro.data.corpora.reading.files import Known, Report

HUGE = 256 * 2**20
"""Characters from which on a document is named, though it is read."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """Reads files into documents, and notes what is odd about them."""

    report: Report
    text_column: str = "text"
    date_column: str | None = None
    optional_date: str | None = "date"
    """The column that holds a date where there is one, if none is asked for."""

    def documents(self, path: Path, known: Known | None = None) -> Iterator[Document]:
        """A file's documents in order.

        Args:
            known: see `repro.data.corpora.reading.files.opened`.

        Raises:
            UserError: something in it cannot be read; the message names the file and the line.
        """
        self.report.files += 1
        ending = files.kind(path)[0]
        rows = self._parquet(path, known) if ending == ".parquet" else self._opened(path, ending, known)
        for document in rows:
            self.report.documents += 1
            yield document

    def _opened(self, path: Path, ending: str, known: Known | None) -> Iterator[Document]:
        with files.opened(path, known) as file:
            content: IO[bytes] = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
            encoding = self._encoding(path, content)
            if ending not in files.KNOWN and self._is_json_lines(content, encoding):
                ending = files.LINES[0]
            if ending in files.LINES:
                yield from self._lines(path, content, encoding)
            elif ending == ".json":
                yield from self._json(path, _decoded(content.read(), encoding, str(path)))
            elif ending in files.TABLES:
                yield from self._table(path, content, encoding, "\t" if ending == ".tsv" else ",")
            else:
                text_ = _decoded(content.read(), encoding, str(path))
                yield self._document(text_, str(path), _front_matter_date(text_) or files.name_date(path))

    def _encoding(self, path: Path, file: IO[bytes]) -> str:
        start = file.peek(4)[:4]  # type: ignore[attr-defined]
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
        if encoding != "utf-8":
            self.report.note("files with a byte-order mark", path)
        return encoding

    def _is_json_lines(self, file: IO[bytes], encoding: str) -> bool:
        """Whether a file whose ending says nothing begins with a line of JSON that has the text column."""
        start = file.peek().decode(encoding, errors="ignore")  # type: ignore[attr-defined]
        first, ended, _ = start.lstrip().partition("\n")
        if not ended and len(first) > files.BUFFER // 8:  # at most four bytes a character, and half of what is there
            return bool(first.startswith("{"))  # a line that is longer than what is looked at
        try:
            row = json.loads(first)
        except (ValueError, RecursionError):
            return False
        return isinstance(row, dict) and _has(row, self.text_column)

    def _lines(self, path: Path, file: IO[bytes], encoding: str) -> Iterator[Document]:
        lines: Iterator[bytes] = iter(file)
        own, number = encoding, 0
        if encoding.startswith(("utf-16", "utf-32")):
            lines = (line.encode() for line in io.TextIOWrapper(file, encoding=encoding))
            encoding = "utf-8"
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    place = f"{path}, line {number}"
                    yield self._row(_parsed(_decoded(line, encoding, place), place), place)
        except UnicodeDecodeError as error:
            raise _undecodable(f"{path}, after line {number},", own, error) from None

    def _json(self, path: Path, text: str) -> Iterator[Document]:
        content = _parsed(text, str(path))
        if isinstance(content, dict) and _value(content, self.text_column) is None:
            lists = [value for value in content.values() if isinstance(value, list)]
            content = lists[0] if len(lists) == 1 else content
        if isinstance(content, list):
            for number, row in enumerate(content, start=1):
                yield self._row(row, f"{path}, item {number}")
        else:
            yield self._row(content, str(path))

    def _table(self, path: Path, file: IO[bytes], encoding: str, delimiter: str) -> Iterator[Document]:
        csv.field_size_limit(2**31 - 1)  # the default refuses a document of 131,072 characters
        text = io.TextIOWrapper(file, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="")
        reader = csv.DictReader(text, delimiter=delimiter, strict=True)
        try:
            for name in self._columns():
                if (reader.fieldnames or []).count(name) > 1:
                    raise UserError(f"{path} has several columns {name}, and one is read; rename the others.")
            for row in reader:
                if any(row.pop(None, ())):  # else the rest of a text after its first comma would be lost
                    raise UserError(
                        f"{path}, line {reader.line_num} has more cells than the first line has names; a text with "
                        f"{delimiter!r} in it stands in double quotes."
                    )
                yield self._row(row, f"{path}, line {reader.line_num}")
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: {error}.") from None
        except UnicodeDecodeError as error:
            raise _undecodable(f"{path}, after line {reader.line_num},", encoding, error) from None

    def _parquet(self, path: Path, known: Known | None) -> Iterator[Document]:
        import pyarrow as pa
        from pyarrow import parquet

        if files.kind(path)[1]:
            raise UserError(f"{path}: Parquet compresses by itself; decompress the file first.")
        try:
            # Opened here: pyarrow takes no name that is not UTF-8.
            with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
                names = file.schema_arrow.names
                roots = {each.partition(".")[0] for each in self._columns() if each not in names}
                wanted = [name for name in names if name in self._columns() or name in roots]
                number = 0
                if not {self.text_column, self.text_column.partition(".")[0]} & {*wanted}:
                    raise _lacks(str(path), "text_column", self.text_column, names)
                for batch in file.iter_batches(batch_size=256, columns=wanted):
                    columns = [self._values(path, *column) for column in zip(wanted, batch.columns, strict=True)]
                    for values in zip(*columns, strict=True):
                        number += 1
                        yield self._row(dict(zip(wanted, values, strict=True)), f"{path}, row {number}")
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} is damaged, or no Parquet file: {error}. Fetch it again.") from None
        if known is not None:
            files.check_known(path, sha256(path), known)

    def _values(self, path: Path, name: str, column: Any) -> list[Any]:
        """A column's values; none of a date that nobody asked for, where one of them is none.

        Raises:
            UserError: one of them cannot be read.
        """
        try:
            values: list[Any] = column.to_pylist()
        except Exception as error:  # whatever text that is no UTF-8, years beyond 9999 and unknown time zones raise
            if name == self.optional_date and name not in (self.text_column, self.date_column):
                self.report.note("batches of rows whose dates cannot be read", path)
                return [None] * len(column)
            raise UserError(f"{path}: a value of {name} cannot be read: {error!r}.") from None
        return values

    def _columns(self) -> list[str]:
        return [each for each in (self.text_column, self.date_column, self.optional_date) if each is not None]

    def _row(self, row: object, place: str) -> Document:
        if not isinstance(row, dict):
            raise UserError(f"{place} holds no JSON object; each needs to be one with `{self.text_column}`.")
        return self.from_row(row, place)

    def from_row(self, row: Mapping[str, Any], place: str) -> Document:
        """A row's document.

        Raises:
            UserError: a column is missing, or holds no text.
        """
        text = _value(row, self.text_column)
        date = _value(row, self.date_column or self.optional_date or "")
        for setting, column in (("text_column", self.text_column), ("date_column", self.date_column)):
            if column is not None and not _has(row, column):
                raise _lacks(place, setting, column, row)
        if not isinstance(text, str):
            raise UserError(f"{place}: {self.text_column} must be a string, not {type(text).__name__}.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UserError(f"{place}: {self.text_column} is no valid Unicode: {error}.") from None
        return self._document(text, place, date_text(date))

    def _document(self, text: str, place: str, date: str | None) -> Document:
        if "\r\n" in text:
            self.report.note("documents with CRLF line ends, read as LF", place)
            text = text.replace("\r\n", "\n")
        if not text.strip():
            self.report.note("empty documents left out", place)
        if len(text) > HUGE:
            self.report.note(f"documents of more than {HUGE:,} characters", place)
        return Document(text, place, date)


def date_text(value: object) -> str | None:
    """A date as columns hold it, as text; a number counts seconds or milliseconds since 1970, or is a year."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str) and re.fullmatch(r"\d{9,13}(\.\d*)?", value):  # as CSV has numbers
        value = float(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1e8:
        try:
            seconds = value / 1000 if abs(value) >= 1e11 else value
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return str(value)
    return str(value)


def _front_matter_date(text: str) -> str | None:
    """Of a text that begins with `---` and lines of settings, as blogs and notes do."""
    front = re.match(r"---\r?\n(.*?)\r?\n---\s*(?:\n|$)", text, re.DOTALL)
    date = re.search(r"^date:[ \t]*(.+?)[ \t\r]*$", front[1], re.MULTILINE | re.IGNORECASE) if front else None
    return date[1].strip("\"'") if date else None


def _value(row: Mapping[str, Any], column: str) -> Any:
    """A column's value; `a.b` is the field `b` of column `a`, unless there is a column of that name."""
    if column in row:
        return row[column]
    head, _, rest = column.partition(".")
    inner = row.get(head)
    return _value(inner, rest) if rest and isinstance(inner, dict) else None


def _has(row: Mapping[str, Any], column: str) -> bool:
    head, _, rest = column.partition(".")
    inner = row.get(head)
    return column in row or bool(rest and isinstance(inner, dict) and _has(inner, rest))


def _lacks(place: str, setting: str, column: str, names: Any) -> UserError:
    has = ", ".join(map(str, names)) or "nothing"
    return UserError(f"{place} has no corpus.{setting}={column}; it has {has}.")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is no JSON: {error}. Each holds one object with `text`.") from None


def _decoded(data: bytes, encoding: str, place: str) -> str:
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(place, encoding, error) from None


def _undecodable(place: str, encoding: str, error: UnicodeDecodeError) -> UserError:
    name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
    return UserError(f"{place} is not {name}: {error}. Convert it first.")

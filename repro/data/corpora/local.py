"""A user's own folder of text files, or JSONL."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.common.errors import UserError
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.rows import content_hashes, files_within, from_row


@CORPORA.register("local")
@dataclass(frozen=True, kw_only=True)
class Local(Corpus):
    """Text files, or JSONL with `text` and optional `date` on each line."""

    label = "own text"

    path: str | None = None
    """A folder of text files, or a JSONL file (or folder of them) with `text` and optional `date`."""
    text_column: str = "text"
    date_column: str | None = None

    def documents(self, cache: Path) -> Iterator[Document]:
        return _local(self)

    def identity(self) -> dict[str, object]:
        # Of these, keys have always held what `hf` has as well.
        more = {"subset": None, "split": "train", "max_documents": None}
        columns = {"text_column": self.text_column, "date_column": self.date_column}
        return {"local": content_hashes(_local_files(self)), **columns, **more}

    @property
    def place(self) -> str:
        return self.path or ""


def _local_files(corpus: Local) -> list[Path]:
    if corpus.path is None:
        raise UserError("corpus.kind=local needs corpus.path: a folder of text files, or a JSONL file.")
    path = Path(corpus.path)
    if not os.path.exists(path):  # noqa: PTH110  (Path's own raises for a name that is too long)
        raise UserError(f"corpus.path={corpus.path} does not exist.")
    if path.is_file():
        return [path]
    files = [file for file in files_within([path]) if file.suffix.lower() in (".txt", ".md", ".jsonl")]
    if not files:
        raise UserError(f"corpus.path={corpus.path} holds no .txt, .md or .jsonl file.")
    return files


def _local(corpus: Local) -> Iterator[Document]:
    for path in _local_files(corpus):
        if path.suffix.lower() in (".txt", ".md"):
            yield Document(_decoded(path.read_bytes(), str(path)), str(path))
            continue
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                place = f"{path}, line {number}"
                content = _decoded(line, place)
                try:
                    row = json.loads(content)
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{place} is no JSON: {error}. Each line holds one object with `text`.") from None
                if not isinstance(row, dict):
                    raise UserError(f"{place} holds no JSON object; each line needs one with `text`.")
                yield from_row(row, place, corpus.text_column, corpus.date_column, optional_date="date")


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{place} is not UTF-8: {error}. Convert it first.") from None

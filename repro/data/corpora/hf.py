"""Any Hugging Face data set, streamed."""

import glob
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repro.common.errors import Gone, UserError, printable
from repro.config.checks import path, within
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.reading import files
from repro.data.corpora.reading.files import Report
from repro.data.corpora.reading.records import Reader

BUILDERS = (
    "arrow", "audiofolder", "conll", "csv", "eval", "fasta", "fastq", "genbank", "harbor", "hdf5", "iceberg",
    "imagefolder", "json", "lance", "meshfolder", "mmcif", "niftifolder", "pandas", "parquet", "pdb", "pdffolder",
    "text", "tsfile", "videofolder", "vortex", "webdataset", "xml",
)  # fmt: skip
"""Names that `datasets` gives to its readers of files: without files they mean nothing."""


@CORPORA.register("hf")
@dataclass(frozen=True, kw_only=True)
class HuggingFace(Corpus):
    """What `datasets.load_dataset` understands: a hub's name, or a local path."""

    label = "Hugging Face data set"

    dataset: str | None = path(None)
    """The data set's name on the hub, or a local path that `datasets.load_dataset` understands."""
    path: str | None = path(None)
    """Files of it, as `data_files`."""
    subset: str | None = None
    split: str = "train"
    text_column: str = "text"
    date_column: str | None = None
    max_documents: int | None = within(1, 10**9, None)
    """Stop after this many documents."""

    def documents(self, cache: Path) -> Iterator[Document]:
        return _hf(self)

    def verified(self, identity: Mapping[str, object], cache: Path) -> Iterator[Document]:
        yield from self.documents(cache)
        if self.identity() != dict(identity):
            raise UserError(f"{self._name()} changed while it was read; start again when nobody writes to it.")

    def identity(self) -> dict[str, object]:
        """For a data set at a hub that is its name, and that of what is read of it: only the hub knows its content."""
        dataset = self.dataset or ""
        if not dataset:
            raise UserError("corpus.kind=hf needs corpus.dataset: a data set's name, or a local path.")
        if dataset in BUILDERS and self.path is None:
            raise UserError(f"corpus.dataset={dataset} reads files, and corpus.path names none.")
        local = self._is_here
        chosen = self._local_files()
        found = _files_within([Path(dataset)] if local and not chosen else chosen)
        # `datasets` tells a folder's splits by the names of its files.
        names = {"names": [str(each.relative_to(dataset)) for each in found]} if local and not chosen else {}
        # Of a local data set's folder, the files that are chosen are its content.
        address = {} if self.path is None or chosen else {"path": self.path}
        return {
            "hf": "" if local else dataset,
            "files": files.identity(found, in_order=bool(names) or self.max_documents is not None),
            "subset": self.subset,
            "split": self.split,
            "text_column": self.text_column,
            "date_column": self.date_column,
            "max_documents": self.max_documents,
            **address,
            **names,
        }

    @property
    def _is_here(self) -> bool:
        """Whether the data set is a path on this machine; a reader's name is that, whatever folders there are."""
        return self.dataset not in BUILDERS and os.path.exists(self.dataset or "")  # noqa: PTH110

    @property
    def _at_hub(self) -> bool:
        """Whether `path` names files of a data set that is elsewhere."""
        assert self.path is not None
        return not (self.dataset in BUILDERS or self._is_here or Path(self.path).is_absolute())

    def _local_files(self) -> list[Path]:
        """What `corpus.path` names on this machine.

        Raises:
            UserError: nothing, of a data set that is on this machine.
        """
        if self.path is None:
            return []
        dataset = self.dataset or ""
        if named := _by_address(self.path):
            plain = Path(named).absolute()
            raise UserError(f"corpus.path={self.path} is a file of this machine; give its plain path: {plain}.")
        # As `datasets` does: files of a data set that is a folder here are looked for in it, and nowhere else; those of
        # one at a hub are there, unless they are named from this machine's root.
        if self._at_hub:
            return []
        within = self._is_here and Path(dataset).is_dir()
        place = os.path.join(dataset, self.path) if within else self.path  # noqa: PTH118
        matches = [place] if os.path.exists(place) else sorted(glob.glob(place, recursive=True))  # noqa: PTH110, PTH207
        if matches:
            return [Path(match) for match in matches]
        if "://" in self.path:
            return []
        raise Gone(f"corpus.path={self.path} names no file that there is, nor does it match one.")

    def _name(self) -> str:
        return f"corpus.dataset={self.dataset}" + (f" corpus.path={self.path}" if self.path else "")

    @property
    def place(self) -> str:
        # Where files lie on this machine is nobody's business in a table.
        told = (_told(self.dataset), self.subset, self.path if self.path and self._at_hub else _told(self.path))
        return " ".join(filter(None, told))

    @property
    def remote(self) -> bool:
        return True

    def look(self) -> None:
        if self._local_files() or self._is_here:
            next(_hf(self))


def _by_address(path: str) -> str:
    """The file on this machine that an address names (`file:///a`, `zip://inside::/a.zip`): its content would be in no
    key. Empty for any other path."""
    *outer, last = path.split("::")
    scheme, colons, rest = last.rpartition("://")
    return rest if scheme in ("file", "local") or (outer and not colons) else ""


def _told(name: str | None) -> str | None:
    """A data set's name on the hub, or files' address there; of a path on this machine the last part."""
    place = Path(name or "")
    return place.name if name and (place.is_absolute() or name.startswith(("~", ".")) or place.exists()) else name


def _files_within(paths: list[Path]) -> list[Path]:
    folders = [[path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()) for path in paths]
    return list(itertools.chain.from_iterable(folders))


def _hf(corpus: HuggingFace) -> Iterator[Document]:
    import datasets

    assert corpus.dataset is not None
    report = Report()
    reader = Reader(report, corpus.text_column, corpus.date_column, optional_date=None)
    try:
        rows = datasets.load_dataset(
            corpus.dataset, corpus.subset, split=corpus.split, data_files=corpus.path, streaming=True
        )
        for index, row in enumerate(itertools.islice(rows, corpus.max_documents)):
            report.documents += 1
            yield reader.from_row(row, f"{corpus.dataset}, row {index}")
    except UserError:
        raise
    except Exception as error:  # whatever its many readers raise
        hint = ""
        names = [name for name in (corpus.dataset, corpus.path) if name is not None]
        if any(re.search(r"[\[\]*?]", name) and Path(name).exists() for name in names):
            hint = " Its name has characters that stand for patterns there; corpus=local reads such names."
        elif corpus.path is not None and Path(corpus.path).is_dir():
            hint = f" It is a folder; corpus.path={corpus.path.rstrip('/')}/* reads its files."
        elif "zstd" in str(error):
            hint = " corpus=local reads .zst; corpus=hf does so where the package zstandard is installed."
        # Its readers of JSON look for a first row, and say nothing more where there is none.
        reason = "it has no row" if isinstance(error, StopIteration) else str(error) or type(error).__name__
        raise UserError(f"{corpus._name()} cannot be read: {reason}.{hint}") from error
    if report.counts:
        print(printable(f"{corpus._name()}: {report.line()}"), file=sys.stderr)
    if not report.documents:
        raise UserError(f"{corpus._name()} holds no document.")

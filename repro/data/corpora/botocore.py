"""AWS API documentation: what each of four botocore releases added."""

import gzip
import html
import itertools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.config.registries import CORPORA
from repro.data import packages
from repro.data.corpora.corpus import Corpus, Document
from repro.data.packages import Package

BOTOCORE = {
    "2021-02-02": Package("botocore", "1.20.0", "634b39ab0d55477cfbffb0e5dff31b7ab4bb171b04a0c69f8bcf65135f26ba94"),
    "2022-11-01": Package("botocore", "1.29.0", "c706640f8cf9297d2af87fc711394631afc14aaa225c7554e220964b5047b47d"),
    "2024-08-16": Package("botocore", "1.35.0", "a3c96fe0b6afe7d00bad6ffbe73f2610953065fcdf0ed697eba4e1e5287cc84f"),
    "2026-11-17": Package("botocore", "1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"),
}
"""The releases by the date they were built on. Apache-2.0."""

SHORTEST = 120
"""botocore: shorter strings (in characters) are mostly labels."""
GRAM = 10
"""botocore: words in a row by which a string's novelty is judged."""


@CORPORA.register("botocore")
@dataclass(frozen=True, kw_only=True)
class Botocore(Corpus):
    """New documentation strings of each release: a real version update."""

    label = "AWS API documentation"
    licence = "Apache-2.0"
    language = "en"

    def documents(self, cache: Path) -> Iterator[Document]:
        return added(fetched(cache))

    def identity(self) -> dict[str, object]:
        return {"botocore": [package.sha256 for package in BOTOCORE.values()]}

    def releases(self) -> Sequence[Mapping[str, object]]:
        hashes = [package.sha256 for package in BOTOCORE.values()]
        return [{"botocore": hashes[:part]} for part in range(1, len(hashes) + 1)]


def fetched(cache: Path) -> list[Path]:
    """The releases' files."""
    return [packages.fetch(package, cache) for package in BOTOCORE.values()]


def added(wheels: list[Path]) -> Iterator[Document]:
    """For each release, one document a service: its new strings."""
    novelty = Novelty()
    for part, (date, package, wheel) in enumerate(zip(BOTOCORE, BOTOCORE.values(), wheels, strict=True), start=1):
        with zipfile.ZipFile(wheel) as archive:
            files = sorted(name for name in archive.namelist() if re.search(r"/service-2\.json(\.gz)?$", name))
            for service, group in itertools.groupby(files, key=lambda name: name.split("/")[2]):
                texts = [text for name in group for text in novelty.choose(_documentation(archive.read(name)))]
                text = "\n\n".join(texts)
                if text:
                    yield Document(text, f"botocore-{package.version}/{service}", date, part)


def _documentation(content: bytes) -> list[str]:
    """All documentation strings of a service, in HTML, in the order of the file."""
    found = []

    def collect(node: dict[str, Any]) -> None:
        # A shape may have a member of this name, which is no string.
        if isinstance(text := node.get("documentation"), str):
            found.append(text)

    json.loads(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content, object_hook=collect)
    return found


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>|<!--.*?-->", re.DOTALL)
_INLINE = frozenset(("a", "abbr", "b", "code", "em", "i", "region", "small", "span", "strong", "sub", "sup", "tt", "u"))


def strip_html(text: str) -> str:
    """Text without tags: one line for each block, entities resolved."""
    bare = _TAG.sub(lambda tag: "" if (tag[2] or "a").lower() in _INLINE else "\n", text)
    lines = (" ".join(line.split()) for line in html.unescape(bare).split("\n"))
    return "\n".join(line for line in lines if line)


class Novelty:
    """Remembers every run of ten words, to tell new strings from near-duplicates of earlier ones."""

    def __init__(self) -> None:
        self._strings: set[str] = set()
        self._grams: set[int] = set()
        self._words: dict[str, int] = {}
        self._powers = np.array([pow(0x9E3779B97F4A7C15, i, 2**64) for i in range(GRAM)], dtype=np.uint64)

    def choose(self, strings: Iterable[str]) -> Iterator[str]:
        """The strings, stripped, that are long enough and at least half of whose runs were never seen before."""
        for string in strings:
            if len(string) < SHORTEST or string in self._strings:
                continue
            self._strings.add(string)
            text = strip_html(string)
            if len(text) < SHORTEST:
                continue
            grams = self._hashes(text)
            novel = len(grams - self._grams) * 2 >= len(grams)
            self._grams |= grams
            if novel:
                yield text

    def _hashes(self, text: str) -> set[int]:
        words = [self._words.setdefault(word, len(self._words) + 1) for word in text.split()]
        padded = np.array(words + [0] * (GRAM - len(words)), dtype=np.uint64)
        runs = np.lib.stride_tricks.sliding_window_view(padded, GRAM)
        return set((runs * self._powers).sum(axis=1, dtype=np.uint64).tolist())

"""IETF RFCs from Debian's packages; opt-in."""

import calendar
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from repro.config.registries import CORPORA
from repro.data import packages
from repro.data.corpora.corpus import Corpus, Document
from repro.data.packages import Package

RFC = (
    Package("doc-rfc-std", "20230121-1", "b9bfead1a230da198ab96ce70cc9fbb64dc600d914c1504eeb4c19e29f95734b", "deb"),
    Package("doc-rfc-fyi-bcp", "20230121-1", "d1db7332103b14ac2ce4e9e09188e38b3ade332bcc791990c7eb8064333a2b9e", "deb"),
    Package(
        "doc-rfc-experimental", "20230121-1", "bff38cd2d63f0f85ed7eaf954845f34bbaba56dfe3111c9e3e07624296889817", "deb"
    ),
)
"""Debian 12, component non-free: RFCs may be copied intact only."""

PROSE = 0.9
"""rfc: share of letters and spaces from which a paragraph counts as prose."""


@CORPORA.register("rfc")
@dataclass(frozen=True, kw_only=True)
class Rfc(Corpus):
    """Prose of 928 RFCs."""

    label = "RFCs"
    licence = "may be copied intact only: fetched, never republished"
    language = "en"

    def documents(self, cache: Path) -> Iterator[Document]:
        return _rfc([packages.fetch(package, cache) for package in RFC])

    def identity(self) -> dict[str, object]:
        return {"rfc": [package.sha256 for package in RFC]}


def _rfc(debs: list[Path]) -> Iterator[Document]:
    with ExitStack() as stack:
        folders = [stack.enter_context(packages.unpacked(deb)) for deb in debs]
        # The folder `links` names the others' files once more.
        files = [path for folder in folders for path in sorted(folder.rglob("rfc*")) if not path.is_symlink()]
        facts = {path.stem: path for path in files if path.suffix == ".json"}
        texts = {path.name.split(".")[0]: path for path in files if path.name.endswith((".txt", ".txt.gz"))}
        for name in sorted(facts.keys() & texts.keys(), key=lambda name: int(name.removeprefix("rfc"))):
            content = texts[name].read_bytes()
            content = gzip.decompress(content) if texts[name].suffix == ".gz" else content
            published = json.loads(facts[name].read_bytes())["pub_date"].split()
            date = f"{published[-1]}-{list(calendar.month_name).index(published[-2]):02}"
            yield Document(rfc_prose(content.decode("utf-8-sig")), name, date)


def rfc_prose(text: str) -> str:
    """An RFC's paragraphs, one per line, without page headers and footers, tables, diagrams and contents."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n{2,}", strip_pages(text)))
    letters = ((p, sum(c.isalpha() or c == " " for c in p)) for p in paragraphs)
    return "\n\n".join(paragraph for paragraph, count in letters if count >= PROSE * len(paragraph) > 0)


def strip_pages(text: str) -> str:
    """An RFC without what repeats on each page: its header, its footer and the blank lines around them."""
    pages = []
    for number, page in enumerate(text.replace("\r\n", "\n").split("\f")):
        lines = page.rstrip().split("\n")
        if re.search(r"\[Page\s+\w+\]\s*$", lines[-1]):
            lines.pop()
        first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
        if number and first < len(lines) and re.match(r"(RFC|Request for Comments:?)\s*\d+\b", lines[first].strip()):
            first += 1
        body = "\n".join(line.rstrip() for line in lines[first:]).strip("\n")
        if body:
            pages.append(body)
    joined = ""
    for body in pages:
        # A sentence that a page break cut in two goes on; otherwise a paragraph ended with its page.
        joined += body if not joined else ("\n\n" if joined[-1] in ".:;!?" else "\n") + body
    return joined

"""A user's own releases: one sub-folder each, to which others are added as data arrive."""

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from repro.common.errors import UserError, say_once
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Document
from repro.data.corpora.local import Files
from repro.data.corpora.reading import files
from repro.data.corpora.reading.files import Report

LIST = "releases.csv"
"""Names the releases in order, where their folders' names do not: columns name, folder, date."""

SHOWN = 5
"""Most names of what is left out that are said."""


@dataclass(frozen=True)
class ReleaseFolder:
    """One of them."""

    name: str
    folder: Path
    date: str | None
    """Of documents that say none."""


@CORPORA.register("releases")
@dataclass(frozen=True, kw_only=True)
class ReleaseFolders(Files):
    """Dumps in folders, each what a version adds."""

    label = "own releases"

    def documents(self, cache: Path) -> Iterator[Document]:
        return self.of_releases(dict(enumerate(self.releases(), start=1)), cache)

    def identity(self) -> dict[str, object]:
        return {"releases": list(self.releases())}

    def releases(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "files": self.identified(files.find(each.folder, self.pattern, Report())),
                "date": each.date,
                **self.shape(),
            }
            for each in self.listed()
        ]

    def release_names(self) -> Sequence[str]:
        return [each.name for each in self.listed()]

    def of_releases(self, wanted: Mapping[int, Mapping[str, object]], cache: Path) -> Iterator[Document]:
        for part, release in enumerate(self.listed(), start=1):
            if part in wanted:
                known = cast(Any, wanted[part])
                for document in self.read(release.folder, known["files"], f"release {release.name}"):
                    yield replace(document, part=part, date=document.date or known["date"])

    def listed(self) -> list[ReleaseFolder]:
        """The releases in order.

        Raises:
            UserError: there is none, or a list of them that cannot be used.
        """
        root = self.root
        files.check_there(root)
        if not root.is_dir():
            raise UserError(
                f"corpus.path={self.path} is no folder; corpus=releases needs one with a folder per release."
            )
        try:
            entries = [each for each in sorted(root.iterdir()) if not each.name.startswith(".")]
            listed = _from_list(root) if (root / LIST).is_file() else None
            folders = [each for each in entries if _is_release(each)]
        except OSError as error:
            raise UserError(f"corpus.path: {error.filename} cannot be read: {error.strerror}.") from None
        taken = {each.name for each in folders}
        if listed is not None:  # each lies in an entry of the folder, or is one; or it is the folder itself
            within = {Path(os.path.relpath(each.folder, root)).parts[:1] for each in listed}
            taken = {each.name for each in entries if {(), (each.name,)} & within} | {LIST}
        if others := [each.name for each in entries if each.name not in taken]:
            named = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else "")
            why = "as no folders of a release" if listed is None else f"as {LIST} does not list them"
            say_once(f"corpus.path={self.path}: left out, {why}: {named}.")
        if listed is not None:
            return listed
        if not folders:
            raise UserError(
                f"corpus.path={self.path} holds no folder; each release needs one, in the order of their names or of "
                f"{LIST} (columns name, folder, date)."
            )
        folders.sort(key=lambda each: natural(each.name))
        return [ReleaseFolder(_spelled(each.name), each, None) for each in folders]


def _spelled(name: str) -> str:
    """A folder's name as it can be written, into a release's files and the name of its folder: bytes that are no UTF-8
    (of an old archive, say) are spelled out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _is_release(entry: Path) -> bool:
    if not entry.is_dir() or entry.name in files.FOREIGN:
        return False
    return not files.holds_ours_alone(entry)


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Names with numbers by value: v2 comes before v10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)], name


def _from_list(root: Path) -> list[ReleaseFolder]:
    path = root / LIST
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    releases = []
    for number, row in enumerate(rows, start=2):
        folder = root / (row.get("folder") or row.get("name") or "")
        if not row.get("folder") and not row.get("name"):
            raise UserError(f"{path}, line {number} names no folder; its columns are name, folder and date.")
        if not folder.is_dir():
            raise UserError(f"{path}, line {number}: {folder} is no folder.")
        releases.append(ReleaseFolder(row.get("name") or _spelled(folder.name), folder, row.get("date") or None))
    if not releases:
        raise UserError(f"{path} lists no release.")
    return releases

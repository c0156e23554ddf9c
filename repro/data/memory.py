"""What a corpus was identified by when it was last seen: enough to find what was prepared from it once it is gone."""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repro.common.canonical import digest
from repro.common.disk import Flaw, read_document, write_document
from repro.common.errors import Gone, UserError, printable
from repro.data.corpora.corpus import Corpus


def known_identity(source: Corpus, data_path: Path) -> dict[str, object]:
    """What identifies a corpus, or did when it was last there.

    Raises:
        UserError: it cannot be read; or it is gone, and was never seen.
    """
    found: dict[str, object] = _seen(source, data_path, "pile", source.identity)
    return found


def known_releases(source: Corpus, data_path: Path) -> Sequence[Mapping[str, object]] | None:
    """As `known_identity`, of each release; None where the corpus comes in none.

    Raises:
        UserError: one is gone, and another would be the version that it was.
    """
    found: Sequence[Mapping[str, object]] | None = _seen(source, data_path, "releases", source.releases)
    before = None
    with contextlib.suppress(Flaw):
        before = read_document(_place(source, data_path, "releases"))
    whole = before is not None and len(before.get("names", ())) == len(before["is"])
    if found is not None and before is not None and whole and list(found) != before["is"]:
        _refuse_gaps(source, data_path, before, list(found))
    return found


def _refuse_gaps(source: Corpus, data_path: Path, before: Mapping[str, Any], found: Sequence[object]) -> None:
    """A release is still there under its name, whatever is in it, or with its content, whatever it is called."""
    names = source.release_names() or ()
    known = enumerate(zip(before["names"], before["is"], strict=True), start=1)
    gone = [number for number, (name, identity) in known if name not in names and identity not in found]
    if gone and len(names) >= gone[0]:
        missing = ", ".join(f"{before['names'][number - 1]} (version {number})" for number in gone)
        raise UserError(
            f"corpus.path={source.place} no longer has {missing}: {names[gone[0] - 1]} would be version {gone[0]} in "
            "its place, and all from there on be trained anew. Put it back: a version stays what it was, and releases "
            "can go from the end alone, before others come. To begin anew without it, another data.path works: "
            f"{data_path} remembers the releases that there were."
        )


def _seen(source: Corpus, data_path: Path, what: str, look: Callable[[], Any]) -> Any:
    try:
        return look()
    except Gone as error:
        with contextlib.suppress(Flaw):
            before = read_document(_place(source, data_path, what))
            if before is not None:
                print(printable(f"note: {error} What was prepared from it before is used."), file=sys.stderr)
                return before["is"]
        raise


def remember(source: Corpus, data_path: Path, identity: object, *, releases: bool) -> None:
    """Note what identifies a corpus of which a stream is prepared now."""
    if source.place:
        path = _place(source, data_path, "releases" if releases else "pile")
        # A place that is read-only is as good to read from, and of a corpus that is gone nothing new is to be noted.
        with contextlib.suppress(UserError, Flaw):
            content = {"is": identity} | ({"names": source.release_names()} if releases else {})
            if read_document(path) != content:
                write_document(path, content)


def _place(source: Corpus, data_path: Path, what: str) -> Path:
    settings = asdict(source)
    if settings.get("path"):
        settings["path"] = os.path.abspath(Path(settings["path"]).expanduser())  # noqa: PTH100  (links stay links)
    return data_path / "identities" / f"{what}-{digest(settings)[:32]}.json"

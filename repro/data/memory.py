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
from repro.common.errors import UserError
from repro.data.corpora.corpus import Corpus


def known_identity(source: Corpus, data_path: Path) -> dict[str, object]:
    """What identifies a corpus, or did when it was last there.

    Raises:
        UserError: it cannot be read, and was never seen.
    """
    found: dict[str, object] = _seen(source, data_path, "pile", source.identity)
    return found


def known_releases(source: Corpus, data_path: Path) -> Sequence[Mapping[str, object]] | None:
    """As `known_identity`, of each release; None where the corpus comes in none."""
    found: Sequence[Mapping[str, object]] | None = _seen(source, data_path, "releases", source.releases)
    return found


def _seen(source: Corpus, data_path: Path, what: str, look: Callable[[], Any]) -> Any:
    try:
        return look()
    except UserError as error:
        with contextlib.suppress(Flaw):
            before = read_document(_place(source, data_path, what))
            if before is not None:
                print(f"note: {error} What was prepared from it before is used.", file=sys.stderr)
                return before["is"]
        raise


def remember(source: Corpus, data_path: Path, identity: object, *, releases: bool) -> None:
    """Note what identifies a corpus of which a stream is prepared now."""
    if source.place:
        path = _place(source, data_path, "releases" if releases else "pile")
        with contextlib.suppress(UserError, Flaw):  # a place that is read-only is as good to read from
            if read_document(path) != {"is": identity}:
                write_document(path, {"is": identity})


def _place(source: Corpus, data_path: Path, what: str) -> Path:
    settings = asdict(source)
    if settings.get("path"):
        settings["path"] = os.path.abspath(Path(settings["path"]).expanduser())  # noqa: PTH100  (links stay links)
    return data_path / "identities" / f"{what}-{digest(settings)[:32]}.json"

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
    settings = asdict(source)
    if settings.get("path"):
        settings["path"] = os.path.abspath(Path(settings["path"]).expanduser())  # noqa: PTH100  (links stay links)
    path = data_path / "identities" / f"{what}-{digest(settings)[:32]}.json"
    try:
        found = look()
    except UserError as error:
        with contextlib.suppress(Flaw):
            before = read_document(path)
            if before is not None:
                print(f"note: {error} What was prepared from it before is used.", file=sys.stderr)
                return before["is"]
        raise
    if source.place and data_path.is_dir():
        with contextlib.suppress(UserError, Flaw):  # one that is read-only is as good to read from
            if read_document(path) != {"is": found}:
                write_document(path, {"is": found})
    return found

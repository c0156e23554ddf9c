"""What a corpus or a tokenizer was identified by when it was last seen: enough to find what was prepared from it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repro.common import memory
from repro.common.disk import Flaw, read_document
from repro.common.errors import UserError
from repro.data import tokenizer as tokenizers
from repro.data.corpora.corpus import Corpus


def known_identity(source: Corpus, data_path: Path) -> dict[str, object]:
    """What identifies a corpus, or did when it was last there.

    Raises:
        UserError: it cannot be read; or it is gone, and was never seen.
    """
    found: dict[str, object] = memory.recalled(_place(source, data_path, "pile"), source.identity)
    return found


def known_releases(source: Corpus, data_path: Path) -> Sequence[Mapping[str, object]] | None:
    """As `known_identity`, of each release; None where the corpus comes in none.

    Raises:
        UserError: one is gone, and another would be the version that it was.
    """
    note = _place(source, data_path, "releases")
    found: Sequence[Mapping[str, object]] | None = memory.recalled(note, source.releases)
    before = None
    with contextlib.suppress(Flaw):
        before = read_document(note)
    whole = before is not None and len(before.get("names", ())) == len(before["is"])
    if found is not None and before is not None and whole and list(found) != before["is"]:
        _refuse_gaps(source, data_path, before, list(found))
    return found


def _refuse_gaps(source: Corpus, data_path: Path, before: Mapping[str, Any], found: Sequence[object]) -> None:
    """A release is still there under its name, whatever is in it, or with its content, whatever it is called."""
    names = source.release_names() or ()
    known = list(enumerate(zip(before["names"], before["is"], strict=True), start=1))
    trained = before.get("trained", len(known))
    gone = [number for number, (name, identity) in known[:trained] if name not in names and identity not in found]
    if gone and len(names) >= gone[0]:
        missing = ", ".join(f"{before['names'][number - 1]} (version {number})" for number in gone)
        raise UserError(
            f"corpus.path={source.place} no longer has {missing}: {names[gone[0] - 1]} would be version {gone[0]} in "
            "its place, and all from there on be trained anew. Put it back: a version stays what it was, and releases "
            "can go from the end alone, before others come. To begin anew without it, another data.path works: "
            f"{data_path} remembers the releases that there were."
        )


def remember(source: Corpus, data_path: Path, identity: object) -> None:
    """Note what identifies a corpus of which a stream is prepared now."""
    if source.place:
        memory.remember(_place(source, data_path, "pile"), {"is": identity})


def remember_releases(source: Corpus, data_path: Path, identities: Sequence[object], trained: int = 0) -> None:
    """As `remember`, of each release.

    Args:
        trained: how many become versions of a model, at least: what has only been looked at may go again.
    """
    if not source.place:
        return
    note = _place(source, data_path, "releases")
    with contextlib.suppress(UserError, Flaw):  # of a corpus that is gone nothing new is to be noted
        if (before := read_document(note)) is not None:
            trained = max(trained, before.get("trained", len(before["is"])))
        trained = min(trained, len(identities))
        memory.remember(note, {"is": identities, "names": source.release_names(), "trained": trained})


def known_tokenizer(setting: str | None, data_path: Path) -> str | None:
    """The hash that stands for `stream.tokenizer` in keys, or did when it was last there; None: none is given.

    Raises:
        UserError: as `repro.data.tokenizer.given`; or it is gone, and was never seen.
    """
    if setting is None:
        return None
    found: str = memory.recalled(_tokenizer_note(setting, data_path), lambda: tokenizers.given(setting)[1])
    return found


def remember_tokenizer(setting: str | None, known: str | None, data_path: Path) -> None:
    """Note what identifies a tokenizer with which a stream is prepared now."""
    if setting is not None:
        memory.remember(_tokenizer_note(setting, data_path), {"is": known})


def _tokenizer_note(setting: str, data_path: Path) -> Path:
    return memory.path_of(data_path, "tokenizer", memory.absolute(setting))


def _place(source: Corpus, data_path: Path, what: str) -> Path:
    settings = asdict(source)
    if settings.get("path"):
        settings["path"] = memory.absolute(settings["path"])
    return memory.path_of(data_path, what, settings)

"""From settings to a stream: found where it was prepared, or prepared."""

import sys
from pathlib import Path

from repro.common.canonical import digest
from repro.common.errors import printable
from repro.config.settings import GROWING, CorpusSettings, StreamSettings
from repro.data import preparation, versions
from repro.data.blocks import Slice, damaged, read_manifest
from repro.data.corpora.corpus import Corpus
from repro.data.corpora.corpus import corpus as chosen
from repro.data.memory import (
    known_identity,
    known_releases,
    known_tokenizer,
    remember,
    remember_releases,
    remember_tokenizer,
)
from repro.data.stream import PreparedVersion, Stream, VirtualStream, tokens_key
from repro.data.versions import Chain

LAYOUT = 1
"""Of a prepared stream's files, where a pile is cut at once; part of its cache key."""


def describe(corpus: CorpusSettings, settings: StreamSettings) -> VirtualStream:
    """A stand-in with a stream's shape, for planning without data."""
    return VirtualStream(corpus, settings)


def open_stream(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> Stream:
    """The prepared stream; prepares first what there is none of, once for any number of processes.

    Raises:
        UserError: the corpus cannot be read, lacks the dates or releases that the order needs, or is too short; or the
            disk refuses.
    """
    source = chosen(corpus)
    if settings.order in GROWING:
        units, everything = _chain(source, settings, data_path)
        used = units.settings.versions
        if isinstance(everything, list) and len(everything) > used and units.missing():
            place = printable(source.place or source.kind)
            print(
                f"note: {place} has {len(everything)} releases, of which the first stream.versions={used} are used.",
                file=sys.stderr,
            )
        stream = versions.open_chain(units)
        if isinstance(everything, list):
            remember_releases(source, data_path, everything)
        else:
            remember(source, data_path, everything)
        remember_tokenizer(settings.tokenizer, units.tokenizer, data_path)
        return stream
    identity, tokenizer = known_identity(source, data_path), known_tokenizer(settings.tokenizer, data_path)
    folder = _folder(identity, settings, tokenizer, data_path)
    if damaged(folder) is not None:
        with preparation.exclusively(folder.with_suffix(".lock"), data_path):
            if damaged(folder) is not None:
                preparation.prepare(source, identity, settings, tokenizer, data_path / "packages", folder)
    remember(source, data_path, identity)
    remember_tokenizer(settings.tokenizer, tokenizer, data_path)
    return _whole(folder, settings)


def keep(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> None:
    """Note that a stream is trained on: none of its releases is to go, or another would be the version that it is."""
    source = chosen(corpus)
    if settings.order == "releases" and (releases := known_releases(source, data_path)) is not None:
        remember_releases(source, data_path, releases, trained=len(settings.steps))


def is_prepared(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> bool:
    """Whether `open_stream` would find the stream and prepare nothing."""
    source = chosen(corpus)
    if settings.order in GROWING:
        return not _chain(source, settings, data_path)[0].missing()
    identity, tokenizer = known_identity(source, data_path), known_tokenizer(settings.tokenizer, data_path)
    return damaged(_folder(identity, settings, tokenizer, data_path)) is None


def check_dates(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> None:
    """Look for the dates that a stream needs, where its text lies on this machine, and prepare nothing.

    Raises:
        UserError: some are missing, or none.
    """
    source = chosen(corpus)
    if settings.order in ("chronological", "dated") and source.place and not source.remote:
        preparation.check_dates(source, known_identity(source, data_path), settings, data_path / "packages")


def reports(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> list[dict[str, object]]:
    """What preparing each version counted, of a stream that is prepared; none of one that was cut at once."""
    return versions.report(_chain(chosen(corpus), settings, data_path)[0]) if settings.order in GROWING else []


def _chain(source: Corpus, settings: StreamSettings, data_path: Path) -> tuple[Chain, object]:
    """The units of a stream, and what identifies all of the corpus."""
    if settings.order == "releases":
        releases = known_releases(source, data_path)
        return versions.chain(source, releases, {}, settings, data_path), releases
    pile = known_identity(source, data_path)
    return versions.chain(source, None, pile, settings, data_path), pile


def _folder(identity: dict[str, object], settings: StreamSettings, tokenizer: str | None, data_path: Path) -> Path:
    key = {"layout": LAYOUT, "corpus": identity, **tokens_key(settings)}
    if tokenizer is not None:
        key["tokenizer"] = tokenizer
    return data_path / "streams" / digest(key)[:32]


def _whole(folder: Path, settings: StreamSettings) -> Stream:
    """A stream that was cut at once."""
    manifest = read_manifest(folder)
    length, fingerprint = settings.sequence_length, manifest["fingerprint"]

    def part(kind: str, version: int) -> Slice:
        return Slice(folder, f"{kind}-{version}", manifest["dtype"], length, length)

    parts = [
        PreparedVersion(part("train", k), part("heldout", k), fingerprint) for k in range(1, settings.versions + 1)
    ]
    return Stream(settings, parts, folder, manifest["vocab_size"], grows=False)

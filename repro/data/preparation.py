"""Preparing: what a folder of tokens is made from, and how it comes to be there once, and whole."""

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from repro.common import locks
from repro.common.disk import clear_errors, move, remove
from repro.common.errors import UserError
from repro.common.progress import bars
from repro.config.settings import StreamSettings
from repro.data import tokenizer as tokenizers
from repro.data.blocks import MANIFEST, damaged, write_digests, write_manifest
from repro.data.corpora.corpus import Corpus, equal_shares
from repro.data.corpora.reading.files import CACHE_TAG
from repro.data.dates import instant
from repro.data.text import Bytes, Piece, Spooled, first_bytes, hold_out, pieces, read, spool

if TYPE_CHECKING:
    from rich.progress import Progress
    from tokenizers import Tokenizer

Slices = list[list[Piece]]
"""Pieces in stream order, by version."""

PREPARING, READING = ".preparing", ".reading"
"""Endings of what is being built, and of the text that it is built from, beside the lock of whoever does."""

STALE_SECONDS = 86400.0
"""After which nobody is at work on what was not written to since: a tokenizer may train for hours."""

_log = logging.getLogger(__name__)


@contextmanager
def exclusively(lock: Path, data_path: Path) -> Iterator[None]:
    """Prepare something that no other process prepares meanwhile.

    Raises:
        UserError: the disk refuses.
    """
    with clear_errors(data_path, setting="data.path"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        # So that a corpus whose folder holds this one does not contain it.
        if not (tag := data_path / CACHE_TAG).exists():
            tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
        with locks.held(lock):
            for left in (*lock.parent.glob(f"*{PREPARING}"), *lock.parent.glob(f"*{READING}")):
                with suppress(OSError, UserError):  # of another user, say: that is no reason to stop
                    _clear(left, lock)
            yield


def _clear(left: Path, ours: Path) -> None:
    """Remove what one that was killed had begun: nobody may come back for it, as for a corpus that grew since.

    Of others' only what was not written to for long: where locks do not reach other nodes, a living one looks dead.
    """
    lock = left.with_suffix(ours.suffix)
    if lock == ours:
        remove(left)
        return
    newest = max(each.stat().st_mtime for each in (left, *left.rglob("*")))
    if time.time() - newest > STALE_SECONDS and (handle := locks.acquire(lock)) is not None:
        try:
            remove(left)
        finally:
            locks.release(lock, handle)


def replaced(folder: Path, scratch: Path, build: Callable[[Path], None]) -> None:
    """Have a folder built beside where it belongs, and put there when it is whole.

    Args:
        scratch: where, under the name of the lock that is held.
    """
    if (at := damaged(folder)) is not None and (folder / MANIFEST).exists():
        _log.warning("%s is damaged; the stream is prepared again.", at)
    shutil.rmtree(scratch, ignore_errors=True)
    built = scratch / "stream"
    built.mkdir(parents=True)
    try:
        build(built)
        if folder.exists():
            move(folder, scratch / "damaged")
        built.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# A pile of text that is cut into N versions at once


def prepare(
    corpus: Corpus,
    identity: dict[str, object],
    settings: StreamSettings,
    tokenizer: str | None,
    cache: Path,
    folder: Path,
) -> None:
    """Make the stream of a pile that is cut at once: `shuffled`, or `chronological`.

    Args:
        tokenizer: what stands for `stream.tokenizer` in keys.

    Raises:
        UserError: the corpus cannot be read, lacks the dates a chronological stream needs, or is too short; or the
            tokenizer is another one by now.
    """
    given = None if settings.tokenizer is None else tokenizers.verified(settings.tokenizer, str(tokenizer))

    def build(built: Path) -> None:
        with bars() as bar:
            documents = bar.track(corpus.verified(identity, cache), description="Reading the corpus")
            place = built.parent / "spool"
            spooled = spool(documents, place, settings.split_seed)
            text = spooled.text()
            _write(built, text, _split(spooled.documents, text, settings), given, settings, bar)

    replaced(folder, folder.with_suffix(PREPARING), build)


def check_dates(corpus: Corpus, identity: Mapping[str, object], settings: StreamSettings, cache: Path) -> None:
    """Read a pile that has to be in time, and prepare nothing.

    Raises:
        UserError: as preparing it would, of its dates.
    """
    with bars() as bar:
        followed = bar.track(corpus.verified(identity, cache), description="Reading the corpus")
        documents = spool(followed, Path(os.devnull), settings.split_seed).documents
    if settings.order == "chronological":
        _by_date(documents, settings.versions)
    else:
        in_time(documents, settings.order, "dealt")


def _write(
    built: Path,
    text: Bytes,
    slices: tuple[Slices, Slices],
    tokenizer: "Tokenizer | None",
    settings: StreamSettings,
    bar: "Progress",
) -> None:
    train, heldout = slices
    length = settings.sequence_length
    if tokenizer is None:
        seen = list(first_bytes(train[0], tokenizers.TOKENIZER_BYTES))
        followed = bar.track(seen, description="Training the tokenizer")
        tokenizer = tokenizers.train((read(text, piece) for piece in followed), settings.vocab_size)
    tokenizer.save(str(built / tokenizers.FILE))
    dtype = tokenizers.dtype_of(tokenizer)
    for kind, parts in (("heldout", heldout), ("train", train)):
        counts = []
        for version, part in enumerate(parts, start=1):
            texts = (read(text, p) for p in bar.track(part, description=f"Tokenizing version {version}, {kind}"))
            counts.append(tokenizers.write_tokens(tokenizer, texts, built / f"{kind}-{version}.tokens", dtype))
        if kind == "heldout":
            check_heldout(settings, counts, share_of(chain(*heldout), chain(*train)))
    for path in sorted(built.glob("*.tokens")):
        write_digests(path, dtype, length, length)
    facts = {"vocab_size": tokenizer.get_vocab_size(), "block_tokens": length, "dtype": dtype}
    write_manifest(built, facts)


ROOM = 2
"""Blocks' worth of tokens in the share that is advised."""
MOST_HELD_OUT = 0.5
"""The largest share that is."""


def share_of(held: Iterable[Spooled | Piece], kept: Iterable[Spooled | Piece]) -> float:
    """The share of the bytes that is held out: whole documents, so that it is not quite the one that was asked for."""
    sizes = [sum(each.size for each in part) for part in (held, kept)]
    return sizes[0] / sum(sizes)


def check_heldout(settings: StreamSettings, counts: Sequence[int], held_out: float, first: int = 1) -> None:
    """
    Args:
        counts: held-out tokens of each version from `first` on, which are `held_out` of the text.

    Raises:
        UserError: a version's held-out tokens fill no block.
    """
    block = settings.sequence_length + 1
    if min(counts) < block:
        version = first + min(range(len(counts)), key=counts.__getitem__)
        needed = held_out * ROOM * block * len(counts) / max(1, sum(counts))
        share = max(math.ceil(1000 * needed) / 1000, ROOM * settings.heldout_share)
        known = share <= MOST_HELD_OUT
        better = f"About stream.heldout_share={share}" if known else "A shorter stream.sequence_length"
        raise UserError(
            f"stream.heldout_share={settings.heldout_share} leaves version {version} {min(counts):,} held-out "
            f"tokens, and one block needs {block:,}. {better} or more text works.",
            works={"stream.heldout_share": str(share)} if known else {},
        )


def _split(documents: list[Spooled], text: Bytes, settings: StreamSettings) -> tuple[Slices, Slices]:
    """What to train on and what to hold out, by version."""
    chronological = settings.order == "chronological"
    remedy = f"Split the corpus into more documents, or lower stream.versions={settings.versions}."
    train, heldout = [], []
    for group in _by_date(documents, settings.versions) if chronological else [documents]:
        kept, held = hold_out(group, settings.heldout_share, remedy)
        train.append(pieces(kept, text, settings.sequence_length))
        heldout.append(pieces(held, text, settings.sequence_length))
    if chronological:
        return train, heldout
    return _deal(train[0], settings.versions), _deal(heldout[0], settings.versions)


def _by_date(documents: list[Spooled], versions: int) -> list[list[Spooled]]:
    """Documents by version: a version is a release of the corpus, or a stretch of time of about as many bytes."""
    parts = {document.part for document in documents}
    if None not in parts:
        if len(parts) != versions:
            raise UserError(
                f"stream.versions={versions}, but stream.order=chronological makes each of the corpus's {len(parts)} "
                f"releases a version; stream.versions={len(parts)} would work, or stream.order=shuffled."
            )
        return [[document for document in documents if document.part == part] for part in range(1, versions + 1)]
    ordered = in_time(documents, "chronological", "shuffled")
    return equal_shares(ordered, [document.size for document in ordered], versions)


def in_time(documents: Sequence[Spooled], order: str, undated_order: str) -> list[Spooled]:
    """The documents by date, and within a date by a hash of their text.

    Raises:
        UserError: one has no date, or one that is none; the message names `undated_order` as what needs none.
    """
    undated = [document.name for document in documents if document.date is None]
    if undated:
        raise UserError(
            f"stream.order={order} needs a date for every document, and {len(undated)} of {len(documents)} "
            f"have none, such as {', '.join(undated[:3])}. stream.order={undated_order} needs no dates."
        )
    keyed = []
    for document in documents:
        try:
            keyed.append((instant(document.date or ""), document.order, document))
        except ValueError:
            raise UserError(
                f"{document.name}: the date {document.date!r} is none that can be read, or no such day exists; "
                f"ISO 8601 works, such as 2024-05-31, 2024-05, 2024 or 2024-05-31T08:00:00+02:00. "
                f"stream.order={undated_order} needs no dates."
            ) from None
    return [document for _, _, document in sorted(keyed, key=lambda each: each[:2])]


def _deal(pieces: list[Piece], versions: int) -> Slices:
    return equal_shares(pieces, [piece.size for piece in pieces], versions)

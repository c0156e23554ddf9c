"""The version stream: a corpus tokenized, packed into blocks and cut into N versions, each with a held-out slice.

Invariants:
- Whole documents are either trained on or held out; exact duplicates count once.
- The tokenizer has seen version 1's training text (of a large corpus, the first gibibyte) and nothing else.
- Everything is a pure function of the corpus's text and the stream settings: order comes from hashes of the text, not
  from file names, the order of loading, or a random generator. T and B only decide how much of a stream is used.
- A prepared stream exists when its manifest does. Small files are checked by SHA-256 when it is opened, and every
  block by its digest when it is read, so that altered data trains and measures nothing.
- Reading needs no lock and no heavy import.
"""

import contextlib
import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from repro.common.disk import clear_errors, sha256
from repro.common.errors import UserError
from repro.config.settings import CorpusSettings, StreamSettings
from repro.data.corpora.corpus import Document, equal_shares
from repro.data.corpora.corpus import corpus as chosen

END_OF_TEXT = "<|endoftext|>"
"""Follows every piece of text; no text encodes to it, even if it is written there."""

PIECE_CHARACTERS = 16
"""Documents are cut, between paragraphs where possible, into pieces of at most this many characters for each of a
block's tokens. That is some four blocks of English: short enough to mix, long enough that most blocks see one text."""

CHECKED_AT_OPEN = 8 * 2**20
"""Files up to this many bytes have their SHA-256 checked whenever a stream is opened, larger ones their size."""

TOKENIZER_BYTES = 2**30
"""Text that the tokenizer is trained on, at most: enough for any vocabulary, and what memory holds easily."""

LAYOUT = 1
"""Of a prepared stream's files; part of its cache key."""

MANIFEST = "manifest.json"

if TYPE_CHECKING:
    from rich.progress import Progress
    from tokenizers import Tokenizer

Tokens = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """A version's held-out slice, as far as it is evaluated."""

    blocks: Tokens
    """(blocks, L + 1) token ids: inputs [:, :-1], targets [:, 1:]."""
    target_bytes: int
    """Bytes of the text that the targets stand for (end-of-text stands for none)."""


class VersionStream:
    """What is known of a stream, prepared or not. Training blocks are numbered through it, version after version."""

    fingerprint: str
    """Hex SHA-256 over the tokens and how they are sliced: equal for equal streams, wherever they lie."""
    vocab_size: int
    """Entries of the tokenizer as trained: fewer than asked for when the text holds no more pairs to merge."""

    def __init__(self, settings: StreamSettings) -> None:
        self.versions = settings.versions
        self.version_blocks: tuple[int, ...] = (
            settings.steps_per_version * settings.global_batch_size,
        ) * settings.versions
        """Training blocks of each version, version 1 first."""
        self.sequence_length = settings.sequence_length

    @property
    def tokenizer_file(self) -> Path:
        raise self._unprepared()

    def batch_digests(
        self, ids: Callable[[int, int], npt.NDArray[np.int64]], name: str, steps: int
    ) -> npt.NDArray[np.void]:
        """See `repro.recipes.orders.Blocks`."""
        raise NotImplementedError

    def blocks(self, ids: npt.NDArray[np.int64]) -> Tokens:
        """(len(ids), L + 1) token ids of training blocks: inputs [:, :-1], targets [:, 1:]. Pure.

        Raises:
            UserError: a block on disk is not what was prepared, or nothing was.
        """
        raise self._unprepared()

    def heldout(self, version: int) -> HeldOut:
        """The slice of `version` (1-based): its first `stream.heldout_blocks` blocks, or all it has. Pure.

        Raises:
            UserError: as `blocks`.
        """
        raise self._unprepared()

    def _unprepared(self) -> UserError:
        return UserError("The stream is not prepared here; python -m repro.prepare with the same arguments does that.")


class Stream(VersionStream):
    """A read-only view of a prepared stream."""

    def __init__(self, folder: Path, settings: StreamSettings) -> None:
        super().__init__(settings)
        self._folder = folder
        self._maps: dict[str, npt.NDArray[Any]] = {}
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        self._dtype: str = manifest["dtype"]
        self._heldout_blocks = settings.heldout_blocks
        self.fingerprint = manifest["fingerprint"]
        self.vocab_size = manifest["vocab_size"]
        self.train_tokens = [
            manifest["files"][f"train-{version}.tokens"]["bytes"] // np.dtype(self._dtype).itemsize
            for version in self._all()
        ]
        """Tokens each version has, whatever T and B use of them."""
        _check_length(settings, self.train_tokens)

    @property
    def tokenizer_file(self) -> Path:
        return self._folder / "tokenizer.json"

    @cached_property
    def block_digests(self) -> Digests:
        """(blocks, 16): BLAKE2b-128 of each training block's L + 1 ids as little-endian 32-bit integers."""
        used = zip(self._all(), self.version_blocks, strict=True)
        return np.concatenate([self._digests("train", version)[:blocks] for version, blocks in used])

    def batch_digests(
        self, ids: Callable[[int, int], npt.NDArray[np.int64]], name: str, steps: int
    ) -> npt.NDArray[np.void]:
        blocks, places = self.block_digests, ids(0, steps)
        digests = [hashlib.blake2b(blocks[row].tobytes(), digest_size=16).digest() for row in places]
        return np.frombuffer(bytearray(b"".join(digests)), dtype="V16")

    def blocks(self, ids: npt.NDArray[np.int64]) -> Tokens:
        assert ids.ndim == 1
        ends = np.cumsum(self.version_blocks)
        assert len(ids) == 0 or (ids.min() >= 0 and ids.max() < ends[-1])
        version = np.searchsorted(ends, ids, side="right")
        place = ids - (ends - np.asarray(self.version_blocks))[version]
        result = np.empty((len(ids), self.sequence_length + 1), dtype=np.int64)
        for index in np.unique(version).tolist():
            rows = np.flatnonzero(version == index)
            result[rows] = self._read("train", index + 1, place[rows])
        return result

    def heldout(self, version: int) -> HeldOut:
        assert 1 <= version <= self.versions
        count = min(self._heldout_blocks, len(self._digests("heldout", version)))
        blocks = self._read("heldout", version, np.arange(count))
        return HeldOut(blocks, int(self._token_bytes[blocks[:, 1:]].sum()))

    def _read(self, kind: str, version: int, places: npt.NDArray[np.int64]) -> Tokens:
        """The blocks at `places` of a slice, checked against their digests."""
        blocks = _cut(self._map(f"{kind}-{version}.tokens", self._dtype), places, self.sequence_length)
        if not np.array_equal(_digest(blocks), self._digests(kind, version)[places]):
            with contextlib.suppress(OSError):
                (self._folder / MANIFEST).unlink()
            raise UserError(
                f"{self._folder / kind}-{version}.tokens was altered since it was prepared. "
                f"Run the same command again: the stream is then prepared anew."
            )
        return blocks

    def _digests(self, kind: str, version: int) -> Digests:
        return self._map(f"{kind}-{version}.digests", "u1").reshape(-1, 16)

    @cached_property
    def _token_bytes(self) -> Tokens:
        """(vocab,): bytes each token stands for. In a byte-level vocabulary a character is a byte."""
        tokenizer = json.loads(self.tokenizer_file.read_text(encoding="utf-8"))
        lengths = np.zeros(self.vocab_size, dtype=np.int64)
        for token, index in tokenizer["model"]["vocab"].items():
            lengths[index] = len(token)
        for special in tokenizer["added_tokens"]:
            lengths[special["id"]] = 0
        return lengths

    def _map(self, name: str, dtype: str) -> npt.NDArray[Any]:
        if name not in self._maps:
            self._maps[name] = np.asarray(np.memmap(self._folder / name, dtype=dtype, mode="r"))
        return self._maps[name]

    def _all(self) -> range:
        return range(1, self.versions + 1)


class VirtualStream(VersionStream):
    """A stream that is planned with but cannot be read: for a dry run at a scale whose data are not here.

    Its batches have distinct stand-ins for digests, made from the settings and each batch's place in its order, so
    a plan made with it counts the same steps, but its keys are none that training would use.
    """

    def __init__(self, corpus: CorpusSettings, settings: StreamSettings) -> None:
        super().__init__(settings)
        identity = {"virtual": asdict(corpus), **_tokens_key(settings)}
        self.fingerprint = hashlib.sha256(_canonical(identity)).hexdigest()
        self.vocab_size = settings.vocab_size

    @classmethod
    def like(cls, stream: VersionStream, *more: int) -> "VirtualStream":
        """A stand-in for a stream with more versions, of so many blocks, after its own."""
        longer = cls.__new__(cls)
        longer.version_blocks = (*stream.version_blocks, *more)
        longer.versions = len(longer.version_blocks)
        longer.fingerprint, longer.vocab_size = stream.fingerprint, stream.vocab_size
        longer.sequence_length = stream.sequence_length
        return longer

    def batch_digests(
        self, ids: Callable[[int, int], npt.NDArray[np.int64]], name: str, steps: int
    ) -> npt.NDArray[np.void]:
        # The shuffle is one of T B blocks: with another T or B, no batch would be the same.
        start = hashlib.blake2b(f"{self.fingerprint} {self.version_blocks} {name}".encode(), digest_size=16)
        digests = []
        for place in range(steps):
            digest = start.copy()
            digest.update(place.to_bytes(8, "little"))
            digests.append(digest.digest())
        return np.frombuffer(bytearray(b"".join(digests)), dtype="V16")


def describe(corpus: CorpusSettings, settings: StreamSettings) -> VirtualStream:
    """A stand-in with a stream's shape, for planning without data."""
    return VirtualStream(corpus, settings)


def open_stream(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> Stream:
    """The prepared stream; prepares it first when there is none, once for any number of processes.

    Raises:
        UserError: the corpus cannot be read, lacks the dates a chronological stream needs, or is too short; or the
            disk refuses.
    """
    folder = _folder(corpus, settings, data_path)
    if _damaged(folder) is not None:
        from filelock import FileLock

        with clear_errors(data_path, setting="data.path"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                damaged = _damaged(folder)
                if damaged is not None:
                    if (folder / MANIFEST).exists():
                        _log.warning("%s is damaged; the stream is prepared again.", damaged)
                    _prepare(corpus, settings, data_path, folder)
    return Stream(folder, settings)


def is_prepared(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> bool:
    """Whether `open_stream` would find the stream and prepare nothing."""
    return _damaged(_folder(corpus, settings, data_path)) is None


def _folder(corpus: CorpusSettings, settings: StreamSettings, data_path: Path) -> Path:
    key = {"layout": LAYOUT, "corpus": chosen(corpus).identity(), **_tokens_key(settings)}
    return data_path / "streams" / hashlib.sha256(_canonical(key)).hexdigest()[:32]


def _tokens_key(settings: StreamSettings) -> dict[str, object]:
    """The settings that decide which tokens there are. T, B and heldout_blocks only decide how many are used."""
    names = ("order", "versions", "vocab_size", "heldout_share", "split_seed")
    return {name: getattr(settings, name) for name in names} | {"block_tokens": settings.sequence_length}


def _check_length(settings: StreamSettings, held: list[int]) -> None:
    step = settings.global_batch_size * settings.sequence_length
    needed = settings.steps_per_version * step + 1
    shortest = min(held)
    if needed <= shortest:
        return
    most = (shortest - 1) // step
    remedy = (
        f"stream.steps_per_version={most} is the largest that works."
        if most
        else "Not even one step fits: add text, or lower stream.global_batch_size or stream.sequence_length."
    )
    raise UserError(
        f"stream.steps_per_version={settings.steps_per_version} needs {needed:,} training tokens a version "
        f"(steps x {settings.global_batch_size} blocks x {settings.sequence_length} tokens + 1), but version "
        f"{held.index(shortest) + 1} has {shortest:,}: {needed - shortest:,} are missing. {remedy}"
    )


def _damaged(folder: Path) -> Path | None:
    """The first file that is missing or not what the manifest says; None if the stream is sound."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["fingerprint"] != _fingerprint(manifest):
            return path
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return path
    for name, facts in manifest["files"].items():
        path = folder / str(name)
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            return path
        if facts["bytes"] <= CHECKED_AT_OPEN and sha256(path) != facts["sha256"]:
            return path
    return None


# Preparing. Text is spooled to a file, so that memory holds a line about each document and piece, not the corpus.


@dataclass(frozen=True, slots=True)
class _Spooled:
    """A document's place in the spool."""

    start: int
    size: int
    order: bytes
    """Seeded hash of the text: gives it its place, whatever order it was loaded in."""
    name: str
    date: str | None
    part: int | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a document, in the spool."""

    start: int
    size: int
    order: bytes


Bytes = npt.NDArray[np.uint8]
Slices = list[list[_Piece]]
"""Pieces in stream order, by version."""


def _prepare(corpus: CorpusSettings, settings: StreamSettings, data_path: Path, folder: Path) -> None:
    documents = _readable(chosen(corpus).documents(data_path / "packages"))
    scratch = folder.with_suffix(".preparing")
    shutil.rmtree(scratch, ignore_errors=True)
    built = scratch / "stream"
    built.mkdir(parents=True)
    try:
        with _progress() as progress:
            followed = progress.track(documents, description="Reading the corpus")
            spooled = _spool(followed, scratch / "spool", settings.split_seed)
            text = np.memmap(scratch / "spool", dtype=np.uint8, mode="r")
            _build(built, text, _split(spooled, text, settings), settings, progress)
        if folder.exists():
            folder.rename(scratch / "damaged")
        built.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build(
    built: Path, text: Bytes, slices: tuple[Slices, Slices], settings: StreamSettings, progress: "Progress"
) -> None:
    train, heldout = slices
    seen = list(_first_bytes(train[0], TOKENIZER_BYTES))
    tokenizer = _train_tokenizer(progress.track(seen, description="Training the tokenizer"), text, settings)
    tokenizer.save(str(built / "tokenizer.json"))
    dtype = "<u2" if tokenizer.get_vocab_size() <= 2**16 else "<u4"
    for kind, parts in (("heldout", heldout), ("train", train)):
        for version, pieces in enumerate(parts, start=1):
            followed = progress.track(pieces, description=f"Tokenizing version {version}, {kind}")
            count = _tokenize(tokenizer, followed, text, built / f"{kind}-{version}.tokens", dtype)
            if kind == "heldout" and count <= settings.sequence_length:
                raise UserError(
                    f"stream.heldout_share={settings.heldout_share} leaves version {version} {count:,} held-out "
                    f"tokens, and one block needs {settings.sequence_length + 1:,}. A larger share or more text works."
                )
    for path in sorted(built.glob("*.tokens")):
        _write_digests(path, dtype, settings.sequence_length)
    manifest: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "block_tokens": settings.sequence_length,
        "dtype": dtype,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(built.iterdir())
        },
    }
    manifest["fingerprint"] = _fingerprint(manifest)
    (built / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _readable(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents. What fails in reading them is not the disk that is written to meanwhile."""
    try:
        yield from documents
    except OSError as error:
        raise UserError(f"The corpus cannot be read: {error}") from error


def _spool(documents: Iterable[Document], path: Path, seed: int) -> list[_Spooled]:
    """Write the texts to `path` one after another, without empty ones and exact duplicates."""
    result: dict[bytes, _Spooled] = {}
    start = 0
    with path.open("wb") as file:
        for document in documents:
            data = document.text.encode("utf-8")
            order = hashlib.blake2b(data, digest_size=16, key=seed.to_bytes(8, "little")).digest()
            twin = result.get(order)
            if twin is not None:
                earliest = min(filter(None, (twin.date, document.date)), default=None)
                result[order] = replace(twin, date=earliest)
                continue
            if not data.strip():
                continue
            result[order] = _Spooled(start, len(data), order, document.name, document.date, document.part)
            file.write(data)
            start += len(data)
    if not result:
        raise UserError("The corpus holds no text: every document is empty, or there is none.")
    return list(result.values())


def _split(documents: list[_Spooled], text: Bytes, settings: StreamSettings) -> tuple[Slices, Slices]:
    """What to train on and what to hold out, by version."""
    longest = PIECE_CHARACTERS * settings.sequence_length
    chronological = settings.order == "chronological"
    train, heldout = [], []
    for group in _by_date(documents, settings.versions) if chronological else [documents]:
        kept, held = _hold_out(group, settings)
        train.append(_pieces(kept, text, longest))
        heldout.append(_pieces(held, text, longest))
    if chronological:
        return train, heldout
    return _deal(train[0], settings.versions), _deal(heldout[0], settings.versions)


def _by_date(documents: list[_Spooled], versions: int) -> list[list[_Spooled]]:
    """Documents by version: a version is a release of the corpus, or a stretch of time of about as many bytes."""
    parts = {document.part for document in documents}
    if None not in parts:
        if len(parts) != versions:
            raise UserError(
                f"stream.versions={versions}, but stream.order=chronological makes each of the corpus's {len(parts)} "
                f"releases a version; stream.versions={len(parts)} would work, or stream.order=shuffled."
            )
        return [[document for document in documents if document.part == part] for part in range(1, versions + 1)]
    undated = [document.name for document in documents if document.date is None]
    if undated:
        raise UserError(
            f"stream.order=chronological needs a date for every document, and {len(undated)} of {len(documents)} "
            f"have none, such as {', '.join(undated[:3])}. stream.order=shuffled needs no dates."
        )
    ordered = sorted(documents, key=lambda document: (document.date or "", document.order))
    return equal_shares(ordered, [document.size for document in ordered], versions)


def _hold_out(documents: list[_Spooled], settings: StreamSettings) -> tuple[list[_Spooled], list[_Spooled]]:
    """Documents to train on and to hold out: of the latter what fits into the share, but at least one."""
    if len(documents) < 2:
        raise UserError(
            f"Text is held out by whole documents, so that each version needs 2 of them, and one has {len(documents)}. "
            f"Split the corpus into more documents, or lower stream.versions={settings.versions}."
        )
    room = settings.heldout_share * sum(document.size for document in documents)
    kept, held = [], []
    for document in sorted(documents, key=lambda document: document.order):
        if document.size <= room:
            room -= document.size
            held.append(document)
        else:
            kept.append(document)
    if not held:
        held.append(min(kept, key=lambda document: (document.size, document.order)))
        kept.remove(held[0])
    return kept, held


def _pieces(documents: list[_Spooled], text: Bytes, longest: int) -> list[_Piece]:
    """The documents' pieces, shuffled."""
    result = []
    for document in documents:
        start = document.start
        for index, piece in enumerate(cut_text(_read(text, document), longest)):
            size = len(piece.encode("utf-8"))
            order = hashlib.blake2b(index.to_bytes(8, "little"), digest_size=16, key=document.order).digest()
            result.append(_Piece(start, size, order))
            start += size
    return sorted(result, key=lambda piece: piece.order)


def _deal(pieces: list[_Piece], versions: int) -> Slices:
    return equal_shares(pieces, [piece.size for piece in pieces], versions)


def cut_text(text: str, longest: int) -> Iterator[str]:
    """Pieces of at most `longest` characters that together are the text; cut after a paragraph, else a line, a sentence
    or a word, whichever is first found in a piece's second half."""
    start = 0
    while len(text) - start > longest:
        middle, limit = start + longest // 2, start + longest
        ends = (text.rfind(mark, middle, limit) + len(mark) for mark in ("\n\n", "\n", ". ", " "))
        end = next((end for end in ends if end > middle), limit)
        yield text[start:end]
        start = end
    yield text[start:]


def _first_bytes(pieces: list[_Piece], most: int) -> Iterator[_Piece]:
    """The first piece, and those after it that fit."""
    total = 0
    for piece in pieces:
        total += piece.size
        if total > most and total > piece.size:
            return
        yield piece


def _train_tokenizer(pieces: Iterable[_Piece], text: Bytes, settings: StreamSettings) -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((_read(text, piece) for piece in pieces), trainer)
    return tokenizer


def _tokenize(tokenizer: "Tokenizer", pieces: Iterable[_Piece], text: Bytes, path: Path, dtype: str) -> int:
    """Write the pieces' tokens, each piece followed by end-of-text. Returns how many there are."""
    # A text that spells out the special token is text: it must not end a document.
    tokenizer.encode_special_tokens = True
    end = tokenizer.token_to_id(END_OF_TEXT)
    count = 0
    with path.open("wb") as file:
        pieces = iter(pieces)
        while batch := list(itertools.islice(pieces, 512)):
            ids = [[*encoding.ids, end] for encoding in tokenizer.encode_batch_fast([_read(text, p) for p in batch])]
            tokens = np.fromiter(itertools.chain.from_iterable(ids), dtype=dtype)
            file.write(tokens.tobytes())
            count += len(tokens)
    return count


def _write_digests(path: Path, dtype: str, sequence_length: int) -> None:
    """Beside a file of tokens, one of its blocks' digests."""
    blocks = (path.stat().st_size // np.dtype(dtype).itemsize - 1) // sequence_length
    with path.with_suffix(".digests").open("wb") as file:
        for start in range(0, blocks, 4096):
            tokens = np.memmap(path, dtype=dtype, mode="r")
            file.write(_digest(_cut(tokens, np.arange(start, min(start + 4096, blocks)), sequence_length)).tobytes())


def _read(text: Bytes, place: _Spooled | _Piece) -> str:
    return text[place.start : place.start + place.size].tobytes().decode("utf-8")


def _cut(tokens: npt.NDArray[Any], blocks: npt.NDArray[np.int64], sequence_length: int) -> Tokens:
    """(len(blocks), L + 1): block i begins at token i L, so that neighbours share one token."""
    places = (blocks * sequence_length)[:, None] + np.arange(sequence_length + 1)
    return np.asarray(tokens[places], dtype=np.int64)


def _digest(blocks: Tokens) -> Digests:
    """(len(blocks), 16)"""
    rows = np.ascontiguousarray(blocks, dtype="<u4")
    joined = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)


def _fingerprint(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({k: v for k, v in manifest.items() if k != "fingerprint"})).hexdigest()


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)

"""The version stream: N versions of packed blocks, each with a held-out slice. Reading only.

Invariants:
- Whole documents are either trained on or held out; exact duplicates count once.
- Everything is a pure function of the corpus's text and the stream settings: order comes from hashes of the text, not
  from file names, the order of loading, or a random generator.
- What is prepared exists when its manifest does. Small files are checked by SHA-256 when they are opened, and every
  block by its digest when it is read, so that altered data trains and measures nothing.
- Reading needs no lock and no heavy import.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from repro.common.canonical import digest
from repro.common.errors import UserError
from repro.config.settings import AUTO, CorpusSettings, StreamSettings
from repro.data.blocks import Digests, Slice, Tokens
from repro.data.tokenizer import FILE, token_bytes


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
    grows = False
    """Whether versions are units of their own, to which others may be appended."""

    def __init__(self, settings: StreamSettings, version_blocks: Sequence[int]) -> None:
        self.versions = settings.versions
        self.version_blocks: tuple[int, ...] = tuple(version_blocks)
        """Training blocks of each version, version 1 first."""
        self.sequence_length = settings.sequence_length

    @property
    def unused_blocks(self) -> Sequence[int] | None:
        """Training blocks of each version that its steps do not reach; None: unknown."""
        return None

    @property
    def tokenizer_file(self) -> Path:
        raise self._unprepared()

    def slice_fingerprint(self, version: int) -> str | None:
        """Hex SHA-256 of what is measured of a version's held-out slice; None where a stream is one and does not grow,
        so that its own fingerprint says it."""
        return None

    def version_fingerprint(self, version: int) -> str:
        """Hex SHA-256 of a version's own data; of a stream that does not grow, of all."""
        return self.fingerprint

    def report(self, version: int) -> Mapping[str, Any]:
        """What preparing a version counted; empty where versions are not prepared one by one."""
        return {}

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


@dataclass(frozen=True)
class PreparedVersion:
    """One version on disk."""

    train: Slice
    """All its training blocks."""
    heldout: Slice
    fingerprint: str
    report: Mapping[str, Any] = field(default_factory=dict)
    """What preparing it counted, of a release or a stretch of time."""


class Stream(VersionStream):
    """A read-only view of a prepared stream."""

    def __init__(
        self,
        settings: StreamSettings,
        versions: Sequence[PreparedVersion],
        folder: Path,
        vocab_size: int,
        *,
        grows: bool,
    ) -> None:
        """
        Args:
            folder: where the tokenizer is.
            grows: see `VersionStream.grows`.
        """
        held = [len(version.train) for version in versions]
        super().__init__(settings, _version_blocks(settings, held))
        self._versions = versions
        self._folder = folder
        self._heldout_blocks = settings.heldout_blocks
        self.grows = grows
        self.vocab_size = vocab_size
        self.fingerprint = digest([each.fingerprint for each in versions]) if grows else versions[0].fingerprint
        self.train_tokens = [blocks * self.sequence_length for blocks in held]
        """Tokens to train on that each version has, whatever T and B use of them."""

    @property
    def unused_blocks(self) -> Sequence[int]:
        used = zip(self._versions, self.version_blocks, strict=True)
        return [len(version.train) - blocks for version, blocks in used]

    @property
    def tokenizer_file(self) -> Path:
        return self._folder / FILE

    def slice_fingerprint(self, version: int) -> str | None:
        heldout = self._versions[version - 1].heldout
        return hashlib.sha256(heldout.digests[: self._heldout_blocks].tobytes()).hexdigest() if self.grows else None

    def version_fingerprint(self, version: int) -> str:
        return self._versions[version - 1].fingerprint

    def report(self, version: int) -> Mapping[str, Any]:
        return self._versions[version - 1].report

    @cached_property
    def block_digests(self) -> Digests:
        """(blocks, 16): of the training blocks that are used, through all versions."""
        used = zip(self._versions, self.version_blocks, strict=True)
        return np.concatenate([version.train.digests[:blocks] for version, blocks in used])

    def batch_digests(
        self, ids: Callable[[int, int], npt.NDArray[np.int64]], name: str, steps: int
    ) -> npt.NDArray[np.void]:
        return _batch_digests(self.block_digests, ids(0, steps))

    def blocks(self, ids: npt.NDArray[np.int64]) -> Tokens:
        assert ids.ndim == 1
        ends = np.cumsum(self.version_blocks)
        assert len(ids) == 0 or (ids.min() >= 0 and ids.max() < ends[-1])
        version = np.searchsorted(ends, ids, side="right")
        place = ids - (ends - np.asarray(self.version_blocks))[version]
        result = np.empty((len(ids), self.sequence_length + 1), dtype=np.int64)
        for index in np.unique(version).tolist():
            rows = np.flatnonzero(version == index)
            result[rows] = self._versions[index].train.read(place[rows])
        return result

    def heldout(self, version: int) -> HeldOut:
        assert 1 <= version <= self.versions
        heldout = self._versions[version - 1].heldout
        blocks = heldout.read(np.arange(min(self._heldout_blocks, len(heldout))))
        return HeldOut(blocks, int(self._token_bytes[blocks[:, 1:]].sum()))

    @cached_property
    def _token_bytes(self) -> Tokens:
        return token_bytes(self.tokenizer_file, self.vocab_size)


class VirtualStream(VersionStream):
    """A stream that is planned with but cannot be read: for a dry run at a scale whose data are not here.

    Its batches have distinct stand-ins for digests, made from the settings and each batch's place in its order, so
    a plan made with it counts the same steps, but its keys are none that training would use.
    """

    _block_digests: Digests | None = None
    """Of a stand-in for a stream that is here: its own digests, and stand-ins for those of the versions after them."""

    def __init__(self, corpus: CorpusSettings, settings: StreamSettings) -> None:
        for name in ("steps_per_version", "versions"):
            if getattr(settings, name) == AUTO:
                raise UserError(
                    f"stream.{name}={AUTO} needs data, and these are not prepared here: python -m repro.prepare with "
                    "the same arguments does that; or give a number."
                )
        super().__init__(settings, [steps * settings.global_batch_size for steps in settings.steps])
        identity = {"virtual": asdict(corpus), "tokenizer": settings.tokenizer, **tokens_key(settings)}
        self.fingerprint = digest(identity)
        self.vocab_size = settings.vocab_size

    @classmethod
    def like(cls, stream: VersionStream, *more: int) -> "VirtualStream":
        """A stand-in for a stream that has grown: with more versions, of so many blocks, after its own.

        Where the stream is here, what reads its own versions alone has the keys that it has.
        """
        longer = cls.__new__(cls)
        longer.version_blocks = (*stream.version_blocks, *more)
        longer.versions = len(longer.version_blocks)
        longer.fingerprint, longer.vocab_size = stream.fingerprint, stream.vocab_size
        longer.sequence_length, longer.grows = stream.sequence_length, True
        if isinstance(stream, Stream):
            new = np.random.PCG64(int(stream.fingerprint, 16)).random_raw(2 * sum(more))
            longer._block_digests = np.concatenate([stream.block_digests, new.view(np.uint8).reshape(-1, 16)])
        return longer

    def __eq__(self, other: object) -> bool:
        """Of the same settings, stand-ins are the same, so that what is made of one serves all recipes planned."""
        if not isinstance(other, VirtualStream) or self._block_digests is not None or other._block_digests is not None:
            return self is other
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content) if self._block_digests is None else id(self)

    @property
    def _content(self) -> tuple[object, ...]:
        return self.fingerprint, self.version_blocks, self.sequence_length, self.vocab_size

    def batch_digests(
        self, ids: Callable[[int, int], npt.NDArray[np.int64]], name: str, steps: int
    ) -> npt.NDArray[np.void]:
        if self._block_digests is not None:
            return _batch_digests(self._block_digests, ids(0, steps))
        # The shuffle is one of T B blocks: with another T or B, no batch would be the same.
        start = hashlib.blake2b(f"{self.fingerprint} {self.version_blocks} {name}".encode(), digest_size=16)
        digests = []
        for place in range(steps):
            digest = start.copy()
            digest.update(place.to_bytes(8, "little"))
            digests.append(digest.digest())
        return np.frombuffer(bytearray(b"".join(digests)), dtype="V16")


def _batch_digests(blocks: Digests, places: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    digests = [hashlib.blake2b(blocks[row].tobytes(), digest_size=16).digest() for row in places]
    return np.frombuffer(bytearray(b"".join(digests)), dtype="V16")


def tokens_key(settings: StreamSettings) -> dict[str, object]:
    """The settings that decide which tokens a pile that is cut at once has. T, B and heldout_blocks only decide how
    many are used."""
    names = ("order", "versions", "vocab_size", "heldout_share", "split_seed")
    return {name: getattr(settings, name) for name in names} | {"block_tokens": settings.sequence_length}


def _version_blocks(settings: StreamSettings, held: Sequence[int]) -> list[int]:
    """Blocks that each version uses.

    Raises:
        UserError: it has fewer.
    """
    batch = settings.global_batch_size
    if settings.steps_per_version == AUTO:
        return [blocks // batch * batch for blocks in held]  # (rounded to steps)
    for version, (steps, blocks) in enumerate(zip(settings.steps, held, strict=True), start=1):
        if steps * batch > blocks:
            raise _too_short(settings, version, steps, held)
    return [steps * batch for steps in settings.steps]


def _too_short(settings: StreamSettings, version: int, steps: int, held: Sequence[int]) -> UserError:
    batch, length = settings.global_batch_size, settings.sequence_length
    one = isinstance(settings.steps_per_version, int)
    at = held.index(min(held)) + 1 if one else version
    most, tokens = held[at - 1] // batch, held[at - 1] * length + 1
    needed = steps * batch * length + 1
    name = "stream.steps_per_version" if one else f"stream.steps_per_version, version {at}"
    remedy = (
        f"{name}={most} is the largest that works."
        if most
        else "Not even one step fits: add text, or lower stream.global_batch_size or stream.sequence_length."
    )
    return UserError(
        f"{name}={steps} needs {needed:,} training tokens per version "
        f"(steps x {batch} blocks x {length} tokens + 1), but version "
        f"{at} has {tokens:,}: {needed - tokens:,} are missing. {remedy}",
        works={"stream.steps_per_version": str(most)} if one and most else None,
    )

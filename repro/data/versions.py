"""Versions that are units of their own: appended one after another, each prepared once.

A unit is a folder: its tokens and their digests, the held-out slice, the tokenizer, and hashes of what later units must
not repeat. Its key says all that it was made from: its own documents, the settings, the tokenizer and the unit before,
but not how many come after. So appending one changes no byte, no key and no batch of those before.

- `releases`: a unit is a release of the corpus.
- `dated`: a unit is the next stretch of time, as long as it takes for T_k steps.
- `dealt`: the pile is one unit, whose single blocks are dealt in a seeded order; a version is the next
  stretch of them, so that all versions are alike, block by block.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from repro.common.canonical import digest
from repro.common.disk import sha256
from repro.common.errors import UserError
from repro.common.progress import bars
from repro.config.settings import AUTO, StreamSettings
from repro.data import novelty, overlap
from repro.data import tokenizer as tokenizers
from repro.data.blocks import Slice, cut, damaged, read_manifest, write_digests, write_manifest
from repro.data.corpora.corpus import Corpus
from repro.data.counts import TRAINED_BEFORE
from repro.data.memory import known_tokenizer
from repro.data.preparation import PREPARING, READING, check_heldout, exclusively, in_time, replaced, share_of
from repro.data.stream import PreparedVersion, Stream
from repro.data.text import Bytes, Piece, Spool, Spooled, first_bytes, hold_out, pieces, read, spool

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LAYOUT = 2
"""Of a unit's files; part of its key."""

Identity = Mapping[str, object]


@dataclass(frozen=True)
class Chain:
    """The units of a stream, of which each knows the one before."""

    corpus: Corpus
    settings: StreamSettings
    data_path: Path
    identities: Sequence[Identity]
    """What the documents of each unit are identified by."""
    pile: Identity
    """What identifies the corpus as a whole, where it does not come in releases."""
    tokenizer: str | None
    """What stands for `stream.tokenizer` in keys; None: version 1 trains one."""

    @property
    def dealt(self) -> bool:
        return self.settings.order == "dealt"

    def folders(self) -> list[Path]:
        """Of the units, as far as their keys are known: those after the first rest on its tokenizer."""
        s = self.settings
        shape = {"layout": LAYOUT, "order": s.order, "heldout_share": s.heldout_share, "split_seed": s.split_seed}
        shape |= {"block_tokens": s.sequence_length, "near_duplicates": self.corpus.near_duplicates}
        given = self.tokenizer
        tokenizer: object = given or {"vocab_size": s.vocab_size}
        folders: list[Path] = []
        after: str | None = None
        for identity in self.identities:
            after = digest(shape | {"documents": identity, "tokenizer": tokenizer, "after": after})[:32]
            folders.append(self.data_path / "versions" / after)
            if given is None:
                if damaged(folders[0]) is not None:
                    break
                given = tokenizer = sha256(folders[0] / tokenizers.FILE)
        return folders

    def missing(self) -> list[int]:
        """Units that are not there, or not sound, by number from 0; all after the first where that is missing."""
        folders = self.folders()
        unknown = range(len(folders), len(self.identities))
        return [*(index for index, folder in enumerate(folders) if damaged(folder) is not None), *unknown]


def chain(corpus: Corpus, identities: Sequence[Identity] | None, pile: Identity, s: StreamSettings, at: Path) -> Chain:
    """The units that settings ask for.

    Args:
        identities: of the corpus's releases; None: it has none.
        pile: of the corpus as a whole.

    Raises:
        UserError: the corpus has no releases, or fewer than versions are asked for.
    """
    if s.order in ("dealt", "dated") and s.steps_per_version == AUTO:
        raise UserError(
            f"stream.steps_per_version={AUTO} uses each version's data once, and stream.order={s.order} makes a "
            "version as long as its steps need; give their number."
        )
    tokenizer = known_tokenizer(s.tokenizer, at)
    if s.order == "dealt":
        return Chain(corpus, s, at, [pile], pile, tokenizer)
    if s.order == "dated":
        stretches = [{"batch": s.global_batch_size, "steps": list(s.steps[: k + 1])} for k in range(s.versions)]
        return Chain(corpus, s, at, [{"pile": pile, **stretch} for stretch in stretches], pile, tokenizer)
    if identities is None:
        raise UserError(
            f"stream.order={s.order} makes each release of a corpus a version, and corpus.kind={corpus.kind} has none; "
            "stream=dealt (versions alike) or stream=dated (stretches of time) cuts a pile of text.",
            works={"stream": "dealt"},
        )
    if s.versions == AUTO:
        s = replace(s, versions=len(identities))
    if len(identities) < s.versions:
        raise UserError(
            f"stream.versions={s.versions}, but {corpus.place or corpus.kind} has {len(identities)} releases, and each "
            f"is a version; stream.versions={len(identities)} works."
        )
    return Chain(corpus, s, at, identities[: s.versions], pile, tokenizer)


def open_chain(units: Chain) -> Stream:
    """The stream of these units; prepares those that are missing, each once for any number of processes.

    Raises:
        UserError: as `repro.data.opening.open_stream`.
    """
    if units.missing():
        first = units.folders()[0]
        with exclusively(first.with_suffix(".lock"), units.data_path):
            if missing := units.missing():
                _prepare(units, missing)
    s, folders = units.settings, units.folders()
    manifests = [read_manifest(folder) for folder in folders]
    vocab_size = int(manifests[0]["vocab_size"])
    if units.dealt:
        return Stream(s, _dealt(s, folders[0], manifests[0]), folders[0], vocab_size, grows=True)
    slices = [
        PreparedVersion(
            _slice(folder, "train", manifest),
            _slice(folder, "heldout", manifest),
            fingerprint=manifest["fingerprint"],
            report=manifest["report"],
        )
        for folder, manifest in zip(folders, manifests, strict=True)
    ]
    return Stream(s, slices, folders[0], vocab_size, grows=True)


def _slice(folder: Path, kind: str, manifest: dict[str, Any], first: int = 0, count: int | None = None) -> Slice:
    length = int(manifest["block_tokens"])
    return Slice(folder, kind, manifest["dtype"], length, int(manifest["stride"]), first, count)


def _dealt(s: StreamSettings, folder: Path, manifest: dict[str, Any]) -> list[PreparedVersion]:
    """Consecutive stretches of one unit: of training blocks as many as a version's steps take, of held-out blocks as
    many as are evaluated."""
    train, heldout = _slice(folder, "train", manifest), _slice(folder, "heldout", manifest)
    ends = list(accumulate(steps * s.global_batch_size for steps in s.steps))
    if ends[-1] > len(train):
        most = len(train) // (s.versions * s.global_batch_size)
        raise UserError(
            f"stream.steps_per_version={s.steps_label} takes {ends[-1]:,} blocks over stream.versions={s.versions}, "
            f"and there are {len(train):,}; "
            + (f"{most} steps per version work." if most else "add text, or lower stream.global_batch_size.")
        )
    if len(heldout) <= (s.versions - 1) * s.heldout_blocks:
        raise UserError(
            f"stream.heldout_blocks={s.heldout_blocks} for each of stream.versions={s.versions} are more than the "
            f"{len(heldout):,} held-out blocks there are; "
            + (f"at most {len(heldout) // s.versions} work, or " if len(heldout) >= s.versions else "what works is ")
            + "a larger stream.heldout_share."
        )
    versions = []
    for number, (start, end) in enumerate(pairwise([0, *ends])):
        held = number * s.heldout_blocks
        rest = None if number == s.versions - 1 else end - start  # the last one has what is left over
        versions.append(
            PreparedVersion(
                _slice(folder, "train", manifest, start, rest),
                _slice(folder, "heldout", manifest, held, s.heldout_blocks),
                fingerprint=digest([manifest["fingerprint"], start, held]),
            )
        )
    return versions


# Preparing


def _prepare(units: Chain, missing: list[int]) -> None:
    """Make the missing units, reading each text once."""
    s = units.settings
    given = None if s.tokenizer is None else tokenizers.verified(s.tokenizer, str(units.tokenizer))
    scratch = units.folders()[0].with_suffix(READING)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    try:
        with bars() as bar:
            if s.order == "releases":
                wanted = {index + 1: units.identities[index] for index in missing}
                documents = units.corpus.of_releases(wanted, units.data_path / "packages")
            else:
                documents = units.corpus.verified(units.pile, units.data_path / "packages")
            followed = bar.track(documents, description="Reading the corpus")
            spooled = spool(followed, scratch, s.split_seed, by_part=s.order == "releases")
        if s.order == "dated":
            spooled.documents = in_time(spooled.documents, "dated", "dealt")
        text = spooled.text()
        for index in missing:
            _unit(units, index, spooled, text, given)
    finally:
        scratch.unlink(missing_ok=True)


def _unit(units: Chain, index: int, spooled: Spool, text: Bytes, tokenizer: "Tokenizer | None") -> None:
    """Make one unit; those before it are there, with the stream's tokenizer if none is given."""
    s = units.settings
    folders = units.folders()
    folder, earlier, scratch = folders[index], folders[:index], folders[0].with_suffix(PREPARING)
    if tokenizer is None and earlier:
        tokenizer = tokenizers.load(earlier[0] / tokenizers.FILE)
    if s.order == "dated":
        start = read_manifest(earlier[-1])["report"]["until"] if earlier else 0
        stretch = _Stretch(units, index, spooled.documents, start)
        replaced(folder, scratch, lambda built: stretch.build(built, text, earlier, tokenizer))
        return
    part = index + 1 if s.order == "releases" else None
    documents = [document for document in spooled.documents if part is None or document.part == part]
    counts = Counter(spooled.left_out.get(part, Counter()))
    if part is None:
        counts = sum(spooled.left_out.values(), Counter())

    def build(built: Path) -> None:
        write_manifest(built, _write(built, units, index, documents, text, earlier, tokenizer, counts))

    replaced(folder, scratch, build)


@dataclass(frozen=True)
class _Stretch:
    """Documents in time from one place on, as many as it takes for a version's steps."""

    units: Chain
    index: int
    documents: Sequence[Spooled]
    start: int

    def build(self, built: Path, text: Bytes, earlier: Sequence[Path], tokenizer: "Tokenizer | None") -> None:
        """Add documents until there are enough tokens: as many bytes as tokens are needed to begin with, since none
        stands for less than a byte, and then as many as those have shown to be needed."""
        s = self.units.settings
        needed = s.steps[self.index] * s.global_batch_size
        stop, wanted = self.start, needed * s.sequence_length
        while True:
            stop = self._reach(stop, wanted)
            counts: Counter[str] = Counter()
            for path in built.iterdir():
                path.unlink()
            chosen = self.documents[self.start : stop]
            size = sum(document.size for document in chosen)
            try:
                facts = _write(built, self.units, self.index, chosen, text, earlier, tokenizer, counts)
            except UserError:  # too little that is new, or that is held out: what comes next may have it
                if stop == len(self.documents):
                    raise
                wanted = size
                continue
            blocks = (built / "train.digests").stat().st_size // 16
            if blocks >= needed:
                facts["report"]["until"] = stop
                return write_manifest(built, facts)
            if stop == len(self.documents):
                raise UserError(
                    f"stream.order=dated: the text ends within version {self.index + 1}, which needs {needed:,} blocks "
                    f"and has {blocks:,}. Fewer stream.steps_per_version, fewer stream.versions, or more text works."
                )
            wanted = size * needed // max(blocks, 1) - size

    def _reach(self, stop: int, more: int) -> int:
        """The end of the stretch after that many bytes more, and at least one document."""
        while stop < len(self.documents):
            more -= self.documents[stop].size
            stop += 1
            if more <= 0 and stop - self.start >= 2:
                break
        return stop


def _write(
    built: Path,
    units: Chain,
    index: int,
    documents: Sequence[Spooled],
    text: Bytes,
    earlier: Sequence[Path],
    tokenizer: "Tokenizer | None",
    counts: Counter[str],
) -> dict[str, Any]:
    """Write a unit's files. Returns what its manifest has to say."""
    s = units.settings
    known = novelty.Known(earlier, near=units.corpus.near_duplicates == "minhash")
    new = known.new(documents, text, counts)
    kept, held = hold_out(new, s.heldout_share, f"Version {index + 1} has too few that are new; add text to it.")
    mine, every = novelty.held_out_runs(held, text, earlier)
    train = novelty.without_overlap(pieces(kept, text, s.sequence_length), text, every, counts)
    if not train:
        raise UserError(f"Version {index + 1} has nothing to train on: all of its text overlaps held-out text.")
    known.write(built)
    (built / novelty.HELD_OUT).write_bytes(mine.astype("<u8").tobytes())
    if tokenizer is None:
        seen = first_bytes(train, tokenizers.TOKENIZER_BYTES)
        tokenizer = tokenizers.train((read(text, piece) for piece in seen), s.vocab_size)
    tokenizer.save(str(built / tokenizers.FILE))
    dtype = tokenizers.dtype_of(tokenizer)
    stride = s.sequence_length + 1 if units.dealt else s.sequence_length
    for kind, part in (("heldout", pieces(held, text, s.sequence_length)), ("train", train)):
        count = _write_slice(built / f"{kind}.tokens", tokenizer, part, text, dtype, s, dealt=units.dealt)
        if kind == "heldout":
            check_heldout(s, [count], share_of(held, kept), index + 1)
    report = {"documents": len(new), "held out": len(held), "left out": dict(sorted(counts.items()))}
    report[TRAINED_BEFORE] = overlap.with_earlier(held, text, earlier)
    shape = {"vocab_size": tokenizer.get_vocab_size(), "block_tokens": s.sequence_length, "stride": stride}
    return {**shape, "dtype": dtype, "report": report}


def _write_slice(
    path: Path,
    tokenizer: "Tokenizer",
    part: Sequence[Piece],
    text: Bytes,
    dtype: str,
    s: StreamSettings,
    *,
    dealt: bool,
) -> int:
    """Write tokens and digests. Returns how many tokens there are."""
    length = s.sequence_length
    count = tokenizers.write_tokens(tokenizer, (read(text, piece) for piece in part), path, dtype)
    if not dealt:
        write_digests(path, dtype, length, length)
        return count
    packed = path.rename(path.with_suffix(".packed"))
    tokens = np.memmap(packed, dtype=dtype, mode="r")
    order = np.argsort(_deal_keys(s.split_seed, max(0, (len(tokens) - 1) // length)), kind="stable")
    with path.open("wb") as file:
        for start in range(0, len(order), 4096):
            file.write(cut(tokens, order[start : start + 4096], length, length).astype(dtype).tobytes())
    packed.unlink()
    write_digests(path, dtype, length, length + 1)
    return count


def _deal_keys(seed: int, blocks: int) -> npt.NDArray[np.uint64]:
    """What blocks are sorted by when they are dealt: NumPy keeps PCG64's raw stream stable, but not its shuffles."""
    return np.random.PCG64(np.random.SeedSequence([seed, 0xDEA1])).random_raw(blocks)


def report(units: Chain) -> list[dict[str, Any]]:
    """What preparing each unit counted."""
    return [read_manifest(folder)["report"] for folder in units.folders()]

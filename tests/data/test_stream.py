"""The version stream: what is promised about slices, blocks, caching and refusals."""

import errno
import hashlib
import json
import logging
import os
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from repro.common import locks
from repro.common.errors import UserError
from repro.config.settings import StreamSettings
from repro.data import blocks as on_disk
from repro.data import preparation
from repro.data import tokenizer as tokenizers
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.hf import HuggingFace
from repro.data.corpora.local import Local
from repro.data.corpora.sotu import Sotu
from repro.data.opening import describe, is_prepared, open_stream
from repro.data.stream import Stream, VersionStream, VirtualStream
from repro.data.text import cut_text
from repro.data.tokenizer import END_OF_TEXT

SMALL = StreamSettings(
    versions=2,
    steps_per_version=5,
    global_batch_size=4,
    sequence_length=16,
    vocab_size=300,
    heldout_blocks=3,
    heldout_share=0.2,
)
CHRONOLOGICAL = replace(SMALL, order="chronological")
DOCUMENTS = 30


def document(number: int) -> str:
    """Paragraphs of made-up words, every one of which tells its document. All documents are of one length."""
    words = random.Random(number)
    paragraphs = (" ".join(f"d{number:02}x{words.choice('aeiou')}é" for _ in range(12)) for _ in range(12))
    return "\n\n".join(paragraphs)


def write(folder: Path, documents: dict[int, str] | None = None, name: str = "corpus.jsonl") -> Corpus:
    """A dated corpus; document n is of day n."""
    documents = documents or {n: document(n) for n in range(DOCUMENTS)}
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"text": text, "date": f"2020-01-{n + 1:02}"}) for n, text in documents.items()]
    (folder / name).write_text("\n".join(rows), encoding="utf-8")
    return Local(kind="local", path=str(folder))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write(tmp_path / "corpus")


def tokens(opened: Stream, kind: str, version: int) -> np.ndarray:
    return np.fromfile(opened.tokenizer_file.parent / f"{kind}-{version}.tokens", dtype="<u2")


def text(opened: Stream, kind: str, version: int) -> str:
    tokenizer = Tokenizer.from_file(str(opened.tokenizer_file))
    return tokenizer.decode(tokens(opened, kind, version).tolist(), skip_special_tokens=False)


def documents_in(opened: Stream, kind: str, version: int) -> set[int]:
    return {int(n) for n in re.findall(r"d(\d+)x", text(opened, kind, version))}


def folders(data: Path) -> set[Path]:
    return {path for path in (data / "streams").iterdir() if path.is_dir()}


@pytest.fixture(scope="session")
def sotu(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """The README's main job."""
    settings = StreamSettings(
        steps_per_version=900, global_batch_size=8, sequence_length=128, vocab_size=1024, heldout_blocks=200
    )
    return open_stream(Sotu(kind="sotu"), settings, tmp_path_factory.mktemp("data"))


# Slices


@pytest.mark.parametrize("settings", [SMALL, CHRONOLOGICAL], ids=["shuffled", "chronological"])
def test_a_held_out_document_never_appears_in_training(
    corpus: Corpus, tmp_path: Path, settings: StreamSettings
) -> None:
    opened = open_stream(corpus, settings, tmp_path)
    train, heldout = (set.union(*(documents_in(opened, kind, v) for v in (1, 2))) for kind in ("train", "heldout"))
    assert not train & heldout
    assert train | heldout == set(range(DOCUMENTS))


@pytest.mark.parametrize("settings", [SMALL, CHRONOLOGICAL], ids=["shuffled", "chronological"])
def test_no_text_is_lost_or_repeated(corpus: Corpus, tmp_path: Path, settings: StreamSettings) -> None:
    opened = open_stream(corpus, settings, tmp_path)
    pieces = "".join(text(opened, kind, v) for kind in ("train", "heldout") for v in (1, 2)).split(END_OF_TEXT)
    assert sorted("".join(pieces)) == sorted("".join(document(n) for n in range(DOCUMENTS)))
    assert "" not in pieces[:-1]


def test_every_version_has_its_own_held_out_slice_of_the_share(sotu: Stream) -> None:
    sizes = {kind: [len(tokens(sotu, kind, v)) for v in (1, 2, 3, 4)] for kind in ("train", "heldout")}
    for train, heldout in zip(sizes["train"], sizes["heldout"], strict=True):
        assert heldout / (train + heldout) == pytest.approx(0.05, abs=0.005)
    slices = [sotu.heldout(v).blocks for v in (1, 2, 3, 4)]
    assert all(blocks.shape == (200, 129) for blocks in slices)
    assert len({blocks.tobytes() for blocks in slices}) == 4


def test_a_shuffled_version_mixes_the_whole_corpus(corpus: Corpus, tmp_path: Path) -> None:
    opened = open_stream(corpus, SMALL, tmp_path)
    both = documents_in(opened, "train", 1) & documents_in(opened, "train", 2)
    assert len(both) > DOCUMENTS / 2
    sizes = [len(text(opened, "train", v).encode()) for v in (1, 2)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_a_chronological_version_is_a_stretch_of_time(corpus: Corpus, tmp_path: Path) -> None:
    opened = open_stream(corpus, replace(CHRONOLOGICAL, versions=3), tmp_path)
    members = [documents_in(opened, "train", v) | documents_in(opened, "heldout", v) for v in (1, 2, 3)]
    assert members == [set(range(10)), set(range(10, 20)), set(range(20, 30))]


def test_documents_of_one_day_are_ordered_by_their_text_alone(tmp_path: Path) -> None:
    rows = [json.dumps({"text": document(n), "date": "2020-01-01"}) for n in range(DOCUMENTS)]
    fingerprints = set()
    for name, order in (("a", rows), ("b", rows[::-1])):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jsonl").write_text("\n".join(order), encoding="utf-8")
        corpus = Local(kind="local", path=str(tmp_path / name))
        fingerprints.add(open_stream(corpus, CHRONOLOGICAL, tmp_path / "data" / name).fingerprint)
    assert len(fingerprints) == 1


def test_a_document_that_occurs_twice_counts_once(corpus: Corpus, tmp_path: Path) -> None:
    once = open_stream(corpus, SMALL, tmp_path)
    write(Path(str(corpus.path)), name="again.jsonl")
    assert open_stream(corpus, SMALL, tmp_path).fingerprint == once.fingerprint


# The tokenizer


def test_the_tokenizer_has_seen_the_training_text_of_version_1_only(tmp_path: Path) -> None:
    original = {n: document(n) for n in range(DOCUMENTS)}
    first = open_stream(write(tmp_path / "a", original), CHRONOLOGICAL, tmp_path)
    unseen = documents_in(first, "train", 2) | documents_in(first, "heldout", 2) | documents_in(first, "heldout", 1)
    # A text also decides which slice it is in: of several other texts, take one that leaves version 1's slices alone.
    for letter in "zyxwvtsrqpnm":
        changed = {n: t.replace("a", letter) if n in unseen else t for n, t in original.items()}
        second = open_stream(write(tmp_path / letter, changed), CHRONOLOGICAL, tmp_path)
        if documents_in(second, "train", 1) == documents_in(first, "train", 1):
            break
    else:
        raise AssertionError("no text left the slices alone")
    assert text(second, "heldout", 1) != text(first, "heldout", 1)
    assert second.tokenizer_file.read_bytes() == first.tokenizer_file.read_bytes()
    assert np.array_equal(tokens(second, "train", 1), tokens(first, "train", 1))
    assert second.fingerprint != first.fingerprint


def test_it_loads_as_a_transformers_tokenizer_and_keeps_every_byte(sotu: Stream) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(sotu.tokenizer_file), eos_token=END_OF_TEXT)
    assert len(tokenizer) == sotu.vocab_size == 1024
    for sample in ("Fellow-Citizens of the Senate", " leading space", "naïve — 你好 🙂", "tab\tand\r\nline"):
        assert tokenizer.decode(tokenizer(sample)["input_ids"]) == sample


def test_a_text_that_spells_out_the_end_of_text_token_does_not_end_there(tmp_path: Path) -> None:
    spelled = {n: f"{document(n)} {END_OF_TEXT} more" for n in range(DOCUMENTS)}
    opened = open_stream(write(tmp_path / "corpus", spelled), SMALL, tmp_path)
    end = Tokenizer.from_file(str(opened.tokenizer_file)).token_to_id(END_OF_TEXT)
    ends = sum(int((tokens(opened, kind, v) == end).sum()) for kind in ("train", "heldout") for v in (1, 2))
    pieces = sum(len(list(cut_text(t, 16 * SMALL.sequence_length))) for t in spelled.values())
    assert ends == pieces


# Blocks


def test_the_quick_scale_fits_into_the_default_corpus(sotu: Stream) -> None:
    assert sotu.version_blocks[0] == 7200
    assert sotu.block_digests.shape == (4 * 7200, 16)
    assert len(np.unique(sotu.block_digests, axis=0)) == 4 * 7200


def test_neighbouring_blocks_share_one_token(corpus: Corpus, tmp_path: Path) -> None:
    opened = open_stream(corpus, SMALL, tmp_path)
    for version in (1, 2):
        blocks = opened.blocks(np.arange(20) + (version - 1) * 20)
        assert blocks.shape == (20, 17)
        assert blocks.dtype == np.int64
        assert np.array_equal(blocks[1:, 0], blocks[:-1, -1])
        targets = tokens(opened, "train", version)[1 : 20 * 16 + 1]
        assert np.array_equal(blocks[:, 1:].reshape(-1), targets)


def test_reading_is_pure(sotu: Stream) -> None:
    ids = np.random.default_rng(0).permutation(4 * 7200)[:300]
    blocks = sotu.blocks(ids)
    sotu.heldout(2)
    assert np.array_equal(sotu.blocks(ids[::-1]), blocks[::-1])
    assert np.array_equal(np.concatenate([sotu.blocks(ids[i : i + 1]) for i in range(300)]), blocks)
    assert sotu.blocks(ids[:0]).shape == (0, 129)


def test_a_digest_identifies_the_tokens_of_its_block(sotu: Stream) -> None:
    ids = np.array([0, 7199, 7200, 28799])
    expected = [hashlib.blake2b(b.astype("<u4").tobytes(), digest_size=16).digest() for b in sotu.blocks(ids)]
    assert [row.tobytes() for row in sotu.block_digests[ids]] == expected


def test_target_bytes_are_the_bytes_the_targets_stand_for(tmp_path: Path) -> None:
    spelled = {n: f"{END_OF_TEXT} {document(n)} 你好 🙂" for n in range(DOCUMENTS)}
    opened = open_stream(write(tmp_path / "corpus", spelled), replace(SMALL, heldout_blocks=10**6), tmp_path)
    heldout = opened.heldout(1)
    tokenizer = Tokenizer.from_file(str(opened.tokenizer_file))
    first, *targets = heldout.blocks[:, :-1].reshape(-1).tolist() + heldout.blocks[-1:, -1].tolist()
    # Cut after a whole character on either side, the text of the targets is what lies between.
    whole = tokenizer.decode([first, *targets]).encode()
    before = tokenizer.decode([first]).encode()
    assert "\N{REPLACEMENT CHARACTER}" not in (whole + before).decode(), "cut within a character: choose another text"
    assert heldout.target_bytes == len(whole) - len(before)


def test_steps_and_batch_size_only_decide_how_much_is_used(corpus: Corpus, tmp_path: Path) -> None:
    long = open_stream(corpus, SMALL, tmp_path)
    short = open_stream(corpus, replace(SMALL, steps_per_version=3, global_batch_size=2, heldout_blocks=1), tmp_path)
    assert folders(tmp_path) == {long.tokenizer_file.parent}
    assert short.fingerprint == long.fingerprint
    assert np.array_equal(short.blocks(np.arange(6, 12)), long.blocks(np.arange(20, 26)))
    assert np.array_equal(short.block_digests[6:], long.block_digests[20:26])
    assert len(short.heldout(1).blocks) == 1


@given(st.text(alphabet="ab. \né🙂", max_size=300), st.integers(2, 40))
def test_pieces_are_short_enough_and_make_up_the_text(sample: str, longest: int) -> None:
    pieces = list(cut_text(sample, longest))
    assert "".join(pieces) == sample
    assert all(len(piece) <= longest for piece in pieces)


def test_a_long_document_is_cut_between_paragraphs() -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 9 + "end." for n in range(40)]
    pieces = list(cut_text("\n\n".join(paragraphs), 200))
    assert len(pieces) > 10
    assert all(piece.startswith("Paragraph") and piece.rstrip().endswith("end.") for piece in pieces)


# Identity


def test_a_stream_depends_on_the_text_and_not_on_names_or_places(tmp_path: Path) -> None:
    first = open_stream(write(tmp_path / "a"), SMALL, tmp_path / "data")
    again = open_stream(write(tmp_path / "elsewhere", name="other.jsonl"), SMALL, tmp_path / "data")
    assert len(folders(tmp_path / "data")) == 1
    assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "change", [{"split_seed": 1}, {"vocab_size": 258}, {"heldout_share": 0.3}, {"versions": 3}, {"sequence_length": 15}]
)
def test_whatever_decides_the_tokens_changes_the_fingerprint(
    corpus: Corpus, tmp_path: Path, change: dict[str, int]
) -> None:
    assert (
        open_stream(corpus, replace(SMALL, **change), tmp_path).fingerprint
        != open_stream(corpus, SMALL, tmp_path).fingerprint
    )


def test_another_process_prepares_the_same_stream(corpus: Corpus, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from repro.config.settings import *\n"
        "from repro.data.corpora.local import Local\n"
        "from repro.data.opening import open_stream\n"
        "corpus, data = Local(kind='local', path=sys.argv[1]), Path(sys.argv[2])\n"
        f"print(open_stream(corpus, {SMALL!r}, data).fingerprint)"
    )
    found = {open_stream(corpus, SMALL, tmp_path / "here").fingerprint}
    for seed, threads in (("1", "false"), ("2", "true")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": threads}
        command = [sys.executable, "-c", script, str(corpus.path), str(tmp_path / seed)]
        found.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip())
    assert len(found) == 1


# The cache


def _open_and_stat(corpus: Corpus, settings: StreamSettings, data: Path) -> tuple[str, int]:
    opened = open_stream(corpus, settings, data)
    return opened.fingerprint, opened.tokenizer_file.parent.stat().st_ino


def test_processes_that_want_one_stream_at_once_prepare_it_once(corpus: Corpus, tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_open_and_stat, corpus, SMALL, tmp_path) for _ in range(4)]
        # A second preparation would have put another folder in the first one's place.
        assert len({job.result() for job in jobs}) == 1


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
@pytest.mark.parametrize(
    "name", ["train-2.tokens", "heldout-1.tokens", "train-1.digests", "tokenizer.json", "manifest.json"]
)
def test_a_damaged_stream_is_prepared_again_with_a_warning(
    corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, harm: Callable[[Path], None]
) -> None:
    sound = open_stream(corpus, SMALL, tmp_path)
    folder = sound.tokenizer_file.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    harm(folder / name)
    with caplog.at_level(logging.WARNING):
        assert open_stream(corpus, SMALL, tmp_path).fingerprint == sound.fingerprint
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    gone = name == "manifest.json" and harm is Path.unlink  # then there never was a stream
    assert gone or name in caplog.text
    assert folders(tmp_path) == {folder}


def test_a_block_that_was_altered_while_a_stream_is_open_is_refused_and_replaced(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "CHECKED_AT_OPEN", 0)
    sound = open_stream(corpus, SMALL, tmp_path).blocks(np.arange(40))
    path = open_stream(corpus, SMALL, tmp_path).tokenizer_file.parent / "train-1.tokens"
    with path.open("r+b") as file:
        file.seek(2 * 16 * 7 + 10)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    opened = open_stream(corpus, SMALL, tmp_path)
    assert np.array_equal(opened.blocks(np.array([0, 20])), sound[[0, 20]])
    with pytest.raises(UserError, match=r"train-1\.tokens was altered"):
        opened.blocks(np.array([0, 7]))
    assert np.array_equal(open_stream(corpus, SMALL, tmp_path).blocks(np.arange(40)), sound)


def test_the_remains_of_a_killed_preparation_are_cleared_away(corpus: Corpus, tmp_path: Path) -> None:
    folder = open_stream(corpus, SMALL, tmp_path / "other").tokenizer_file.parent
    remains = tmp_path / "data" / "streams" / f"{folder.name}.preparing" / "stream"
    shutil.copytree(folder, remains)
    truncate(remains / "train-1.tokens")
    opened = open_stream(corpus, SMALL, tmp_path / "data")
    assert folders(tmp_path / "data") == {opened.tokenizer_file.parent}
    opened.blocks(np.arange(40))


REMAINS = (".preparing", ".reading")


@pytest.mark.parametrize("order", ["shuffled", "dealt"])
def test_so_are_those_of_a_corpus_that_grew_since_unless_somebody_is_at_them(tmp_path: Path, order: str) -> None:
    corpus, settings = write(tmp_path / "corpus"), replace(SMALL, order=order)
    room = open_stream(corpus, settings, tmp_path / "data").tokenizer_file.parents[1]
    (room / "dead.preparing" / "stream").mkdir(parents=True)
    (room / "dead.reading").write_text("text")
    (room / "living.preparing").mkdir()
    (room / "elsewhere.preparing").mkdir()
    long_ago = time.time() - preparation.STALE_SECONDS - 60
    for path in (room / "dead.preparing" / "stream", *room.glob("dead.*"), room / "living.preparing"):
        os.utime(path, (long_ago, long_ago))
    (tmp_path / "corpus" / "another.txt").write_text("news " * 2000)
    with locks.held(room / "living.lock"):
        open_stream(corpus, settings, tmp_path / "data")
        left = {path.name for path in room.iterdir() if path.suffix in REMAINS}
    assert left == {"living.preparing", "elsewhere.preparing"}
    assert not list(room.glob("*.lock"))


def test_a_folder_for_data_is_marked_as_such_once(tmp_path: Path) -> None:
    """Whoever backs it up, or watches it, sees a file that did not change."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\nmine\n")
    open_stream(write(tmp_path / "corpus"), SMALL, tmp_path / "data")
    assert "mine" in (tmp_path / "data" / "CACHEDIR.TAG").read_text()


def test_a_failed_preparation_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        open_stream(write(tmp_path / "corpus", {1: "one document"}), SMALL, tmp_path)
    assert folders(tmp_path) == set()


def test_opening_a_prepared_stream_imports_nothing_heavy_and_prints_nothing(corpus: Corpus, tmp_path: Path) -> None:
    open_stream(corpus, SMALL, tmp_path)
    script = (
        "import sys; from pathlib import Path; from repro.config.settings import *\n"
        "from repro.data.corpora.local import Local\n"
        "from repro.data.opening import open_stream\n"
        "corpus, data = Local(kind='local', path=sys.argv[1]), Path(sys.argv[2])\n"
        f"open_stream(corpus, {SMALL!r}, data).heldout(1)\n"
        "heavy = ('torch', 'transformers', 'datasets', 'pandas', 'tokenizers', 'rich', 'sotu')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(corpus.path), str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# Refusals


def test_a_stream_that_may_not_be_read_is_named(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_stream(corpus, SMALL, tmp_path)

    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(on_disk, "sha256", refuse)
    with pytest.raises(UserError, match=r"heldout-1\.digests cannot be read: Permission denied; make it readable"):
        open_stream(corpus, SMALL, tmp_path)


def test_a_corpus_that_is_too_short_is_refused_with_the_largest_number_of_steps(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"steps_per_version=(\d+) is the largest") as refusal:
        open_stream(corpus, replace(SMALL, steps_per_version=1000), tmp_path)
    needed, had, missing = (
        int(n.replace(",", ""))
        for n in re.findall(r"needs ([\d,]+)|has ([\d,]+): ([\d,]+)", str(refusal.value))
        for n in n
        if n
    )
    assert (needed, missing) == (1000 * 4 * 16 + 1, needed - had)
    most = int(re.findall(r"steps_per_version=(\d+)", str(refusal.value))[-1])
    assert len(open_stream(corpus, replace(SMALL, steps_per_version=most), tmp_path).block_digests) == 2 * most * 4
    with pytest.raises(UserError, match=f"steps_per_version={most} is the largest"):
        open_stream(corpus, replace(SMALL, steps_per_version=most + 1), tmp_path)
    with pytest.raises(UserError, match="Not even one step fits"):
        open_stream(corpus, replace(SMALL, global_batch_size=10**5), tmp_path)


def test_a_chronological_stream_names_what_lacks_a_date(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus")
    (tmp_path / "corpus" / "undated.txt").write_text("no date", encoding="utf-8")
    with pytest.raises(UserError, match=r"1 of 31 have none, such as .*undated\.txt"):
        open_stream(corpus, CHRONOLOGICAL, tmp_path)
    open_stream(corpus, SMALL, tmp_path)


@pytest.mark.parametrize("settings", [SMALL, CHRONOLOGICAL], ids=["shuffled", "chronological"])
def test_too_few_documents_to_hold_one_out_are_refused(tmp_path: Path, settings: StreamSettings) -> None:
    with pytest.raises(UserError, match="whole documents"):
        open_stream(write(tmp_path / "corpus", {1: document(1) * 50}), settings, tmp_path)


def test_a_held_out_slice_shorter_than_a_block_is_refused(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus", {n: document(n) if n else "tiny" for n in range(20)})
    with pytest.raises(UserError, match=r"heldout_share=0\.001"):
        open_stream(corpus, replace(SMALL, heldout_share=0.001), tmp_path)


def test_a_data_path_that_is_no_folder_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"/file cannot be written: .* choose another data\.path"):
        open_stream(corpus, SMALL, tmp_path / "file")


def test_a_data_path_that_gets_full_is_said_and_the_stream_is_prepared_later(corpus: Corpus, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"File too large; free some space, or choose another data\.path"):
            open_stream(corpus, SMALL, tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert open_stream(corpus, SMALL, tmp_path / "data").versions == 2


def test_a_corpus_that_cannot_be_read_to_its_end_is_not_taken_for_a_full_disk(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def documents(*which: object) -> Iterator[Document]:
        yield Document("text", "a name")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Local, "verified", documents)
    with pytest.raises(UserError, match=r"The corpus cannot be read: .*Input/output error"):
        open_stream(corpus, SMALL, tmp_path / "data")


# Planning without data


def test_a_virtual_streams_batches_have_distinct_stand_ins_by_order_and_place() -> None:
    corpus = HuggingFace(kind="hf", dataset="some/dataset")
    settings = StreamSettings(
        steps_per_version=250, global_batch_size=4, sequence_length=16, vocab_size=300, heldout_blocks=1
    )
    virtual = describe(corpus, settings)

    def digests(stream: VersionStream, name: str, steps: int) -> np.ndarray:
        return stream.batch_digests(lambda start, stop: np.zeros((0, 0), np.int64), name, steps)

    one, two = digests(virtual, "arrival", 1000), digests(virtual, "mixed", 1000)
    assert len({bytes(digest) for digest in (*one, *two)}) == 2000
    assert np.array_equal(one[:10], digests(describe(corpus, settings), "arrival", 10))
    # A version's shuffle is one of T B blocks: with another T no batch would be the same.
    other = digests(describe(corpus, replace(settings, steps_per_version=9)), "arrival", 10)
    assert not set(map(bytes, one)) & set(map(bytes, other))
    assert not np.array_equal(one, digests(describe(corpus, replace(settings, split_seed=1)), "arrival", 1000))
    # Equal stand-ins share what is made of one; those that differ do not.
    assert len({virtual, describe(corpus, settings)}) == 1
    longer = VirtualStream.like(virtual, 8)
    assert longer == VirtualStream.like(describe(corpus, settings), 8)
    assert len({virtual, longer, describe(corpus, replace(settings, split_seed=1))}) == 3


# Dates, and text that is gone


def test_dates_are_compared_as_instants_and_impossible_ones_named_where_they_are_used(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus")
    spelled = ["2020-01-{:02}T23:30:00-05:00", "{} January 2020", "2020-01-{:02} 12:00:00"]
    rows = [{"text": document(n), "date": spelled[n % 3].format(n + 1)} for n in range(DOCUMENTS)]
    # The first way of writing it is half an hour before noon of the next day, and so comes after the second.
    moved = [{**row, "date": f"2020-01-{n + 2:02}"} if n % 3 == 0 else row for n, row in enumerate(rows)]
    found = []
    for name, each in (("spelled", rows), ("moved", moved)):
        path = tmp_path / name / "x.jsonl"
        path.parent.mkdir()
        path.write_text("\n".join(map(json.dumps, each)))
        opened = open_stream(Local(kind="local", path=str(path)), CHRONOLOGICAL, tmp_path)
        found.append([documents_in(opened, "train", v) | documents_in(opened, "heldout", v) for v in (1, 2)])
    assert found[0] == found[1]
    with (tmp_path / "corpus" / "corpus.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"text": "impossible", "date": "2020-02-30"}))
    with pytest.raises(UserError, match=r"corpus\.jsonl, line 31: the date '2020-02-30' is none"):
        open_stream(corpus, CHRONOLOGICAL, tmp_path)
    open_stream(corpus, SMALL, tmp_path)


@pytest.mark.parametrize("order", ["shuffled", "dealt"])
def test_a_prepared_stream_outlives_its_text(tmp_path: Path, order: str, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write(tmp_path / "corpus")
    settings = replace(SMALL, order=order)
    before = open_stream(corpus, settings, tmp_path / "data").fingerprint
    shutil.rmtree(tmp_path / "corpus")
    assert open_stream(corpus, settings, tmp_path / "data").fingerprint == before
    assert "does not exist. What was prepared from it before is used." in capsys.readouterr().err
    with pytest.raises(UserError, match="does not exist"):
        open_stream(corpus, settings, tmp_path / "other")
    with pytest.raises(UserError, match="does not exist"):
        open_stream(corpus, replace(settings, split_seed=5), tmp_path / "data")


@pytest.mark.parametrize("order", ["shuffled", "dealt"])
def test_a_tokenizer_that_the_library_cannot_load_is_refused_before_the_corpus_is_read(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write(tmp_path / "corpus")
    given = tmp_path / "tokenizer.json"
    content = json.loads(open_stream(corpus, SMALL, tmp_path / "data").tokenizer_file.read_text())
    content["model"]["merges"] = [["x"]]
    given.write_text(json.dumps(content))
    monkeypatch.setattr(type(corpus), "verified", None)  # which reads
    with pytest.raises(UserError, match=r"stream\.tokenizer=.* cannot be loaded by tokenizers [\d.]+: .*wrote works"):
        open_stream(corpus, replace(SMALL, order=order, tokenizer=str(given)), tmp_path / "data")


@pytest.mark.parametrize("order", ["shuffled", "dealt"])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_prepared_stream_outlives_the_tokenizer_that_was_given(
    tmp_path: Path, order: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write(tmp_path / "corpus")
    given = tmp_path / "given" / "tokenizer.json"
    given.parent.mkdir()
    shutil.copy(open_stream(corpus, replace(SMALL, vocab_size=290), tmp_path / "first").tokenizer_file, given)
    settings = replace(SMALL, order=order, tokenizer=str(given if named == "file" else given.parent))
    before = open_stream(corpus, settings, tmp_path / "data").fingerprint
    given.parent.rename(tmp_path / "moved")
    assert is_prepared(corpus, settings, tmp_path / "data")
    assert open_stream(corpus, settings, tmp_path / "data").fingerprint == before
    told = capsys.readouterr().err
    assert told.count("stream.tokenizer=") == 1
    assert "What was prepared from it before is used." in told
    # What is to be tokenized needs it, and says so before it reads the corpus.
    for data, wanted in (("other", settings), ("data", replace(settings, split_seed=5))):
        with pytest.raises(UserError, match=r"stream\.tokenizer=.* cannot be read .*the same one has the same keys"):
            open_stream(corpus, wanted, tmp_path / data)
    assert "documents" not in capsys.readouterr().err
    elsewhere = replace(settings, tokenizer=str(tmp_path / "moved"))
    assert open_stream(corpus, elsewhere, tmp_path / "data").fingerprint == before
    # One that is there and another is another one.
    given.parent.mkdir()
    given.write_text((tmp_path / "moved" / given.name).read_text() + "\n")
    assert not is_prepared(corpus, settings, tmp_path / "data")


@pytest.mark.parametrize("order", ["shuffled", "dealt"])
def test_a_given_tokenizer_that_changes_after_it_was_hashed_is_refused(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, load = write(tmp_path / "corpus"), tokenizers.load
    given = tmp_path / "tokenizer.json"
    shutil.copy(open_stream(corpus, replace(SMALL, vocab_size=290), tmp_path / "first").tokenizer_file, given)
    other = open_stream(corpus, replace(SMALL, vocab_size=270), tmp_path / "second").tokenizer_file
    settings = replace(SMALL, order=order, tokenizer=str(given))

    def late(path: Path) -> object:
        shutil.copy(other, given)
        return load(path)

    monkeypatch.setattr(tokenizers, "load", late)
    with pytest.raises(UserError, match=r"stream\.tokenizer=.*tokenizer\.json changed while this ran"):
        open_stream(corpus, settings, tmp_path / "data")
    assert not is_prepared(corpus, settings, tmp_path / "data")


def test_a_pipe_among_what_was_prepared_hangs_nobody(corpus: Corpus, tmp_path: Path) -> None:
    stream = open_stream(corpus, SMALL, tmp_path)
    (manifest,) = tmp_path.glob("streams/*/manifest.json")
    manifest.unlink()
    os.mkfifo(manifest)
    assert not is_prepared(corpus, SMALL, tmp_path)
    assert open_stream(corpus, SMALL, tmp_path).fingerprint == stream.fingerprint
    assert manifest.is_file()
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(UserError, match=r"stream\.tokenizer=.*is no ordinary file"):
        open_stream(corpus, replace(SMALL, tokenizer=str(manifest)), tmp_path)


def test_a_process_that_waits_says_who_prepares(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.0)
    lock = tmp_path / "x.lock"

    def wait() -> None:
        with locks.held(lock):
            pass

    with locks.held(lock):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.3)
    waiting.join()
    assert f"waiting for process {os.getpid()} on {socket.gethostname()}, which holds {lock}" in capsys.readouterr().err

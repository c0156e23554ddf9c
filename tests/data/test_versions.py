"""Streams that grow: appending a version changes no byte, no key and no batch of those before."""

import csv
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from dumps import dump, text
from test_stream import document as dated_document
from test_stream import write
from tokenizers import AddedToken, Tokenizer

from repro.common import disk
from repro.common.errors import UserError
from repro.config.resolve import from_dict
from repro.config.settings import StreamSettings
from repro.data import novelty, overlap
from repro.data.corpora.local import Local
from repro.data.corpora.reading.files import Report
from repro.data.corpora.releases import ReleaseFolders, natural
from repro.data.counts import TRAINED_BEFORE, public, told
from repro.data.opening import is_prepared, open_stream, reports
from repro.data.stream import Stream
from repro.data.tokenizer import END_OF_TEXT
from repro.planning.sweeps import compose

SHAPE = StreamSettings(
    order="releases",
    versions=1,
    steps_per_version=3,
    global_batch_size=4,
    sequence_length=16,
    vocab_size=300,
    heldout_blocks=3,
    heldout_share=0.2,
)
SIZES = (12, 24, 6, 36)
"""Documents of each dump: 1x, 2x, 0.5x and 3x."""


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    for release, count in enumerate(SIZES, start=1):
        dump(tmp_path / "dumps", release, count)
    return tmp_path / "dumps"


def corpus(root: Path) -> ReleaseFolders:
    return ReleaseFolders(kind="releases", path=str(root))


def contents(data: Path) -> dict[str, bytes]:
    """All that is prepared."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted((data / "versions").rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def mixed(versions: int, order: str, **more: object) -> StreamSettings:
    return replace(SHAPE, versions=versions, order=order, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["releases", "dated", "dealt"])
def test_growing_version_by_version_is_preparing_all_at_once(dumps: Path, tmp_path: Path, order: str) -> None:
    source = corpus(dumps) if order == "releases" else write(tmp_path / "pile")
    grown, once = tmp_path / "grown", tmp_path / "once"
    before: dict[str, bytes] = {}
    streams: list[Stream] = []
    for versions in (1, 2, 3, 4):
        settings = mixed(versions, order, steps_per_version=3 if order == "releases" else 2, heldout_blocks=1)
        streams.append(open_stream(source, settings, grown))
        after = contents(grown)
        assert {name: after[name] for name in before} == before
        before = after
    whole = open_stream(source, settings, once)
    assert contents(once) == before
    assert whole.fingerprint == streams[-1].fingerprint
    for stream in streams:
        count = sum(stream.version_blocks)
        assert np.array_equal(stream.blocks(np.arange(count)), whole.blocks(np.arange(count)))
        assert np.array_equal(stream.block_digests, whole.block_digests[:count])
        for version in range(1, stream.versions + 1):
            assert stream.slice_fingerprint(version) == whole.slice_fingerprint(version)
            assert np.array_equal(stream.heldout(version).blocks, whole.heldout(version).blocks)


def test_a_release_that_is_appended_reads_no_text_of_those_before(
    dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = ReleaseFolders.read

    def reading(self: ReleaseFolders, root: Path, *more: object) -> object:
        read.append(root.name)
        return original(self, root, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(ReleaseFolders, "read", reading)
    open_stream(corpus(dumps), mixed(3, "releases"), tmp_path)
    open_stream(corpus(dumps), mixed(4, "releases"), tmp_path)
    assert read == ["dump-1", "dump-2", "dump-3", "dump-4"]


def test_the_tokenizer_belongs_to_version_1(dumps: Path, tmp_path: Path) -> None:
    first = open_stream(corpus(dumps), mixed(1, "releases"), tmp_path / "a").tokenizer_file.read_bytes()
    for path in (dumps / "dump-2").rglob("*.txt"):
        path.write_text("zzzz " * 400)
    again = open_stream(corpus(dumps), mixed(2, "releases", steps_per_version=2), tmp_path / "b")
    assert again.tokenizer_file.read_bytes() == first


def test_a_given_tokenizer_is_used_and_keys_the_versions(dumps: Path, tmp_path: Path) -> None:
    other = open_stream(corpus(dumps), mixed(1, "releases", vocab_size=400), tmp_path / "other").tokenizer_file
    settings = mixed(2, "releases", tokenizer=str(other.parent))
    given = open_stream(corpus(dumps), settings, tmp_path)
    assert given.vocab_size == 400
    assert given.tokenizer_file.read_bytes() == other.read_bytes()
    assert not is_prepared(corpus(dumps), mixed(2, "releases"), tmp_path)
    for bad, message in (
        ("/no/such", "cannot be read"),
        (str(dumps / "dump-1" / "logo.png"), r"is no tokenizer\.json"),
    ):
        with pytest.raises(UserError, match=message):
            open_stream(corpus(dumps), replace(settings, tokenizer=bad), tmp_path)
    moved = other.parent.rename(tmp_path / "moved")
    assert open_stream(corpus(dumps), settings, tmp_path).fingerprint == given.fingerprint
    with pytest.raises(UserError, match=r"cannot be read.*A folder with tokenizer\.json"):
        open_stream(corpus(dumps), replace(settings, versions=3), tmp_path)
    other = moved.rename(other.parent) / other.name
    content = json.loads(other.read_text())
    lacking = tmp_path / "lacking.json"
    lacking.write_text(json.dumps(content | {"added_tokens": []}))
    with pytest.raises(UserError, match=f"has no {END_OF_TEXT.replace('|', '.')}"):
        open_stream(corpus(dumps), replace(settings, tokenizer=str(lacking)), tmp_path)


def test_a_given_tokenizer_is_used_for_all_of_a_text_and_nothing_else(dumps: Path, tmp_path: Path) -> None:
    """Whatever settings of calls it was saved with, and spelled-out tokens that are text."""
    other = open_stream(corpus(dumps), mixed(1, "releases", vocab_size=400), tmp_path / "other").tokenizer_file
    tokenizer = Tokenizer.from_file(str(other))
    plain = open_stream(corpus(dumps), mixed(1, "releases", tokenizer=str(other)), tmp_path)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64, pad_id=5)
    tokenizer.save(str(tmp_path / "cut.json"))
    cut = open_stream(corpus(dumps), mixed(1, "releases", tokenizer=str(tmp_path / "cut.json")), tmp_path)
    assert np.array_equal(cut.blocks(np.arange(12)), plain.blocks(np.arange(12)))
    some = tokenizer.decode(plain.heldout(1).blocks[0, 1:].tolist())[4:9]
    tokenizer.add_tokens([AddedToken(some, special=False, normalized=False)])
    tokenizer.save(str(tmp_path / "more.json"))
    more = open_stream(corpus(dumps), mixed(1, "releases", tokenizer=str(tmp_path / "more.json")), tmp_path)
    held = more.heldout(1)
    with_text = held.blocks[:, 1:].ravel().tolist()
    assert 400 in with_text
    kept = Tokenizer.from_file(str(more.tokenizer_file)).decode(with_text, skip_special_tokens=True)
    assert held.target_bytes == len(kept.encode())
    gap = json.loads(other.read_text())
    gap["added_tokens"][0]["id"] = 401
    (tmp_path / "gap.json").write_text(json.dumps(gap))
    with pytest.raises(UserError, match="no token has the number 400"):
        open_stream(corpus(dumps), mixed(1, "releases", tokenizer=str(tmp_path / "gap.json")), tmp_path)


def test_every_oddity_of_a_dump_is_counted_and_named_once(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in dumps.rglob("*")}
    open_stream(corpus(dumps), mixed(1, "releases"), tmp_path / "data")
    told = capsys.readouterr().err
    assert "release dump-1: 6 files, 13 documents" in told
    for note in ("1 .png left out", "4 documents with CRLF", "1 empty documents left out", "4 files with a byte-order"):
        assert told.count(note) == 1
    assert {path: path.stat().st_mtime_ns for path in dumps.rglob("*")} == before


def test_releases_come_in_the_order_of_their_names_or_of_their_list(dumps: Path) -> None:
    assert sorted(["v10", "v2", "v1-rc", "2024-01"], key=natural) == ["2024-01", "v1-rc", "v2", "v10"]
    with (dumps / "releases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name", "folder", "date"], ["b", "dump-3", "2021"], ["a", "dump-1", "2022"]])
    listed = corpus(dumps).listed()
    assert [(each.name, each.folder.name, each.date) for each in listed] == [
        ("b", "dump-3", "2021"),
        ("a", "dump-1", "2022"),
    ]
    (documents,) = ({d.date for d in corpus(dumps).documents(dumps) if d.part == 1},)
    assert documents == {"2021"}


def test_a_folder_that_the_list_does_not_name_is_named(dumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next dump, before anybody wrote it down."""
    (dumps / "releases.csv").write_text("name,folder,date\na,dump-1/,\nb,dump-2,\nc,dump-3/deep,\n")
    assert corpus(dumps).release_names() == ["a", "b", "c"]
    assert "left out, as releases.csv does not list them: dump-4." in capsys.readouterr().err
    (dumps / "releases.csv").write_text("name,folder,date\nall,.,\n")
    assert corpus(dumps).release_names() == ["all"]
    assert "left out" not in capsys.readouterr().err


def test_a_release_whose_name_is_not_utf_8_has_one_that_can_be_written(dumps: Path) -> None:
    os.rename(dumps / "dump-1", os.fsencode(dumps) + b"/caf\xe9")  # noqa: PTH104
    assert corpus(dumps).release_names()[0] == r"caf\xe9"
    assert {d.part for d in corpus(dumps).documents(dumps)} == {1, 2, 3, 4}


def test_what_is_no_release_is_left_out_and_what_lies_beside_them_is_named(
    dumps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = corpus(dumps).release_names()
    for folder in (".git", "node_modules", "__MACOSX", "data"):
        (dumps / folder).mkdir()
        (dumps / folder / "x.txt").write_text("text")
    (dumps / "data" / "CACHEDIR.TAG").write_text("")
    (dumps / "2026-03.jsonl").write_text('{"text": "loose"}\n')
    (dumps / "broken").symlink_to(dumps / "gone")
    assert corpus(dumps).release_names() == before
    assert corpus(dumps).releases()
    others = "2026-03.jsonl, __MACOSX, broken, data, node_modules"
    assert capsys.readouterr().err.count(f"left out, as no folders of a release: {others}.") == 1


def test_what_this_suite_wrote_among_the_dumps_is_no_release(dumps: Path) -> None:
    """`corpus.path=.`, and whatever update and report write by default."""
    before = corpus(dumps).release_names()
    for folder, names in {
        "releases/dump-1": ["checkpoint.json", "config.json", "README.md"],
        "results/quick/data": ["runs.csv", "SHA256SUMS"],
        "store": ["checkpoints", "leases"],
        "tracked": [".lr-path-switching-tracker"],
    }.items():
        (dumps / folder).mkdir(parents=True)
        for name in names:
            (dumps / folder / name).write_text("{}")
    (dumps / "releases" / ".half.written").mkdir()
    assert corpus(dumps).release_names() == before
    (dumps / "results" / "notes").mkdir()
    (dumps / "results" / "notes" / "a.txt").write_text("of somebody's")
    assert "results" in (corpus(dumps).release_names() or ())


def test_only_text_that_is_gone_is_taken_for_what_it_was(dumps: Path, tmp_path: Path) -> None:
    """A release that is there and cannot be used is refused, and not taken for those that were there before."""
    data = tmp_path / "data"
    stream = open_stream(corpus(dumps), mixed(4, "releases"), data).fingerprint
    (dumps / "dump-5").mkdir()
    for _ in range(2):
        with pytest.raises(UserError, match="dump-5 holds no file"):
            open_stream(corpus(dumps), mixed(4, "releases"), data)
    dump(dumps, 5, 12)
    for _ in range(2):
        assert open_stream(corpus(dumps), mixed(4, "releases"), data).fingerprint == stream
    dumps.rename(tmp_path / "elsewhere")
    assert open_stream(corpus(dumps), mixed(4, "releases"), data).fingerprint == stream


def test_a_note_of_releases_that_does_not_fit_together_is_written_anew(dumps: Path, tmp_path: Path) -> None:
    """As an older version left it: names of five releases, and what identifies four."""
    data = tmp_path / "data"
    stream = open_stream(corpus(dumps), mixed(4, "releases"), data).fingerprint
    (note,) = (data / "identities").glob("releases-*.json")
    known = disk.read_document(note)
    assert known is not None
    disk.write_document(note, known | {"names": [*known["names"], "dump-5"]})
    assert open_stream(corpus(dumps), mixed(4, "releases"), data).fingerprint == stream
    assert disk.read_document(note) == known


@pytest.mark.parametrize(("versions", "message"), [(5, r"has 4 releases.*stream\.versions=4 works")])
def test_more_versions_than_releases_are_refused(dumps: Path, tmp_path: Path, versions: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_stream(corpus(dumps), mixed(versions, "releases"), tmp_path)


# What is left out


def test_copies_of_earlier_documents_and_near_ones_are_left_out(dumps: Path, tmp_path: Path) -> None:
    copied, held = text(1, 0), text(1, 1)
    near = " ".join(["changed", *text(1, 2).split()[1:]])
    (dumps / "dump-2" / "copied.txt").write_text(copied.replace(" ", "\n", 1))
    (dumps / "dump-2" / "near.txt").write_text(near)
    (dumps / "dump-2" / "within.txt").write_text(text(2, 20) + " and more")
    for switch, expected in (("minhash", (1, 1, 1)), ("exact", (1, 0, 0))):
        source = replace(corpus(dumps), near_duplicates=switch)
        open_stream(source, mixed(2, "releases"), tmp_path / switch)
        left_out = reports(source, mixed(2, "releases"), tmp_path / switch)[1]["left out"]
        names = ("copies of earlier versions' documents", "near-duplicates of earlier versions")
        found = (*(left_out.get(name, 0) for name in names), left_out.get("near-duplicates within the version", 0))
        assert found == expected
    assert held


def test_text_that_overlaps_what_was_held_out_before_is_not_trained_on(dumps: Path, tmp_path: Path) -> None:
    first = open_stream(corpus(dumps), mixed(1, "releases", heldout_blocks=10**6), tmp_path)
    tokenizer = Tokenizer.from_file(str(first.tokenizer_file))
    held = tokenizer.decode(first.heldout(1).blocks[:, 1:].ravel().tolist(), skip_special_tokens=True)
    quoted = " ".join(held.split()[30:60])
    (dumps / "dump-2" / "quotes.txt").write_text(f"{text(9, 9)} {quoted} {text(9, 8)}")
    open_stream(corpus(dumps), mixed(2, "releases"), tmp_path)
    left_out = reports(corpus(dumps), mixed(2, "releases"), tmp_path)[1]["left out"]
    assert 1 <= left_out["pieces that overlap held-out text"] <= 2
    assert left_out["bytes of such pieces"] > len(quoted)
    stream = open_stream(corpus(dumps), mixed(2, "releases", steps_per_version=[3, 20]), tmp_path)
    trained = tokenizer.decode(stream.blocks(np.arange(12, 12 + 80))[:, 1:].ravel().tolist())
    assert " ".join(quoted.split()[5:10]) not in trained


def quoting(dumps: Path, stream: Stream) -> None:
    """Have every document of the second dump quote version 1's training text, each another passage of 25 words."""
    tokenizer = Tokenizer.from_file(str(stream.tokenizer_file))
    trained = tokenizer.decode(stream.blocks(np.arange(sum(stream.version_blocks)))[:, 1:].ravel().tolist())
    known = [each for each in (text(1, number) for number in range(SIZES[0])) if each[:60] in trained]
    assert len(known) >= 5
    passages = [each.split()[start : start + 25] for start in (20, 60) for each in known]
    for path in (dumps / "dump-2").rglob("*"):
        if path.is_file():
            path.unlink()
    for number, passage in enumerate(passages):
        (dumps / "dump-2" / f"{number}.txt").write_text(f"{text(2, number)} {' '.join(passage)} {text(3, number)}")


def test_held_out_text_that_was_trained_on_before_is_counted_and_named(dumps: Path, tmp_path: Path) -> None:
    settings = mixed(2, "releases")
    first = open_stream(corpus(dumps), replace(settings, versions=1, steps_per_version="auto"), tmp_path)
    before = contents(tmp_path)
    quoting(dumps, first)
    stream = open_stream(corpus(dumps), settings, tmp_path)
    assert {name: contents(tmp_path)[name] for name in before} == before
    one, two = reports(corpus(dumps), settings, tmp_path)
    assert one[TRAINED_BEFORE] == {"documents": 0, "bytes": 0, "names": []}
    found = two[TRAINED_BEFORE]
    assert found["documents"] == two["held out"] > 0
    assert found["bytes"] > 25 * 6 * found["documents"]
    assert all("dump-2" in name for name in found["names"])
    assert f"{found['documents']} held-out documents (" in told(two)
    assert found["names"][0] in told(two)
    assert stream.report(2) == two
    assert str(dumps) not in json.dumps(public(two))
    assert public(two)[TRAINED_BEFORE] == {name: found[name] for name in ("documents", "bytes")}


def test_samples_of_training_text_are_made_once_and_again_where_they_are_damaged(dumps: Path, tmp_path: Path) -> None:
    open_stream(corpus(dumps), mixed(3, "releases"), tmp_path)
    kept = {path: path.read_bytes() for path in (tmp_path / "versions").glob("*.passages")}
    assert len(kept) == 2  # no later version asked for the third's
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1])
    times = {path: path.stat().st_mtime_ns for path in kept}
    open_stream(corpus(dumps), mixed(4, "releases"), tmp_path)
    assert {path: path.read_bytes() for path in kept} == kept
    assert all(path.stat().st_mtime_ns > times[path] for path in kept)
    times = {path: path.stat().st_mtime_ns for path in kept}
    for folder in (tmp_path / "versions").iterdir():
        if folder.is_dir() and folder.with_suffix(".passages") not in kept:
            (folder / "manifest.json").unlink()
    open_stream(corpus(dumps), mixed(4, "releases"), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept} == times


@pytest.mark.parametrize("words", [20, 25])
def test_a_passage_of_twenty_words_is_always_found(words: int) -> None:
    for number in range(200):
        mine, theirs = (novelty.runs(text(side, number), novelty.OVERLAP_WORDS) for side in (1, 2))
        assert not novelty.among(overlap.sample(theirs), overlap.sample(mine)).any()
        shared = " ".join(text(3, number).split()[:words])
        texts = (f"{text(side, number)} {shared} {text(side + 3, number)}" for side in (1, 2))
        one, two = (overlap.sample(novelty.runs(each, novelty.OVERLAP_WORDS)) for each in texts)
        assert novelty.among(two, one).any()


def test_samples_are_a_part_of_all_runs(tmp_path: Path) -> None:
    hashes = novelty.runs(" ".join(text(1, number) for number in range(50)), novelty.OVERLAP_WORDS)
    sample = overlap.sample(hashes)
    assert np.isin(sample, hashes).all()
    assert 0.15 < len(sample) / len(hashes) < 0.3  # 2 / 9
    assert len(overlap.sample(hashes[:3])) == 1
    assert len(overlap.sample(hashes[:0])) == 0


# Lengths


def test_versions_have_lengths_of_their_own(dumps: Path, tmp_path: Path) -> None:
    settings = mixed(4, "releases", steps_per_version=[3, 5, 1, 8])
    stream = open_stream(corpus(dumps), settings, tmp_path)
    assert stream.version_blocks == (12, 20, 4, 32)
    most = open_stream(corpus(dumps), replace(settings, steps_per_version="auto"), tmp_path)
    assert [used + left for used, left in zip(stream.version_blocks, stream.unused_blocks, strict=True)] == [
        used + left for used, left in zip(most.version_blocks, most.unused_blocks, strict=True)
    ]
    assert all(0 <= left < 4 for left in most.unused_blocks)
    ratio = np.array(most.version_blocks) / most.version_blocks[0]
    assert ratio == pytest.approx(np.array(SIZES) / SIZES[0], rel=0.35)
    with pytest.raises(UserError, match="version 3=1000 needs"):
        open_stream(corpus(dumps), replace(settings, steps_per_version=[3, 5, 1000, 8]), tmp_path)


def test_a_dealt_stream_is_alike_block_by_block(tmp_path: Path) -> None:
    source = write(tmp_path / "pile", {n: dated_document(n) for n in range(30)})
    stream = open_stream(source, mixed(2, "dealt", steps_per_version=20, heldout_blocks=2), tmp_path)
    other = open_stream(source, mixed(2, "dealt", steps_per_version=20, heldout_blocks=2, split_seed=1), tmp_path)
    assert len(np.unique(stream.block_digests, axis=0)) == 160
    assert not np.array_equal(stream.blocks(np.arange(80)), other.blocks(np.arange(80)))
    # Neighbours of one text are dealt apart: no run of blocks overlaps by a token any more often than by chance.
    blocks = stream.blocks(np.arange(160))
    assert np.mean(blocks[1:, 0] == blocks[:-1, -1]) < 0.2
    assert stream.unused_blocks[0] == 0 < stream.unused_blocks[1]
    most = (160 + stream.unused_blocks[1]) // 8
    with pytest.raises(UserError, match=rf"there are {160 + stream.unused_blocks[1]}; {most} steps per version work"):
        open_stream(source, mixed(2, "dealt", steps_per_version=most + 1, heldout_blocks=2), tmp_path)
    open_stream(source, mixed(2, "dealt", steps_per_version=most, heldout_blocks=2), tmp_path)
    with pytest.raises(UserError, match=r"stream\.heldout_blocks=1000 for each"):
        open_stream(source, mixed(2, "dealt", heldout_blocks=1000), tmp_path)


def test_a_dated_stream_is_cut_where_its_steps_are_there(tmp_path: Path) -> None:
    source = write(tmp_path / "pile")
    settings = mixed(3, "dated", steps_per_version=[2, 30, 4], heldout_blocks=1)
    stream = open_stream(source, settings, tmp_path)
    counted = [each["documents"] for each in reports(source, settings, tmp_path)]
    assert counted[0] < counted[1]
    assert sum(counted) < 30
    with pytest.raises(UserError, match="the text ends within version 3"):
        open_stream(source, replace(settings, steps_per_version=[2, 30, 400]), tmp_path)
    with pytest.raises(UserError, match="give their number"):
        open_stream(source, replace(settings, steps_per_version="auto"), tmp_path)
    assert stream.version_blocks == (8, 120, 16)


def test_a_stretch_that_begins_with_reprints_goes_on_to_what_is_new(tmp_path: Path) -> None:
    words = [" ".join(f"w{(7 * n * k) % 997}" for k in range(1, 90)) for n in range(1, 31)]
    reprints = [f"{text} end" for text in words[:2]]
    rows = [{"text": text, "date": f"2020-01-{day:02}"} for day, text in enumerate([*words[:2], *reprints], start=1)]
    rows += [{"text": text, "date": f"2020-02-{day:02}"} for day, text in enumerate(words[2:], start=1)]
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = Local(kind="local", path=str(tmp_path / "news.jsonl"))
    stream = open_stream(source, mixed(2, "dated", steps_per_version=[1, 1], heldout_blocks=1), tmp_path)
    assert stream.version_blocks == (4, 4)


def test_a_file_that_changes_after_it_was_hashed_is_refused(dumps: Path, tmp_path: Path) -> None:
    identity = corpus(dumps).releases()
    (dumps / "dump-1" / "deep" / "0.txt").write_text("another text")
    with pytest.raises(UserError, match=r"0\.txt changed while it was read"):
        list(corpus(dumps).of_releases({1: identity[0]}, tmp_path))


def test_documents_have_the_date_that_their_release_was_identified_by(dumps: Path, tmp_path: Path) -> None:
    """Also where the list is edited before they are read."""
    listed = dumps / "releases.csv"
    listed.write_text("name,folder,date\na,dump-1,2020-01-31\n")
    identity = corpus(dumps).releases()
    listed.write_text("name,folder,date\na,dump-1,2021-01-31\n")
    read = list(corpus(dumps).of_releases({1: identity[0]}, tmp_path))
    assert {document.date for document in read} == {"2020-01-31"}


def test_a_damaged_unit_is_prepared_again_as_it_was(dumps: Path, tmp_path: Path) -> None:
    harmed: Callable[[Path], object] = Path.unlink
    open_stream(corpus(dumps), mixed(3, "releases"), tmp_path)
    before = contents(tmp_path)
    harmful = [name for name in before if name.endswith(("train.tokens", "manifest.json"))]
    assert len(harmful) == 2 * 3
    for name in harmful:
        harmed(tmp_path / name)
        open_stream(corpus(dumps), mixed(3, "releases"), tmp_path)
        assert contents(tmp_path) == before


def _opened(source: ReleaseFolders, versions: int, data: Path) -> str:
    return open_stream(source, mixed(versions, "releases"), data).fingerprint


def test_processes_that_grow_a_stream_at_once_prepare_each_version_once(dumps: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        asked = (2, 3, 3)
        jobs = [pool.submit(_opened, corpus(dumps), versions, tmp_path) for versions in asked]
        found = [job.result() for job in jobs]
    assert found[1] == found[2] != found[0]
    assert len([path for path in (tmp_path / "versions").iterdir() if path.is_dir()]) == 3


def test_reports_name_each_kind_once() -> None:
    report = Report()
    for name in ("a", "b"):
        report.note("odd", name)
    assert report.line() == "0 files, 0 documents; 2 odd (a)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[3,4]", "has 2 numbers, and stream.versions=4; one for each"),
        ("[3,4,0,5]", "stream.steps_per_version=0 must lie between 1 and"),
        ("most", "'most' must be a whole number, several of them"),
        ("2.5", r"2\.5 must be a whole number"),
        ("[1,5,5,5]", "warmup_steps=5 is longer than version 1, which has stream.steps_per_version=1 steps"),
    ],
)
def test_lengths_that_cannot_be_are_refused(given: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose(["scale=smoke", f"stream.steps_per_version={given}"])


def test_lengths_have_a_place_in_names() -> None:
    for given, label, name in (("[20,40,10,60]", "20 40 10 60", "T20-40-10-60"), ("[50,50,50,50]", "50", "T50")):
        (settings,) = compose(["scale=smoke", f"stream.steps_per_version={given}"])
        assert settings.stream.steps_label == label
        assert name == f"T{label.replace(' ', '-')}"
        assert from_dict(json.loads(json.dumps(asdict(settings)))) == settings

"""Corpora: what each loader promises, and what it refuses."""

import gzip
import hashlib
import importlib.util
import itertools
import json
import math
import zipfile
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from test_packages import build_deb, needs_debian

from repro.common.errors import UserError
from repro.config.registries import CORPORA
from repro.data.corpora import botocore, rfc
from repro.data.corpora import hf as hf_corpus
from repro.data.corpora.botocore import strip_html
from repro.data.corpora.corpus import Corpus, Document, equal_shares
from repro.data.corpora.rfc import rfc_prose
from repro.data.packages import Package


def local(path: Path, **settings: object) -> Corpus:
    return CORPORA["local"](kind="local", path=str(path), **settings)  # type: ignore[arg-type]


# State of the Union


def test_sotu_holds_every_address_with_its_date(tmp_path: Path) -> None:
    documents = list(CORPORA["sotu"](kind="sotu").documents(tmp_path))
    assert len(documents) == 249
    assert documents[0].text.startswith("Fellow-Citizens of the Senate and House of Representatives:")
    assert (documents[0].date, documents[-1].date) == ("1790-01-08", "2026-02-24")
    assert sum(len(document.text.encode()) for document in documents) == 12_185_751


# botocore


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Four tiny releases in place of the pinned ones, in the cache `tmp_path`. Returns the strings each has added."""
    strings = [{f"s{n}": sentence(n, 20 * part) for n in range(3 * part, 3 * part + 3)} for part in range(4)]
    pinned: dict[str, Package] = {}
    for part, date in enumerate(botocore.BOTOCORE):
        known = {key: value for earlier in strings[: part + 1] for key, value in earlier.items()}
        service = {
            "documentation": "<p>too short</p>",
            "shapes": {key: {"documentation": f"<p>{value}</p>"} for key, value in known.items()},
            "members": {"documentation": {"shape": "a member of this name"}, "list": [{"documentation": known["s0"]}]},
        }
        content = json.dumps(service).encode()
        path = tmp_path / f"botocore-{part}.0.whl"
        with zipfile.ZipFile(path, "w") as archive:
            # Later releases compress their files.
            name = "botocore/data/things/2020-01-01/service-2.json"
            archive.writestr(*((name, content) if part < 2 else (f"{name}.gz", gzip.compress(content))))
            archive.writestr("botocore/data/things/2020-01-01/paginators-1.json", b"{")
        pinned[date] = Package("botocore", f"{part}.0", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(botocore, "BOTOCORE", pinned)
    return strings


def sentence(number: int, start: int) -> str:
    return " ".join(f"word{number}x{i}" for i in range(start, start + 20))


def test_botocore_holds_what_each_release_added(releases: list[dict[str, str]], tmp_path: Path) -> None:
    documents = list(CORPORA["botocore"](kind="botocore").documents(tmp_path))
    assert [document.part for document in documents] == [1, 2, 3, 4]
    assert [document.date for document in documents] == list(botocore.BOTOCORE)
    for document, added in zip(documents, releases, strict=True):
        assert document.text.split("\n\n") == list(added.values())


def test_botocore_drops_near_duplicates_of_earlier_strings() -> None:
    novelty = botocore.Novelty()
    words = sentence(0, 0).split()
    base, copy = " ".join(words), " ".join([*words[:-1], "changed"])
    half = " ".join(words[:14] + [f"new{i}" for i in range(9)])
    assert list(novelty.choose([f"<p>{base}</p>", copy, half, "short", "<p>" + "&nbsp;" * 200])) == [base, half]
    assert list(novelty.choose([half])) == []


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One <b>bold</b> word.</p><p>Two.</p>", "One bold word.\nTwo."),
        ("<ul> <li>a</li> <li> <p>b</p> </li> </ul>", "a\nb"),
        ('See <a href="x>y">the   guide</a> &amp; more', 'See y">the guide & more'),
        ("a < b and c &lt;d&gt; <code>e</code>", "a < b and c <d> e"),
        ("x<!-- a <b> note -->y<br/>z", "xy\nz"),
        ("", ""),
    ],
)
def test_html_is_stripped_to_a_line_a_block(markup: str, text: str) -> None:
    assert strip_html(markup) == text


def test_mixed_holds_a_quarter_of_sotu_with_each_release(releases: list[dict[str, str]], tmp_path: Path) -> None:
    documents = list(CORPORA["mixed"](kind="mixed").documents(tmp_path))
    for part in (1, 2, 3, 4):
        members = [document for document in documents if document.part == part]
        speeches = [document for document in members if document.name.startswith("sotu/")]
        assert sum(len(document.text.encode()) for document in speeches) == pytest.approx(12_185_751 / 4, rel=0.05)
        assert [d.text.split("\n\n") for d in members if d not in speeches] == [list(releases[part - 1].values())]
    last = [max(d.date or "" for d in documents if d.part == p and d.name.startswith("sotu/"))[:4] for p in (1, 2, 3)]
    assert last == ["1859", "1902", "1960"]


# RFCs

RFC = """\



Network Working Group                                         A. Nobody
Request for Comments: 9                                   January 1990

                            A Title

1.  Introduction

   The first paragraph runs over the end of the page, which cuts
   it in two and puts a footer



Nobody                       Standards Track                    [Page 1]
\f
RFC 9                          A Title                      January 1990


   and a header into the sentence.

   +--------+-------+
   | 0 1 2  | 3 4 5 |
   +--------+-------+

   The second paragraph ends with its page.

Nobody                       Standards Track                    [Page 2]
\f
RFC 9                          A Title                      January 1990

   The third one follows.
"""


def test_an_rfc_is_reduced_to_its_prose() -> None:
    paragraphs = rfc_prose(RFC).split("\n\n")
    assert paragraphs[-3:] == [
        "The first paragraph runs over the end of the page, which cuts it in two and puts a footer and a header into "
        "the sentence.",
        "The second paragraph ends with its page.",
        "The third one follows.",
    ]
    assert not any("[Page" in paragraph or "+--" in paragraph for paragraph in paragraphs)


@needs_debian
def test_rfcs_are_read_from_debian_packages_with_their_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "usr/share/doc/RFC/standard"
    files = {f"{folder}/rfc10.txt": RFC.encode(), f"{folder}/rfc9.txt.gz": gzip.compress(RFC.encode())}
    for number, date in ((9, "January 1990"), (10, "1 April 2003"), (11, "May 2004")):
        files[f"{folder}/rfc{number}.json"] = json.dumps({"pub_date": date}).encode()
    deb = build_deb(tmp_path, files).rename(tmp_path / "tiny-1.0.deb")
    monkeypatch.setattr(rfc, "RFC", (Package("tiny", "1.0", hashlib.sha256(deb.read_bytes()).hexdigest(), "deb"),))
    documents = list(CORPORA["rfc"](kind="rfc").documents(tmp_path))
    # 11 was published as something else than text.
    assert documents == [Document(rfc_prose(RFC), "rfc9", "1990-01"), Document(rfc_prose(RFC), "rfc10", "2003-04")]


# A user's own text


def test_a_folder_of_text_files_holds_a_document_a_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("\ufeffzwei — 你好", encoding="utf-8")
    (tmp_path / "deep" / "a.MD").write_text("# one", encoding="utf-8")
    (tmp_path / "c.pdf").write_bytes(b"\xff\xfe")
    documents = list(local(tmp_path).documents(tmp_path))
    assert {document.text for document in documents} == {"zwei — 你好", "# one"}
    assert {document.date for document in documents} == {None}


def test_jsonl_holds_a_document_a_line(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "date": "2021"},
        {"text": "b", "date": "2021-02-03T04:05:06Z"},
        {"text": "c"},
        {"text": "d", "date": None},
    ]
    lines = "\n\n".join(map(json.dumps, rows)) + "\n"
    (tmp_path / "x.jsonl").write_text(lines, encoding="utf-8")
    expected = [("a", "2021"), ("b", "2021-02-03T04:05:06Z"), ("c", None), ("d", None)]
    for path in (tmp_path, tmp_path / "x.jsonl"):
        documents = list(local(path).documents(tmp_path))
        assert [(document.text, document.date) for document in documents] == expected
    assert documents[1].name == f"{tmp_path / 'x.jsonl'}, line 3"


def test_the_columns_of_jsonl_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"body": "a", "day": "2021-01-01"}')
    (document,) = local(tmp_path, text_column="body", date_column="day").documents(tmp_path)
    assert (document.text, document.date) == ("a", "2021-01-01")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2 is no JSON"),
        (b"9" * 5000, "line 2 is no JSON"),
        (b"[" * 10**6, "line 2 is no JSON"),
        (b"[1]", "line 2 holds no JSON object"),
        (b'{"text": 3}', "line 2: text must be a string, not int"),
        (b'{"text": null}', "line 2: text must be a string, not NoneType"),
        (b'{"title": "x", "id": 3}', r"line 2 has no corpus\.text_column=text; it has title, id"),
        (b'{"text": "\xff"}', "line 2 is not UTF-8"),
        (b'{"text": "\\ud800"}', "line 2: text is no valid Unicode"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "fine"}\n' + line + b"\n")
    with pytest.raises(UserError, match=rf"x\.jsonl, {message}"):
        list(local(tmp_path).documents(tmp_path))


def test_a_text_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.txt is not UTF-8"):
        list(local(tmp_path).documents(tmp_path))


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (CORPORA["local"](kind="local", path="/no/such/folder"), "does not exist"),
        (CORPORA["local"](kind="local"), r"needs corpus\.path"),
        (CORPORA["hf"](kind="hf"), r"needs corpus\.dataset"),
    ],
)
def test_a_corpus_that_is_not_there_is_refused_at_once(corpus: Corpus, message: str) -> None:
    with pytest.raises(UserError, match=message):
        corpus.identity()


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds no file .*\.txt \.md .*There: 1 \.png left out"):
        local(tmp_path).identity()


def test_a_local_corpus_is_identified_by_its_content(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text("same")
    same = local(tmp_path / "one").identity()
    assert local(tmp_path / "two").identity() == same
    (tmp_path / "one" / "more.txt").write_text("more")
    assert local(tmp_path / "one").identity() != same
    (tmp_path / "two" / "two.txt").rename(tmp_path / "two" / "two.jsonl")
    assert local(tmp_path / "two").identity() != same


def test_the_working_directory_has_a_name_in_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local(Path()).name == f"local {tmp_path.name}"


# Hugging Face data sets (from local files: no hub is asked)


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    frame = pd.DataFrame({"body": ["a", "b", "c"], "day": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])})
    frame.to_parquet(folder / "part.parquet")
    return folder


def hf(dataset: object, **settings: object) -> Corpus:
    return CORPORA["hf"](kind="hf", dataset=str(dataset), **settings)  # type: ignore[arg-type]


def test_a_data_set_is_streamed_with_the_columns_chosen(parquet: Path, tmp_path: Path) -> None:
    documents = list(hf(parquet, text_column="body", date_column="day", max_documents=2).documents(tmp_path))
    assert [(d.text, d.date) for d in documents] == [("a", "2020-01-01T00:00:00"), ("b", "2021-01-01T00:00:00")]


def test_names_that_decide_on_splits_are_part_of_what_identifies_a_folder(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": name}))
    before = hf(tmp_path).identity()
    (tmp_path / "train.jsonl").rename(tmp_path / "kept")
    (tmp_path / "test.jsonl").rename(tmp_path / "train.jsonl")
    (tmp_path / "kept").rename(tmp_path / "test.jsonl")
    assert hf(tmp_path).identity() != before


def test_a_builder_is_one_whatever_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "x.jsonl").write_text('{"text": "a"}\n')
    monkeypatch.chdir(tmp_path)
    corpus = hf("json", path="json/x.jsonl")
    assert [document.text for document in corpus.documents(tmp_path)] == ["a"]
    assert corpus.identity()["hf"] == "json"


def test_a_builder_reads_the_files_of_corpus_path(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    corpus = hf("json", path=str(tmp_path / "x.jsonl"))
    assert [document.text for document in corpus.documents(tmp_path)] == ["a", "b"]
    before = corpus.identity()
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": "c"}\n')
    assert corpus.identity() != before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"no corpus\.text_column=text; it has body, day"),
        ({"text_column": "body", "date_column": "when"}, r"no corpus\.date_column=when; it has body, day"),
        ({"text_column": "day"}, "day must be a string, not datetime"),
        ({"text_column": "body", "split": "test"}, r"Available splits: \['train'\]"),
    ],
)
def test_a_data_set_without_what_was_asked_for_is_refused(
    parquet: Path, tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        list(hf(parquet, **settings).documents(tmp_path))


def test_files_of_a_data_set_that_is_a_folder_are_looked_for_in_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for place, said in (("mine/train.jsonl", "inside"), ("train.jsonl", "outside"), ("other.jsonl", "outside")):
        (tmp_path / place).write_text(json.dumps({"text": said}) + "\n")
    corpus = hf("mine", path="train.jsonl")
    before = corpus.identity()
    assert [document.text for document in corpus.documents(tmp_path)] == ["inside"]
    (tmp_path / "train.jsonl").write_text('{"text": "changed"}\n')
    assert corpus.identity() == before
    (tmp_path / "mine/train.jsonl").write_text('{"text": "changed"}\n')
    assert corpus.identity() != before
    with pytest.raises(UserError, match=r"other\.jsonl names no file"):
        hf("mine", path="other.jsonl").identity()


def test_a_data_set_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus\.dataset=.*nothing cannot be read"):
        list(hf(tmp_path / "nothing").documents(tmp_path))


def test_what_is_read_of_a_data_set_is_part_of_its_key(parquet: Path, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "two.jsonl").write_text('{"text": "b"}\n')
    globbed = hf("json", path=str(tmp_path / "*.jsonl")).identity()
    one, two = (hf("json", path=str(tmp_path / f"{name}.jsonl")).identity()["files"] for name in ("one", "two"))
    assert globbed["files"] == sorted([*one, *two])  # type: ignore[misc]
    urls = [hf("json", path=f"https://host/{name}.jsonl").identity() for name in "ab"]
    assert urls[0] != urls[1]
    within = [hf("some/set", path=f"data/{name}/*").identity() for name in "ab"]
    assert within[0] != within[1]
    assert hf(parquet, path="*.parquet").identity()["files"] == hf(parquet).identity()["files"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "json"}, r"corpus\.dataset=json reads files, and corpus\.path names none"),
        ({"dataset": "eval"}, r"corpus\.dataset=eval reads files, and corpus\.path names none"),
        ({"dataset": "json", "path": "/no/such/*.jsonl"}, "names no file that there is, nor does it match one"),
        ({"dataset": "json", "path": "file:///a/b.jsonl"}, r"give its plain path: /a/b\.jsonl\."),
        ({"dataset": "a/b", "path": "zip://b.jsonl::a/b.zip"}, r"give its plain path: /.*/a/b\.zip\."),
    ],
)
def test_a_builder_without_files_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        hf(**settings).identity()


def test_every_builder_of_datasets_is_known_for_one() -> None:
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

    assert set(_PACKAGED_DATASETS_MODULES) <= set(hf_corpus.BUILDERS)


def test_files_of_a_data_set_at_a_hub_are_not_those_of_the_same_name_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = hf("some/set", path="data/*.jsonl").identity()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.jsonl").write_text('{"text": "a"}\n')
    assert hf("some/set", path="data/x.jsonl").place == "some/set data/x.jsonl"
    assert hf("some/set", path="data/*.jsonl").identity() == before != hf("some/set", path="data/x.jsonl").identity()
    at_root = hf("some/set", path=str(tmp_path / "data" / "*.jsonl")).identity()
    assert at_root["files"]
    assert "path" not in at_root


def test_a_damaged_file_of_a_data_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(UserError, match=r"corpus\.path=.*x\.jsonl\.gz cannot be read"):
        list(hf("json", path=str(tmp_path / "x.jsonl.gz")).documents(tmp_path))
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match=r"empty\.jsonl (holds no document|cannot be read)"):
        list(hf("json", path=str(tmp_path / "empty.jsonl")).documents(tmp_path))


def test_what_keeps_a_data_set_from_being_read_comes_with_what_works(tmp_path: Path) -> None:
    (tmp_path / "set[1]").mkdir()
    lines = '{"text": "a"}\n{"text": "b"}\n'
    (tmp_path / "set[1]" / "x.jsonl").write_text(lines)
    with pytest.raises(UserError, match="characters that stand for patterns there; corpus=local reads such names"):
        list(hf("json", path=str(tmp_path / "set[1]" / "x.jsonl")).documents(tmp_path))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "x.jsonl").write_text(lines)
    with pytest.raises(UserError, match=r"It is a folder; corpus\.path=.*/plain/\* reads its files"):
        list(hf("json", path=str(tmp_path / "plain")).documents(tmp_path))
    assert len(list(hf("json", path=f"{tmp_path}/plain/*").documents(tmp_path))) == 2
    if importlib.util.find_spec("zstandard") is None:
        (tmp_path / "x.jsonl.zst").write_bytes(b"\x28\xb5\x2f\xfd")
        with pytest.raises(UserError, match=r"corpus=local reads \.zst; corpus=hf does so where .* zstandard"):
            list(hf("json", path=str(tmp_path / "x.jsonl.zst")).documents(tmp_path))


# Shares


def test_equal_shares_are_consecutive_and_about_equal() -> None:
    shares = equal_shares("abcdefgh", [1, 1, 1, 1, 4, 4, 2, 2], 4)
    assert shares == [list("abcd"), ["e"], ["f"], list("gh")]
    assert equal_shares("abc", [1, 1, 1], 1) == [list("abc")]


@pytest.mark.slow
@pytest.mark.network
def test_the_real_botocore_releases_add_what_was_measured(tmp_path: Path) -> None:
    sizes = dict.fromkeys((1, 2, 3, 4), 0)
    for document in CORPORA["botocore"](kind="botocore").documents(tmp_path):
        assert document.part is not None
        sizes[document.part] += len(document.text)
    assert {part: round(size / 1e6, 1) for part, size in sizes.items()} == {1: 7.4, 2: 3.0, 3: 3.3, 4: 5.3}


def synthetic(**settings: object) -> list[str]:
    corpus = CORPORA["synthetic"](kind="synthetic", **settings)  # type: ignore[arg-type]
    return [document.text for document in corpus.documents(Path("/nowhere"))]


def test_synthetic_text_is_the_same_again_and_a_longer_one_begins_as_it_does() -> None:
    short, again, long, other = (
        synthetic(megabytes=1), synthetic(megabytes=1), synthetic(megabytes=4), synthetic(megabytes=1, text_seed=1)
    )  # fmt: skip
    assert short == again
    assert long[: len(short)] == short
    assert len(short) < len(long) == len(set(long))
    assert not set(short) & set(other)
    assert 10**6 <= sum(map(len, short)) < 4 * 10**6 <= sum(map(len, long))
    # Recorded: another bit of numpy's generator would be another text.
    assert hashlib.sha256(" ".join(short).encode()).hexdigest()[:16] == "9b36c77a211583a2"


def test_synthetic_text_can_be_learned_and_not_all_of_it() -> None:
    """A word tells much of the next one, and not everything: bits a word, alone and given the one before."""
    words = " ".join(synthetic(megabytes=4)).lower().replace(".", "").split()
    alone, pairs = Counter(words), Counter(itertools.pairwise(words))
    entropy = -sum(n / len(words) * math.log2(n / len(words)) for n in alone.values())
    given = -sum(n / len(words) * math.log2(n / alone[before]) for (before, _), n in pairs.items())
    assert 7 < entropy < 12
    assert 2 < given < entropy - 2


def test_synthetic_text_is_identified_by_what_decides_it() -> None:
    corpora = [CORPORA["synthetic"](kind="synthetic", megabytes=m, text_seed=s) for m, s in ((1, 0), (2, 0), (1, 1))]
    assert len({str(corpus.identity()) for corpus in corpora}) == 3

"""Readers of a user's own files: every oddity is read, or named."""

import bz2
import codecs
import gzip
import json
import lzma
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from repro.common.errors import UserError
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document
from repro.data.corpora.reading.files import Report, find, identity
from repro.data.corpora.reading.records import date_text
from repro.data.dates import instant

TEXT = "Grüße — 你好\nsecond line"


def local(path: Path, **settings: object) -> Corpus:
    return CORPORA["local"](kind="local", path=str(path), **settings)  # type: ignore[arg-type]


def read(path: Path, **settings: object) -> list[Document]:
    return list(local(path, **settings).documents(path))


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".json", ".csv", ""])
def test_compressed_files_of_every_kind_are_read(tmp_path: Path, packed: str, ending: str) -> None:
    content = {
        ".txt": TEXT,
        ".jsonl": json.dumps({"text": TEXT}),
        ".json": json.dumps([{"text": TEXT}]),
        ".csv": pd.DataFrame({"text": [TEXT]}).to_csv(index=False),
        "": json.dumps({"text": TEXT}) + "\n",
    }[ending]
    path = tmp_path / f"name{ending}{packed}"
    path.write_bytes(PACKERS[packed](content.encode()))
    assert [document.text for document in read(path)] == [TEXT]


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("harm", [lambda data: data[:-9], lambda data: b"no such format" + data])
def test_a_damaged_compressed_file_is_named(tmp_path: Path, packed: str, harm: object) -> None:
    path = tmp_path / f"x.txt{packed}"
    path.write_bytes(harm(PACKERS[packed](os.urandom(2000).hex().encode())))  # type: ignore[operator]
    with pytest.raises(UserError, match=rf"x\.txt\{packed} is damaged, or no \{packed} file"):
        read(tmp_path)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"x\.parquet is damaged, or no Parquet file"):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".csv"])
def test_byte_order_marks_say_the_encoding(tmp_path: Path, encoding: str, ending: str) -> None:
    rows = {".txt": TEXT, ".jsonl": json.dumps({"text": TEXT}), ".csv": f'text,n\n"{TEXT}",1\n'}
    (tmp_path / f"x{ending}").write_bytes(rows[ending].encode(encoding))
    assert [document.text for document in read(tmp_path)] == [TEXT]
    assert (tmp_path / f"x{ending}").read_bytes()[:2] in (codecs.BOM_UTF8[:2], codecs.BOM_UTF16)


def test_any_column_holds_the_text_and_fields_of_fields(tmp_path: Path) -> None:
    row = {"doc": {"body": {"en": TEXT}}, "plain.dotted": "dotted", "when": {"at": 1_700_000_000}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    nested = read(tmp_path, text_column="doc.body.en", date_column="when.at")
    assert [(document.text, document.date) for document in nested] == [(TEXT, "2023-11-14T22:13:20+00:00")]
    assert [document.text for document in read(tmp_path, text_column="plain.dotted")] == ["dotted"]
    pd.DataFrame({"doc": [{"body": {"en": TEXT}}], "other": [1]}).to_parquet(tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet", text_column="doc.body.en")[0].text == TEXT
    with pytest.raises(UserError, match=r"no corpus\.text_column=nope; it has doc, other"):
        read(tmp_path / "b.parquet", text_column="nope")


def test_a_pattern_chooses_files_and_the_others_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "src[1]").mkdir()
    (tmp_path / "src[1]" / "a.py").write_text("print()\n")
    (tmp_path / "wiki_00").write_text(json.dumps({"text": "an extractor's"}) + "\n")
    (tmp_path / "wiki_01").write_text("<doc>\nplain\n</doc>\n")
    (tmp_path / "b.c").write_text("int x;")
    found = read(tmp_path, pattern="*.py, wiki_*")
    assert sorted(document.text for document in found) == ["<doc>\nplain\n</doc>\n", "an extractor's", "print()\n"]
    assert "3 files, 3 documents; 1 .c left out" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"There: 1 \.c left out; 1 \.py left out; 2 files without an ending"):
        read(tmp_path)


def test_folders_are_walked_with_links_and_without_what_is_no_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    for folder in (outside, root / ".git", root / "node_modules", root / "results" / "data", root / "store" / "leases"):
        folder.mkdir(parents=True)
        (folder / "x.txt").write_text(folder.name)
    (root / "store" / "checkpoints").mkdir()
    for name in ("runs.csv", "SHA256SUMS"):
        (root / "results" / "data" / name).write_text("")
    for folder, names in {"report": ("report.html", "manifest.json"), "v1": ("checkpoint.json", "config.json")}.items():
        for name in (*names, "README.md"):
            (root / folder).mkdir(exist_ok=True)
            (root / folder / name).write_text("{}")
    (root / "data").mkdir()
    (root / "data" / "CACHEDIR.TAG").write_text("")
    (root / "data" / "y.txt").write_text("cached")
    (root / "._y.txt").write_bytes(b"\xff")
    (root / "linked").symlink_to(outside)
    (outside / "loop").symlink_to(root)
    (outside / "itself").symlink_to("itself")
    (root / "broken.txt").symlink_to(tmp_path / "gone")
    (root / "z.txt").write_text("z")
    assert {document.text for document in read(root)} == {"outside", "z"}
    told = capsys.readouterr().err
    assert "2 broken links left out" in told
    assert "5 folders of this suite's own left out" in told
    assert "3 hidden or foreign names left out" in told
    assert "1 folders met twice through links" in told


def test_a_pattern_is_advised_where_names_are_what_was_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "CACHEDIR.TAG").write_text("")
    with pytest.raises(UserError, match=r"There: 1 folders of this suite's own left out\.$"):
        read(tmp_path)
    (tmp_path / "Makefile").write_text("all:")
    with pytest.raises(UserError, match=r"corpus\.pattern='\*' reads whatever there is\.$"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(UserError, match="closed cannot be read: Permission denied"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"^corpus\.path: .*closed cannot be read: Permission denied\.$"):
        CORPORA["releases"](kind="releases", path=str(tmp_path / "closed")).releases()


def test_max_documents_holds_for_files(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps({"text": str(n)}) for n in range(9)))
    assert len(read(tmp_path, max_documents=4)) == 4
    assert local(tmp_path, max_documents=4).identity() != local(tmp_path).identity()


@pytest.mark.parametrize(("limit", "alike"), [(3, False), (None, True)])
def test_which_documents_are_the_first_is_part_of_what_identifies_them(
    tmp_path: Path, limit: int | None, alike: bool
) -> None:
    folders = {"one": ("a", "b"), "other": ("b", "a")}
    for folder, names in folders.items():
        (tmp_path / folder).mkdir()
        for name, words in zip(names, ("x", "y"), strict=True):
            lines = (json.dumps({"text": f"{words} {n}"}) for n in range(3))
            (tmp_path / folder / f"{name}.jsonl").write_text("\n".join(lines))
    one, other = (local(tmp_path / folder, max_documents=limit) for folder in folders)
    assert (one.identity() == other.identity()) is alike
    assert list(one.verified(one.identity(), tmp_path))  # found to be what it was identified as


def test_a_column_of_parquet_whose_name_has_a_dot_holds_the_text(tmp_path: Path) -> None:
    pd.DataFrame({"meta.text": ["a", "b"], "id": [1, 2]}).to_parquet(tmp_path / "x.parquet")
    assert [each.text for each in read(tmp_path, text_column="meta.text")] == ["a", "b"]


def test_values_of_parquet_that_nothing_can_be_made_of_are_named_or_are_no_dates(tmp_path: Path) -> None:
    late = pa.array([2**40], pa.timestamp("s"))  # in a year of five digits
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"text": ["a"], "date": late}), path)
    assert [(each.text, each.date) for each in read(tmp_path)] == [("a", None)]
    with pytest.raises(UserError, match=r"x\.parquet: a value of date cannot be read"):
        read(tmp_path, date_column="date")
    wrong = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    parquet.write_table(pa.table({"text": wrong}), path)
    with pytest.raises(UserError, match=r"x\.parquet: a value of text cannot be read"):
        read(tmp_path)


def test_seconds_since_1970_are_dates_in_tables_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,date\na,1714521600\nb,1714521600000\nc,20240501\n")
    days = {instant(each.date).date().isoformat() for each in read(tmp_path) if each.date}
    assert days == {"2024-05-01"}
    assert (date_text(2021.0), date_text(float("nan"))) == ("2021", None)
    assert date_text(10**400) == str(10**400)


def test_of_two_columns_of_one_name_none_is_taken_for_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,text\na,b\n")
    with pytest.raises(UserError, match=r"x\.csv has several columns text"):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_of_json_without_an_ending_are_never_read_as_text(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "lines").write_text('{"id": 1, "text": "eins"}\n{"id": 2, "text": "zwei"}\n', encoding=encoding)
    assert [each.text for each in read(tmp_path, pattern="*")] == ["eins", "zwei"]
    (tmp_path / "lines").write_text('{"id": 1, "text": null}\n{"id": 2, "text": "zwei"}\n', encoding=encoding)
    with pytest.raises(UserError, match="text must be a string"):
        read(tmp_path, pattern="*")


def test_huge_and_empty_documents_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.data.corpora.reading import records

    monkeypatch.setattr(records, "HUGE", 10)
    (tmp_path / "a.csv").write_text("text,date\n" + "x" * 200_000 + ",\n,2020\n")
    report = Report()
    documents = list(records.Reader(report).documents(tmp_path / "a.csv"))
    assert [(len(document.text), document.date) for document in documents] == [(200_000, None), (0, "2020")]
    assert report.line() == (
        f"1 files, 2 documents; 1 documents of more than 10 characters ({tmp_path}/a.csv, line 2); "
        f"1 empty documents left out ({tmp_path}/a.csv, line 3)"
    )


def test_what_is_identified_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n')
    before = local(tmp_path).identity()
    assert [document.text for document in local(tmp_path).verified(before, tmp_path)] == ["a"]
    path.write_text('{"text": "b"}\n')
    with pytest.raises(UserError, match=r"x\.jsonl changed while it was read"):
        list(local(tmp_path).verified(before, tmp_path))
    pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(UserError, match=r"changed while it was read"):
        list(local(tmp_path / "y.parquet").verified(before, tmp_path))


@pytest.mark.parametrize("change", ["the rest", "a file less", "a file more"])
def test_what_was_identified_is_all_there_though_not_all_is_read(tmp_path: Path, change: str) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": f"{name}{n}"}) + "\n" for n in range(6)))
    source = local(tmp_path, max_documents=4)
    before = source.identity()
    assert [document.text for document in source.verified(before, tmp_path)] == ["a0", "a1", "a2", "a3"]
    if change == "the rest":
        (tmp_path / "b.jsonl").write_text('{"text": "another"}\n')
    elif change == "a file less":
        (tmp_path / "b.jsonl").unlink()
    else:
        (tmp_path / "c.jsonl").write_text('{"text": "c"}\n')
    with pytest.raises(UserError, match="files changed while they were read"):
        list(source.verified(before, tmp_path))


def test_long_lines_of_json_are_known_without_an_ending(tmp_path: Path) -> None:
    (tmp_path / "wiki_00").write_text("".join(json.dumps({"id": n, "text": "x" * 10**5}) + "\n" for n in range(2)))
    (tmp_path / "wiki_01").write_text(json.dumps({"text": "y" * 20_000}))
    assert [len(document.text) for document in read(tmp_path, pattern="*")] == [10**5, 10**5, 20_000]


def test_a_table_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("text\ncafé\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"x\.csv, after line \d, is not UTF-8"):
        read(tmp_path)
    (tmp_path / "x.csv").write_bytes(b'text\n"open')
    with pytest.raises(UserError, match=r"x\.csv, line 1: unexpected end"):
        read(tmp_path)


def test_a_row_with_more_cells_than_the_head_is_refused(tmp_path: Path) -> None:
    """What stood after a text's first comma had been lost, without a word."""
    (tmp_path / "x.csv").write_text("date,text\n2024-01-01,one\n2024-01-02,two, and more\n")
    with pytest.raises(UserError, match=r"x\.csv, line 3 has more cells .* stands in double quotes"):
        read(tmp_path)
    (tmp_path / "x.csv").write_text('date,text\n2024-01-01,one,,\n2024-01-02,"two, and more"\n')
    assert [document.text for document in read(tmp_path)] == ["one", "two, and more"]


def test_lines_of_json_in_utf16_that_are_cut_off_are_named(tmp_path: Path) -> None:
    """As PowerShell's `>` writes them."""
    whole = "".join(json.dumps({"text": f"number {n}"}) + "\n" for n in range(3)).encode("utf-16")
    (tmp_path / "x.jsonl").write_bytes(whole)
    assert len(read(tmp_path)) == 3
    (tmp_path / "x.jsonl").write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"x\.jsonl, after line \d, is not UTF-16"):
        read(tmp_path)


# Dates


def test_front_matter_and_file_names_hold_dates(tmp_path: Path) -> None:
    (tmp_path / "2012-01-05-name.md").write_text("# title")
    (tmp_path / "note.md").write_text('---\ntitle: x\ndate: "2013-02-06"\n---\ntext')
    (tmp_path / "plain.md").write_text("date: 2014-01-01")
    dates = {Path(document.name).name: document.date for document in read(tmp_path)}
    assert dates == {"2012-01-05-name.md": "2012-01-05", "note.md": "2013-02-06", "plain.md": None}
    # The name says something here, so that it is part of what identifies the file.
    before = identity(find(tmp_path, None, Report()))
    (tmp_path / "2012-01-05-name.md").rename(tmp_path / "2012-01-06-name.md")
    assert identity(find(tmp_path, None, Report())) != before


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024", "2024-01-01T00:00:00"),
        ("2024-05", "2024-05-01T00:00:00"),
        ("2024-05-31", "2024-05-31T00:00:00"),
        ("20240531", "2024-05-31T00:00:00"),
        ("2024-05-31T01:00:00+02:00", "2024-05-30T23:00:00"),
        ("2024-05-31 01:00:00+0200", "2024-05-30T23:00:00"),
        ("2024-05-31 01:00:00 +0200", "2024-05-30T23:00:00"),
        ("2024-05-31T01:00:00.5Z", "2024-05-31T01:00:00.500000"),
        ("2024-05-31 01:00:00 UTC", "2024-05-31T01:00:00"),
        ("2024/05/31", "2024-05-31T00:00:00"),
        ("31 May 2024", "2024-05-31T00:00:00"),
        ("May 31, 2024", "2024-05-31T00:00:00"),
        ("Fri, 31 May 2024 01:00:00 +0200", "2024-05-30T23:00:00"),
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-05-31+02:00", "2024-05-30T22:00:00"),
        ("2024-05-31Z", "2024-05-31T00:00:00"),
    ],
)
def test_dates_are_instants_in_utc(written: str, utc: str) -> None:
    assert instant(written).isoformat() == f"{utc}+00:00"


@pytest.mark.parametrize(
    "written",
    [
        *("2023-02-29", "2024-02-31", "2024-31-05", "2017-18", "yesterday", "03/04/2021", "", "2024-13-01"),
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+01:00"),  # of years that UTC does not have
        "Mon, 01 Jan 2020 00:00:00 +999999999999999999",
    ],
)
def test_dates_that_cannot_be_are_refused(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever the message, it names the date where it is used)
        instant(written)

"""Releases of text in mixed formats, as they come."""

import gzip
import json
import random
from pathlib import Path

import pandas as pd


def text(release: int, number: int) -> str:
    words = random.Random(f"{release} {number}")
    return " ".join("".join(words.choices("abcdefghijklmnop", k=5)) for _ in range(120))


def dump(root: Path, release: int, count: int) -> Path:
    """A release in mixed formats, as they come."""
    folder = root / f"dump-{release}"
    (folder / "deep").mkdir(parents=True)
    texts = [text(release, number) for number in range(count)]
    third = count // 3
    for number, each in enumerate(texts[:third]):
        (folder / "deep" / f"{number}.txt").write_bytes(each.replace(" ", "\r\n", 1).encode("utf-8-sig"))
    rows = [json.dumps({"text": each, "meta": {"n": n}}) for n, each in enumerate(texts[third : 2 * third])]
    with gzip.open(folder / "rows.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join([*rows, json.dumps({"text": "  "})]))
    pd.DataFrame({"text": texts[2 * third :]}).to_parquet(folder / "rest.parquet")
    (folder / "logo.png").write_bytes(b"\x89PNG")
    return folder

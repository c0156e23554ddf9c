"""Gives lm-eval the prepared items. Needs this folder and lm-eval, nothing else of the project."""

import hashlib
import json
from pathlib import Path
from typing import Any

import datasets

FOLDER = Path(__file__).resolve().parent
SPLITS = ("train", "test")


def load(items: str, data_path: str = "data", **_: Any) -> datasets.DatasetDict:
    """The splits of one task.

    Args:
        items: name of the files, from the task file.
        data_path: where `python -m repro.tasks` wrote; from the command, `--metadata data_path=...`.
    """
    prepared = Path(data_path) / "tasks" / FOLDER.name
    expected = json.loads((FOLDER / "checksums.json").read_text())
    splits = {}
    for split in SPLITS:
        path = prepared / f"{items}.{split}.jsonl"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != expected[path.name]:
            raise FileNotFoundError(
                f"{path} is missing or not as it should be. Prepare it in the project's folder: "
                f"python -m repro.tasks data.path={data_path}"
            )
        splits[split] = datasets.Dataset.from_list([json.loads(line) for line in content.splitlines()])
    return datasets.DatasetDict(splits)

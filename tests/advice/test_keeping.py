"""Advice that is kept is printed as it was written, or not at all."""

import json
from pathlib import Path

import pytest

from repro.advice.keeping import keep, kept
from repro.common.errors import UserError

TOLD = {"ledger": "abc", "recipes": [{"ppl_over_retraining_percent": -1.268, "versions": [1, 2]}], "none": None}


def test_what_is_kept_is_what_was_told(tmp_path: Path) -> None:
    keep(tmp_path, TOLD)
    assert kept(tmp_path) == TOLD


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("-1.268", "-77.7"), "does not match its checksum"),
        (lambda text: text.replace('"sha256"', '"sha"'), "sha256"),
        (lambda text: text[: len(text) // 2], "JSONDecodeError"),
        (lambda text: json.dumps([text]), "TypeError"),
        (lambda text: json.dumps({"ledger": "abc"}), "sha256"),
    ],
)
def test_what_was_altered_is_refused_by_name(tmp_path: Path, change, reason: str) -> None:
    keep(tmp_path, TOLD)
    path = tmp_path / "advice.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=rf"advice\.json is not what repro.advise keep=true writes .*{reason}"):
        kept(tmp_path)

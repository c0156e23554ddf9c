"""What preparing a version counted, in words and for programs."""

from collections.abc import Mapping
from typing import Any

OVERLAP, OVERLAP_BYTES = "pieces that overlap held-out text", "bytes of such pieces"
"""What is not trained on, since it is in what is held out."""
TRAINED_BEFORE = "held out, trained on before"
"""Held-out documents that share a passage with what earlier versions trained on."""


def told(report: Mapping[str, Any]) -> str:
    """A version's counts as a line."""
    notes = [f"{report['documents']:,} documents, {report['held out']:,} of them held out"]
    left_out = dict(report["left out"])
    size = left_out.pop(OVERLAP_BYTES, 0)
    notes += [
        f"{count:,} {what}" + (f" ({size:,} bytes)" if what == OVERLAP else "") for what, count in left_out.items()
    ]
    before = report.get(TRAINED_BEFORE)  # versions from before this was counted do not say
    if before and before["documents"]:
        notes.append(
            f"{before['documents']:,} held-out documents ({before['bytes']:,} bytes) share a passage with what earlier "
            f"versions trained on, such as {', '.join(before['names'])}"
        )
    return "; ".join(notes)


def public(report: Mapping[str, Any]) -> dict[str, Any]:
    """A version's counts without the documents' names, which say where its text lies."""
    return {
        what: {each: count for each, count in facts.items() if each != "names"} if isinstance(facts, dict) else facts
        for what, facts in report.items()
        if what != "until"
    }

"""Tokenize a sweep's corpora ahead of its workers: python -m repro.prepare study=main scale=paper

Takes the arguments of repro.train, asks the hub where `corpus=hf` says so, and writes each stream once under
`data.path`: whole or not at all, and one process at a time. Workers that find it there only read, and need no hub. What
is there already is checked. `output=json` prints one JSON object for each stream.
"""

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from repro.common.errors import refusals
from repro.config.settings import Settings
from repro.data import counts
from repro.data.corpora.corpus import corpus
from repro.data.opening import open_stream, reports
from repro.planning import lengths
from repro.planning.arguments import CommandLine


def prepare(settings: Settings) -> dict[str, Any]:
    """Have a run's stream there, and say what is in it and what the run uses of each version.

    Raises:
        UserError: the corpus cannot be had, or is too short.
    """
    s, chosen = settings.stream, corpus(settings.corpus)
    stream = open_stream(settings.corpus, s, Path(settings.data.path))
    return {
        "corpus": chosen.place if chosen.remote else chosen.kind,
        "order": s.order,
        "fingerprint": stream.fingerprint,
        "vocab_size": stream.vocab_size,
        "sequence_length": s.sequence_length,
        "train_tokens": stream.train_tokens,
        "used_tokens": [blocks * s.sequence_length for blocks in stream.version_blocks],
        "counts": reports(settings.corpus, s, Path(settings.data.path)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = line.take("output", "text", ("text", "json"))
        sweep = lengths.resolved(line.settings())
        streams: dict[str, dict[str, Any]] = {}
        for settings in sweep:
            stream = prepare(settings)
            before = streams.get(stream["fingerprint"], stream)
            used = zip_longest(before["used_tokens"], stream["used_tokens"], fillvalue=0)
            streams[stream["fingerprint"]] = before | {"used_tokens": [max(each) for each in used]}
        for stream in streams.values():
            print(json.dumps(stream) if output == "json" else _text(stream))


def _text(stream: dict[str, Any]) -> str:
    lines = [
        f"{stream['corpus']}, {stream['order']}: fingerprint {stream['fingerprint']}",
        f"  vocabulary {stream['vocab_size']:,}, blocks of {stream['sequence_length']:,} tokens",
    ]
    for version, (tokens, used) in enumerate(zip(stream["train_tokens"], stream["used_tokens"], strict=True), start=1):
        lines.append(f"  version {version}: {tokens:,} tokens to train on, {used:,} of them used")
    for number, report in enumerate(stream["counts"], start=1):
        lines.append(f"  unit {number}: {counts.told(report)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

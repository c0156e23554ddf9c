"""Paths on a command line: kept as they were typed, where Hydra would take them for numbers."""

import re
from collections.abc import Sequence
from pathlib import Path

PLACES = ("corpus.path", "corpus.dataset", "corpus.subset", "store.path", "data.path", "ledger.path", "tracker.path",
          "stream.tokenizer", "tasks.include_path", "tasks.group", "model.init", "model.config",
          "model.name")  # fmt: skip
"""Settings that hold a path or a name."""
WORDS = (*PLACES, "corpus.text_column", "corpus.date_column", "corpus.pattern", "corpus.split", "tracker.project",
         "tracker.uri")  # fmt: skip
"""Those that hold text, whatever it looks like."""

_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d+)?|[+-]?inf|nan|true|false", re.IGNORECASE)


def as_typed(arguments: Sequence[str]) -> list[str]:
    """Arguments in which `corpus.path=2024_01` stays a path (and is not 202401), and `~` is the home folder."""
    return [_argument(each) for each in arguments]


def _argument(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not equals or name.lstrip("+") not in WORDS:
        return argument
    return f"{name}={','.join(_value(each) for each in value.split(','))}"


def _value(value: str) -> str:
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
        return f"'{value}'" if re.search(r"[^\w./-]", value) and "'" not in value else value
    return f"'{value}'" if _NUMBER.fullmatch(value) else value

"""Paths on a command line: kept as they were typed, where Hydra would take them for numbers."""

import re
import shlex
from collections.abc import Sequence

from repro.common.disk import expanded

PLACES = ("corpus.path", "corpus.dataset", "corpus.subset", "store.path", "data.path", "ledger.path", "tracker.path",
          "stream.tokenizer", "tasks.include_path", "tasks.group", "model.init", "model.config",
          "model.name")  # fmt: skip
"""Settings that hold a path or a name."""
WORDS = (*PLACES, "corpus.text_column", "corpus.date_column", "corpus.pattern", "corpus.split", "tracker.project",
         "tracker.uri")  # fmt: skip
"""Those that hold text, whatever it looks like."""

_COMMA = re.compile(r""",(?=(?:[^'"\\]|\\.|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*$)""", re.DOTALL)
"""Between the elements of a sweep: not within quotes."""
_HOME = re.compile(r"""(["']?)(~(?:/.*)?)\1""", re.DOTALL)
_SPECIAL = re.compile(r"""['"\\$()\[\]{}]""")
"""What means something to Hydra's parser, and is no part of a name until it is quoted."""
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d+)?|[+-]?inf|nan|true|false", re.IGNORECASE)


def as_typed(arguments: Sequence[str]) -> list[str]:
    """Arguments in which `corpus.path=2024_01` stays a path (and is not 202401), `~` is the home folder, and letters
    beyond ASCII are letters."""
    return [_argument(each) for each in arguments]


def override(setting: str, value: object) -> str:
    """A setting with its value as a shell hands it on and Hydra reads it: in quotes within quotes where need be."""
    text = str(value)
    plain = re.fullmatch(r"[\w./~-]*", text, re.ASCII)
    return shlex.quote(f"{setting}={text if plain else quoted(text)}")


def quoted(text: str) -> str:
    """Any text as Hydra's parser takes it: there, backslashes count as such but in front of a quote."""
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text) + '"'


def _argument(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not equals or name.lstrip("+") not in WORDS:
        return argument
    if name.lstrip("+") == "corpus.pattern" and "," in value and not _SPECIAL.search(value):
        return f"{name}='{value}'"  # its own commas, as of `*.py,wiki_*`
    return f"{name}={','.join(map(_value, _COMMA.split(value)))}"


def _value(value: str) -> str:
    if home := _HOME.fullmatch(value):
        quote, value = home[1], str(expanded(home[2]))
        if quote:
            return f"{quote}{value}{quote}"
        special = re.search(r"[^\w./-]", value, re.ASCII) and "'" not in value
        return f"'{value}'" if special else value
    return f"'{value}'" if _NUMBER.fullmatch(value) or not (value.isascii() or _SPECIAL.search(value)) else value

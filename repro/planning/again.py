"""The command that makes something again: what was typed, as a shell takes it, without how it was launched.

What was typed names every choice: study, scale, groups, settings, values to sweep, extensions. The rest are defaults.
"""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from repro.planning.sweeps import listed

LAUNCHING = (
    "hydra/launcher",
    "hydra.launcher",
    "hydra.run",
    "hydra.sweep.",
    "hydra.job",
    "hydra/job",
    "hydra/hydra_log",
)
"""Beginnings of words that say how the work is spread and where it is logged: whoever repeats it chooses anew."""
PLACES = ("store.", "data.", "ledger.", "tracker.", "tracker=", "output=", "rates=")
"""Beginnings of words that say where things are kept: of no use to readers elsewhere."""
TOLD = (
    *("corpus.path", "corpus.dataset", "stream.tokenizer", "tasks.include_path", "model.init", "model.config"),
    "hydra.searchpath",
)
"""Settings whose paths a published command names, without the folders that only this machine has."""

_ABSOLUTE = re.compile(r"""(^|['",\[])(file://)?([/~][^'",\]]*)""")


def command(module: str, words: Sequence[str]) -> str:
    """What to type, in the folder where it was typed, to make the same from the same store.

    Args:
        module: `repro.train`.
        words: what was typed after it.
    """
    return _line(module, words, _search_path(words))


def published(module: str, words: Sequence[str]) -> str:
    """The same for readers elsewhere: no places, and of paths on this machine the last folder alone."""
    kept = [_told(word) for word in words if not word.startswith(PLACES)]
    return _line(module, kept, [_last(entry) for entry in _search_path(words)])


def _line(module: str, words: Sequence[str], search_path: Sequence[str]) -> str:
    kept = [word for word in words if not word.lstrip("+~").startswith(LAUNCHING)]
    before = f"PYTHONPATH={shlex.quote(':'.join(search_path))} " if search_path else ""
    return f"{before}python -m {module} {shlex.join(kept)}".rstrip()


def _search_path(words: Sequence[str]) -> list[str]:
    """Entries of PYTHONPATH that extensions were found in, as they were typed."""
    modules = (sys.modules.get(name.partition(".")[0]) for name in listed("extensions", words))
    places = [Path(place) for module in modules if (place := getattr(module, "__file__", None))]
    roots = {os.path.realpath(place.parent.parent if place.name == "__init__.py" else place.parent) for place in places}
    entries = os.environ.get("PYTHONPATH", "").split(":")
    return [entry for entry in entries if entry and os.path.realpath(entry) in roots - {os.path.realpath(Path.cwd())}]


def _told(word: str) -> str:
    name, equals, value = word.partition("=")
    if name.lstrip("+") not in TOLD:
        return word
    return f"{name}{equals}{_ABSOLUTE.sub(lambda found: f'{found[1]}{found[2] or str()}{_last(found[3])}', value)}"


def _last(path: str) -> str:
    return Path(path).name if path.startswith(("/", "~")) else path

"""The commands that made a ledger's runs, beside its tables: what a report quotes so that anybody can make it again.

They are no results: the same tables come of other commands, elsewhere. So they stand in a file of their own, with its
own checksum, and no table, figure or verdict depends on them.
"""

import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from repro.common.disk import Flaw, read_document, write_document
from repro.planning.places import override
from repro.store.tables import COMMANDS

Commands = dict[str, dict[str, dict[str, str]]]
"""By study, run and verb: `{"alpha": {"0123456789ab": {"train": "python -m repro.train study=alpha ..."}}}`."""


def read(folder: Path) -> Commands:
    """What is recorded; empty where nothing is.

    Raises:
        Flaw: the file is not what was written.
        UserError: it cannot be read.
    """
    content = read_document(folder / COMMANDS)
    if content is None:
        return {}
    try:
        return {
            str(study): {str(run): {str(verb): str(line) for verb, line in made.items()} for run, made in runs.items()}
            for study, runs in content.items()
        }
    except AttributeError:
        raise Flaw("is no list of commands") from None


def known(folder: Path) -> Commands:
    """What was typed to make the runs; nothing where that is not noted, or no longer as it was."""
    try:
        return read(folder)
    except Flaw:
        return {}


def mending(folder: Path) -> str:
    """The commands that write a ledger's rows again, as far as it says."""
    lines = (line for runs in known(folder).values() for each in runs.values() for line in each.values())
    made = (_into(folder, line) for line in lines)
    return " && ".join(dict.fromkeys(made)) or f"python -m repro.train ... with its ledger.path={folder}"


def _into(folder: Path, line: str) -> str:
    """The command with this folder for its tables, which may have been copied or moved since it was typed."""
    named = [word.partition("=")[2].strip("'\"") for word in shlex.split(line) if word.startswith("ledger.path=")]
    usual = Path.cwd() / "results" / folder.parent.name / "data"
    same = os.path.realpath(named[-1] if named else usual) == os.path.realpath(folder)
    return line if same else f"{line} {override('ledger.path', folder)}"  # of two, the last one counts


def record(folder: Path, new: Mapping[str, Mapping[str, Mapping[str, str]]], gone: Collection[str] = ()) -> None:
    """Add commands, in place of earlier ones for the same study, run and verb.

    Args:
        gone: runs that the ledger says nothing of any more.

    Raises:
        Flaw, UserError: as `read`; the disk refuses.
    """
    before = read(folder)
    after: Commands = {}
    for known in (before, new):
        for study, runs in known.items():
            for run, made in runs.items():
                if run not in gone:
                    after.setdefault(study, {}).setdefault(run, {}).update(made)
    if after != before:
        write_document(folder / COMMANDS, dict(after))

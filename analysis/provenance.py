"""Where a report's numbers come from: commands, settings, keys, and the code and packages that drew them.

No date and no path of this machine: the same tables, code and packages give the same bytes.
"""

import functools
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from analysis.commands import again
from analysis.formats import listed, text
from analysis.frames import View
from repro import __version__

PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "plotly", "scipy")
"""Whose versions may change a digit, a pixel or a page."""
KEY_DIGITS = 12
"""Of a checkpoint's key, as shown; data/versions.csv has them all."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a figure was made from."""

    commands: list[str]
    settings: dict[str, str]
    runs: list[tuple[str, str]]
    """The key of a run's last checkpoint, shortened, and the run's name."""


def of(view: View) -> Provenance:
    """Of what was asked of a view since it was `watched`."""
    used = view.used
    studies = [name for name in view.ledger.reported if name in set(used["study"])]
    runs = used.drop_duplicates("run")
    settings = {name: text(value) for name, value in view.setting.items() if text(value) not in ("", "nan")}
    settings |= {"studies": ", ".join(studies), "seeds": listed(runs["seed"]), "numerics": listed(runs["numerics"])}
    commands = [command for study in studies if (command := again(study, view))]
    return Provenance(
        commands=commands,
        settings=settings | {"runs": str(len(runs))},
        runs=keys(runs, view.ledger.versions),
    )


def keys(runs: pd.DataFrame, versions: pd.DataFrame) -> list[tuple[str, str]]:
    """Of each run, the key of its last checkpoint, shortened, and its name."""
    runs = runs.sort_values(["name", "seed", "run"])
    last = versions.sort_values("version").drop_duplicates("run", keep="last").set_index("run")["key"]
    known = runs[runs["run"].isin(last.index)]
    return [(str(last[run])[:KEY_DIGITS], str(name)) for run, name in zip(known["run"], known["name"], strict=True)]


@functools.cache
def code() -> Mapping[str, str]:
    """The suite's version; from a checkout its commit and that commit's date, with a note if code was changed since."""
    root = Path(__file__).resolve().parent.parent
    known = {"lr-path-switching": __version__}
    try:
        found = _git(root, "log", "-1", "--format=%H %cs")
        changed = _git(root, "status", "--porcelain", "--", "analysis", "repro", "conf")
    except (OSError, subprocess.SubprocessError):
        return known
    if not (root / ".git").exists() or not found:
        return known
    commit, date = found.split()
    return known | {"commit": commit + (" (changed since)" if changed else ""), "of": date}


@functools.cache
def packages() -> Mapping[str, str]:
    """The versions that drew it."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # carried along without its metadata
            found[name] = "unknown"
    return found


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()

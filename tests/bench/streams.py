"""How alike neighbouring blocks and versions are, as the table of docs/data.md has it: python -m tests.bench.streams

Each of the orders below is prepared if it is not there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro.data.opening import open_stream
from repro.data.stream import Stream
from repro.planning import sweeps
from tests.alike import LAGS, likeness, overlap
from tests.scripts import options

ORDERS = ("dealt", "shuffled")


def table(given: list[str]) -> str:
    """In Markdown: a row for each order and version."""
    head = ["stream", "version", *(f"lag {lag}" for lag in LAGS), "far", "largest excess, standard errors",
            "held-out 8-grams in its training text", "in all up to it"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for order in ORDERS:
        (settings,) = sweeps.compose([*given, f"stream={order}"])
        stream = open_stream(settings.corpus, settings.stream, Path(settings.data.path))
        assert isinstance(stream, Stream)
        shares = 100 * np.stack([overlap(stream), overlap(stream, so_far=True)])
        for version in range(1, stream.versions + 1):
            found = likeness(stream, version)
            near = [f"{each:.3f}" for each in (*found.near, found.far)]
            held = [f"{share:.2f} %" for share in shares[:, version - 1]]
            lines.append([order, str(version), *near, f"{found.excess:.1f}", *held])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    chosen = options(__doc__, arguments, {"scale": "proxy", "seed": "100", "data.path": "data"})
    print(table([f"{name}={value}" for name, value in chosen.items()]), end="")


if __name__ == "__main__":
    main(sys.argv[1:])

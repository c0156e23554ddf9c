"""What one more release would cost and how long it would take, before its data exist.

The next version is planned over stand-ins for data, as long as the last version's. Costs are steps that training the
next version adds to what the versions before it have left in the store, over the steps that retraining takes; the delay
is what is left to train, one step after another, once the new data are there.
"""

from dataclasses import dataclass, replace

import numpy as np

from repro.data.stream import VirtualStream
from repro.planning.runs import Run
from repro.planning.tree import merge
from repro.recipes.trajectory import Derived, Product


@dataclass(frozen=True)
class Price:
    """Of a run's next release."""

    cost: float
    """Steps, over those of pre-training that version from scratch."""
    delay: int
    """Steps from the data's arrival to the release; what needs none of them is trained before."""


def next_release(run: Run) -> Price | None:
    """The price of version N + 1; None for a recipe that releases a fixed number of versions.

    Raises:
        UserError: as planning does, where one more version would not fit the settings.
    """
    now = run.versions
    longer = replace(run, stream=VirtualStream.like(run.stream, run.stream.version_blocks[-1]))
    if longer.versions == now:
        return None
    tree = merge([longer])
    steps = tree.run_steps(0) - tree.run_steps(0, now)
    return Price(steps / longer.scratch_steps[-1], _delay(longer, longer.products[-1], {}))


def _delay(run: Run, product: Product, known: dict[int, int]) -> int:
    """Steps from the first one that reads the last version's data; parents of derived weights are made side by side.

    Args:
        known: what was found of other products, by `id`.
    """
    if id(product) not in known:
        if isinstance(product, Derived):
            delay = max(_delay(run, parent, known) for parent in product.parents)
        elif product.start is not None and (before := _delay(run, product.start, known)):
            delay = before + len(product)
        else:
            first = sum(run.stream.version_blocks[:-1])
            new = (product.batches(run.stream, product.origin, product.end) >= first).any(axis=1)
            delay = len(product) - int(np.argmax(new)) if new.any() else 0
        known[id(product)] = delay
    return known[id(product)]

"""What one more release would cost and how long it would take, before its data exist.

The next version is planned over stand-ins for data, as long as the last version's. Costs are steps that training the
next version adds to what the versions before it have left in the store, over the steps that retraining takes; the delay
is what is left to train, one step after another, once the new data are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from repro.data.stream import VirtualStream
from repro.planning.runs import Run
from repro.planning.tree import Node, merge
from repro.recipes.trajectory import Derived, Key, Product


@dataclass(frozen=True)
class Price:
    """Of a run's next release."""

    steps: int
    """To train for it, beyond what the versions before it have left in the store."""
    cost: float
    """Steps, over those of pre-training that version from scratch."""
    delay: int
    """Steps from the data's arrival to the release; what needs none of them is trained before."""


def next_release(run: Run) -> Price | None:
    """The price of version N + 1; None for a recipe that releases a fixed number of versions.

    Raises:
        UserError: as planning does, where one more version would not fit the settings.
    """
    longer = _longer(run)
    if longer is None:
        return None
    tree = merge([longer])
    steps = tree.run_steps(0) - tree.run_steps(0, run.versions)
    return Price(steps, steps / longer.scratch_steps[-1], _delay(longer, longer.products[-1], {}))


def needed_next(run: Run, stored: Mapping[Key, int]) -> list[Node]:
    """What the next release is made from of what a run has now: where its training begins, or parents it is derived
    from. Empty for a recipe that begins anew, or releases no more versions.

    Args:
        stored: keys and steps of the checkpoints there are.

    Raises:
        UserError: as `next_release`.
    """
    longer = _longer(run)
    if longer is None:
        return []
    tree = merge([run, longer], stored)
    now = tree.own(0)
    new = [node for node in tree.path(tree.ends[1][-1]) if node.key not in now]
    return list({parent: now[parent] for node in new for parent in node.parents if parent in now}.values())


def _longer(run: Run) -> Run | None:
    """The run with one more version, as long as its last; None where the recipe releases no more."""
    longer = replace(run, stream=VirtualStream.like(run.stream, run.stream.version_blocks[-1]))
    return None if longer.versions == run.versions else longer


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
            first = product.reads_last(run.stream)
            delay = 0 if first is None else product.end - first
        known[id(product)] = delay
    return known[id(product)]

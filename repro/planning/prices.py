"""What one more release would cost and how long it would take, before its data exist.

The next version is planned over stand-ins for data, as long as the last version's. Costs are steps that training the
next version adds to what the versions before it have left in the store, over the steps that retraining takes; the delay
is what is left to train, one step after another, once the new data are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

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
    if (ahead := _ahead(run)) is None:
        return None
    longer, _, new = ahead
    steps = sum(node.steps for node in new)
    return Price(steps, steps / longer.scratch_steps[-1], _delay(longer, longer.products[-1], {}))


def needed_next(run: Run, stored: Mapping[Key, int] = MappingProxyType({})) -> list[Node]:
    """What the next release is made from of what a run has now: where its training begins, or parents it is derived
    from. Empty for a recipe that begins anew, or releases no more versions.

    Args:
        stored: keys and steps of the checkpoints there are beside the run's own.

    Raises:
        UserError: as `next_release`.
    """
    if (ahead := _ahead(run, stored)) is None:
        return []
    _, there, new = ahead
    return list({parent: there[parent] for node in new for parent in node.parents if parent in there}.values())


@dataclass(frozen=True)
class _SoFar(Run):
    """A run but for its last version, over the same stream."""

    longer: Run | None = None

    @cached_property
    def products(self) -> list[Product]:
        """See `Run`."""
        assert self.longer is not None
        return self.longer.products[:-1]


def _ahead(
    run: Run, stored: Mapping[Key, int] = MappingProxyType({})
) -> tuple[Run, dict[Key, Node], list[Node]] | None:
    """The run with one more version; what there is without it; and what that version adds.

    Where it parts from the version before may be no checkpoint, since nobody knew of it: then that stretch is trained
    once more.
    """
    longer = _longer(run)
    if longer is None:
        return None
    there = merge([_SoFar(longer.settings, longer.stream, longer.machine, longer)], stored).nodes
    tree = merge([longer], {key: node.step for key, node in there.items()})
    new: dict[Key, Node] = {}
    left = [tree.ends[0][-1]]
    while left:
        if (key := left.pop()) not in there and key not in new:
            new[key] = tree.nodes[key]
            left += new[key].parents
    return longer, there, list(new.values())


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

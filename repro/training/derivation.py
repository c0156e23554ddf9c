"""Makes derived weights: an operation on stored checkpoints, kept like the end of an edge of training."""

from collections.abc import Iterator

from repro.planning.tree import Node
from repro.recipes.operations import Files
from repro.recipes.trajectory import Derived
from repro.store.store import Store
from repro.training.engine import describe


def derive(node: Node, store: Store) -> None:
    """Make a node's weights from its parents', and keep them. One process does it, whatever the parents took.

    The caller holds the lease on the node, and the parents are in the store.

    Raises:
        Damaged: a parent turned out damaged; it has been quarantined and must be made again.
    """
    assert isinstance(node.product, Derived)
    operation = node.product.operation
    # What was adopted on the way to any parent, once each.
    adopted: list[dict[str, object]] = []
    for parent in node.parents:
        adopted += [each for each in store.manifest(parent).get("adopted", []) if each not in adopted]

    def parents() -> Iterator[Files]:
        for parent in node.parents:
            yield store.load(parent, *operation.files)

    about = describe(node) | {
        "operation": operation.identity | {"files": list(operation.files)},
        "parents": list(node.parents),
    }
    files = operation.apply(parents())
    assert files.keys() == set(operation.files), "as the operation says"
    store.save(node.key, node.step, files, about | ({"adopted": adopted} if adopted else {}))

"""Frozen plans as they lie in a store, whoever froze them.

One whose bytes are right can still be of another version of the suite: it is named and passed over, and stays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from repro.common.disk import Flaw, read_document


class Planned(NamedTuple):
    """A node that a plan keeps."""

    step: int
    run: str
    """The name of a run that it belongs to."""
    version: int
    released: bool
    """Whether it is some run's version."""


@dataclass(frozen=True)
class FrozenPlan:
    """A plan's content."""

    study: str
    scale: str
    settings: list[dict[str, Any]]
    """One per run, as `dataclasses.asdict` gives them."""
    nodes: dict[str, Planned]
    """By key."""

    @property
    def corpora(self) -> list[str]:
        """What its runs are trained on, for people."""
        return sorted({described(each["corpus"]) for each in self.settings})

    @property
    def ledgers(self) -> list[Path]:
        """Where its runs' tables are."""
        return [Path(place) for place in sorted({each["ledger"]["path"] for each in self.settings})]


def described(corpus: dict[str, Any]) -> str:
    """A corpus, in a few words."""
    places = [str(corpus[name]) for name in ("dataset", "subset", "path") if corpus.get(name)]
    return " ".join([str(corpus["kind"]), *places])


def parse(content: dict[str, Any]) -> FrozenPlan:
    """
    Raises:
        Flaw: it has another shape.
    """
    try:
        nodes = {str(key): Planned(*node) for key, node in content["nodes"].items()}
        plan = FrozenPlan(str(content["study"]), str(content["scale"]), list(content["settings"]), nodes)
        _ = plan.corpora, plan.ledgers  # which raise for settings of another shape
        if all(isinstance(node.step, int) for node in nodes.values()):
            return plan
    except (KeyError, TypeError, AttributeError, ValueError):
        pass
    raise Flaw("is a plan of another version of this suite")


def read_plan(path: Path) -> FrozenPlan | None:
    """A plan's file; None where there is none.

    Raises:
        Flaw: it is damaged, or of another version of the suite.
    """
    content = read_document(path)
    return None if content is None else parse(content)

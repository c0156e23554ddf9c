"""What is missing of the study of the branch."""

import pandas as pd

from analysis import plans
from analysis.formats import text
from analysis.frames import View
from analysis.names import VARIANT


def gaps(view: View) -> list[str]:
    """Shapes and lengths that the study is planned with and that nobody ran: a branch of another study's says nothing
    of them."""
    runs = view.runs("branch")
    if runs.empty:
        return []
    shapes = plans.values(view.ledger.scale, "branch", "schedule", "kind")
    lengths = plans.values(view.ledger.scale, "branch", "paradigm.alpha", "alpha")
    return [
        *_lacking("shapes", shapes, {str(schedule).split(VARIANT)[0] for schedule in runs["schedule"]}),
        *_lacking("lengths (alpha)", lengths, set(map(text, pd.to_numeric(runs["alpha"])))),
    ]


def _lacking(what: str, planned: tuple[str, ...], ran: set[str]) -> list[str]:
    lacking = [value for value in planned if value not in ran]
    return [f"branch: of the {what} that it is planned with, {', '.join(lacking)} did not run."] if lacking else []

"""What is missing of the study of the branch."""

from analysis import plans
from analysis.frames import View
from analysis.names import VARIANT


def gaps(view: View) -> list[str]:
    """Shapes that the study is planned with and that nobody ran: a branch of another study's says nothing of them."""
    ran = {str(schedule).split(VARIANT)[0] for schedule in view.runs("branch")["schedule"]}
    planned = plans.values(view.ledger.scale, "branch", "schedule", "kind")
    lacking = [shape for shape in planned if shape not in ran]
    if not ran or not lacking:
        return []
    return [f"branch: of the shapes that it is planned with, {', '.join(lacking)} did not run."]

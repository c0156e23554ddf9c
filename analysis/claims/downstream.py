"""D1: whether the gain survives fine-tuning."""

from analysis.claims.parts import THREE_SCHEDULES, measured
from analysis.commands import command
from analysis.contrasts import CPT, PTFS, SWITCH, THREE, downstream_means, downstream_shared
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Claim
from analysis.verdicts import Evidence

NINE = 9
"""[article] Tasks that the average is over."""


def d1(view: View) -> Evidence:
    means = downstream_means(view)
    if means.empty:
        return [], []
    best = means[list(THREE)].mean().idxmax()
    shared = downstream_shared(view, THREE).reset_index()
    missing = []
    for (seed, version), rows in shared.groupby(["seed", "version"]):
        tasks = rows.groupby("schedule")["task"].nunique().reindex(list(THREE_SCHEDULES), fill_value=0)
        missing += [
            f"{count} of {NINE} tasks were scored for all three paradigms, {schedule_name(str(schedule))}, version "
            f"{version}, seed {seed} ({command('downstream', view.ledger.scale, view)})"
            for schedule, count in tasks.items()
            if count < NINE
        ]
    if len(missing) > 1:
        missing = [f"{missing[0]}, and {len(missing) - 1} more such"]
    return [
        measured("average score above chance", means[best] - means["chance"], unit="points", role="premise"),
        *(
            measured(f"path switching above {name}", means[SWITCH] - means[paradigm], unit="points")
            for paradigm, name in ((PTFS, "PTFS"), (CPT, "CPT"))
        ),
    ], missing


CLAIMS = (
    Claim(
        id="D1", statement="After fine-tuning, it has the best average over 9 common downstream tasks",
        source="[article]", study="downstream", evaluate=d1,
        estimator="mean score over the ledger's tasks, schedules, fine-tuned versions from 2 on and fine-tuning "
        "seeds; path switching less each other paradigm; paired by seed",
        margin="above 0 against both; only decidable where the best average is above chance",
    ),
)  # fmt: skip

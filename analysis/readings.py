"""The two readings of path switching's branch, both assumed (docs/paper.md): all decay, or a whole cycle.

Under a schedule that decays from its first step on, both are the same training; under Knee and multi-step they differ.
"""

import pandas as pd

from analysis import names
from repro.config.registries import SCHEDULES
from repro.recipes.schedules import Schedule

RECIPE, SETTING = "path_switching", "branch"
DECAY, CYCLE = READINGS = ("decay", "cycle")


def differ(schedule: str) -> bool:
    """Whether a schedule holds the maximum for a part of its cycle, so that the readings are two trainings."""
    registered = SCHEDULES.get(schedule.split(names.VARIANT)[0])
    return registered is None or getattr(registered, "held", None) is not Schedule.held


def where(schedule: str, reading: str) -> str:
    """A schedule as parts of claims name it."""
    name = names.schedule_name(schedule)
    return f"{name}, branch read as a {reading}" if reading and differ(schedule) else name


def joined(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """A ledger in which a training that both readings ask for is one run."""
    runs = frames["runs"]
    same = (runs["paradigm"] == RECIPE) & ~runs["schedule"].map(differ).astype(bool)
    plain = runs["settings"].str.replace(rf" ?\b{SETTING}=\w+", "", regex=True)
    keys = frames["versions"].groupby("run")["key"].agg(tuple)
    alike = [*(c for c in runs if c not in ("run", "name")), "_keys"]
    into: dict[str, str] = {}
    for _, group in runs[same].assign(settings=plain, _keys=runs["run"].map(keys)).groupby(alike, dropna=False):
        into.update(dict.fromkeys(group["run"], group["run"].iloc[0]))
    gone = {run for run, kept in into.items() if run != kept}
    kept = {name: frame[~frame["run"].isin(gone)] if "run" in frame else frame for name, frame in frames.items()}
    studies = frames["studies"]
    kept["studies"] = studies.assign(run=[into.get(run, run) for run in studies["run"]]).drop_duplicates()
    return kept | {"runs": runs[~runs["run"].isin(gone)].reset_index(drop=True)}

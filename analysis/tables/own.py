"""Runs of a study that nothing registered, as what they are: PPL by version, a row for each recipe and setting."""

import pandas as pd

from analysis import stats
from analysis.contrasts import cells
from analysis.formats import file_name
from analysis.frames import View
from analysis.names import recipe_name, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, mean_cell, numerics_note, relative_cost, seed_count, uneven
from repro.results.measures import EVERY


def own(view: View, study: str) -> Table | None:
    scores = view.scores(study)
    if scores.empty:
        return None
    versions = sorted(set(scores["version"]))
    rows, data, counts = [], [], set()
    for label, group in cells(scores):
        by = {version: group[group["version"] == version] for version in versions}
        found = sorted({seed_count(at) for at in by.values() if len(at)})
        counts.update(found)
        schedule, recipe = str(group["schedule"].iloc[0]), str(group["paradigm"].iloc[0])
        last = by[max(group["version"])]
        cost = f"{100 * relative_cost(view, last, int(max(group['version']))):.0f} %"
        n = " to ".join(map(str, dict.fromkeys((found[0], found[-1]))))
        settings = label.split(": ", 1)[1] if ": " in label else ""
        cell = [recipe_name(recipe), schedule_name(schedule), settings]
        rows.append([*cell, *(mean_cell(at["ppl"]) for at in by.values()), cost, n])
        data += [
            {"recipe": recipe, "schedule": schedule, "settings": settings, "version": version}
            | ends("ppl", stats.mean_interval(at["ppl"].to_numpy(dtype="float64")))
            | {
                "bits_per_byte": at["bits_per_byte"].mean(skipna=False),
                "relative_cost": relative_cost(view, at, version),
            }
            for version, at in by.items()
            if len(at)
        ]
    return Table(
        name=f"study_{file_name(study)}", data=pd.DataFrame(data), rows=rows,
        head=["recipe", "schedule", "settings", *(f"PPL v{version}" for version in versions), "cost", "n"],
        caption=f"PPL {EVERY}. Settings: those in which these runs differ. Cost: steps "
        f"of the run's own tree over those of pre-training every version from scratch.{uneven(counts)} "
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def table(study: str) -> TableOf:
    return TableOf(f"study_{file_name(study)}", make=lambda view: own(view, study))

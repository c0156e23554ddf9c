"""A model that grows between versions, beside the larger one from the beginning: PPL, steps and FLOPs."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS
from analysis.formats import number, paired, plus_minus
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note, relative_cost
from repro.results.columns import settings_of, settings_text
from repro.results.measures import EVERY

STUDY = "grow"
NEVER = 10**6
"""In place of the version at which a model grows."""


@dataclass(frozen=True, order=True)
class Way:
    """How the larger model comes to be."""

    place: int
    """Of its recipe, in the registry's order."""
    recipe: str
    before: str
    """The smaller model, as the ledger's settings say it: `layers_before=1`; empty: there is none."""
    at: int
    """The first version of the larger model: 1, a later one, or `NEVER`."""

    @property
    def grows(self) -> str:
        return "never" if self.at == NEVER else f"at v{self.at}" if self.before else ""

    @property
    def smaller(self) -> str:
        """`1 layer`, `88 inner units`, or both."""
        return ", ".join(map(_size, self.before.split()))

    @property
    def label(self) -> str:
        name = recipe_name(self.recipe)
        return f"never {name}" if self.at == NEVER else f"{name} {self.grows}".strip()


@dataclass(frozen=True)
class Costs:
    """Of all versions, over those of PTFS of the larger model."""

    steps: float
    flops: float
    """The same but for what a smaller model has trained."""


def ways(view: View, schedule: str) -> tuple[dict[Way, pd.DataFrame], dict[Way, Costs]]:
    """Losses of every way, (seeds, versions), and its costs; nothing where PTFS was not run to its end.

    Seeds that do not have all versions of a way are left out of it.
    """
    scores = view.scores(STUDY)
    scores = scores[scores["schedule"] == schedule]
    order = recipes(scores["paradigm"])
    found = [_way(row, order, view.last) for row in scores.to_dict("records")]
    losses: dict[Way, pd.DataFrame] = {}
    costs: dict[Way, Costs] = {}
    for way in sorted(set(found)):
        rows = scores[[one == way for one in found]]
        rows = rows.drop_duplicates(["seed", "version"])  # several grow after the last version, and are one training
        wide = rows.pivot(index="seed", columns="version", values="loss").dropna()  # noqa: PD010
        if len(wide.columns) == view.last and len(wide):
            losses[way] = wide
            run = rows[rows["seed"].isin(wide.index)].iloc[0]
            steps = relative_cost(view, rows[rows["run"] == run["run"]], view.last)
            costs[way] = Costs(steps, float(run["flops"]))
    scratch = [costs[way].flops / costs[way].steps for way in costs if way.recipe == PTFS]
    if not scratch:
        return {}, {}
    return losses, {way: Costs(cost.steps, cost.flops / scratch[0]) for way, cost in costs.items()}


def _size(setting: str) -> str:
    """Of the smaller model, in words: `layers_before=1` is one layer."""
    name, _, value = setting.partition("=")
    unit = {"layers_before": "layer", "intermediate_before": "inner unit"}.get(name, name)
    return f"{value} {unit}{'' if value == '1' else 's'}"


def _way(row: dict[Hashable, Any], order: list[str], last: int) -> Way:
    recipe = str(row["paradigm"])
    own = settings_of(str(row["settings"]))
    before = settings_text({name: value for name, value in own.items() if name.endswith("_before")})
    at = int(own.get("grow_at", 1))
    return Way(order.index(recipe), recipe, before, NEVER if at > last else at)


def behind(losses: dict[Way, pd.DataFrame], way: Way) -> pd.DataFrame:
    """Nats above PTFS, paired by seed: (seeds, versions)."""
    (reference,) = (table for one, table in losses.items() if one.recipe == PTFS)
    return (losses[way] - reference).dropna()


def grow(view: View) -> Table | None:
    rows, data = [], []
    for schedule in dict.fromkeys(view.runs(STUDY)["schedule"]):
        losses, costs = ways(view, schedule)
        for way, table in losses.items():
            levels = [stats.mean_interval(np.exp(table[v].to_numpy(dtype=np.float64))) for v in table]
            distance = behind(losses, way)[view.last].to_numpy(dtype=np.float64)
            beside = "" if way.recipe == PTFS or not len(distance) else paired(distance, len(table))
            rows.append([schedule_name(schedule), recipe_name(way.recipe), way.grows, way.smaller,
                         *map(plus_minus, levels), f"{number(100 * costs[way].steps)} %",
                         f"{number(100 * costs[way].flops)} %", beside, str(len(table))])  # fmt: skip
            at = "" if not way.before else "never" if way.at == NEVER else str(way.at)
            data += [
                {"schedule": schedule, "paradigm": way.recipe, "grow_at": at, "before": way.before, "version": version}
                | ends("ppl", level)
                | {"relative_cost": costs[way].steps, "relative_flops": costs[way].flops}
                for version, level in zip(table, levels, strict=True)
            ]
    if not rows:
        return None
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "recipe", "grows", "from", *(f"PPL v{v}" for v in range(1, view.last + 1)), "steps", "FLOPs",
              f"v{view.last} to PTFS", "n"],
        caption=f"PPL {EVERY}; versions before it grows are those of the smaller model. "
        "Steps and FLOPs: of all versions, over those of PTFS, which pre-trains the larger model from scratch each "
        "time; FLOPs count each step at the size that it trained. Where it grows, the function is preserved and the "
        f"optimizer starts afresh, warmed up once more. To PTFS: paired by seed. {numerics_note(view, STUDY)}",
    )  # fmt: skip


GROW = TableOf(STUDY, make=grow)

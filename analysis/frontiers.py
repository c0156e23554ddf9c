"""What the studies of every recipe are made from: losses by slice, regret, and the next update's losses."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import comparable, largest_block, versions_after_first
from analysis.frames import View

FRONTIER, PLASTICITY = "frontier", "plasticity"
UPDATED = "updated"


def schedules(view: View, study: str) -> list[str]:
    return list(dict.fromkeys(view.runs(study)["schedule"]))


def points(view: View, schedule: str) -> tuple[pd.DataFrame, int]:
    """`paradigm`, `ppl` of the last version and `cost` of all, of recipes that decay or average, over shared seeds; how
    many of these."""
    rows = comparable(view.scores(FRONTIER))
    rows = rows[(rows["schedule"] == schedule) & (rows["version"] == view.last) & np.isfinite(rows["loss"])]
    block = largest_block(rows.pivot(index="seed", columns="paradigm", values="ppl"))  # noqa: PD010
    if not names.schedule_decays(schedule) or block.empty:
        return rows.iloc[:0], 0
    rows = rows[rows["seed"].isin(block.index) & rows["paradigm"].isin(block.columns)]
    means = rows.groupby("paradigm", as_index=False).agg(ppl=("ppl", "mean"), cost=("relative_cost", "first"))
    return means, len(block)


@dataclass(frozen=True)
class Regret:
    """How far each recipe lies above the best one, slice by slice: nats a token of the last version."""

    by_slice: pd.DataFrame
    """(recipes, slices), means over seeds."""
    worst: dict[str, "pd.Series[float]"]
    """By recipe, one entry per seed: on the slice where the recipe's mean is worst."""
    seeds: int


def regret(view: View, schedule: str, study: str = FRONTIER) -> Regret | None:
    """Over the seeds that all recipes have; the best recipe on a slice is the one with the lowest mean there."""
    runs = comparable(view.runs(study))
    rows = runs[runs["schedule"] == schedule].merge(view.ledger.perplexity, on="run", suffixes=("", "_"))
    rows = rows[rows["version"] == view.last]
    rows = rows.assign(loss=rows["nll"] / rows["tokens"])
    wide = rows.pivot(index="seed", columns=["paradigm", "slice"], values="loss")  # noqa: PD010
    wide = wide.dropna(axis=1, how="all").dropna()
    if wide.empty or wide.columns.get_level_values(0).nunique() < 2:
        return None
    means = wide.mean().unstack("slice").dropna()  # noqa: PD010
    best = means.idxmin()
    above = means - means.min()
    worst = {}
    for recipe in means.index:
        place = above.loc[recipe].idxmax()
        worst[str(recipe)] = wide[recipe, place] - wide[best[place], place]
    order = names.recipes(means.index)
    return Regret(above.loc[order], worst, len(wide))


def updates(view: View, schedule: str) -> pd.DataFrame:
    """The next update's loss from releases of each recipe, mean over versions 2 to N: (seeds, recipes)."""
    rows = view.scores(PLASTICITY)
    versions = versions_after_first(view)
    rows = rows[(rows["schedule"] == schedule) & (rows["paradigm"] == UPDATED) & rows["version"].isin(versions)]
    rows = rows[np.isfinite(rows["loss"])]
    of = rows["settings"].str.extract(r"\bof=(\S+)")[0]
    grouped = rows.assign(of=of).groupby(["seed", "of"])["loss"].agg(["mean", "count"])
    means = grouped["mean"].where(grouped["count"] == len(versions)).unstack("of")  # noqa: PD010
    return largest_block(means[names.recipes(means.columns)]) if len(means) else means

"""PPL of every version on every slice, and how far recipes lie apart on each."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS, comparable, forgetting_matrix
from analysis.formats import percent
from analysis.frames import View
from analysis.names import VARIANT, recipe_name, recipes, schedule_name
from analysis.registries import pooled
from analysis.tables.table import Table, ends, numerics_note


def forgetting(view: View) -> Table | None:
    """PPL of every version on every slice."""
    rows, data = [], []
    slices = list(range(1, view.last + 1))
    for paradigm in recipes(view.runs(*pooled())["paradigm"]):
        matrix = forgetting_matrix(view, paradigm)
        if matrix is None:
            continue
        for version, line in matrix.iterrows():
            rows.append([recipe_name(paradigm), f"v{version}", *(f"{value:.2f}" for value in line)])
            data += [
                {"paradigm": paradigm, "version": version, "slice": part, "ppl": value} for part, value in line.items()
            ]
    if not rows:
        return None
    return Table(
        name="forgetting", data=pd.DataFrame(data), rows=rows,
        head=["paradigm", "version", *(f"PPL slice {part}" for part in slices)],
        caption="Geometric mean over seeds; one schedule, cosine if any was run with it. "
        f"{numerics_note(view, *pooled())}",
    )  # fmt: skip


REPLAY = "replay="
ALL = "all"
"""In place of a slice: all of them, weighted by tokens, as PPL is everywhere else."""


def paired(view: View) -> Table | None:
    """The last version on each slice: each recipe over PTFS, and with replay over itself without."""
    runs = comparable(view.runs(*pooled()))
    rows, data = [], []
    for schedule, mine in runs.groupby("schedule", sort=False):
        loss = _by_slice(mine, view)
        for recipe, beside in _pairs(recipes(mine["paradigm"])):
            if recipe not in loss or beside not in loss:
                continue
            less = (loss[recipe] - loss[beside]).dropna()
            if less.empty:
                continue
            cells = [percent(less[part].to_numpy(dtype=np.float64)) for part in less]
            rows.append(
                [schedule_name(str(schedule)), recipe_name(recipe), recipe_name(beside), *cells, str(len(less))]
            )
            data += [
                {"schedule": schedule, "paradigm": recipe, "over": beside, "slice": part}
                | ends("nats", stats.mean_interval(less[part].to_numpy(dtype=np.float64)))
                for part in less
            ]
    if not rows:
        return None
    slices = list(range(1, view.last + 1))
    return Table(
        name="forgetting_paired", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", "over", *(f"slice {part}" for part in slices), "all slices", "n"],
        caption=f"PPL of version {view.last} on each version's held-out slice, relative to another recipe's, paired by "
        f"seed. {numerics_note(view, *pooled())}",
    )  # fmt: skip


def _pairs(present: list[str]) -> Iterator[tuple[str, str]]:
    for recipe in present:
        if recipe != PTFS:
            yield recipe, PTFS
        plain, _, settings = recipe.partition(VARIANT)
        kept = [each for each in settings.split(VARIANT) if each and not each.startswith(REPLAY)]
        if (without := VARIANT.join([plain, *kept])) != recipe:
            yield recipe, without


def _by_slice(runs: pd.DataFrame, view: View) -> dict[str, pd.DataFrame]:
    """Nats a token of the last version, (seeds; slices and all of them), by recipe; whole seeds alone."""
    rows = runs.merge(view.ledger.perplexity, on="run", suffixes=("", "_"))
    rows = rows[rows["version"] == view.last]
    found = {}
    for recipe, mine in rows.groupby("paradigm"):
        nll, tokens = (
            pd.DataFrame(mine.pivot(index="seed", columns="slice", values=column))  # noqa: PD010
            for column in ("nll", "tokens")
        )
        loss = (nll / tokens).assign(**{ALL: nll.sum(axis=1) / tokens.sum(axis=1)})
        loss = loss.replace([np.inf, -np.inf], np.nan).dropna()
        if len(loss) and len(loss.columns) == view.last + 1:
            found[str(recipe)] = loss
    return found

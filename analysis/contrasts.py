"""From a `View` to the arrays that claims, tables and figures share: losses paired by seed, costs, downstream scores.

Losses are in nats per token (ln PPL). A seed is only there when everything that is compared is there for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import names, stats
from analysis.formats import text
from analysis.frames import CELL, View
from analysis.registries import STUDIES, Factor, pooled
from repro.common.errors import UserError

PTFS, CPT, SWITCH = THREE = ("ptfs", "cpt", "path_switching")
"""The recipes that the paper's claims name."""
TWIN = names.variant(PTFS, ["order=arrival"])
"""PTFS with the order of its data as the only difference."""
CURVE = names.variant(PTFS, ["curve=path_switching"])
"""PTFS with path switching's learning rates as the only difference."""
TWO_STAGE = "two_stage"
DATA = ("corpus", "stream", "steps_per_version", "tokens_per_step", "conditions")
"""Columns of runs.csv that say which data a run saw, and how much of them; the cut of the text may follow the seed."""


def versions_after_first(view: View) -> list[int]:
    """Version 1 of PTFS and CPT is one and the same run, so comparisons are over the later ones."""
    return list(range(2, view.last + 1))


def losses(scores: pd.DataFrame, paradigms: Sequence[str], versions: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Losses by paradigm, each (seeds, versions); empty when no seed has all of them.

    Args:
        scores: rows of `View.scores` of one schedule, alpha and setting.

    Raises:
        UserError: of unequal data.
    """
    told = [column for column in (*DATA, "cut") if column in scores]
    scores = scores.loc[scores["paradigm"].isin(paradigms), ["seed", "paradigm", "version", "loss", *told]]
    _check_data(scores)
    # Tables are small and asked for often: Python's own dictionaries take less than half of a pivot's time.
    found: dict[tuple[str, int], dict[int, float]] = {cell: {} for cell in product(paradigms, versions)}
    columns = (scores[column] for column in ("seed", "paradigm", "version", "loss"))
    for seed, paradigm, version, loss in zip(*columns, strict=True):
        if (paradigm, version) in found:
            assert seed not in found[paradigm, version], "a seed has one run of a kind"
            found[paradigm, version][seed] = loss
    finite = [{seed for seed, loss in cell.items() if np.isfinite(loss)} for cell in found.values()]
    seeds = sorted(set.intersection(*finite)) if finite else []
    if not seeds:
        return {}
    return {
        paradigm: pd.DataFrame(
            [[found[paradigm, version][seed] for version in versions] for seed in seeds],
            pd.Index(seeds, name="seed"),
            pd.Index(versions, name="version"),
        )
        for paradigm in paradigms
    }


def without_controls(rows: pd.DataFrame) -> pd.DataFrame:
    """Ways to update alone."""
    return rows[~rows["paradigm"].map(names.control).astype(bool)]


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Ways to update, without recipes that never decay: beside decayed versions the PPL of theirs would mislead."""
    rows = without_controls(rows)
    return rows[rows["paradigm"].map(names.decays).astype(bool)]


def _check_data(rows: pd.DataFrame) -> None:
    """Refuse to compare runs that saw other data.

    Raises:
        UserError: which column of runs.csv says so, and what its values are.
    """
    cuts: dict[int, set[object]] = {}
    for seed, cut in zip(rows["seed"], rows["cut"], strict=True) if "cut" in rows else ():
        cuts.setdefault(seed, set()).add(cut)
    told = [("conditions", cuts[seed]) for seed in sorted(cuts)]
    for column, entries in [*((column, set(rows[column])) for column in DATA if column in rows), *told]:
        values = sorted({text(value) for value in entries} - {""})
        if len(values) > 1:
            raise UserError(
                f"runs.csv, column {column}: {', '.join(values)} are unequal data, and runs over them are not "
                "compared; compare within one of them."
            )


def two_stage(view: View, study: str, version: int) -> pd.DataFrame:
    """Losses of version 1 (the checkpoint) or 2 (the updated model): (seeds, cycles in rising order)."""
    rows = view.scores(study)
    rows = rows[rows["run"].isin(two_stage_runs(view, study)["run"]) & (rows["version"] == version)]
    wide = _wide(rows, [swept_cycle(study)]).dropna()
    return wide[sorted(wide.columns)]


def swept_cycle(study: str) -> str:
    """The column of runs.csv that a study of two stages varies; the other stage is held."""
    return "first_cycle" if study == "first_stage" else "second_cycle"


def two_stage_runs(view: View, study: str) -> pd.DataFrame:
    """Runs that differ in their seed and the cycle of the stage in question alone: under the schedule that most were
    run with, as the study has it if any was run so."""
    swept = swept_cycle(study)
    held, at = ("second_cycle", 1.0) if swept == "first_cycle" else ("first_cycle", np.inf)
    rows = view.runs(study)
    rows = rows[(rows["paradigm"] == TWO_STAGE) & (rows[held] == at)]
    plain = rows[~rows["schedule"].str.contains(names.VARIANT, regex=False)]
    return most_alike(rows if plain.empty else plain, ["schedule"]).drop_duplicates(["seed", swept])


def alpha_means(view: View, schedule: str, recipe: str = SWITCH) -> pd.DataFrame:
    """The alpha study's losses, mean over versions 2 to N: (seeds, alphas in rising order); NaN: not all of them."""
    return _alpha_means(view, view.scores("alpha"), schedule, recipe)


def alpha_losses(view: View, schedule: str, version: int, recipe: str = SWITCH) -> pd.DataFrame:
    """The alpha study's losses at a version: (seeds, alphas in rising order); NaN: not there, or diverged."""
    rows = view.scores("alpha")
    rows = rows[(rows["schedule"] == schedule) & (rows["paradigm"] == recipe) & (rows["version"] == version)]
    wide = _wide(rows, ["alpha"])
    return wide[sorted(wide.columns)]


def alpha_block(view: View, schedule: str) -> pd.DataFrame:
    """As `alpha_means`, the largest part of it that is complete: seeds that all have the same alphas."""
    return largest_block(alpha_means(view, schedule))


def alpha_to_cpt(view: View, schedule: str, recipe: str = SWITCH) -> pd.DataFrame:
    """The alpha study's losses less CPT's, mean over versions 2 to N: (seeds with CPT, alphas); NaN: no such run."""
    rows = view.scores(*pooled(), "alpha")  # together, so that both sides are of the same numerics
    loss = losses(rows[rows["schedule"] == schedule], (CPT,), versions_after_first(view))
    studied = view.runs("alpha")["run"]
    mean = _alpha_means(view, rows[rows["run"].isin(studied)], schedule, recipe)
    return mean.sub(loss[CPT].mean(axis=1), axis=0).dropna(how="all") if loss else mean.iloc[:0]


def _alpha_means(view: View, rows: pd.DataFrame, schedule: str, recipe: str) -> pd.DataFrame:
    versions = versions_after_first(view)
    rows = rows[(rows["schedule"] == schedule) & (rows["paradigm"] == recipe) & rows["version"].isin(versions)]
    wide = _wide(rows, ["alpha", "version"])
    known = wide.notna().T.groupby(level="alpha").sum().T
    return wide.T.groupby(level="alpha").mean().T.where(known == len(versions))


def largest_block(table: pd.DataFrame) -> pd.DataFrame:
    """A part of (seeds, points) without a gap: all points if several seeds have them, else as much as there is."""
    whole = table.dropna()
    if len(whole) > 1:
        return whole
    blocks = [table[row[row.notna()].index].dropna() for _, row in table.iterrows()]
    return max(blocks, key=lambda block: block.size, default=table)


def borrowed(
    view: View, alike: pd.DataFrame, chosen: Callable[[pd.DataFrame], "pd.Series[bool]"], *, aside: bool = False
) -> pd.DataFrame:
    """Scores of runs that any study has, once each: a study leaves to others what is trained once.

    Args:
        alike: rows that say what they have in common with those that they are compared with.
        aside: also of runs that a study leaves out of its own comparisons, as those of another numerics than most.
    """
    quiet = view.watched()  # so that a figure's provenance names the studies alone that give something
    found = [view.scores().iloc[:0]]
    known: set[str] = set()

    def scores(of: View, study: str) -> pd.DataFrame:
        left = [of.left_out(study).merge(view.ledger.scores, on="run")] if aside else []
        return pd.concat([of.scores(study), *left], ignore_index=True)

    for study in view.ledger.reported:
        rows = scores(quiet, study)
        runs = set(rows[chosen(rows)].merge(alike, on=list(alike))["run"]) - known
        if runs:
            every = scores(view, study)
            found.append(every[every["run"].isin(runs)])
            known |= runs
    return pd.concat(found, ignore_index=True)


def most_alike(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Those that have in `columns` what most have; the first by value among equals."""
    kinds = rows.groupby(columns, dropna=False).ngroup()
    return rows[kinds.isin(kinds.mode()[:1])]


def swept_scores(view: View, study: str, swept: Factor) -> pd.DataFrame:
    """A generality study's scores. Where it has none at the main comparison's own value, that comparison's stand in:
    the base cell is run once, in whichever study."""
    scores = view.scores(study)
    column, own = swept.chosen, view.own[swept.chosen]
    if scores.empty or (scores[column] == own).any():
        return scores
    base = view.scores(*pooled())
    base = base[(base[column] == own) & base["schedule"].isin(scores["schedule"])]
    base = base[base["paradigm"].isin(scores["paradigm"])]
    return scores if base.empty else pd.concat([scores, base], ignore_index=True)


def swept_values(rows: pd.DataFrame, study: str, swept: Factor) -> list[tuple[str, pd.DataFrame]]:
    """A generality study's runs by value of what it sweeps, in rising order, with the value's name."""
    factor = swept.column
    besides = [column for column in STUDIES[study].sweeps if column not in (factor, "size")]
    groups = []
    for value, group in rows.groupby(factor, sort=True):
        name = text(value)
        if factor == "parameters":
            name = f"{group['size'].iloc[0]} ({int(name):,} parameters)"
        # What usually goes along with the factor (the minimum, a tenth of the maximum) can be varied on its own.
        for others, part in group.groupby(besides, sort=True) if besides else [((), group)]:
            several = len(group[besides].drop_duplicates()) > 1
            named = [f"{column} {text(other)}" for column, other in zip(besides, others, strict=True)]
            groups.append((", ".join([name, *named]) if several else name, part))
    return groups


def cells(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Scores by recipe, schedule and every setting in which they differ, each with a name that says so."""
    varied = [column for column in CELL if len(set(scores[column].astype(str))) > 1]
    found = []
    for _, group in scores.groupby(varied, sort=False, dropna=False) if varied else [((), scores)]:
        row = group.iloc[0]
        name = f"{names.recipe_name(row['paradigm'])}, {names.schedule_name(row['schedule'])}"
        said = [_said(column, row[column]) for column in varied if column not in ("paradigm", "schedule")]
        found.append((": ".join([name, *([" ".join(filter(None, said))] if any(said) else [])]), group))
    order = {name: place for place, name in enumerate(names.recipes(scores["paradigm"]))}
    return sorted(found, key=lambda cell: order[str(cell[1]["paradigm"].iloc[0])])


def _said(column: str, value: object) -> str:
    if value == "" or value != value:
        return ""
    return text(value) if column == "settings" else f"{column}={text(value)}"


@dataclass(frozen=True)
class TreeCost:
    """Steps to release versions 1..k of one paradigm, in units of T; entry k-1 is version k."""

    paradigm: str
    schedules: tuple[str, ...]
    """Those with this very cost."""
    steps: npt.NDArray[np.float64]
    """The size of the run's own tree, in which what versions share is trained once: of PTFS on mixed data, nothing."""
    scratch: npt.NDArray[np.float64]
    """PTFS's steps over the same versions, as the ledger's relative costs imply them."""

    @property
    def share(self) -> float:
        """Of PTFS's steps, over all versions."""
        return float(self.steps[-1] / self.scratch[-1])

    @property
    def label(self) -> str:
        return ", ".join(map(names.schedule_name, self.schedules))


def tree_costs(view: View, *studies: str) -> list[TreeCost]:
    """Each paradigm's costs, schedules of equal cost together; only runs whose versions are all finished.

    Knee and multi-step branches begin at the maximum: their first steps are the main path's own, and cost nothing more.

    Args:
        studies: whose runs; the main comparison's if none is named.
    """
    rows = view.costs(*(studies or pooled()))
    costs: list[TreeCost] = []
    for paradigm in names.recipes(rows["paradigm"]):
        for schedule in dict.fromkeys(rows["schedule"]):
            mine = rows[(rows["paradigm"] == paradigm) & (rows["schedule"] == schedule)]
            whole = [run.sort_values("version") for _, run in mine.groupby("run") if len(run) == view.last]
            if not whole:
                continue
            run, t = whole[0], float(whole[0]["steps_per_version"].iloc[0])
            steps = run["unique_steps"].to_numpy(dtype=np.float64) / t
            scratch = steps / run["relative_cost"].to_numpy(dtype=np.float64)
            same = [i for i, one in enumerate(costs) if one.paradigm == paradigm and np.array_equal(one.steps, steps)]
            if same:
                costs[same[0]] = replace(costs[same[0]], schedules=(*costs[same[0]].schedules, schedule))
            else:
                costs.append(TreeCost(paradigm, (schedule,), steps, scratch))
    return costs


def downstream_scores(view: View, *studies: str, finetuned: bool = True) -> pd.DataFrame:
    """Scores after fine-tuning or before: a row for each run, version, fine-tuning seed and task, of one metric.

    Args:
        studies: whose runs; the main comparison's if none is named.
    """
    rows = view.scored(*(studies or pooled())).merge(view.ledger.downstream, on="run")
    rows = rows[rows["finetune_seed"].notna() == finetuned]
    preferred = {"acc": 0, "exact_match": 1}
    rows = rows.assign(_rank=[preferred.get(str(metric), 2) for metric in rows["metric"]])
    keys = ["run", "version", "finetune_seed", "task"]
    return rows.sort_values([*keys, "_rank", "metric"]).drop_duplicates(keys).drop(columns="_rank")


def downstream_shared(view: View, recipes: Sequence[str], column: str = "value") -> pd.DataFrame:
    """Scores after fine-tuning that all of `recipes` have, of versions from 2 on; a row for each.

    One entry per seed, schedule, version, task (the index) and recipe (the columns), mean over the fine-tuning seeds
    that all of them have.

    Args:
        column: of downstream.csv; scores (`value`) in points.
    """
    rows = downstream_scores(view)
    rows = rows[rows["version"] >= 2]
    keys = ["seed", "schedule", "version", "task"]
    wide = rows.pivot_table(index=[*keys, "finetune_seed"], columns="paradigm", values=column)
    shared = wide.reindex(columns=list(recipes)).dropna().groupby(level=keys).mean()
    return shared * (100 if column == "value" else 1)


def downstream_recipes(view: View) -> list[str]:
    """Recipes that were scored after fine-tuning; those of the paper alone where nothing is shared with the others."""
    found = names.recipes(downstream_scores(view)["paradigm"])
    return [recipe for recipe in found if recipe in THREE] if downstream_shared(view, found).empty else found


def downstream_means(view: View) -> pd.DataFrame:
    """Average score in points, (seeds, paradigms and `chance`), over what the paper's three recipes all have.

    Averages over tasks, schedules, fine-tuning seeds and versions from 2 on. Empty when nothing is shared.
    """
    shared = downstream_shared(view, THREE)
    chance = downstream_scores(view).groupby("task")["chance"].first().fillna(0)
    tasks = shared.index.get_level_values("task")
    return shared.assign(chance=100 * chance.reindex(tasks).to_numpy(dtype=np.float64)).groupby(level="seed").mean()


def forgetting_matrix(view: View, paradigm: str) -> pd.DataFrame | None:
    """PPL, (versions, slices), geometric mean over seeds. All are of one schedule, the first that any recipe was run
    with, since they are compared; None of a recipe that was not."""
    runs = view.runs(*pooled())
    if runs.empty:
        return None
    runs = runs[runs["schedule"] == runs["schedule"].iloc[0]]
    rows = runs.merge(view.ledger.perplexity, on="run", suffixes=("", "_"))
    rows = rows.assign(loss=rows["nll"] / rows["tokens"])
    rows = rows[np.isfinite(rows["loss"])]
    rows = rows[rows.groupby("run")["loss"].transform("size") == rows.groupby(["version", "slice"]).ngroups]
    each = without_controls(rows).groupby("paradigm")["seed"].agg(set)
    common = set.intersection(*each) if len(each) else set()  # what is compared is of the same seeds
    rows = rows[(rows["paradigm"] == paradigm) & rows["seed"].isin(common or set(rows["seed"]))]
    return None if rows.empty else ppl(rows.pivot_table(index="version", columns="slice", values="loss"))


@dataclass(frozen=True)
class Recovery:
    """How much of the gap between CPT and PTFS something recovers: a share, where there is a gap."""

    share: stats.Interval
    gap: stats.Interval

    @property
    def established(self) -> bool:
        """Whether there is a gap at all: apart from 0, or above it for one seed."""
        return not (self.gap.estimate <= 0 or self.gap.low <= 0)


def recovery(gained: "pd.Series[float]", gap: "pd.Series[float]") -> Recovery:
    """Of nats gained over CPT and of CPT's gap to PTFS, paired by seed."""
    a, b = np.asarray(gained, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    return Recovery(stats.fieller(a, b), stats.mean_interval(b))


def ppl(loss: pd.DataFrame) -> pd.DataFrame:
    """From nats per token."""
    return loss.apply(np.exp)


def _wide(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """(seeds, columns) of losses; a run that diverged counts as absent."""
    series = rows.set_index(["seed", *columns])["loss"].replace([np.inf, -np.inf], np.nan)
    wide = series.unstack(columns)  # noqa: PD010  (pivot_table would average what must be unique)
    assert isinstance(wide, pd.DataFrame)
    return wide

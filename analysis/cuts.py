"""Which cut of the text a run saw. One that follows the seed is part of a seed; a fixed one is part of the setting."""

import pandas as pd

from analysis.registries import STUDIES


def joined(runs: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Runs with the column `cut`: their conditions as written; `conditions` is then what seeds share.

    A cut follows the seed where it is made with it (`split_seed`) and no run of another seed saw it; runs of studies
    that cross cuts and seeds say nothing of that. Such seeds have their conditions but for the cut in common. Ledgers
    from before there were these columns have fixed cuts.
    """
    crossing = {run for study, run in zip(studies["study"], studies["run"], strict=True) if crosses(study)}
    seen = runs[~runs["run"].isin(crossing)].groupby("conditions")["seed"].agg(set)
    conditions = [
        row["uncut_conditions"]
        if row["run"] not in crossing
        and row["uncut_conditions"]
        and row["split_seed"] == f"{row['seed']:.0f}"
        and seen.get(row["conditions"], set()) <= {row["seed"]}
        else row["conditions"]
        for row in runs.to_dict("records")
    ]
    return runs.assign(cut=runs["conditions"], conditions=conditions)


def crosses(study: str) -> bool:
    """Whether a study varies the cut of the text on purpose."""
    return study in STUDIES and "conditions" in STUDIES[study].sweeps


def note(runs: pd.DataFrame) -> str:
    """For a caption: what a mean of levels over seeds is worth where each has a cut of its own."""
    seeds_of_a_cut = runs.groupby("cut")["seed"].agg(set).map(len)
    if runs["seed"].nunique() < 2 or seeds_of_a_cut.max() > 1:
        return ""
    return " Each seed has its own text and tokenizer: a level is a mean over these, and differences are within a seed."

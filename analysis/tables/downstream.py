"""Scores after fine-tuning."""

import numpy as np
import pandas as pd

from analysis.contrasts import downstream_recipes, downstream_scores, downstream_shared
from analysis.formats import listed, number
from analysis.frames import View
from analysis.names import recipe_name
from analysis.tables.table import Table, numerics_of, seed_count


def downstream(view: View) -> Table | None:
    """Scores after fine-tuning by task, beside chance and standard error: over what all recipes have."""
    shown = downstream_recipes(view)
    shared = downstream_shared(view, shown)
    if shared.empty:
        return None
    scores = downstream_scores(view)
    versions = sorted(set(shared.index.get_level_values("version")))
    keys = list(shared.index.names)
    scores = scores[scores.set_index(keys).index.isin(shared.index)]
    means = shared.groupby(level="task").mean()
    rows, data = [], []
    for task, group in scores.groupby("task", sort=True):
        cells = []
        chance, items, metric = (group[column].iloc[0] for column in ("chance", "items", "metric"))
        for paradigm in shown:
            at = group[group["paradigm"] == paradigm]
            value, error = float(means[paradigm][task]), at["stderr"].mean()
            cells.append(f"{value:.1f}" + ("" if np.isnan(error) else f" ± {100 * error:.1f}"))
            data.append(
                {"task": task, "metric": metric, "paradigm": paradigm, "score": value / 100, "stderr": error}
                | {"chance": chance, "items": items}
                | {"gold_bits_per_byte": at["gold_bits_per_byte"].mean(), "n": seed_count(at)}
            )
        rows.append([str(task), str(metric), *cells, f"{100 * chance:.1f}", f"{items:.0f}"])
    by_chance = f"{100 * scores.groupby('task')['chance'].first().fillna(0).mean():.1f}"
    for version in versions if len(versions) > 1 else ():
        one = shared[shared.index.get_level_values("version") == version]
        rows.append([f"average, version {version}", "", *(f"{one[p].mean():.2f}" for p in shown), by_chance, ""])
    rows.append(["average", "", *(f"{shared[p].mean():.2f}" for p in shown), by_chance, ""])
    raw = downstream_scores(view, finetuned=False)
    raw = raw[raw.set_index(keys).index.isin(shared.index)]
    if len(raw):
        before = 100 * raw.groupby("paradigm")["value"].mean().reindex(shown)
        rows.append(["average before fine-tuning", "", *(f"{value:.2f}" for value in before), by_chance, ""])
    bits = scores.groupby("paradigm")["gold_bits_per_byte"].mean()
    rows.append(["gold answer, bits a byte", "", *(number(float(bits[p])) for p in shown), "", ""])
    return Table(
        name="downstream", data=pd.DataFrame(data), rows=rows,
        head=["task", "metric", *map(recipe_name, shown), "chance", "items"],
        caption=f"After fine-tuning, per cent; version{'s' * (len(versions) > 1)} {listed(versions)}, mean over seeds "
        f"({seed_count(scores)}), fine-tuning seeds ({scores['finetune_seed'].nunique()}) and schedules "
        f"({scores['schedule'].nunique()}); ± one standard error of a single evaluation. Version 1 is left out, as in "
        "every comparison. "
        f"lm-eval {listed(scores['lm_eval'])}. {numerics_of(scores)}",
    )  # fmt: skip

"""The report's abstract: the question, an answer in plain words, and what it rests on; all of it from the ledger."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import CPT, PTFS, SWITCH, comparable, losses, tree_costs
from analysis.formats import listed, percent, spoken
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import pooled

QUESTION = (
    "When new data arrives, a language model can be pre-trained from scratch on old and new data together (PTFS), "
    "trained on from its last version on the new data only (CPT), or released from a branch of a main path that never "
    "decays its learning rate (path switching). How do they compare in perplexity (PPL) and in cost?"
)


def answer(view: View) -> list[str]:
    """What the last version's PPL and the costs say, a sentence a schedule; the first one says whether they agree."""
    scores = comparable(view.scores(*pooled()))
    said, outcomes = [], set()
    for schedule in dict.fromkeys(scores["schedule"]):
        rows = scores[scores["schedule"] == schedule]
        present = recipes(rows["paradigm"])
        parts, signs, counts = [], [], set()
        for recipe in (recipe for recipe in present if recipe != PTFS):
            loss = losses(rows, (PTFS, recipe), [view.last])
            if loss:
                nats = (loss[recipe] - loss[PTFS]).to_numpy(dtype=np.float64).ravel()
                parts.append(f"{recipe_name(recipe)} {_beside(nats)}{_cost(view, recipe, schedule)}")
                signs.append(_sign(nats))
                counts.add(len(nats))  # pairs, of which there may be fewer than seeds
        if parts:
            best = f", and {_better(rows, view)}" if {CPT, SWITCH} <= set(present) else ""
            n = " to ".join(map(str, sorted({min(counts), max(counts)})))
            said.append(
                f"With {schedule_name(schedule)}, beside PTFS at version {view.last}: {spoken(parts)}{best} (n = {n})."
            )
            outcomes.add((*signs, best.split(" (")[0]))
    if not said:
        return ["This ledger does not hold the comparison of PTFS with another paradigm, so it gives no answer yet."]
    if len(said) == 1:
        return said
    together = (
        "The answer is the same under every schedule tried." if len(outcomes) == 1 else "It depends on the schedule."
    )
    return [together, *said]


def rests_on(view: View) -> str:
    """How far the answer carries: model, data and seeds."""
    runs = view.runs(*view.ledger.reported)
    largest, t = int(runs["parameters"].max()), float(str(view.setting["steps_per_version"]))
    tokens = t * int(str(view.setting["tokens_per_step"])) * view.last
    sizes = view.ledger.runs["parameters"].astype(int)
    others = f" ({sizes.min():,} to {sizes.max():,} with all settings)" if sizes.max() > largest else ""
    return (
        f"Models of up to {largest:,} parameters{others}, {view.last} versions with {tokens:,.0f} tokens in all, seeds "
        f"{listed(runs['seed'])}. How far that carries to models of use is not known."
    )


def _beside(nats: stats.Values) -> str:
    """In words only as strong as the interval."""
    words = {1: "has a higher PPL", -1: "has a lower PPL", 0: "is not told apart in PPL"}
    return f"{words[_sign(nats)]} ({percent(nats)})"


def _sign(nats: stats.Values) -> int:
    """Of a mean over seeds whose interval leaves out 0; else 0."""
    interval = stats.mean_interval(nats)
    return int(interval.low > 0) - int(interval.high < 0)


def _better(rows: pd.DataFrame, view: View) -> str:
    loss = losses(rows, (CPT, SWITCH), [view.last])
    if not loss:
        return "path switching and CPT share no seed"
    nats = (loss[SWITCH] - loss[CPT]).to_numpy(dtype=np.float64).ravel()
    words = {1: "path switching is worse than CPT", -1: "path switching is better than CPT"}
    return f"{words.get(_sign(nats), 'path switching is not told apart from CPT')} ({percent(nats)})"


def _cost(view: View, recipe: str, schedule: str) -> str:
    for cost in tree_costs(view):
        if cost.paradigm == recipe and schedule in cost.schedules:
            return f" at {100 * cost.share:.3g} % of the cost"
    return ""

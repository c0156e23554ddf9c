"""The report's abstract: the question, an answer in plain words, and what it rests on; all of it from the ledger."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import readings, stats
from analysis.contrasts import CPT, PTFS, SWITCH, comparable, losses, tree_costs
from analysis.formats import listed, percent, spoken
from analysis.frames import View
from analysis.names import VARIANT, recipe_name, recipes, schedule_name
from analysis.registries import STUDIES, pooled

BESIDE = " to "
"""Between two recipes that are compared; one alone is compared with PTFS."""
QUESTION = (
    "When new data arrives, a language model can be pre-trained from scratch on old and new data together (PTFS), "
    "trained on from its last version on the new data only (CPT), or released from a branch of a main path that never "
    "decays its learning rate (path switching). How do they compare in perplexity (PPL) and in cost?"
)


def answer(view: View) -> list[str]:
    """What the last version's PPL and the costs say, a sentence a schedule; the first one says whether they agree."""
    scores = comparable(view.scores(*pooled()))
    said: list[str] = []
    outcomes: list[dict[str, int]] = []
    compared: list[str] = []
    for schedule in dict.fromkeys(scores["schedule"]):
        rows = scores[scores["schedule"] == schedule]
        present = recipes(rows["paradigm"])
        parts, counts, signs = [], set(), {}
        for recipe in (recipe for recipe in present if recipe != PTFS):
            loss = losses(rows, (PTFS, recipe), [view.last])
            if loss:
                nats = (loss[recipe] - loss[PTFS]).to_numpy(dtype=np.float64).ravel()
                parts.append(f"{recipe_name(recipe)} {_beside(nats)}{_cost(view, recipe, schedule)}")
                signs[recipe] = _sign(nats)
                counts.add(len(nats))  # pairs, of which there may be fewer than seeds
        if parts:
            best = ""
            if {CPT, SWITCH} <= set(present):
                words, signs[f"{SWITCH}{BESIDE}{CPT}"] = _better(rows, view)
                best = f", and {words}"
            n = " to ".join(map(str, sorted({min(counts), max(counts)})))
            said.append(
                f"With {schedule_name(schedule)}, beside PTFS at version {view.last}: {spoken(parts)}{best} (n = {n})."
            )
            outcomes.append(signs)
            compared.append(schedule)
    if view.runs(*pooled()).empty and (others := [study for study in view.ran if study in STUDIES]):
        return [f"The main comparison of the paradigms is not in this ledger. Studies in it: {listed(others)}."]
    if not said:
        return ["This ledger does not hold the comparison of PTFS with another paradigm, so it gives no answer yet."]
    return [*_together(outcomes, compared, _read(view, compared), view.last), *said]


def _read(view: View, schedules: Sequence[str]) -> str:
    """How the branch is read, where that makes a difference."""
    reading = view.usual.own(readings.RECIPE, readings.SETTING)
    return f", path switching's branch read as a {reading}" if any(map(readings.differ, schedules)) else ""


def _together(outcomes: Sequence[Mapping[str, int]], schedules: Sequence[str], read: str, last: int) -> list[str]:
    """Whether schedules agree on what all of them compare; nothing where no difference is told apart."""
    common = [each for each in outcomes[0] if VARIANT not in each and all(each in one for one in outcomes)]
    signs = [[one[each] for each in common] for one in outcomes]
    if len(outcomes) < 2 or not any(map(any, signs)):
        return []
    if any({-1, 1} <= set(each) for each in zip(*signs, strict=True)):
        return [f"Which has the lower PPL depends on the schedule{read}."]
    if all(one == signs[0] for one in signs):
        words = {1: "has a higher PPL than", -1: "has a lower PPL than", 0: "is not told apart from"}
        parts = []
        for each in common:
            one, _, other = each.partition(BESIDE)
            parts.append(f"{recipe_name(one)} {words[outcomes[0][each]]} {recipe_name(other or PTFS)}")
        under = f"each of {len(schedules)} schedules ({', '.join(map(schedule_name, schedules))})"
        return [f"Under {under}, version {last} comes out alike{read}: {spoken(parts)}."]
    # A difference that is told apart and one that is not are not thereby two differences: seeds may be fewer.
    return [f"Which has the lower PPL is told apart under some schedules alone, and under none the other way{read}."]


def rests_on(view: View) -> str:
    """How far the answer carries: model, data and seeds."""
    runs, compared = view.runs(*view.ledger.reported), view.runs(*pooled())
    compared = compared if len(compared) else runs
    largest, t = int(runs["parameters"].max()), float(str(view.setting["steps_per_version"]))
    tokens = t * int(str(view.setting["tokens_per_step"])) * view.last
    sizes = view.ledger.runs["parameters"].astype(int)
    others = f" ({sizes.min():,} to {sizes.max():,} with all settings)" if sizes.max() > largest else ""
    return (
        f"Models of up to {largest:,} parameters{others}, {view.last} versions with {tokens:,.0f} tokens in all, seeds "
        f"{listed(compared['seed'])}. How far that carries to models of use is not known."
    )


def _beside(nats: stats.Values) -> str:
    """In words only as strong as the interval."""
    words = {1: "has a higher PPL", -1: "has a lower PPL", 0: "is not told apart in PPL"}
    return f"{words[_sign(nats)]} ({percent(nats)})"


def _sign(nats: stats.Values) -> int:
    """Of a mean over seeds whose interval leaves out 0; else 0."""
    interval = stats.mean_interval(nats)
    return int(interval.low > 0) - int(interval.high < 0)


def _better(rows: pd.DataFrame, view: View) -> tuple[str, int]:
    loss = losses(rows, (CPT, SWITCH), [view.last])
    if not loss:
        return "path switching and CPT share no seed", 0
    nats = (loss[SWITCH] - loss[CPT]).to_numpy(dtype=np.float64).ravel()
    words = {1: "path switching is worse than CPT", -1: "path switching is better than CPT"}
    sign = _sign(nats)
    return f"{words.get(sign, 'path switching is not told apart from CPT')} ({percent(nats)})", sign


def _cost(view: View, recipe: str, schedule: str) -> str:
    for cost in tree_costs(view):
        if cost.paradigm == recipe and schedule in cost.schedules:
            return f" at {100 * cost.share:.3g} % of the cost"
    return ""

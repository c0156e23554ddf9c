"""Sentences of the report, generated from the ledger: what was set up, what each study found, and what is missing."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims import Judged, command
from analysis.contrasts import (
    CPT,
    GENERALITY,
    POOL,
    PTFS,
    SWITCH,
    THREE,
    alpha_losses,
    downstream_means,
    losses,
    ppl,
    swept_values,
    tree_costs,
    two_stage,
    versions_after_first,
)
from analysis.frames import STUDIES, View, paradigm_name, schedule_name, text
from analysis.tables import listed, percent, recovery_cells

ASSUMED = (
    "The minimum learning rate is 10 % of the maximum.",
    "Knee explores at the maximum for 50 % of its cycle.",
    "A CPT update and a branch start at the maximum, with no second warm-up.",
    "Optimizer state travels along CPT updates and into branches.",
    "AdamW with beta 0.9 and 0.95, weight decay 0.1, gradient clipping at 1.0.",
    "Every version brings the same amount of new data (the published 58 % implies it).",
    "The cycle lengths of the two-stage studies.",
    "The list of nine downstream tasks: C3, GSM8K, MMLU, CSL, C-Eval, BBH, CMMLU, GAOKAO, AGIEval. Scales that work "
    "without a hub stand nine other tasks in for them; the table of scores names its own.",
    "Model shapes, batch sizes, token budgets and learning rates at the paper's own scale.",
)
"""What was assumed about the paper, of which we hold the abstract and an article, but no table."""


def set_up(view: View) -> list[str]:
    """Model, data and numerics of the primary setting, from runs.csv."""
    runs = view.runs(*STUDIES)
    plain = view.runs(*(name for name, study in STUDIES.items() if not study.sweeps))
    s = view.setting
    parameters = _span(plain["parameters"] if len(plain) else runs["parameters"])
    t, tokens = int(str(s["steps_per_version"])), int(str(s["tokens_per_step"]))
    return [
        f"Model: {s['architecture']}, size {s['size']}, {parameters} parameters.",
        f"Data: {s['corpus']}, a {s['stream']} stream of {view.last} versions; T = {t:,} steps of {tokens:,} "
        f"tokens a version ({t * tokens:,} tokens).",
        f"Learning rate: maximum {text(s['max_lr'])}, minimum {text(s['min_lr'])}, warm-up of {s['warmup_steps']} "
        "steps once, at a random initialization.",
        f"Seeds: {listed(runs['seed'])}. A seed sets initialization and data order together, every comparison is "
        "paired by seed, and n counts seeds.",
        f"Numerics: {listed(runs['numerics'])} (listed at the end). Only runs of the same numerics are paired.",
        *_sensitivity(view),
    ]


def found(study: str, view: View) -> list[str]:
    """What a study says, in a sentence or a few."""
    if study in GENERALITY:
        return _generality(view, study)
    write = {
        "headline": _headline, "pilot": _pilot, "first_stage": _first_stage, "second_stage": _second_stage,
        "main": _main, "alpha": _alpha, "downstream": _downstream,
    }[study]  # fmt: skip
    return write(view)


def verdicts(judged: Sequence[Judged]) -> list[str]:
    return [f"{one.claim.id}: {one.verdict} ({one.reason})." for one in judged]


def missing(view: View) -> list[str]:
    """Studies that were not run, or not to their end; runs that no table uses."""
    ledger = view.ledger
    ran = set(ledger.studies["study"])
    notes = []
    for study in STUDIES:
        runs = ledger.studies[ledger.studies["study"] == study].merge(ledger.runs, on="run")
        if runs.empty:
            if (study in ("headline", "pilot") and "main" in ran) or (
                study == "downstream" and not ledger.downstream.empty
            ):
                continue
            notes.append(f"{study} was not run: {command(study, ledger.scale)}")
            continue
        last = np.where(runs["paradigm"] == "two_stage", 2, runs["versions"])
        done = ledger.scores.groupby("run")["version"].max().reindex(runs["run"]).to_numpy()
        short = int(np.sum(~(done >= last)))
        if short:
            notes.append(f"{study}: {short} of {len(runs)} runs are not finished: {command(study, ledger.scale)}")
    if ledger.downstream.empty and "downstream" in ran:
        notes.append(f"downstream: nothing was fine-tuned yet: {command('downstream', ledger.scale)}")
    left_out = view.left_out(*POOL, *STUDIES)
    if len(left_out):
        notes.append(
            f"Left out of every table, since a run of the same seed with other numerics or the same settings is used: "
            f"{listed(left_out['run'])}."
        )
    diverged = ledger.scores[~np.isfinite(ledger.scores["loss"])]
    if len(diverged):
        notes.append(f"Diverged, and left out of comparisons: {listed(diverged['run'])}.")
    unknown = sorted(ran - set(STUDIES))
    if unknown:
        notes.append(f"Runs in the ledger that belong to no study of this report: {', '.join(unknown)}.")
    return notes


def _sensitivity(view: View) -> list[str]:
    """What to know of a scale before believing it: its seed noise, and whether decay helps version 1 at all."""
    scores = view.scores(*POOL)
    first = losses(scores[scores["schedule"] == "cosine"], (CPT,), [1])
    sentences = []
    if first and len(first[CPT]) > 1:
        noise = f"{100 * np.expm1(np.std(first[CPT].to_numpy(), ddof=1)):.2f} %"
        sentences.append(
            f"Seed noise: the PPL of version 1 varies by {noise} from seed to seed (one standard deviation)."
        )
    table = two_stage(view, "first_stage", 1)
    if len(table) and {1.0, np.inf} <= set(table.columns):
        gain = percent((table[np.inf] - table[1.0]).to_numpy(dtype=np.float64))
        sentences.append(f"Without decay, version 1's PPL differs from that of a full cosine by {gain}.")
    if view.ledger.scale == "smoke":
        sentences.append(
            "The scale smoke is for tests: far too small for its verdicts to say anything about the paper."
        )
    return sentences


def _headline(view: View) -> list[str]:
    costs = [
        f"{paradigm_name(c.paradigm)} {c.steps[-1]:.3g} T ({100 * c.share:.3g} %)" for c in tree_costs(view, "headline")
    ]
    steps = [f"Steps to release {view.last} versions: {_and(costs)}."] if costs else []
    return [*steps, *_last_version(view, "headline")]


def _last_version(view: View, *studies: str) -> list[str]:
    scores = view.scores(*studies)
    sentences = []
    for schedule in dict.fromkeys(scores["schedule"]):
        loss = losses(scores[scores["schedule"] == schedule], THREE, [view.last])
        if loss:
            parts = [f"{ppl(loss[p]).to_numpy().mean():.2f} for {paradigm_name(p)}" for p in THREE]
            n = len(loss[PTFS])
            sentences.append(f"PPL of version {view.last} with {schedule_name(schedule)}: {_and(parts)} (n = {n}).")
    return sentences


def _pilot(view: View) -> list[str]:
    versions = versions_after_first(view)
    scores = view.scores(*POOL)
    gaps, growth = [], []
    for schedule in dict.fromkeys(scores["schedule"]):
        loss = losses(scores[scores["schedule"] == schedule], (PTFS, CPT), versions)
        if loss:
            gap = (loss[CPT] - loss[PTFS]).to_numpy(dtype=np.float64)
            gaps.append(f"{percent(gap.mean(axis=1))} with {schedule_name(schedule)}")
            if len(versions) > 1:
                growth.append(f"{percent(stats.slopes(gap, versions))} with {schedule_name(schedule)}")
    if not gaps:
        return []
    sentences = [f"CPT's PPL relative to PTFS's, mean over versions 2 to {view.last}: {_and(gaps)}."]
    return [*sentences, f"Its growth with each version: {_and(growth)}."] if growth else sentences


def _first_stage(view: View) -> list[str]:
    sentences = []
    for what, version in (("The checkpoint", 1), ("The updated model", 2)):
        table = ppl(two_stage(view, "first_stage", version)).mean()
        if len(table):
            best, worst = _extremes(table)
            sentences.append(
                f"{what} is best with {_cycle(best)} (PPL {table[best]:.2f}) and worst with {_cycle(worst)} "
                f"(PPL {table[worst]:.2f})."
            )
    return sentences


def _second_stage(view: View) -> list[str]:
    table = ppl(two_stage(view, "second_stage", 2)).mean()
    if not len(table):
        return []
    best, worst = _extremes(table)
    return [
        f"The updated model is best with {_cycle(best)} (PPL {table[best]:.2f}) and worst with {_cycle(worst)} "
        f"(PPL {table[worst]:.2f})."
    ]


def _main(view: View) -> list[str]:
    scores = view.scores(*POOL)
    parts = []
    for schedule in dict.fromkeys(scores["schedule"]):
        loss = losses(scores[scores["schedule"] == schedule], THREE, versions_after_first(view))
        if loss:
            cpt, switching, share, n = recovery_cells(loss)
            parts.append(
                f"With {schedule_name(schedule)}, relative to PTFS, CPT's PPL is {cpt} and path switching's "
                f"{switching}; {_recovered(share)} (n = {n})."
            )
    return [*parts, *_last_version(view, "main")]


def _alpha(view: View) -> list[str]:
    final = view.costs("alpha")
    final = final[final["version"] == view.last]
    sentences = []
    for schedule in dict.fromkeys(final["schedule"]):
        table = ppl(alpha_losses(view, schedule)).mean()
        if len(table) > 1:
            cost = 100 * final[final["schedule"] == schedule].groupby("alpha")["relative_cost"].first()
            low, high = table.index[0], table.index[-1]
            sentences.append(
                f"With {schedule_name(schedule)}, from alpha {low:g} to {high:g}, mean PPL of versions 2 to "
                f"{view.last} goes from {table[low]:.2f} to {table[high]:.2f} and cost from {cost[low]:.0f} to "
                f"{cost[high]:.0f} % of PTFS's."
            )
    return sentences


def _generality(view: View, study: str) -> list[str]:
    factor, label = GENERALITY[study]
    parts = []
    for value, rows in swept_values(view.scores(study), factor):
        for schedule in dict.fromkeys(rows["schedule"]):
            loss = losses(rows[rows["schedule"] == schedule], THREE, versions_after_first(view))
            if loss:
                cpt, switching, share, n = recovery_cells(loss)
                parts.append(
                    f"{label[0].upper()}{label[1:]} {value}, {schedule_name(schedule)}: CPT {cpt} and path switching "
                    f"{switching} relative to PTFS; {_recovered(share)} (n = {n})."
                )
    return parts


def _downstream(view: View) -> list[str]:
    means, chance = downstream_means(view)
    if means.empty:
        return []
    parts = [f"{means[p].mean():.2f} for {paradigm_name(p)}" for p in (PTFS, CPT, SWITCH)]
    return [
        f"Average score after fine-tuning, versions from 2 on: {_and(parts)} points, where chance is {chance:.2f} "
        f"(n = {len(means)})."
    ]


def _recovered(share: str) -> str:
    return f"{share} of the gap recovered" if share[0].isdigit() or share[0] == "-" else share


def _extremes(table: "pd.Series[float]") -> tuple[float, float]:
    """Cycles with the lowest and the highest value."""
    return float(str(table.idxmin())), float(str(table.idxmax()))


def _cycle(cycle: float) -> str:
    return "an endless cycle" if np.isinf(cycle) else f"a cycle of {cycle:g} T"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _span(values: Iterable[int]) -> str:
    numbers = sorted(set(values))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"

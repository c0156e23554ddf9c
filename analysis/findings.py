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
    alpha_means,
    alpha_to_cpt,
    downstream_means,
    downstream_shared,
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
    "A branch under Knee or multi-step is a whole cycle of alpha T, its part at the maximum included, so that it "
    "decays over its last half (Knee) or fifth (multi-step); of a branch we know only that its decay is fast and "
    "complete.",
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
    known = set(ledger.studies["study"])
    ran = {study for study in STUDIES if len(view.runs(study))}
    notes = []
    for study in STUDIES:
        runs = ledger.studies[ledger.studies["study"] == study].merge(ledger.runs, on="run")
        if study not in ran:
            if (study in ("headline", "pilot") and "main" in ran) or (
                study == "downstream" and not ledger.downstream.empty
            ):
                continue
            which = "was run in other settings only" if study in known else "was not run"
            notes.append(f"{study} {which}: {command(study, ledger.scale, view)}")
            continue
        last = np.where(runs["paradigm"] == "two_stage", 2, runs["versions"])
        done = ledger.scores.groupby("run")["version"].max().reindex(runs["run"]).to_numpy()
        short = int(np.sum(~(done >= last)))
        if short:
            notes.append(f"{study}: {short} of {len(runs)} runs are not finished: {command(study, ledger.scale, view)}")
    if ledger.downstream.empty and "downstream" in ran:
        notes.append(f"downstream: nothing was fine-tuned yet: {command('downstream', ledger.scale, view)}")
    for schedule in dict.fromkeys(view.runs("alpha")["schedule"]):
        lacking = sorted(set(alpha_means(view, schedule).index) - set(alpha_losses(view, schedule).index))
        if lacking:
            which = f"seed{'s' if len(lacking) > 1 else ''} {', '.join(map(str, lacking))}"
            notes.append(
                f"alpha, {schedule_name(schedule)}: {which} without some alpha that another seed has, left out of what "
                "is paired over alphas."
            )
    left_out = view.left_out(*POOL, *STUDIES)
    for studies in (POOL, *((study,) for study in STUDIES)):
        left_out = left_out[~left_out["run"].isin(view.runs(*studies)["run"])]
    if len(left_out):
        notes.append(
            f"Left out of every table, since a run of the same seed with other numerics or the same settings is used: "
            f"{listed(left_out['run'])}."
        )
    diverged = ledger.scores[~np.isfinite(ledger.scores["loss"])]
    if len(diverged):
        notes.append(f"Diverged, and left out of comparisons: {listed(diverged['run'])}.")
    unknown = sorted(known - set(STUDIES))
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
    tables = (
        ("The checkpoint", two_stage(view, "first_stage", 1)),
        ("The updated model", two_stage(view, "first_stage", 2)),
    )
    return [_extremes(what, table) for what, table in tables if len(table)]


def _second_stage(view: View) -> list[str]:
    table = two_stage(view, "second_stage", 2)
    return [_extremes("The updated model", table)] if len(table) else []


def _extremes(what: str, table: pd.DataFrame) -> str:
    """Best and worst cycle, and which cannot be told from the best; `table` holds losses, (seeds, cycles)."""
    mean = ppl(table).mean()
    best, worst = (float(str(cycle)) for cycle in (mean.idxmin(), mean.idxmax()))
    ends = (f"{_cycle(cycle)} (PPL {mean[cycle]:.2f})" for cycle in (best, worst))
    sentence = f"{what} is best with {' and worst with '.join(ends)}"
    cycles = [float(str(cycle)) for cycle in table.columns]
    intervals = {c: stats.mean_interval((table[c] - table[best]).to_numpy()) for c in cycles if c != best}
    alike = [cycle for cycle, interval in intervals.items() if interval.low <= 0]
    if len(table) == 1:
        return f"{sentence} (one seed, so that nothing is told apart)."
    return f"{sentence}; not told apart from the best: {_and([*map(_cycle, alike)])}." if alike else f"{sentence}."


def _main(view: View) -> list[str]:
    scores = view.scores(*POOL)
    sentences = []
    ptfs: dict[str, pd.DataFrame] = {}
    switching: dict[str, pd.DataFrame] = {}
    for schedule in dict.fromkeys(scores["schedule"]):
        rows = scores[scores["schedule"] == schedule]
        loss = losses(rows, THREE, versions_after_first(view))
        if loss:
            ptfs[schedule], switching[schedule] = loss[PTFS], loss[SWITCH]
            cpt, switched, share, n = recovery_cells(loss)
            sentences.append(
                f"With {schedule_name(schedule)}, relative to PTFS, CPT's PPL is {cpt} and path switching's "
                f"{switched}; {_recovered(share)} (n = {n})."
            )
            sentences += _over_versions(view, schedule, rows, loss)
    if len(ptfs) > 1:
        sentences += _against_the_best(ptfs, switching)
    if {"knee", "multi_step"} & switching.keys():
        sentences.append(
            "A Knee or multi-step branch is read as a whole cycle of alpha T, which is an assumption: half of it "
            "(Knee) or 80 % (multi-step) stays at the maximum."
        )
    return [*sentences, *_last_version(view, "main")]


def _over_versions(view: View, schedule: str, rows: pd.DataFrame, loss: dict[str, pd.DataFrame]) -> list[str]:
    """What the mean over versions 2 to N does not say: how it goes on, and where it began."""
    versions = versions_after_first(view)
    behind = (loss[SWITCH] - loss[PTFS]).to_numpy(dtype=np.float64)
    last = {paradigm: frame[[view.last]] for paradigm, frame in loss.items()}
    _, switching, share, _ = recovery_cells(last)
    sentences = []
    if len(versions) > 1:
        growth = percent(stats.slopes(behind, versions))
        sentences.append(
            f"With {schedule_name(schedule)}, at version {view.last} alone, path switching's PPL is {switching} "
            f"relative to PTFS's, {_recovered(share)}; from version to version it changes by {growth}."
        )
    if first := losses(rows, (PTFS, SWITCH), [1]):
        lead = percent((first[SWITCH] - first[PTFS])[1].to_numpy(dtype=np.float64))
        sentences.append(
            f"With {schedule_name(schedule)}, at version 1, where all have trained as long on the same data, path "
            f"switching's PPL is {lead} relative to PTFS's: that much comes from the shape of its schedule alone."
        )
    return sentences


def _against_the_best(ptfs: dict[str, pd.DataFrame], switching: dict[str, pd.DataFrame]) -> list[str]:
    """Path switching's best schedule against PTFS's best one."""
    best, own = _lowest(ptfs), _lowest(switching)
    both = switching[own].index.intersection(ptfs[best].index)
    if best == own or both.empty:
        return []
    difference = (switching[own].loc[both] - ptfs[best].loc[both]).mean(axis=1).to_numpy(dtype=np.float64)
    return [
        f"PTFS is best with {schedule_name(best)} and path switching with {schedule_name(own)}: relative to each "
        f"other, path switching's PPL is {percent(difference)} (n = {len(both)})."
    ]


def _lowest(loss: dict[str, pd.DataFrame]) -> str:
    return min(loss, key=lambda schedule: float(loss[schedule].to_numpy().mean()))


def _alpha(view: View) -> list[str]:
    final = view.costs("alpha")
    final = final[final["version"] == view.last]
    sentences = []
    for schedule in dict.fromkeys(final["schedule"]):
        paired = alpha_losses(view, schedule)
        table = ppl(paired).mean()
        if len(table) > 1 and len(paired):
            cost = 100 * final[final["schedule"] == schedule].groupby("alpha")["relative_cost"].first()
            low, high = table.index[0], table.index[-1]
            sentences.append(
                f"With {schedule_name(schedule)}, from alpha {low:g} to {high:g}, mean PPL of versions 2 to "
                f"{view.last} goes from {table[low]:.2f} to {table[high]:.2f} and cost from {cost[low]:.0f} to "
                f"{cost[high]:.0f} % of PTFS's (n = {len(paired)})."
            )
        beside = alpha_to_cpt(view, schedule)
        if len(beside):
            parts = [f"{percent(beside[a].to_numpy(dtype=np.float64))} with alpha {a:g}" for a in beside]
            sentences.append(
                f"With {schedule_name(schedule)}, relative to CPT's, mean PPL of versions 2 to {view.last} is "
                f"{_and(parts)} (n = {len(beside)})."
            )
    return sentences


def _generality(view: View, study: str) -> list[str]:
    label = GENERALITY[study][1]
    parts = []
    for value, rows in swept_values(view.scores(study), study):
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
    means = downstream_means(view)
    if means.empty:
        return []
    chance = means["chance"].mean()
    parts = [f"{means[p].mean():.2f} for {paradigm_name(p)}" for p in (PTFS, CPT, SWITCH)]
    versions = sorted(set(downstream_shared(view).index.get_level_values("version")))
    which = f"version{'s' if len(versions) > 1 else ''} {', '.join(map(str, versions))}"
    return [
        f"Average score after fine-tuning, in points, {which}: {_and(parts)}; chance is {chance:.2f} "
        f"(n = {len(means)}).",
        *_separates(means),
    ]


def _separates(means: pd.DataFrame) -> list[str]:
    """Whether the benchmark tells anything at this scale."""
    if len(means) < 2:
        return []
    above = stats.mean_interval((means[list(THREE)].mean(axis=1) - means["chance"]).to_numpy(dtype=np.float64))
    beside = [stats.mean_interval((means[SWITCH] - means[p]).to_numpy(dtype=np.float64)) for p in (PTFS, CPT)]
    points = [f"{one.estimate:+.2f} [{one.low:+.2f}, {one.high:+.2f}]" for one in (*beside, above)]
    return [
        f"Path switching's average lies {points[0]} points above PTFS's and {points[1]} above CPT's; the average of "
        f"all three lies {points[2]} points above chance."
    ]


def _recovered(share: str) -> str:
    return f"{share} of the gap recovered" if share[0].isdigit() or share[0] == "-" else share


def _cycle(cycle: float) -> str:
    return "an endless cycle" if np.isinf(cycle) else f"a cycle of {cycle:g} T"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _span(values: Iterable[int]) -> str:
    numbers = sorted(set(values))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"

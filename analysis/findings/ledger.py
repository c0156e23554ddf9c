"""What was set up, what was assumed, and what is missing."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis import lengths
from analysis.commands import again, command
from analysis.contrasts import CPT, losses, two_stage
from analysis.formats import listed, percent, text
from analysis.frames import SETTING, View
from analysis.registries import STUDIES, pooled
from analysis.variants import sweepers
from analysis.verdicts import Judged
from repro.results.measures import EVERY, SO_FAR

ASSUMED = (
    "PTFS shuffles old and new data together.",
    "The minimum learning rate is 10 % of the maximum.",
    "Knee explores at the maximum for 50 % of its cycle; multi-step drops at 80 and 90 % of its own, to 31.6 and 10 % "
    "of the maximum, as DeepSeek LLM's does.",
    "How a branch under Knee or multi-step is built: of it we know only that its decay is fast and complete. Read as a "
    "decay, all of its alpha T steps decay; read as a cycle, it is a whole cycle, which decays over its last half "
    "(Knee) or fifth (multi-step). Under a cosine both are the same training.",
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
    runs = view.runs(*view.ledger.reported)
    studies = [name for name in view.ledger.reported if name not in sweepers((*SETTING, "parameters"))]
    plain = view.runs(*studies)
    rates = {name: text(rate) if rate != "" else listed(runs[name]) for name, rate in view.usual.rates.items()}
    s = view.setting
    parameters = _span(plain["parameters"] if len(plain) else runs["parameters"])
    t, tokens = float(str(s["steps_per_version"])), int(str(s["tokens_per_step"]))
    return [
        f"Model: {s['architecture']}, size {s['size']}, {parameters} parameters.",
        f"Data: {s['corpus']}, a {s['stream']} stream of {view.last} versions; T = {t:,.6g} steps of {tokens:,} "
        f"tokens per version ({t * tokens:,.0f} tokens).{lengths.note(plain)}",
        f"Learning rate: maximum {rates['max_lr']}, minimum {rates['min_lr']}, "
        f"warm-up of {rates['warmup_steps']} steps once, at a random initialization.",
        f"Seeds: {_seeds(view)}. A seed sets {_sets(view)}; every comparison is within a seed, and n counts seeds.",
        f"Numerics: {listed(runs['numerics'])} (listed at the end). Only runs of the same numerics are paired.",
        f"PPL of a version is {EVERY}, also of versions after it. What training prints, trackers, cards, releases and "
        f"advice say is {SO_FAR}.",
        "Per cent of PPL are hundredths of a nat in text and tables, 100 times a difference of ln PPL, and per cent of "
        "PPL itself in figures and in advice: at 5 % the two differ by 0.13, at 18 % by 1.7.",
        *_sensitivity(view),
    ]


def _compared(view: View) -> pd.DataFrame:
    """Runs of the main comparison; of all that is reported where that was not run."""
    compared = view.runs(*pooled())
    return compared if len(compared) else view.runs(*view.ledger.reported)


def _seeds(view: View) -> str:
    """Those of the main comparison, and the studies that have others: to tune with, or to take chance apart."""
    usual = set(_compared(view)["seed"])
    others = {study: set(view.runs(study)["seed"]) - usual for study in view.ledger.reported}
    own = [f"{study} has {listed(seeds)}" for study, seeds in others.items() if seeds]
    return listed(usual) + (f" ({'; '.join(own)})" if own else "")


def _cut_follows(view: View) -> bool:
    """Whether a seed of the main comparison decides the cut of the text, too."""
    runs = _compared(view)
    return bool((runs["cut"] != runs["conditions"]).all())


def _sets(view: View) -> str:
    if _cut_follows(view):
        return "initialization, data order and the cut of the text into versions and slices"
    return "initialization and data order together"


def verdicts(judged: Sequence[Judged]) -> list[str]:
    return [
        f"{', '.join(filter(None, [one.claim.id, one.reading and f'branch read as a {one.reading}', one.beside]))}: "
        f"{one.verdict} ({one.reason})."
        for one in judged
    ]


def missing(view: View) -> list[str]:
    """Studies that were not run, or not to their end; runs that no table uses."""
    ledger = view.ledger
    notes = [note for study, entry in STUDIES.items() if not entry.optional for note in _unfinished(view, study)]
    notes += [note for study in STUDIES.values() if study.gaps for note in study.gaps(view)]
    together = (pooled(), *((study,) for study in ledger.reported))
    used = {run for studies in together for run in view.runs(*studies)["run"]}
    left_out = pd.concat([view.left_out(study) for study in ledger.reported]).drop_duplicates("run")
    left_out = left_out[~left_out["run"].isin(used)].sort_values("run")
    if len(left_out):
        notes.append(
            f"Left out of their studies' own comparisons, where a run of the same seed with other numerics or the same "
            f"settings is used: {listed(left_out['run'])}. (Tables that compare them with each other, and advice, have "
            "them.)"
        )
    diverged = ledger.scores[~np.isfinite(ledger.scores["loss"])]
    if len(diverged):
        notes.append(f"Diverged, and left out of comparisons: {listed(diverged['run'])}.")
    return notes


def _unfinished(view: View, study: str) -> list[str]:
    """A study that was not run at all, or not to its end, with the command that does it."""
    ledger, entry = view.ledger, STUDIES[study]
    runs = ledger.rows[ledger.rows["study"] == study]
    scored = "evaluate" in entry.verbs
    if study not in view.ran:
        elsewhere = scored and entry.pooled and not ledger.downstream.empty  # of runs that the main comparison shares
        if elsewhere or (entry.part_of and entry.part_of in view.ran):
            return []
        if len(runs):
            return [f"{study} was run in other settings only, which have sections of their own."]
        return [f"{study} was not run: {command(study, ledger.scale, view)}"]
    notes = []
    last = runs["releases"].to_numpy()
    done = ledger.scores.groupby("run")["version"].max().reindex(runs["run"]).to_numpy()
    short = int(np.sum(~(done >= last)))
    if short:
        notes.append(f"{study}: {short} of {len(runs)} runs are not finished: {again(study, view)}")
    bare = len(set(runs["run"]) - set(ledger.downstream["run"])) if scored else 0
    if bare:
        which = "nothing was" if bare == len(runs) else f"{bare} of {len(runs)} runs were not"
        notes.append(f"{study}: {which} fine-tuned yet: {again(study, view)}")
    return notes


def _sensitivity(view: View) -> list[str]:
    """What to know of a scale before believing it: its seed noise, and whether decay helps version 1 at all."""
    scores = view.scores(*pooled())
    first = losses(scores[scores["schedule"] == "cosine"], (CPT,), [1])
    sentences = []
    if first and len(first[CPT]) > 1:
        noise = f"{100 * np.std(first[CPT].to_numpy(), ddof=1):.2f} %"
        included = ", its tokenizer and held-out text included" if _cut_follows(view) else ""
        sentences.append(
            f"The PPL of version 1 varies by {noise} from seed to seed (one standard deviation){included}. What "
            "is compared is paired by seed, and varies by less."
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


def _span(values: Iterable[int]) -> str:
    numbers = sorted(set(values))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"

"""D1: whether the gain survives fine-tuning. Judged by bits per byte of the gold answer; accuracy stands beside it."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.parts import THREE_SCHEDULES, called, measured
from analysis.commands import command
from analysis.contrasts import CPT, PTFS, SWITCH, downstream_scores, downstream_shared
from analysis.evidence import Evidence, Part
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Claim

NINE = 9
"""[article] Tasks that the average is over."""
BITS = "gold_bits_per_byte"
TRUNK = "trunk"
UNTRAINED = 0
"""The ledger's version of a model that was fine-tuned without any pre-training."""


def d1(view: View) -> Evidence:
    scores = downstream_scores(view)
    three = (view.reference, CPT, SWITCH)
    shared = downstream_shared(view, three, BITS)
    if shared.empty:
        return [], []
    missing = _tasks_missing(view, shared)
    tasks = separating(scores)
    if tasks is None:
        more = command("downstream", view.ledger.scale, view)
        return [], [f"no untrained model was fine-tuned as a control ({more}, with finetune.versions=[0,1,2,3,4])"]
    if not tasks:
        return [], ["no task separates version 1 from an untrained model, fine-tuned alike"]
    where = f"{len(tasks)} tasks"
    means = _means(shared, tasks)
    accuracy = _means(downstream_shared(view, three), tasks)
    rivals = ((view.reference, called(view.reference)), (CPT, "CPT"))
    return [
        *_premise(scores, tasks, view.last),
        *(
            measured(f"bits per byte of gold answers, path switching less {name}, {where}",
                     means[SWITCH] - means[recipe], unit="bits per byte", below=0.0)
            for recipe, name in rivals
        ),
        *(
            measured(f"accuracy, path switching above {name}, {where}", accuracy[SWITCH] - accuracy[recipe],
                     unit="points", role="shown")
            for recipe, name in rivals
        ),
        *_undecayed(view, tasks),
    ], missing  # fmt: skip


def _undecayed(view: View, tasks: list[str]) -> list[Part]:
    """Path switching against its own trunk, which fine-tuning itself decays (arXiv 2603.16127)."""
    shared = downstream_shared(view, (SWITCH, TRUNK), BITS)
    means = _means(shared, tasks)
    if means.empty:
        return []
    what = f"bits per byte of gold answers, path switching less the undecayed trunk, {len(tasks)} tasks"
    return [measured(what, means[SWITCH] - means[TRUNK], unit="bits per byte", role="shown")]


def separating(scores: pd.DataFrame) -> list[str] | None:
    """Tasks on which, over seeds, version 1 of PTFS needs fewer bits a byte than an untrained model that was fine-tuned
    alike, its interval apart from 0. None: there is no such control. Looks at no recipe but PTFS."""
    table = by_version(scores, BITS)
    if UNTRAINED not in table.columns or 1 not in table.columns:
        return None
    if (table[UNTRAINED] - table[1]).isna().all():
        return None  # fine-tuned, but not alike
    found = []
    for task, rows in table.groupby(level="task"):
        gain = np.asarray(gained(rows, UNTRAINED, 1), dtype=np.float64)
        if len(gain) and (gain[0] if len(gain) == 1 else stats.mean_interval(gain).low) > 0:
            found.append(str(task))
    return found


def by_version(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """PTFS's scores: (seed, task, schedule and fine-tuning seed; version)."""
    mine = scores[scores["paradigm"] == PTFS]
    return mine.pivot_table(index=["seed", "task", "schedule", "finetune_seed"], columns="version", values=column)


def gained(table: pd.DataFrame, one: int, other: int) -> "pd.Series[float]":
    """By seed: how far one version of `by_version` lies above another, wherever both were scored."""
    above: pd.Series[float] = (table[one] - table[other]).dropna()
    return above.groupby(level="seed").mean()


def _premise(scores: pd.DataFrame, tasks: list[str], last: int) -> list[Part]:
    """That what pre-training taught can be seen after fine-tuning at all."""
    table = by_version(scores, BITS)
    table = table[table.index.get_level_values("task").isin(tasks)]
    parts = []
    for version, name in ((1, "version 1"), (UNTRAINED, "an untrained model")):
        gain = gained(table, version, last) if last in table.columns else pd.Series(dtype="float64")
        if len(gain):
            what = f"bits per byte of gold answers, {name} above version {last}, PTFS"
            parts.append(measured(what, gain, unit="bits per byte", role="premise"))
    return parts


def _means(shared: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """(seeds, recipes): over tasks, schedules, fine-tuning seeds and versions from 2 on."""
    return shared[shared.index.get_level_values("task").isin(tasks)].groupby(level="seed").mean()


def _tasks_missing(view: View, shared: pd.DataFrame) -> list[str]:
    """Of the schedules that were fine-tuned under: the largest model of a ladder is trained under one."""
    missing, every = [], shared.reset_index()
    schedules = [schedule for schedule in THREE_SCHEDULES if schedule in set(every["schedule"])]
    for (seed, version), rows in every.groupby(["seed", "version"]):
        tasks = rows.groupby("schedule")["task"].nunique().reindex(schedules, fill_value=0)
        missing += [
            f"{count} of {NINE} tasks were scored for all three paradigms, {schedule_name(str(schedule))}, version "
            f"{version}, seed {seed} ({command('downstream', view.ledger.scale, view)})"
            for schedule, count in tasks.items()
            if count < NINE
        ]
    return [f"{missing[0]}, and {len(missing) - 1} more such"] if len(missing) > 1 else missing


CLAIMS = (
    Claim(
        id="D1", statement="After fine-tuning, it has the best average over 9 common downstream tasks",
        source="[article]", study="downstream", evaluate=d1, twin=True,
        estimator="bits per byte of the gold answer, mean over the tasks that separate, schedules, fine-tuned versions "
        "from 2 on and fine-tuning seeds; path switching less each other paradigm; paired by seed; under the schedules "
        "that were fine-tuned under",
        margin="below 0 against both; only decidable where version N needs fewer bits than version 1 and than an "
        "untrained model, fine-tuned alike; a task separates where version 1 of PTFS does",
    ),
)  # fmt: skip

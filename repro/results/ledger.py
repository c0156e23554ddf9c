"""Results as plain tables: what tables, figures and claims are made from, and nothing else.

Each file has one row a fact, sorted, with floats as Python prints them (exact). Rows are replaced by run: writing a
study again, or another study, or on another machine, adds to what is there. `SHA256SUMS` beside them is what
`sha256sum --check` reads: a file that does not match it is never added to.
"""

import csv
import io
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from repro.common import locks
from repro.common.canonical import digest
from repro.common.disk import Flaw, clear_errors
from repro.common.disk import read as read_file
from repro.common.errors import UserError, printable
from repro.config.settings import CorpusSettings
from repro.data import tokenizer as tokenizers
from repro.data.corpora.corpus import corpus
from repro.data.memory import known_identity
from repro.data.opening import is_prepared
from repro.data.stream import tokens_key
from repro.downstream import jobs
from repro.models.architectures.architecture import architecture
from repro.models.optimizers.optimizer import optimizer
from repro.planning import frozen, machines, planner
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.planning.tree import Tree
from repro.recipes.recipe import recipe
from repro.recipes.trajectory import Key
from repro.results import growth, measures
from repro.results.columns import COLUMNS, LATER, OWN, is_absurd, settings_of_old, settings_text
from repro.store import tables
from repro.store.layout import Damaged
from repro.store.store import Store

CURVE_POINTS = 200
"""Points of each training curve."""

FILES = [f"{name}.csv" for name in COLUMNS]

Row = dict[str, Any]


def write(plan: Plan, store: Store) -> None:
    """Add the finished versions of a plan's runs to the ledger that each run names.

    Where a table turns out damaged, it is quarantined, and the store's other plans add their rows again as well.

    Raises:
        UserError: the disk refuses, or a table is none of ours.
    """
    for folder in sorted({Path(r.settings.ledger.path) for r in plan.tree.runs}):
        with ExitStack() as stack:
            with clear_errors(folder):
                stack.enter_context(locks.held(folder / ".lock"))
            _refuse_foreign(folder)
            sources = [plan]
            for path, reason in list(tables.damage(folder, FILES)):
                tables.quarantine(path, reason)
                sources = [plan, *_others(plan, folder, store)]
            rows: dict[str, list[Row]] = {}
            for source in sources:
                for table, found in _rows(source, folder, store).items():
                    rows.setdefault(table, []).extend(found)
            _replace(folder, rows)


def check(plan: Plan) -> None:
    """Refuse a folder that holds something else, before anything is trained for it.

    Raises:
        UserError
    """
    for folder in sorted({Path(r.settings.ledger.path) for r in plan.tree.runs}):
        with clear_errors(folder):
            _refuse_foreign(folder)
            damaged = {path.name for path, _ in tables.damage(folder)}
            for name in COLUMNS:
                if f"{name}.csv" not in damaged:  # which is quarantined and made again
                    read(folder / f"{name}.csv", name)


def _refuse_foreign(folder: Path) -> None:
    if tables.is_foreign(folder, FILES):
        raise UserError(
            f"ledger.path={folder}: {tables.SUMS} there has the checksums of other files than a ledger's; move it "
            "away, or choose another ledger.path."
        )


def _replace(folder: Path, rows: dict[str, list[Row]]) -> None:
    """Put rows in place of what the tables say of the same runs, and of those that have grown into them."""
    before = {
        name: [dict(zip(COLUMNS[name], row, strict=True)) for row in read(folder / f"{name}.csv", name)]
        for name in ("runs", "versions", "studies")
    }
    gone = growth.outgrown([before, rows])
    if gone:
        there = [name for name in COLUMNS if name in rows or (folder / f"{name}.csv").exists()]
        rows = {name: [row for row in rows.get(name, []) if row.get("run") not in gone] for name in there}
    tables.replace(folder, {f"{name}.csv": _text(folder / f"{name}.csv", name, rows[name], gone) for name in rows})


def _others(plan: Plan, folder: Path, store: Store) -> Iterator[Plan]:
    """The store's other plans that write to this ledger.

    Their data are looked for where this command was told to keep its own: a plan alone never says where to write.
    """
    first = plan.tree.runs[0].settings
    for name in store.plans():
        try:
            frozen_settings = frozen.thaw(name, store)[0]
            every = [
                replace(s, data=first.data, store=first.store, ledger=replace(s.ledger, path=str(folder)))
                for s in frozen_settings
                if os.path.realpath(s.ledger.path) == os.path.realpath(folder)
            ]
            for s in every:
                if not is_prepared(s.corpus, s.stream, Path(s.data.path)):
                    raise UserError(
                        f"its text is not prepared in data.path={s.data.path}; its own command makes them again"
                    )
            if every:
                yield machines.nearest(planner.make(every), lambda plan, _: plan.missing_steps, store)
        except UserError as error:
            print(printable(f"ledger: rows of plan {name} are not made again: {error}"), file=sys.stderr)


def _rows(plan: Plan, folder: Path, store: Store) -> dict[str, list[Row]]:
    """Rows of every table of the runs that write to this ledger."""
    rows: dict[str, list[Row]] = {}
    scores = _downstream(plan.tree, store)
    stored = store.steps()
    for index, r in enumerate(plan.tree.runs):
        if Path(r.settings.ledger.path) != folder:
            continue
        for table, found in (_tables(plan.tree, index, stored, store) | {"downstream": scores.get(index, [])}).items():
            if found:
                rows.setdefault(table, []).extend(found)
    return rows


def run_id(tree: Tree, run: int) -> str:
    """What the ledger calls a run: a hash of its versions' keys, its name, and its conditions.

    Two paradigms can lead to the same versions, and the same versions can be measured in two ways.
    """
    r = tree.runs[run]
    update = r.settings.finetune.update
    return digest([tree.ends[run], r.name, conditions(r), *([] if update == "anew" else [update])])[:12]


def conditions(r: Run) -> str:
    """What runs have to share to be compared and no other column says: optimizer, text, and what is measured of it."""
    return digest(_conditions(r, r.stream.fingerprint))[:8]


def uncut_conditions(r: Run) -> str:
    """As `conditions`, but for how the text is cut into versions and slices: runs share it whose cuts follow their
    seeds. The number of versions is a column of its own."""
    s = r.settings
    text = {name: value for name, value in tokens_key(s.stream).items() if name not in ("split_seed", "versions")}
    text["corpus"] = [_identity(s.corpus, s.data.path), corpus(s.corpus).near_duplicates]
    text["tokenizer"] = s.stream.tokenizer and tokenizers.given(s.stream.tokenizer)[1]
    return digest(_conditions(r, text))[:8]


def _conditions(r: Run, text: object) -> list[object]:
    s = r.settings
    beside = optimizer(recipe(s).shared(s))  # one that a recipe brings belongs to the recipe
    content = [beside.identity, text, s.stream.heldout_blocks, s.evaluation.batch_size]
    return [*content, *([s.stream.steps_label] if " " in s.stream.steps_label else [])]  # else a column says it whole


@lru_cache(maxsize=16)
def _identity(settings: CorpusSettings, data_path: str) -> dict[str, object]:
    return known_identity(corpus(settings), Path(data_path))


def _tables(tree: Tree, index: int, stored: Collection[Key], store: Store) -> dict[str, list[Row]]:
    """One run's rows of every table, as far as its versions are finished; one that diverged has losses that are NaN."""
    r = tree.runs[index]
    finished = measures.finished(tree, index, stored, store)
    diverged = measures.diverged(tree, index, stored, store)
    if not finished + diverged:
        return {}
    run = run_id(tree, index)
    shared = _numerics(r)
    numerics = digest(shared)[:8]
    tables: dict[str, list[Row]] = {
        "studies": [{"study": r.settings.study or "none", "run": run}],
        "runs": [{"run": run, "numerics": numerics} | _run_row(tree, index)],
        "numerics": [{"numerics": numerics, "setting": name, "value": value} for name, value in shared.items()],
        "versions": [],
        "perplexity": [],
        "curves": [],
        "paths": [],
    }
    for version in sorted(finished + diverged):
        key = tree.ends[index][version - 1]
        at = {"run": run, "version": version}
        tables["versions"].append(
            at
            | {
                "key": key,
                "steps": r.products[version - 1].end,
                "unique_steps": tree.run_steps(index, version),
                "relative_cost": tree.relative_cost(index, version),
            }
        )
        tables["perplexity"] += [at | row for row in measures.find(r, key, store) or _no_numbers(r)]
        paths = _paths(r, version)
        tables["paths"] += [at | row for row in paths]
        if version in diverged:
            continue
        try:
            # Derived weights have no log: what is shown is the training of their last parent.
            losses = store.load(tree.trained(key).key, "trace")["trace"]["trace"].numpy()[:, 0]
        except Damaged:
            continue
        tables["curves"] += [at | row for row in _curve(r, version, paths[0]["from_step"], losses)]
    return tables


def _numerics(r: Run) -> dict[str, Any]:
    """What runs have to share to be paired. The package of a recipe's own optimizer is the recipe's, as its rule is."""
    own = set(optimizer(r.settings).packages) - set(optimizer(recipe(r.settings).shared(r.settings)).packages)
    return {name: value for name, value in r.numerics.items() if name not in own}


def _no_numbers(r: Run) -> Iterator[Row]:
    """The losses of a version that diverged."""
    for part in range(1, r.stream.versions + 1):
        heldout = r.stream.heldout(part)
        yield {"slice": part, "nll": np.nan, "tokens": heldout.blocks[:, 1:].size, "bytes": heldout.target_bytes}


def _run_row(tree: Tree, index: int) -> Row:
    r = tree.runs[index]
    s = r.settings
    chosen = recipe(s)
    own = chosen.own_settings
    if s.finetune.update != "anew":
        own |= {"update": s.finetune.update}
    steps = tree.run_steps(index)
    return {
        "name": r.name,
        "paradigm": chosen.kind,
        "schedule": s.schedule.kind,
        **{name: own.get(name, "") for name in OWN},
        "settings": settings_text(own),
        "carry_optimizer": s.paradigm.carry_optimizer,
        "seed": s.seed,
        "architecture": s.model.architecture,
        "size": architecture(s.model).size,
        "parameters": tree.run_at(index, tree.ends[index][-1]).parameters,
        "corpus": corpus(s.corpus).name,
        "stream": s.stream.order,
        "versions": r.versions,
        "steps_per_version": s.stream.steps_label,
        "tokens_per_step": r.step_tokens,
        "max_lr": s.schedule.max_lr,
        "min_lr": s.schedule.floor_lr,
        "warmup_steps": s.schedule.warmup_steps,
        "conditions": conditions(r),
        "split_seed": s.stream.split_seed,
        "uncut_conditions": uncut_conditions(r),
        "logical_steps": tree.run_logical_steps(index),
        "unique_steps": steps,
        "relative_cost": tree.relative_cost(index),
        "flops": tree.run_flops(index),
    }


def _paths(r: Run, version: int) -> list[Row]:
    """What a version adds to its run's path: from scratch (`start`), along the main path (`trunk`), or off it."""
    trajectories = r.trajectories[:version]
    segments = recipe(r.settings).segments([each.phases for each in trajectories], version)
    origin = trajectories[-1].origin
    return [
        {"segment": number, "kind": kind, "from_step": origin + start, "to_step": origin + stop}
        for number, (kind, start, stop) in enumerate(segments)
    ]


def _curve(r: Run, version: int, start: int, losses: np.ndarray) -> Iterable[Row]:
    """The learning rate at about `CURVE_POINTS` steps from `start` on, and the mean loss since the point before."""
    trajectory = r.trajectories[version - 1]
    rates, origin = trajectory.learning_rates, trajectory.origin
    before = start - origin
    points = sorted({*np.linspace(before, len(rates) - 1, CURVE_POINTS).astype(int).tolist()})
    for at in points:
        mean = float(losses[before : at + 1].mean(dtype=np.float64))
        yield {"step": origin + at, "lr": float(rates[at]), "loss": round(mean, 6)}
        before = at + 1


def _downstream(tree: Tree, store: Store) -> dict[int, list[Row]]:
    """Each run's downstream scores, where it has any."""
    if not store.results(jobs.KIND):
        return {}
    scores: dict[int, list[Row]] = {}
    for item in jobs.jobs_of(tree):
        result = store.get_result(jobs.KIND, item.result)
        at = {
            "run": run_id(tree, item.run),
            "version": item.version,
            "finetune_seed": "" if item.seed is None else item.seed,
        }
        for row in result["rows"] if result is not None else ():
            scores.setdefault(item.run, []).append(at | {n: "" if v is None else v for n, v in row.items()})
    return scores


def _text(path: Path, table: str, rows: list[Row], gone: Collection[str] = ()) -> bytes:
    """A CSV file with rows in place of what it says of the same runs (numerics; study and run; model).

    Args:
        gone: runs that it is to say nothing of any more.
    """
    columns = COLUMNS[table]
    new = [[str(row[column]) for column in columns] for row in rows]
    depth = {"studies": 2, "downstream": 3}.get(table, 1)
    replaced = {tuple(row[:depth]) for row in new}
    kept = [row for row in read(path, table) if tuple(row[:depth]) not in replaced]
    if "run" in columns:
        kept = [row for row in kept if row[columns.index("run")] not in gone]
    unique = sorted({tuple(row) for row in [*kept, *new]}, key=lambda row: [_order(cell) for cell in row])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *unique])
    return text.getvalue().encode()


def read(path: Path, table: str) -> list[list[str]]:
    """Rows of one of the ledger's files; none where there is no such file.

    Raises:
        UserError: it has other columns, or rows that no run leads to.
    """
    if not path.exists():
        return []
    try:
        header, *rows = list(csv.reader(io.StringIO(read_file(path).decode(), newline=""))) or [[]]
    except (UnicodeDecodeError, csv.Error, Flaw):
        header, rows = [], []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header) or any(is_absurd(*pair, table) for pair in zip(header, row, strict=True)):
            raise UserError(
                f"ledger.path: {path}, line {number}: no run of this suite has such a row; move the file away to start "
                "a new one."
            )
    lacks = COLUMNS[table][len(header) :]
    if table == "runs" and lacks and header == COLUMNS[table][: len(header)] and set(lacks) <= set(LATER):
        return [[*row, *_of_old(dict(zip(header, row, strict=True)), lacks)] for row in rows]
    if header != COLUMNS[table]:
        raise UserError(
            f"ledger.path: {path} does not have the columns of {table}.csv; move it away to start a new one."
        )
    return rows


def _of_old(row: dict[str, str], lacks: list[str]) -> list[str]:
    """What a row that was written before there were such columns says in them: nothing, but for its settings."""
    return [settings_of_old(row) if column == "settings" else "" for column in lacks]


def _order(cell: str) -> tuple[int, float, str]:
    """Numbers by value, before text."""
    try:
        return 0, float(cell), cell
    except ValueError:
        return 1, 0.0, cell

"""Rows of the ledger's tables: what the store knows of each run of a plan, one row a fact."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from repro.common.canonical import digest
from repro.config.settings import CorpusSettings, Settings
from repro.data.corpora.corpus import corpus
from repro.data.memory import known_identity, known_tokenizer
from repro.data.stream import tokens_key
from repro.downstream import jobs
from repro.models.architectures.architecture import architecture
from repro.models.optimizers.optimizer import Optimizer, optimizer
from repro.planning.runs import Run
from repro.planning.tree import Tree
from repro.recipes.recipe import recipe
from repro.recipes.schedules import schedule
from repro.recipes.trajectory import Key
from repro.results import measures
from repro.results.columns import OWN, TUNING, flaw, settings_text
from repro.store.layout import Damaged
from repro.store.store import Store

CURVE_POINTS = 200
"""Points of each training curve."""

Row = dict[str, Any]


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
    text["corpus"] = [dict(_identity(s.corpus, s.data.path)), corpus(s.corpus).near_duplicates]
    text["tokenizer"] = known_tokenizer(s.stream.tokenizer, Path(s.data.path))
    return digest(_conditions(r, text))[:8]


def _conditions(r: Run, text: object) -> list[object]:
    s = r.settings
    content = [shared_optimizer(s).identity, text, s.stream.heldout_blocks, s.evaluation.batch_size]
    if s.order_seed != s.seed:  # else a seed says it whole
        content.append({"data_seed": s.order_seed})
    return [*content, *([s.stream.steps_label] if " " in s.stream.steps_label else [])]  # else a column says it whole


@lru_cache(maxsize=16)
def _identity(settings: CorpusSettings, data_path: str) -> Mapping[str, object]:
    return MappingProxyType(known_identity(corpus(settings), Path(data_path)))


def shared_optimizer(s: Settings) -> Optimizer:
    """That of the settings: one that a recipe brings belongs to the recipe."""
    return optimizer(recipe(s).shared(s))


def of(tree: Tree, index: int, stored: Collection[Key], store: Store) -> dict[str, list[Row]]:
    """One run's rows of every table but `downstream`, as far as its versions are finished.

    One that diverged has losses that are NaN.
    """
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
            losses = store.load_log(tree.trained(key).key)[:, 0]
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
        own |= {TUNING: s.finetune.update}
    own |= schedule(s).own_settings
    steps = tree.run_steps(index)
    return {
        "name": r.name,
        "paradigm": chosen.kind,
        "schedule": s.schedule.kind,
        # What another recipe calls so may be no share; `settings` has it as it is.
        **{name: "" if flaw("runs", name, own.get(name, "")) else own.get(name, "") for name in OWN},
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
        "optimizer": shared_optimizer(s).described,
        "data_seed": s.order_seed,
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


def downstream(tree: Tree, store: Store) -> dict[int, list[Row]]:
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

"""Ledgers made by formula for a synthetic scale: never a result, and with effects that are known. And the published."""

import csv
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from analysis.frames import Ledger, load
from analysis.reading import share
from repro.results.columns import COLUMNS, settings_of_old

T = 100
VERSIONS = 4
TASKS = {"arithmetic": 0.0, "sentiment": 0.5} | {f"choice{number}": 0.25 for number in range(1, 8)}
SCHEDULES = ("cosine", "knee", "multi_step")
PARADIGMS = ("ptfs", "cpt", "path_switching")
EVERY = (*PARADIGMS, "merge", "trunk", "wsd_s")
HOSTILE = "<script>alert(1)</script>|$x^2$_&%`#"
"""A name that is data, wherever it stands."""
BEST_RATE = {"merge": 0.002}
"""Maximum rates that losses are lowest at, where that is not 0.004."""

PAPER_FIGURES = Path(__file__).resolve().parents[1] / "paper_figures"


@cache
def published(scale: str) -> Ledger:
    """A published ledger, read once for all tests of a process: none of them changes it."""
    return load(PAPER_FIGURES, scale)


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """What the synthetic results say. Losses are in nats per token."""

    seeds: tuple[int, ...] = (0, 1, 2)
    gap: float = 0.02
    """CPT's lag behind PTFS at version 2; it grows by as much with each version."""
    recovered: float = 0.95
    """Share of it that path switching recovers at alpha 0.6."""
    noise: float = 0.0002
    downstream_gain: float = 0.02
    """Path switching's score over the other paradigms'."""
    above_chance: float = 0.2
    numerics: tuple[str, ...] = ("n0", "n0", "n0")
    """One per seed."""
    more_numerics: tuple[tuple[str, str], ...] = (("matmul", "onednn"),)
    follows: bool = False
    """Whether the cut of the text follows the seed."""
    control: bool = True
    """Whether an untrained model was fine-tuned beside the others."""
    setting: dict[str, str] = field(default_factory=dict)
    """Columns of runs.csv that depart from the defaults below."""


def build(
    root: Path,
    studies: Iterable[str],
    synthetic: Synthetic | None = None,
    scale: str = "synthetic",
    sweep: list[dict[str, str]] | None = None,
) -> Path:
    """Add a ledger's CSV files for `studies`; the folder they are in.

    Args:
        sweep: what they vary, in place of what they are known to.
    """
    world = synthetic or Synthetic()
    folder = root / scale / "data"
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[dict[str, Any]]] = {name: read(folder / f"{name}.csv") for name in COLUMNS}
    for study in studies:
        for change in _sweep(study) if sweep is None else sweep:
            for place, seed in enumerate(world.seeds):
                numerics = world.numerics[place % len(world.numerics)]
                _add(tables, study, world, {**change, **world.setting}, seed, numerics)
    for name, rows in tables.items():
        columns = COLUMNS[name]
        unique = {tuple(str(row[c]) for c in columns): None for row in rows}
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *sorted(unique)])
    return folder


def _sweep(study: str) -> list[dict[str, str]]:
    three = [{"paradigm": p} for p in PARADIGMS]
    if study == "pilot":
        return [{"paradigm": p, "schedule": s} for s in SCHEDULES for p in PARADIGMS[:2]]
    if study in ("main", "downstream"):
        return [{"paradigm": p, "schedule": s} for s in SCHEDULES for p in PARADIGMS]
    if study == "alpha":
        return [{"paradigm": "path_switching", "alpha": a} for a in ("0.2", "2/5", "0.6", "0.8")]
    if study == "first_stage":
        return [
            {"paradigm": "two_stage", "first_cycle": c, "second_cycle": "1"} for c in ("1", "2", "3", "4", "endless")
        ]
    if study == "second_stage":
        cycles = ("1/2", "1", "2", "3", "4", "endless")
        return [{"paradigm": "two_stage", "first_cycle": "endless", "second_cycle": c} for c in cycles]
    if study == "frontier":
        return [{"paradigm": p} for p in EVERY]
    if study == "plasticity":
        return [{"paradigm": "updated", "settings": f"of={p}"} for p in EVERY]
    if study == "rates":
        rates = [{"max_lr": f"{rate:g}", "min_lr": f"{rate / 10:g}"} for rate in (0.002, 0.004, 0.008)]
        return [{"paradigm": p, **rate} for p in EVERY for rate in rates]
    if study == "components":
        every = [{"paradigm": p} for p in PARADIGMS] + [{"paradigm": "ptfs", "order": "arrival"}]
        return [{**each, "versions": "2", "split_seed": cut, "conditions": f"k{cut}"} for each in every for cut in "01"]
    if study == "orders":
        return [
            {"paradigm": p, "versions": "2", "data_seed": o, "conditions": f"o{o}"} for p in PARADIGMS for o in "01"
        ]
    if study == "branch":
        cells = [(s, m, a) for s in ("cosine", "linear") for m in ("0.0004", "0") for a in ("0.2", "0.6")]
        return [{"paradigm": "path_switching", "schedule": s, "min_lr": m, "alpha": a} for s, m, a in cells]
    if study == "grow":
        grown = [{"paradigm": "grow", "settings": f"grow_at={at} layers_before=1"} for at in (2, 3, 1000)]
        return [{"paradigm": "ptfs"}, {"paradigm": "path_switching"}, *grown]
    if study == "future":
        return [{"paradigm": p, "update": u} for p in PARADIGMS for u in ("anew", "continue", "transfer")]
    factors: dict[str, list[dict[str, str]]] = {
        "architecture": [{"architecture": "llama"}, {"architecture": "qwen2"}],
        "ladder": [
            {"size": "small", "parameters": "10000", "steps_per_version": "50"},
            {"size": "base", "parameters": "100000"},
        ],
        "model_size": [{"size": "small", "parameters": "10000"}, {"size": "base", "parameters": "100000"}],
        "data_scale": [{"steps_per_version": "50"}, {"steps_per_version": str(T)}],
        "max_lr": [{"max_lr": "0.002", "min_lr": "0.0002"}, {"max_lr": "0.004", "min_lr": "0.0004"}],
    }
    return [{**factor, **paradigm} for factor in factors.get(study, [{}]) for paradigm in three]


def _add(
    tables: dict[str, list[dict[str, Any]]],
    study: str,
    world: Synthetic,
    change: dict[str, str],
    seed: int,
    numerics: str,
) -> None:
    row: dict[str, Any] = {
        "schedule": "cosine", "order": "", "alpha": "", "first_cycle": "", "second_cycle": "",
        "carry_optimizer": "True", "architecture": "llama", "size": "base", "parameters": "100000", "corpus": "sotu",
        "stream": "shuffled", "versions": str(VERSIONS), "steps_per_version": str(T), "tokens_per_step": "128",
        "max_lr": "0.004",
        "min_lr": "0.0004", "warmup_steps": "10", "conditions": "c0ffee00", "split_seed": "", "uncut_conditions": "",
    }  # fmt: skip
    row |= {key: value for key, value in change.items() if key not in ("alpha", "order", "update")}
    row.setdefault("paradigm", "path_switching")
    if row["paradigm"] == "ptfs":
        row["order"] = change.get("order", "mixed")
    if row["paradigm"] == "path_switching":
        row["alpha"] = change.get("alpha", "0.6")
    row |= {"seed": str(seed), "numerics": numerics}
    if world.follows:
        row |= {"conditions": f"c{row['conditions']}{seed}", "split_seed": str(seed)}
        row["uncut_conditions"] = f"u{row['stream']}"
    update = change.get("update", "anew")
    row.setdefault("settings", settings_of_old(row) + ("" if update == "anew" else f" update={update}"))
    row["name"] = f"{row['paradigm']} {row['schedule']}"
    row["run"] = run = hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:12]
    row["optimizer"] = "adamw"  # in no id: what chance gives a run follows from that
    row.setdefault("data_seed", row["seed"])
    last = 2 if row["paradigm"] == "two_stage" else int(row["versions"])
    lengths = [int(each) for each in row["steps_per_version"].split()]
    lengths = lengths * last if len(lengths) == 1 else lengths
    ends = [sum(lengths[:k]) for k in range(1, last + 1)]
    own = [_own_steps(row, lengths[:k]) for k in range(1, last + 1)]
    scratch = [sum(ends[:k]) for k in range(1, last + 1)]
    row |= {
        "logical_steps": own[-1],
        "unique_steps": own[-1],
        "relative_cost": own[-1] / scratch[-1],
        "flops": 1e9 * own[-1] * (0.75 if row["paradigm"] == "grow" else 1),
    }
    tables["studies"].append({"study": study, "run": run})
    tables["runs"].append(row)
    for setting, value in (("torch", f"2.13 on {numerics}"), ("device", "cpu"), *world.more_numerics):
        tables["numerics"].append({"numerics": numerics, "setting": setting, "value": value})
    noise, scores = np.random.default_rng(int(run, 16)).spawn(2)
    shared = np.random.default_rng(seed).normal(0, 0.01)
    for version in range(1, last + 1):
        at = {"run": run, "version": version}
        steps = ends[version - 1]
        tables["versions"].append(
            at
            | {"key": f"{run}{version}", "steps": steps, "unique_steps": own[version - 1]}
            | {"relative_cost": own[version - 1] / scratch[version - 1]}
        )
        loss = 3.6 - 0.1 * version + shared + _lag(row, version, world) + noise.normal(0, world.noise)
        octaves = np.log2(float(row["max_lr"]) / BEST_RATE.get(row["paradigm"], 0.004))
        loss += 0.03 * octaves**2 - 0.01 * (row["min_lr"] == "0")
        for part in range(1, int(row["versions"]) + 1):
            off = 0.1 * (part > version)
            if row["paradigm"] == "cpt" and part <= version:
                off = 0.03 * ((version - part) - (version - 1) / 2)
            tables["perplexity"].append(at | {"slice": part, "nll": 1000 * (loss + off), "tokens": 1000, "bytes": 2500})
        paths = _paths(row, lengths[:version])
        tables["paths"] += [at | one for one in paths]
        begin = min(int(one["from_step"]) for one in paths)
        for step in np.linspace(begin, steps - 1, 50).astype(int):
            rate = _rate(row, lengths[:version], int(step))
            tables["curves"].append(at | {"step": step, "lr": rate, "loss": 3.5 + 3 * np.exp(-step / 40) + 20 * rate})
        if study in ("downstream", "future"):
            gain = world.downstream_gain if row["paradigm"] == "path_switching" else 0.0
            gain += {"anew": 0.0, "continue": 0.01, "transfer": -0.01}[update]
            for task, chance in TASKS.items():
                score = chance + world.above_chance + gain + scores.normal(0, 0.002)
                tables["downstream"].append(
                    at
                    | {"finetune_seed": 0, "task": task, "metric": "acc", "value": score, "stderr": 0.02}
                    | {"chance": chance, "items": 500, "lm_eval": "0.4.13"}
                    | {"gold_bits_per_byte": 2.2 - 0.05 * version - gain + scores.normal(0, 0.002)}
                )
    if study == "downstream" and world.control and row["paradigm"] == "ptfs":
        tables["downstream"] += [
            {"run": run, "version": 0, "finetune_seed": 0, "task": task, "metric": "acc", "value": chance}
            | {"stderr": 0.02, "chance": chance, "items": 500, "lm_eval": "0.4.13"}
            | {"gold_bits_per_byte": 3.0 + scores.normal(0, 0.002)}
            for task, chance in TASKS.items()
        ]


def _own_steps(row: dict[str, Any], lengths: list[int]) -> int:
    """Of versions 1 to k, of these lengths."""
    if row["paradigm"] == "ptfs":
        return sum(sum(lengths[:k]) for k in range(1, len(lengths) + 1))
    if row["paradigm"] == "path_switching":
        return sum(lengths) + sum(round(share("alpha", row["alpha"]) * steps) for steps in lengths[:-1])
    return sum(lengths)


def _lag(row: dict[str, Any], version: int, world: Synthetic) -> float:
    gap = world.gap * (version - 1)
    if row["paradigm"] == "cpt":
        return gap
    if row["paradigm"] == "path_switching":
        return gap * (1 - world.recovered) + 0.02 * (0.6 - share("alpha", row["alpha"]))
    if row["paradigm"] == "two_stage":
        rank = {"1/2": 0.5, "endless": 5}
        first, second = (float(rank.get(row[c], row[c])) for c in ("first_cycle", "second_cycle"))
        return 0.02 * first if version == 1 else 0.03 * abs(second - 1) - 0.02 * first
    if row["paradigm"] == "updated":
        return {"of=trunk": 0.0, "of=path_switching": 0.01, "of=cpt": 0.03}.get(row["settings"], 0.02)
    if row["paradigm"] == "grow":
        return 0.05 - 0.01 * max(0, version - int(row["settings"].split()[0].split("=")[1]) + 1)
    return {"merge": 0.01, "trunk": 0.1, "wsd_s": 0.005 * version}.get(row["paradigm"], 0.0)


def _paths(row: dict[str, Any], lengths: list[int]) -> list[dict[str, Any]]:
    *before, t = lengths
    end = sum(lengths)
    if row["paradigm"] == "ptfs":
        return [{"segment": 0, "kind": "start", "from_step": 0, "to_step": end}]
    if row["paradigm"] != "path_switching":
        return [{"segment": 0, "kind": "trunk", "from_step": end - t, "to_step": end}]
    leaves = end - round(share("alpha", row["alpha"]) * t)
    left = sum(before) - round(share("alpha", row["alpha"]) * before[-1]) if before else 0
    return [
        {"segment": 0, "kind": "trunk", "from_step": left, "to_step": leaves},
        {"segment": 1, "kind": "branch", "from_step": leaves, "to_step": end},
    ]


def _rate(row: dict[str, Any], lengths: list[int], step: int) -> float:
    high = float(row["max_lr"])
    if step < 10:
        return high * (step + 1) / 10
    t, version, end = lengths[-1], len(lengths), sum(lengths)
    kind, length, begin = row["paradigm"], t, end - t
    if kind == "ptfs":
        length, begin = end, 0
    if kind == "path_switching":
        length = round(share("alpha", row["alpha"]) * t)
        begin = end - length
        if step < begin:
            return high
    if kind == "two_stage":
        cycle = row["first_cycle"] if version == 1 else row["second_cycle"]
        if cycle == "endless":
            return high
        length = int(t * share("cycle", cycle))
    done = min(1.0, (step - begin) / length)
    return high * (0.1 + 0.45 * (1 + float(np.cos(np.pi * done))))


def read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rewrite(path: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Apply `change` to each row of a CSV file."""
    rows = read(path)
    for row in rows:
        change(row)
    write(path, rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def seal(folder: Path) -> None:
    """Write the checksums that the suite writes beside a ledger's tables."""
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.glob("*.csv")))
    (folder / "SHA256SUMS").write_text("".join(sums))

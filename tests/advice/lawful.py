"""Ledgers whose losses follow a law exactly, but for seeds' scatter: what advice has to find out."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from repro.advice.candidates import Candidate, planned
from repro.advice.laws import Annealing, Law, RateCurve, Sites
from repro.advice.question import Question
from repro.planning import sweeps
from repro.recipes.recipe import recipe
from repro.recipes.trajectory import Derived
from repro.results.columns import COLUMNS, TEXT

TRUE = {"floor": 2.9, "A": 0.9, "alpha": 0.45, "power": 0.6, "B": 12.0, "memory": 15.0}
"""Of the annealing law, at scale smoke's rates and lengths."""
HARD = np.array([0.0, 0.06, 0.02, -0.01, 0.03, 0.01])
"""By how much each slice is harder than the first."""


@dataclass(frozen=True)
class World:
    """Where losses come from."""

    law: Law = field(default_factory=Annealing)
    values: dict[str, float] = field(default_factory=lambda: dict(TRUE))
    noise: float = 0.002
    """Of a run, in nats."""
    seeds: tuple[int, ...] = (0, 1, 2)
    levels: dict[int, float] = field(default_factory=dict)
    """What a seed adds to the losses of all its runs."""
    beyond: dict[str, float] = field(default_factory=dict)
    """By recipe: how many nats its versions have above what the law says of the training that leads to them."""
    numerics: str = "n"
    conditions: str = "c0"
    cut: str = ""
    """The seed of the text's cut."""
    order: str = ""
    """The seed of the data's order; empty: that of the run."""
    reference: tuple[float, float] = (40_000.0, 0.01)

    def loss(self, curves: Sequence[RateCurve], places: Sequence[Sequence[int]]) -> np.ndarray:
        return self.law.loss(self.values, Sites.of(curves, places, self.reference))

    def ends(self, candidate: Candidate) -> np.ndarray:
        """Of every version, without the slices' difficulty."""
        curves = candidate.curves(candidate.run.parameters)
        return self.loss(curves, [[len(curve.rates)] for curve in curves])


def candidates(*overrides: str) -> list[Candidate]:
    settings = sweeps.compose(["scale=smoke", *overrides], multirun=True)
    return [Candidate(planned(each, Question())) for each in settings]


def write(folder: Path, some: Iterable[Candidate], world: World) -> None:
    """Add the runs of candidates, every seed, to a ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    for number, candidate in enumerate(some):
        for seed in world.seeds:
            _run(tables, candidate, seed, world, np.random.default_rng([number, seed]))
    for name, rows in tables.items():
        path = folder / f"{name}.csv"
        there = list(csv.DictReader(path.open(newline=""))) if path.exists() else []
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS[name], restval="", lineterminator="\n")
            writer.writeheader()
            numbers = {column: 0 for column in COLUMNS[name] if column not in TEXT[name]}  # of which advice reads none
            writer.writerows([*there, *(numbers | row for row in rows)])


def _run(
    tables: dict[str, list[dict[str, Any]]], candidate: Candidate, seed: int, world: World, random: np.random.Generator
) -> None:
    r = candidate.run
    chance = (seed, world.numerics, world.cut, world.order, world.conditions)
    run = hashlib.sha256(repr((candidate.about, chance)).encode()).hexdigest()[:12]
    about = {"run": run, "name": r.name, "seed": seed, "conditions": world.conditions, "numerics": world.numerics}
    tables["runs"].append(candidate.about | about | {"split_seed": world.cut, "data_seed": world.order})
    tables["studies"].append({"study": "none", "run": run})
    extra = world.levels.get(seed, 0.0) + world.beyond.get(r.settings.paradigm.kind, 0.0)
    losses = world.ends(candidate) + extra + random.normal(0, world.noise, r.versions)
    curves = candidate.curves(r.parameters)
    for number, trajectory in enumerate(r.trajectories, start=1):
        at = {"run": run, "version": number}
        segments = recipe(r.settings).segments([each.phases for each in r.trajectories[:number]], number)
        for place, (kind, start, stop) in enumerate(segments):
            tables["paths"].append(at | {"segment": place, "kind": kind, "from_step": start, "to_step": stop})
        tables["versions"].append(at | {"key": f"{run}{number}", "steps": trajectory.end})
        for part in range(1, r.versions + 1):
            nll = 1000 * (losses[number - 1] + HARD[part - 1])
            tables["perplexity"].append(at | {"slice": part, "nll": nll, "tokens": 1000, "bytes": 2500})
        if isinstance(r.products[number - 1], Derived):
            continue  # nobody trained it
        steps = np.arange(segments[0][1], len(trajectory))
        seen = world.loss([curves[number - 1]], [(steps + 1).tolist()])
        rates = trajectory.learning_rates
        tables["curves"] += [
            at | {"step": int(step), "lr": float(rates[step]), "loss": float(loss) + random.normal(0, 0.02)}
            for step, loss in zip(steps, seen, strict=True)
        ]

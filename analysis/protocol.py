"""All runs of the evidence, in the order of docs/protocol.md: python -m analysis.protocol [workers=2] [root=results]

It says first what is left to train and its price, then trains, fine-tunes, evaluates and writes the report.
Interrupted, it goes on where it was, given the same arguments. The best maximum of each recipe comes from
tables/best_rates.csv, which the report writes once the tuning has run; until then all have the scale's own maximum.
`dry_run=true` stops after the price; `only=rates,headline` runs these parts alone; `scale=smoke` is for tests.
"""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import readings
from analysis.best import COSINE
from analysis.claims.parts import THREE_SCHEDULES
from analysis.contrasts import PTFS, SWITCH, THREE
from analysis.registries import STUDIES
from repro.common.errors import UserError, refusals
from repro.config.settings import Settings
from repro.planning import planner, sweeps
from repro.planning.arguments import CommandLine

SHARED_ONLY = ("components", "orders", "first_stage", "second_stage", "frontier")
"""Studies of recipes that were not tuned: at the shared maximum alone."""
MORE_LENGTHS = ["study=branch", "schedule=multi_step", "schedule.min_lr=null", "paradigm.alpha=0.4,0.6,1"]
"""A test of advice, which chose a branch of T under multi-step where nobody had trained one."""
FOUR_SEEDS = "hydra.sweeper.params.seed=${sweep.four_seeds}"
FIVE_SEEDS = "hydra.sweeper.params.seed=${sweep.fewer_seeds}"
"""What shapes were tried with, of a study that has eight."""
AT_BEST = ("versions", "ladder", "branch", "architecture", "data_scale", "unequal", "chronological")
"""Studies of tuned recipes, under a cosine: at the shared maximum, and each at its own best."""
ORDER = (
    *("rates", "headline", "components", "main", "alpha", "first_stage", "second_stage", "versions", "ladder"),
    *("data_scale", "frontier", "unequal", "chronological", "architecture", "max_lr", "downstream"),
    *("branch", "shape", "future", "orders", "largest"),
)
"""Parts, in the order of the protocol with its departures. `shape`: other recipes with the branch's best shape;
`largest`: `downstream` on the largest model of the ladder."""
APART = ("future", "largest")
"""Parts with a ledger and a report of their own, under `<root>/<part>`. What `future` fine-tunes is of runs that
`downstream` has, and D1 was announced of version 4 alone; `largest` is `downstream` of another model."""


@dataclass(frozen=True)
class Maxima:
    """The best maxima of recipes, as tables/best_rates.csv has them."""

    rates: dict[tuple[str, str, str], str]
    """By schedule, recipe and reading of the branch (empty where both are one training)."""

    def of(self, schedule: str, recipe: str, reading: str = "") -> str | None:
        return self.rates.get((schedule, recipe, reading)) or self.rates.get((schedule, recipe, ""))

    @property
    def shared(self) -> str | None:
        """PTFS's best under a cosine."""
        return self.of(COSINE, PTFS)


def read_best(path: Path) -> Maxima:
    """None are known where there is no such table."""
    if not path.exists():
        return Maxima({})
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Maxima({(row["schedule"], row["paradigm"], row["reading"]): f"{float(row['max_lr']):g}" for row in rows})


def extended(path: Path, scale: str) -> list[list[str]]:
    """Overrides of the sweeps that go one step beyond the grid of maxima, for recipes whose best lies at its end.

    Once: a grid that has gone further than the scale plans is not extended again. Without such a table, as at a scale
    that plans no seeds to tune with, there is nothing to extend.
    """
    if not path.exists():
        return []
    planned = {one.schedule.max_lr for one in sweeps.compose(["study=rates", "paradigm=ptfs", f"scale={scale}"])}
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            grid = sorted(float(rate) for rate in row["grid"].split())
            if not row["end_of_grid"] or row["tuned_under"] != row["schedule"] or set(grid) != planned:
                continue
            end, before = (grid[-1], grid[-2]) if row["end_of_grid"] == "highest" else (grid[0], grid[1])
            recipe = [f"schedule={row['schedule']}", f"paradigm={row['paradigm']}"]
            branch = [f"paradigm.branch={row['reading']}"] if row["reading"] else []
            rate = f"schedule.max_lr={end**2 / before:.2g}"
            found.append(["study=rates", "stream.versions=2", *recipe, rate, *branch])
    return found


def largest(scale: str) -> list[str]:
    """Overrides by which a study trains the largest model of the ladder, as `study=ladder` does."""
    last = sweeps.compose(["study=ladder", "paradigm=ptfs", f"scale={scale}"])[-1]
    return [
        f"size={last.model.name}",
        "+hydra.sweeper.params.corpus=${sweep.ladder_corpus}",
        "hydra.sweeper.params.seed=${sweep.ladder_seeds}",
        f"stream.heldout_blocks={last.stream.heldout_blocks}",
        f"stream.steps_per_version={last.stream.steps[0]}",
        f"schedule.warmup_steps={last.schedule.warmup_steps}",
    ]


def parts(best: Maxima, scale: str) -> dict[str, list[list[str]]]:
    """The overrides of each part's sweeps, one after another; a run that two of them ask for is trained once."""
    shared = [] if best.shared is None else [f"schedule.max_lr={best.shared}"]
    tuned = ["study=rates", f"paradigm={','.join(THREE)}", "stream.versions=2"]
    # What D1's rule and premise need.
    downstream = ["study=downstream", "schedule=cosine", "finetune.versions=[0,1,${stream.versions}]"]
    found = {
        "rates": [
            tuned,
            ["study=rates", "paradigm=trunk", "stream.versions=2"],
            [*tuned, "schedule=knee,multi_step", "paradigm.branch=decay,cycle"],
        ],
        "headline": [["study=headline", *shared], *_own("headline", best, (COSINE,))],
        "main": [["study=main", *shared], *_own("main", best, THREE_SCHEDULES)],
        "alpha": [["study=alpha", *shared], *_own("alpha", best, (COSINE,), (SWITCH,))],
        "max_lr": [["study=max_lr"]],
        "shape": [["study=main", "schedule=sqrt", "schedule.min_lr=0", FIVE_SEEDS, *shared]],
        "downstream": [[*downstream, *shared]],
        "largest": [[*downstream, *largest(scale), *shared]],
        "future": [["study=future", "schedule=cosine", *shared]],
    }
    found |= {study: [[f"study={study}", *shared]] for study in (*SHARED_ONLY, *AT_BEST)}
    for study in AT_BEST:
        mine = (SWITCH,) if study == "branch" else THREE
        found[study] += _own(study, best, (COSINE,), mine)
    found["branch"].append([*MORE_LENGTHS, FOUR_SEEDS, *shared])
    return {name: found[name] for name in ORDER}


def _own(study: str, best: Maxima, schedules: Sequence[str], recipes: Sequence[str] = THREE) -> Iterator[list[str]]:
    """A study's recipes, each at its own best maximum, where that is not the shared one."""
    for schedule in schedules:
        for recipe in recipes:
            two = recipe == SWITCH and readings.differ(schedule)
            for reading in readings.READINGS if two else ("",):
                rate = best.of(schedule, recipe, reading)
                if rate is not None and rate != best.shared:
                    chosen = [] if study == "branch" else [f"schedule={schedule}"]
                    branch = [f"paradigm.branch={reading}"] if two else []
                    yield [f"study={study}", *chosen, f"paradigm={recipe}", *branch, f"schedule.max_lr={rate}"]


def price(asked: Sequence[Sequence[str]], common: Sequence[str]) -> str:
    """What is left to train of all that is asked for, each run once."""
    every: list[Settings] = [one for given in asked for one in sweeps.compose([*given, *common])]
    plan = planner.make(every, prepare=False)  # what was never prepared was never trained
    summary = plan.summary()
    return (
        f"{len(plan.tree.runs):,} runs; {plan.missing_steps:,} of {summary['unique_steps']:,} steps are left to train: "
        f"about {summary['estimated_hours']:,.1f} core-hours, at {summary['estimate']['flops_per_second'] / 1e12:g} "
        f"TFLOP/s per core ({summary['estimate']['basis']}){_not_counted(asked)}"
    )


def _not_counted(asked: Sequence[Sequence[str]]) -> str:
    tuned = sorted({study for study in map(_study, asked) if "finetune" in STUDIES[study].verbs})
    return f"; fine-tuning and evaluation of {' and '.join(tuned)} come on top, and are not counted" if tuned else ""


def _study(given: Sequence[str]) -> str:
    return next(word.partition("=")[2] for word in given if word.startswith("study="))


def _run(module: str, given: Sequence[str]) -> None:
    """
    Raises:
        UserError: it failed, or was stopped.
    """
    print(f"== python -m {module} {' '.join(given)}", flush=True)
    if code := subprocess.run([sys.executable, "-m", module, *given]).returncode:
        raise UserError(f"{module} {' '.join(given)} ended with {code}; the same command goes on from there.")


def carry_out(scale: str, root: Path, names: Sequence[str], common: Sequence[str], launcher: Sequence[str]) -> None:
    """Train, fine-tune and evaluate parts, one after another, then write the report.

    Raises:
        UserError: a command failed.
    """
    report = [f"scale={scale}", f"root={root}"]
    for name in names:
        for given in parts(read_best(root / scale / "tables" / "best_rates.csv"), scale)[name]:
            place = root / name if name in APART else root
            for verb in STUDIES[_study(given)].verbs:
                _run(f"repro.{verb}", [*given, *common, f"ledger.path={place / scale / 'data'}", *launcher])
        if name == "rates":
            _run("analysis.report", report)
            beyond = extended(root / scale / "tables" / "best_rates.csv", scale)
            for given in beyond:
                _run("repro.train", [*given, *common, f"ledger.path={root / scale / 'data'}", *launcher])
            if beyond:  # the parts that follow take their maxima from the report's table
                _run("analysis.report", report)
    if set(names) - set(APART):
        _run("analysis.report", report)
    for name in APART:
        if name in names:
            _run("analysis.report", [f"scale={scale}", f"root={root / name}"])


def _workers(given: str) -> int:
    if not given.isdecimal() or not int(given):
        raise UserError(f"workers={given} is no number of processes; 1 or more works.")
    return int(given)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        scale, root = line.take("scale", "proxy"), Path(line.take("root", "results"))
        workers = line.read("workers", _workers) or os.cpu_count() or 1
        dry = line.flag("dry_run")
        chosen = [name for name in line.take("only").split(",") if name]
        if strangers := set(chosen) - set(ORDER):
            line.refuse(f"only={','.join(sorted(strangers))} is unknown; parts are {', '.join(ORDER)}.")
        line.check()
        names = [name for name in ORDER if not chosen or name in chosen]
        common = [f"scale={scale}", *line.words()]
        best = read_best(root / scale / "tables" / "best_rates.csv")
        asked = [given for name in names for given in parts(best, scale)[name]]
        print(f"{', '.join(names)}: {price(asked, common)}.", flush=True)
        if not dry:
            carry_out(scale, root, names, common, ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"])


if __name__ == "__main__":
    main()

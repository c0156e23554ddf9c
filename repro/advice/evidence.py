"""What a ledger holds, as advice reads it: cells with the losses of every version, and the curves that lead to them.

A cell is a training but for its seed: a ledger has a run for each way in which its versions were fine-tuned. Read from
the CSV files alone, so that a stranger's ledger serves as ours does.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.common.disk import read as read_file
from repro.common.errors import UserError
from repro.config.registries import SCHEDULES
from repro.config.settings import GROWING
from repro.recipes.recipe import Recipe, told
from repro.recipes.schedules import leaves_the_maximum
from repro.results import commands, ledger
from repro.results.columns import COLUMNS, settings_of, settings_of_training
from repro.store import tables

Array = NDArray[np.float64]

DATA = ("corpus", "stream", "tokens_per_step", "architecture", "optimizer")
"""Columns that say what was learned from, by what kind of model, and by what update rule."""
USUAL = {"optimizer": "adamw"}
"""What is taken to have been, where a ledger or a record is from before there was such a column."""
CELL = (
    *("paradigm", "schedule", "settings", "carry_optimizer", "max_lr", "min_lr", "warmup_steps", "size"),
    *("parameters", "steps_per_version", "versions", *DATA),
)
"""Columns that make a cell; of `settings`, those of the training, and `carry_optimizer` where it makes a difference."""
PREDICTIONS = "predictions"
"""The folder beside the tables with what was predicted before runs existed."""
KEPT = "advice.json"
"""The file beside the tables with what was last advised from them, for the report."""
NEEDED = ("runs", "versions", "perplexity", "curves", "paths")
TRAINING_POINTS = 6
"""Means of the training loss that are taken of each stretch of training."""


class Chance(NamedTuple):
    """What one loss of a cell was measured under: where two recipes share all of it, they alone differ."""

    seed: int
    numerics: str
    cut: str
    """The seed of the text's cut; empty: not told."""
    order: str
    """The seed of the data's order."""
    conditions: str
    """The ledger's: tokenizer, held-out text, and what else no column says."""

    @property
    def but_for_rounding(self) -> tuple[int, str, str, str]:
        """What losses have to share to be compared: their numerics may differ."""
        return self.seed, self.cut, self.order, self.conditions


@dataclass(frozen=True, eq=False)
class Version:
    """One version of a cell."""

    number: int
    rates: Array
    """(steps,): the learning rate of every step that leads to it; empty: the ledger does not tell, as of means of
    checkpoints."""
    losses: dict[Chance, Array]
    """Nats per token of each slice, (slices,)."""
    tokens: Array
    """Of each slice."""
    training: Array
    """(points, 2): a step, and the mean training loss about it, over seeds; empty as `rates` is."""

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({chance.seed for chance in self.losses}))

    @cached_property
    def heldout(self) -> dict[int, Array]:
        """By seed: nats per token of each slice, (slices,); the mean of several numerics, cuts or orders."""
        found: dict[int, list[Array]] = defaultdict(list)
        for chance, loss in self.losses.items():
            found[chance.seed].append(loss)
        # Of a stream that grows, one run may know slices that came after another ended.
        common = {seed: min(map(len, losses)) for seed, losses in found.items()}
        return {seed: np.mean([loss[: common[seed]] for loss in losses], axis=0) for seed, losses in found.items()}

    @property
    def loss(self) -> dict[int, float]:
        """By seed: nats per token of slices 1 to k."""
        return {seed: self._over_slices(loss) for seed, loss in self.heldout.items()}

    def above(self, other: "Version") -> dict[int, float]:
        """By seed: how much more loss it has than another recipe's, of slices 1 to k, in nats per token.

        Within one numerics, where both ran under one: rounding makes other runs of one seed. Always over one text, read
        in one order: other text is another test. A seed under which they share neither is left out.
        """
        own, theirs = (
            {chance: version._over_slices(loss) for chance, loss in version.losses.items()} for version in (self, other)
        )
        found = {}
        for seed in sorted(set(self.seeds) & set(other.seeds)):
            pairs = [
                own[chance] - theirs[chance] for chance in sorted(own.keys() & theirs.keys()) if chance.seed == seed
            ]
            alike = {each.but_for_rounding for each in own if each.seed == seed}
            alike &= {each.but_for_rounding for each in theirs}
            pairs = pairs or [_mean(own, each) - _mean(theirs, each) for each in sorted(alike)]
            if pairs:
                found[seed] = float(np.mean(pairs))
        return found

    def _over_slices(self, loss: Array) -> float:
        """Of slices 1 to k."""
        weights = self.tokens[: self.number] / self.tokens[: self.number].sum()
        return float(weights @ loss[: self.number])


def _mean(losses: Mapping[Chance, float], alike: tuple[int, str, str, str]) -> float:
    """Over what was measured under several numerics."""
    return float(np.mean([loss for chance, loss in losses.items() if chance.but_for_rounding == alike]))


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs whose training differs in its seed alone."""

    about: tuple[tuple[str, str], ...]
    """`CELL`'s columns, as written."""
    versions: tuple[Version, ...]
    runs: tuple[str, ...]
    """In the ledger."""

    def __getitem__(self, column: str) -> str:
        return dict(self.about)[column]

    @property
    def seeds(self) -> set[int]:
        return {seed for version in self.versions for seed in version.seeds}

    @property
    def lengths(self) -> tuple[int, ...]:
        """T_k, version 1 first."""
        steps = [int(each) for each in self["steps_per_version"].split()]
        return tuple(steps * int(self["versions"]) if len(steps) == 1 else steps)

    @property
    def parameters(self) -> int:
        return int(self["parameters"])

    @cached_property
    def recipe(self) -> Recipe | None:
        """None: nothing registered it."""
        return told(self["paradigm"], settings_of(self["settings"]))

    @property
    def mixes(self) -> bool:
        """Whether old and new data are read together."""
        return self.recipe is not None and self.recipe.mixes

    @property
    def retrains(self) -> bool:
        """Whether it is what others are compared with."""
        return self.recipe is not None and self.recipe.retrains

    @property
    def replay(self) -> float:
        """Share of old data in every batch."""
        share = self.setting("replay") or "0"
        above, _, below = share.partition("/")
        return float(above) / float(below or 1)

    def setting(self, name: str) -> str:
        """Of the recipe's own settings; empty: not told."""
        return settings_of(self["settings"]).get(name, "")

    @property
    def name(self) -> str:
        """For people."""
        own = f" {self['settings']}" if self["settings"] else ""
        return f"{self['paradigm']}{own}, {self['schedule']}, rate {float(self['max_lr']):g}, {self['size']}"


def fingerprint(folder: Path) -> str:
    """Hex SHA-256 over a ledger's tables: what was known when something was predicted from it."""
    found = hashlib.sha256()
    for name in sorted(f"{table}.csv" for table in COLUMNS):
        if (folder / name).exists():
            found.update(name.encode() + b"\0" + hashlib.sha256(read_file(folder / name)).digest())
    return found.hexdigest()


def read(folder: Path) -> list[Cell]:
    """The cells of a ledger, those with a version that was measured.

    Raises:
        UserError: there is none, it was altered, or it lacks a table.
    """
    if not (folder / "runs.csv").exists():
        raise UserError(f"ledger.path={folder} holds no ledger; repro.train writes one, or give another ledger.path.")
    flaws = [f"{path} {reason}." for path, reason in tables.damage(folder, ledger.FILES)]
    if flaws:
        mend = f"To mend a ledger of yours: {commands.mending(folder)} writes the rows of what is stored again."
        raise UserError("\n".join([*flaws, mend]))
    rows = {name: _rows(folder, name) for name in NEEDED}
    groups: dict[tuple[tuple[str, str], ...], list[dict[str, str]]] = defaultdict(list)
    for run in rows["runs"]:
        run["settings"] = settings_of_training(run["settings"])
        if (recipe := told(run["paradigm"], settings_of(run["settings"]))) is not None and not recipe.carries:
            run["carry_optimizer"] = str(True)
        groups[tuple((column, run[column]) for column in CELL if not _grown(column, run))].append(run)
    by_run = {name: _grouped(rows[name]) for name in NEEDED[1:]}
    cells = [_cell(_longest(runs), runs, by_run) for runs in groups.values()]
    return [cell for cell in cells if cell.versions]


def schedules(cells: Iterable[Cell]) -> list[str]:
    """Names of the registered schedules that some cell was trained under, but for those that never decay."""
    there = {cell["schedule"] for cell in cells}
    return [name for name in SCHEDULES if name in there and leaves_the_maximum(name)]


def _grown(column: str, run: Mapping[str, str]) -> bool:
    """Whether runs may differ in a column and be one: of a stream that grows, some have come further than others."""
    return column == "versions" and run["stream"] in GROWING and " " not in run["steps_per_version"]


def _longest(runs: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    longest = max(runs, key=lambda run: int(run["versions"]))
    return tuple((column, longest[column]) for column in CELL)


def _rows(folder: Path, table: str) -> list[dict[str, str]]:
    rows = [dict(zip(COLUMNS[table], row, strict=True)) for row in ledger.read(folder / f"{table}.csv", table)]
    return [row | {name: usual for name, usual in USUAL.items() if row.get(name) == ""} for row in rows]


_ByRun = dict[str, dict[int, list[dict[str, str]]]]


def _grouped(rows: Iterable[dict[str, str]]) -> _ByRun:
    found: _ByRun = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["run"]][int(row["version"])].append(row)
    return found


def _cell(about: tuple[tuple[str, str], ...], runs: Sequence[dict[str, str]], by_run: dict[str, _ByRun]) -> Cell:
    versions = []
    for number in range(1, int(dict(about)["versions"]) + 1):
        found, tokens, curves, known = {}, np.empty(0), {}, ""
        for run in sorted(runs, key=lambda run: (int(run["seed"]), run["run"])):
            losses = _losses(by_run["perplexity"][run["run"]][number])
            if losses is None:
                continue
            chance = _chance(run)  # runs that share it are one training
            found[chance], tokens = losses
            if curve := by_run["curves"][run["run"]][number]:
                known = known or run["run"]
                curves[chance] = np.array([[float(row[c]) for c in ("step", "lr", "loss")] for row in curve])
        if not found:
            continue
        rates = _rates(known, number, by_run) if curves else np.empty(0)
        training = _training([*curves.values()]) if len(rates) else np.empty((0, 2))
        versions.append(Version(number, rates, found, tokens, training))
    return Cell(about, tuple(versions), tuple(sorted(run["run"] for run in runs)))


def _chance(run: Mapping[str, str]) -> Chance:
    # Of a stream that grows, runs that have come further are under other conditions, and over the same slices as far.
    conditions = "" if run["stream"] in GROWING else run["conditions"]
    if run["stream"] == "dealt":  # the same text is dealt into more versions
        conditions = run["uncut_conditions"]
    return Chance(int(run["seed"]), run["numerics"], run["split_seed"], run["data_seed"] or run["seed"], conditions)


def _losses(rows: Sequence[dict[str, str]]) -> tuple[Array, Array] | None:
    """Nats per token of every slice, and its tokens; None: not measured, or diverged."""
    rows = sorted(rows, key=lambda row: int(row["slice"]))
    tokens = np.array([float(row["tokens"]) for row in rows])
    losses = np.array([float(row["nll"]) for row in rows]) / tokens
    return (losses, tokens) if len(rows) and np.isfinite(losses).all() else None


def _rates(run: str, version: int, by_run: dict[str, _ByRun]) -> Array:
    """Every step's learning rate up to a version: its own curve's, and the trunk's of the versions before.

    A curve has about 200 points of a stretch; between them the rate is interpolated. Empty: the ledger does not tell.
    """
    points: dict[float, float] = {}
    first = np.inf
    for number in range(version, 0, -1):
        curve = by_run["curves"][run][number]
        paths = sorted(by_run["paths"][run][number], key=lambda row: int(row["from_step"]))
        if not curve or not paths:
            return np.empty(0)
        end = int(paths[-1]["to_step"])
        if number != version:  # what later versions go on from
            end = max((int(row["to_step"]) for row in paths if row["kind"] == "trunk"), default=0)
        for row in curve:
            if int(row["step"]) < min(end, first):
                points.setdefault(float(row["step"]), float(row["lr"]))
        first = min(first, int(paths[0]["from_step"]))
        if first == 0:
            break
    steps = np.array(sorted(points))
    return np.interp(np.arange(steps[-1] + 1), steps, [points[step] for step in steps]) if len(steps) else np.empty(0)


def _training(curves: Sequence[Array]) -> Array:
    """Means over stretches of steps and over seeds; without the first tenth, which is warm-up at a random start."""
    steps, losses = curves[0][:, 0], np.mean([curve[:, 2] for curve in curves], axis=0)
    kept = slice(len(steps) // 10 if steps[0] == 0 else 0, None)
    parts = np.array_split(np.arange(len(steps))[kept], TRAINING_POINTS)
    return np.array([[steps[part].mean(), losses[part].mean()] for part in parts if len(part)])

"""A ledger as tidy frames, cut into settings that may be compared.

Reads `<root>/<scale>/data/*.csv` and nothing else, one scale at a time. Invariants of everything handed out:
- PPL of a version is over all held-out slices of the stream (`repro.results.measures.EVERY`), and exists only where all
  were evaluated;
- one run per cell and seed, and all runs of one seed, data and model share one numerics id, so that pairing by seed is
  sound (what a study sweeps of these, a trend goes across: another machine may have run another size or length);
- runs in one `View` share data, model and T, but for what their study sweeps. What belongs to a schedule or a recipe
  may differ: those whose settings are not the usual ones go by another name (`analysis.names.variant`), side by side.
"""

import os
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from analysis import cuts, lengths, names, plans, reading, readings
from analysis.best import PTFS, Best, best_rates
from analysis.formats import text
from analysis.registries import STUDIES, sweeping
from analysis.variants import RECIPE, SCHEDULE, Usual, sweepers
from repro.common.errors import UserError
from repro.common.registry import suggestion
from repro.config.places import CONF
from repro.planning.places import override
from repro.recipes.recipe import told
from repro.results import commands as noted
from repro.results.columns import settings_of
from repro.results.commands import Commands
from repro.store.tables import COMMANDS

T = TypeVar("T")

OWN, PUBLISHED = Path("results"), Path("paper_figures")
"""Where `ledger.path` puts results by default; and where the published ones are, which are never added to unasked."""

ALWAYS = ("architecture", "size", "corpus", "stream", "steps_per_version", "tokens_per_step", "conditions")
SETTING = (*ALWAYS, "versions")
"""What two runs must share to be compared. An empty entry fits any value (a two-stage run's number of versions)."""
DIVERGED = 20.0
"""In place of a loss that is no number, in nats per token: above any that is."""
CELL = ("paradigm", "schedule", *RECIPE, *SCHEDULE, *SETTING)
"""What makes a run the run it is, but for its seed and numerics."""


@dataclass(frozen=True)
class Ledger:
    """One scale's results. Frames as in the CSV files; `alpha` and cycles as floats (endless: infinity). What makes no
    difference to a recipe is empty (`versions`, `carry_optimizer`); `releases` is how many versions it has in all."""

    scale: str
    folder: Path
    studies: pd.DataFrame
    runs: pd.DataFrame
    versions: pd.DataFrame
    perplexity: pd.DataFrame
    curves: pd.DataFrame
    paths: pd.DataFrame
    downstream: pd.DataFrame
    numerics: pd.DataFrame
    commands: Commands = field(default_factory=dict)
    """What was typed to make the runs; empty where the ledger does not say."""

    @property
    def files(self) -> list[Path]:
        paths = [*(self.folder / f"{name}.csv" for name in sorted(reading.NUMBERS)), self.folder / COMMANDS]
        return [path for path in paths if path.exists()]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """run, version, loss (nats per token), ppl, bits_per_byte: over all the stream's slices, weighted by tokens."""
        sums = self.perplexity.groupby(["run", "version"], as_index=False).agg(
            nll=("nll", "sum"), tokens=("tokens", "sum"), bytes=("bytes", "sum"), slices=("slice", "nunique"),
            numbers=("nll", "count"),
        )  # fmt: skip
        sums = sums[sums["slices"] == sums.groupby("run")["slices"].transform("max")]
        # A sum passes over NaN, which is how a run that diverged shows.
        sums["nll"] = sums["nll"].where(sums["numbers"] == sums["slices"])
        loss = sums["nll"] / sums["tokens"]
        return reading.plain(
            pd.DataFrame(
                {
                    "run": sums["run"],
                    "version": sums["version"],
                    "loss": loss,
                    "ppl": np.exp(loss),
                    "bits_per_byte": sums["nll"] / np.log(2) / sums["bytes"],
                }
            )
        )

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Runs by study: one that several studies share stands here for each."""
        return reading.plain(self.studies.merge(self.runs, on="run"))

    @property
    def strangers(self) -> list[str]:
        """Studies that nothing registered, `none` (runs of no study) among them: reported as what they are."""
        return sorted(set(self.studies["study"]) - set(STUDIES))

    @property
    def reported(self) -> list[str]:
        """Every study there is something of, in the report's order."""
        known = set(self.studies["study"])
        return [*(name for name in STUDIES if name in known), *self.strangers]

    @property
    def called(self) -> tuple[set[str], set[str]]:
        """Names of all recipes, variants among them, and of all schedules."""
        every = pd.concat([view.runs(study)[["paradigm", "schedule"]] for view in self.views for study in view.ran])
        return set(every["paradigm"]), set(every["schedule"])

    def primary(self) -> "View":
        """The setting that most study rows share: what the scale is about."""
        plain = self.rows[~self.rows["study"].isin([*sweepers(SETTING), *self.strangers])]
        rows = self.rows if plain.empty else plain
        counts = rows.groupby(list(ALWAYS)).size()
        values: dict[str, object] = dict(zip(ALWAYS, counts.index[int(np.argmax(counts.to_numpy()))], strict=True))
        rows = self.rows[(self.rows[list(ALWAYS)] == pd.Series(values)).all(axis=1)]
        known = rows["versions"][~rows["study"].isin(sweeping("versions"))].dropna()
        values["versions"] = known.mode().iloc[0] if len(known) else ""
        return View(self, values, {})

    @cached_property
    def views(self) -> list["View"]:
        """The primary setting first, then every other one that some study's runs were made in."""
        primary = self.primary()
        found: list[dict[str, object]] = []
        for row in self.rows[self.rows["study"].isin(list(STUDIES))].to_dict("records"):
            sweeps = STUDIES[str(row["study"])].sweeps
            found.append({c: primary.setting[c] if c in sweeps else row[c] for c in SETTING})
        # What a run leaves empty fits any value, so the fullest come first: the others then fit one of them.
        found.sort(key=lambda values: (sum(map(_empty, values.values())), tuple(map(str, values.values()))))
        settings: list[dict[str, object]] = []
        for values in found:
            if _fit(values, primary.setting):
                continue
            known = next((setting for setting in settings if _fit(values, setting)), None)
            if known is None:
                settings.append(values)
            else:
                known.update({c: value for c, value in values.items() if not _empty(value)})
        views = {}
        for setting in settings:
            whole = {c: primary.setting[c] if _empty(value) else value for c, value in setting.items()}
            differs = {c: value for c, value in whole.items() if value != primary.setting[c]}
            views[tuple(map(str, whole.values()))] = View(self, whole, differs)
        # Another stream or corpus is another text, too: that is said only where nothing else tells two settings apart.
        named = Counter(_named(view.differs) for view in views.values())
        for view in views.values():
            if _named(view.differs) and named[_named(view.differs)] == 1:
                view.differs.pop("conditions", None)
        return [primary, *(views[key] for key in sorted(views))]


@dataclass(frozen=True)
class View:
    """The runs of one setting: the only ones that are compared, averaged or drawn together."""

    ledger: Ledger
    setting: dict[str, object]
    differs: dict[str, object]
    """Where the setting departs from the primary one; empty for the primary one."""
    reading: str = ""
    """Of the branch: runs of it are the plain ones then. Empty: whichever most runs share."""
    equal: bool = False
    """Whether runs over versions of unequal lengths are left out."""
    planned: bool = False
    """Whether seeds that a study was not planned with are left out (`analysis.plans`)."""
    own_best: bool = False
    """Whether the plain runs of a recipe are those at its own best maximum, where there are any (`analysis.best`)."""
    reference: str = PTFS
    """The recipe that stands for PTFS: it, or its twin in order of arrival."""
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    """What was worked out of these runs: shared by every view that is made of this one, and told apart by `_once`."""
    _asked: set[tuple[tuple[str, ...], bool]] = field(default_factory=set, repr=False)
    """Studies whose runs were asked for, and whether only those with downstream scores: see `used`."""

    @property
    def label(self) -> str:
        return ", ".join(f"{name}={self._said(name, value)}" for name, value in self.differs.items())

    def _said(self, name: str, value: object) -> str:
        """A setting as a person would write it: unequal lengths, not the mean that T is then."""
        runs = self.ledger.runs
        same = (runs["steps_per_version"] == value) & (runs["conditions"] == self.setting["conditions"])
        return str(runs["lengths"][same].iloc[0]) if name == "steps_per_version" and same.any() else text(value)

    @property
    def last(self) -> int:
        """N, the number of versions; 2 where only two-stage runs are known."""
        return int(float(str(self.setting["versions"] or 2)))

    @property
    def ran(self) -> list[str]:
        """Studies of which there are runs in this setting, in the report's order."""
        there = self._once("ran", lambda: set(self._every["study"]))
        return [name for name in self.ledger.reported if name in there]

    def runs(self, *studies: str) -> pd.DataFrame:
        """Rows of runs.csv that belong to any of `studies` in this setting; see the module's invariants."""
        return self._split(*studies)[0]

    def scored(self, *studies: str) -> pd.DataFrame:
        """As `runs`, but only of those with downstream scores: they may have another numerics than most of a seed's."""
        return self._split(*studies, scored=True)[0]

    def scores(self, *studies: str) -> pd.DataFrame:
        """`runs` joined with each version's loss, PPL and bits a byte."""
        runs = self.runs(*studies)
        # Copied for its columns to lie together: `reading.plain` says why.
        return self._once(("scores", studies), lambda: runs.merge(self.ledger.scores, on="run").copy())

    def costs(self, *studies: str) -> pd.DataFrame:
        """`runs` joined with versions.csv, whose step counts are those of versions 1..k."""
        shared = ["unique_steps", "relative_cost"]
        return self.runs(*studies).drop(columns=shared).merge(self.ledger.versions, on="run")

    def left_out(self, *studies: str) -> pd.DataFrame:
        """Runs that `runs` leaves out: another numerics of the same seed, data and model, or a second alike in all."""
        return self._split(*studies)[1]

    def watched(self) -> "View":
        """The same view, which knows what was asked of it: see `used`."""
        return replace(self, _asked=set())

    @property
    def used(self) -> pd.DataFrame:
        """Runs that were asked for since it was `watched`, with the studies that they were asked for as."""
        asked = {study for studies, _ in self._asked for study in studies}
        kept = {run for studies, scored in self._asked for run in self._split(*studies, scored=scored)[0]["run"]}
        rows = self.ledger.rows
        return rows[rows["run"].isin(kept) & rows["study"].isin(asked)]

    def under(self, read: str) -> "View":
        """The same runs, those of a reading of the branch as the plain ones."""
        return replace(self, reading=read)

    def of_equal_versions(self) -> "View":
        """The same runs, but for those over versions of unequal lengths."""
        return replace(self, equal=True)

    def had_none_diverged(self) -> "View":
        """The same runs with some number for each loss that is none: which of them there are, and not what they say."""
        rows = self.ledger.perplexity
        filled = rows.assign(nll=rows["nll"].where(np.isfinite(rows["nll"]), DIVERGED * rows["tokens"]))
        return replace(self, ledger=replace(self.ledger, perplexity=filled), _known={})

    def judged(self, *, own_best: bool, reference: str = PTFS) -> "View":
        """The same runs as claims are judged on: of planned seeds, at a maximum of their own or the shared one."""
        return replace(self, planned=True, own_best=own_best, reference=reference)

    @property
    def best(self) -> list[Best]:
        """Each recipe's best maximum: tuned in this setting, or else in the primary one. Empty where none was."""
        return self._once("best", self._best)

    def _best(self) -> list[Best]:
        setting = {column: self.setting[column] for column in ALWAYS}
        own = best_rates(self.ledger.scale, self.ledger.rows, self.ledger.scores, setting)
        return own if own or not self.differs else self.ledger.views[0].best

    @property
    def usual(self) -> Usual:
        return self._once(
            "usual",
            lambda: Usual(
                self._fitting(list(STUDIES)),
                self.reading,
                self.best,
                own_best=self.own_best,
                default=lambda schedule: plans.rates(self.ledger.scale, schedule),
            ),
        )

    @property
    def own(self) -> dict[str, object]:
        """What the setting's own runs have, of the columns that a study may sweep."""
        return {column: self.setting[column] for column in SETTING} | self.usual.rates

    def _once(self, what: Hashable, work_out: Callable[[], T]) -> T:
        """What `work_out` gives, which is no matter of what stands for PTFS."""
        return self._kept((*self._apart, what), work_out)

    @property
    def _apart(self) -> tuple[Hashable, ...]:
        """What tells this view's runs from those of views like it: no flag that changes none of them."""
        rows = self.ledger.rows
        equal = self.equal and self._kept("unequal", lambda: bool(lengths.unequal(rows).any()))
        planned = self.planned and self._kept("unplanned", lambda: not plans.planned(rows, self.ledger.scale).all())
        apart = (equal, planned, self.own_best)
        if not self.reading:
            return ("", *apart)
        plain = self.under("")
        usual = self._kept(("reading", *apart), lambda: plain.usual.own(readings.RECIPE, readings.SETTING))
        return ("" if usual in (None, self.reading) else self.reading, *apart)

    def _kept(self, key: Hashable, work_out: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = work_out()
        found: T = self._known[key]
        return found

    def _split(self, *studies: str, scored: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
        self._asked.add((studies, scored))
        return self._once(("split", studies, scored), lambda: self._divide(studies, scored=scored))

    def _fitting(self, studies: Sequence[str]) -> pd.DataFrame:
        """Runs of studies in this setting; a study that nothing registered may vary anything."""
        rows = self.ledger.rows[self.ledger.rows["study"].isin(studies)]
        if self.equal:
            rows = rows[~lengths.unequal(rows)]
        if self.planned:
            rows = rows[plans.planned(rows, self.ledger.scale)]
        fits = pd.Series(True, index=rows.index)
        for column in SETTING:
            swept = rows["study"].isin([*sweeping(column), *self.ledger.strangers])
            empty = rows[column].isna() | (rows[column] == "")
            fits &= swept | empty | (rows[column] == self.setting[column])
        return rows[fits]

    @property
    def _every(self) -> pd.DataFrame:
        """Runs of all studies in this setting, in order and by their names, which are their own study's matter."""
        return self._once("every", self._work_out_every)

    def _work_out_every(self) -> pd.DataFrame:
        runs = _ordered(self.usual.name_variants(self._fitting(self.ledger.reported)))
        return reading.plain(runs.assign(_cell=runs.groupby([*CELL, "seed"], dropna=False, sort=False).ngroup()))

    def _divide(self, studies: Sequence[str], *, scored: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = self._every[self._every["study"].isin(studies)].drop_duplicates("run")
        if scored:
            rows = rows[rows["run"].isin(self.ledger.downstream["run"])]
        kept = rows
        if len(set(rows["numerics"])) > 1:
            # The numerics with most of the runs that may be compared, the first by name among equals.
            alike = rows.groupby(["seed", *ALWAYS], dropna=False, sort=False).ngroup()
            counts = rows.groupby([alike.rename("alike"), "numerics"]).size().reset_index(name="runs")
            counts = counts.sort_values(["alike", "runs", "numerics"], ascending=[True, False, True])
            chosen = counts.drop_duplicates("alike").set_index("alike")["numerics"]
            kept = rows[rows["numerics"] == alike.map(chosen)]
        kept = kept.drop_duplicates("_cell")
        aside = rows[~rows["run"].isin(kept["run"])].sort_values("run")
        kept, aside = (each.drop(columns=["study", "_cell"]).copy() for each in (kept, aside))
        return kept.reset_index(drop=True), aside


def scales(root: Path) -> list[str]:
    """Names of the scales with a ledger under `root`."""
    return sorted(path.parent.parent.name for path in root.glob("*/data/runs.csv"))


def load(root: Path, scale: str, *, unchecked: bool = False) -> Ledger:
    """Read and check one scale's ledger.

    Args:
        unchecked: use tables that differ from their checksums.

    Raises:
        UserError: no such scale, a file or column that is missing, a value of the wrong kind, a table that was altered
            since it was written, or no run at all.
    """
    if scale not in scales(root):
        raise UserError(unknown(root, scale))
    folder = root / scale / "data"
    frames = readings.joined(reading.read(folder, unchecked=unchecked))
    runs = frames["runs"]
    if runs.empty or frames["studies"].empty:
        raise UserError(f"{folder / 'runs.csv'} holds no run. To make some: {_train(root, scale)}")
    for column in ("alpha", "first_cycle", "second_cycle"):
        runs[column] = [reading.share(column, value) for value in runs[column]]
    recipes = [told(*row) for row in zip(runs["paradigm"], map(settings_of, runs["settings"]), strict=True)]
    # Some recipes have as many versions in any setting, and some have no optimizer state to carry.
    runs["releases"] = runs["versions"]
    runs["versions"] = runs["versions"].where(np.array([each is None or each.fixed is None for each in recipes]))
    carry = runs["carry_optimizer"].str.lower()
    runs["carry_optimizer"] = carry.where(np.array([each is None or each.carries for each in recipes]), "")
    runs = frames["runs"] = cuts.joined(runs, frames["studies"])
    for name, frame in frames.items():
        if name in ("runs", "numerics"):
            continue
        strangers = sorted(set(frame["run"]) - set(runs["run"]))
        if strangers:
            raise UserError(f"{folder / name}.csv names runs that runs.csv does not have: {', '.join(strangers[:5])}.")
    frames = {name: reading.plain(frame) for name, frame in frames.items()}
    return Ledger(scale=scale, folder=folder, **frames, commands=noted.known(folder))


def unknown(root: Path, scale: str) -> str:
    """A complaint about a scale without results, with those that have some."""
    folder = root / scale / "data"
    if scale and folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        return f"scale={scale}: {folder} may not be read; its owner can let others."
    known = scales(root)
    there = f"There are results for: {', '.join(known)}." if known else "There are no results yet."
    if not scale:
        return f"scale=NAME is missing. {there}" + ("" if known else f" To make some: {_train(root, 'smoke')}")
    shipped = (CONF / "scale" / f"{scale}.yaml") in (CONF / "scale").glob("*.yaml")
    make = f" To make some: {_train(root, scale)}" if shipped else ""
    near = suggestion(scale, known) or suggestion(scale, [path.stem for path in (CONF / "scale").glob("*.yaml")])
    meant = "" if shipped else near[:1].upper() + near[1:]
    return f"scale={scale!r} has no results under root={root}. {meant}{there}{make}"


def _train(root: Path, scale: str) -> str:
    """What makes results under `root`; in their usual place rather than among what is published."""
    usual = root.resolve() in (PUBLISHED.resolve(), OWN.resolve())
    return f"python -m repro.train study=headline scale={scale}" + (
        "" if usual else f" {override('ledger.path', root / scale / 'data')}"
    )


def _empty(value: object) -> bool:
    return value == "" or (isinstance(value, float) and np.isnan(value))


def _named(differs: dict[str, object]) -> tuple[str, ...]:
    """A setting's departures in words, for use as a key."""
    return tuple(f"{name}={text(value)}" for name, value in differs.items() if name != "conditions")


def _fit(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two settings can be one: where both say something, it is the same."""
    return all(_empty(value) or _empty(other[c]) or value == other[c] for c, value in one.items())


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Schedules and recipes in the registries' order, then by what is swept, then by seed."""
    ranks = {column: {name: i for i, name in enumerate(order(runs[column]))} for column, order in
             (("schedule", names.schedules), ("paradigm", names.recipes))}  # fmt: skip
    keys = runs.assign(**{f"_{column}": runs[column].map(rank) for column, rank in ranks.items()})
    by = ["_schedule", "_paradigm", "alpha", "first_cycle", "second_cycle", "parameters", "steps_per_version",
          "max_lr", "architecture", "size", "seed", "run"]  # fmt: skip
    return keys.sort_values(by).drop(columns=["_schedule", "_paradigm"]).reset_index(drop=True)

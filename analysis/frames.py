"""The ledger's CSV files as tidy frames: loaded, checked, joined, and cut into settings that may be compared.

Reads `<root>/<scale>/data/*.csv` and nothing else, one scale at a time. Invariants of everything handed out:
- PPL of version k is over the held-out slices 1..k, and exists only where all k were evaluated;
- one run a cell and seed, and all runs of one seed share one numerics id, so that pairing by seed is sound;
- runs in one `View` differ only in what their study sweeps (and in seed, schedule and paradigm).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from repro.common.errors import UserError
from repro.config.places import CONF

PARADIGMS = {"ptfs": "PTFS", "cpt": "CPT", "path_switching": "path switching", "two_stage": "two stages"}
SCHEDULES = {"cosine": "cosine", "knee": "Knee", "multi_step": "multi-step", "constant": "constant"}
"""Names as in conf/, with what a reader calls them; in the paper's order."""
ENDLESS = "endless"


@dataclass(frozen=True)
class Study:
    """A group of runs that answers a question."""

    question: str
    sweeps: tuple[str, ...] = ()
    """The columns of `SETTING` that it varies on purpose."""


STUDIES = {
    "headline": Study("How do the three paradigms differ in learning rate, PPL and cost?"),
    "pilot": Study("How far does CPT fall behind PTFS, and does the gap grow?"),
    "first_stage": Study("How should the checkpoint be prepared?"),
    "second_stage": Study("How should training go on from that checkpoint?"),
    "main": Study("Does path switching reach PTFS's PPL at its lower cost?"),
    "alpha": Study("How long should a branch be?", ("alpha",)),
    "architecture": Study("Does it hold for another architecture?", ("architecture",)),
    "model_size": Study("Does it hold for other parameter counts?", ("size",)),
    "data_scale": Study("Does it hold for other data sizes?", ("steps_per_version", "warmup_steps")),
    "max_lr": Study("Does it hold for other maximum learning rates?", ("max_lr", "min_lr")),
    "downstream": Study("Does the gain survive fine-tuning?"),
}
"""Names as in conf/study/."""

_ALWAYS = (
    "architecture", "size", "corpus", "stream", "steps_per_version", "tokens_per_step", "max_lr", "min_lr",
    "warmup_steps", "conditions",
)  # fmt: skip
_SOMETIMES = ("versions", "carry_optimizer", "order", "alpha")
SETTING = (*_ALWAYS, *_SOMETIMES)
"""What two runs must share to be compared. An empty entry (alpha of a CPT run, say) fits any value."""
CELL = ("paradigm", "schedule", "first_cycle", "second_cycle", *SETTING)
"""What makes a run the run it is, but for its seed and numerics."""

_TEXT = {
    "studies": ("study", "run"),
    "runs": (
        "run", "name", "paradigm", "schedule", "order", "first_cycle", "second_cycle", "carry_optimizer", "alpha",
        "architecture", "size", "corpus", "stream", "conditions", "numerics",
    ),
    "versions": ("run", "key"),
    "perplexity": ("run",),
    "curves": ("run",),
    "paths": ("run", "segment", "kind"),
    "downstream": ("run", "task", "metric", "lm_eval"),
    "numerics": ("numerics", "setting", "value"),
}  # fmt: skip
_NUMBERS = {
    "studies": (),
    "runs": (
        "seed", "parameters", "versions", "steps_per_version", "tokens_per_step", "max_lr", "min_lr", "warmup_steps",
        "logical_steps", "unique_steps", "relative_cost", "flops",
    ),
    "versions": ("version", "steps", "unique_steps", "relative_cost"),
    "perplexity": ("version", "slice", "nll", "tokens", "bytes"),
    "curves": ("version", "step", "lr", "loss"),
    "paths": ("version", "from_step", "to_step"),
    "downstream": ("version", "finetune_seed", "value", "stderr", "chance", "items", "gold_bits_per_byte"),
    "numerics": (),
}  # fmt: skip
_SORTED = (
    "study",
    "run",
    "version",
    "slice",
    "segment",
    "step",
    "finetune_seed",
    "task",
    "metric",
    "numerics",
    "setting",
)
_OPTIONAL = {"downstream", "curves"}
"""Not there before something was fine-tuned, or where all training diverged."""
_MAY_BE_EMPTY = {"loss", "finetune_seed", "stderr", "chance", "items", "gold_bits_per_byte", "flops"}


@dataclass(frozen=True)
class Ledger:
    """One scale's results. Frames as in the CSV files; `alpha` and cycles as floats (endless: infinity)."""

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

    @property
    def files(self) -> list[Path]:
        paths = [self.folder / f"{name}.csv" for name in sorted(_TEXT)]
        return [path for path in paths if path.exists()]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """run, version, loss (nats a token), ppl, bits_per_byte: version k over slices 1..k."""
        seen = self.perplexity[self.perplexity["slice"] <= self.perplexity["version"]]
        sums = seen.groupby(["run", "version"], as_index=False).agg(
            nll=("nll", "sum"), tokens=("tokens", "sum"), bytes=("bytes", "sum"), slices=("slice", "nunique"),
            numbers=("nll", "count"),
        )  # fmt: skip
        sums = sums[sums["slices"] == sums["version"]]
        # A sum passes over NaN, which is how a run that diverged shows.
        sums["nll"] = sums["nll"].where(sums["numbers"] == sums["slices"])
        loss = sums["nll"] / sums["tokens"]
        return pd.DataFrame(
            {
                "run": sums["run"],
                "version": sums["version"],
                "loss": loss,
                "ppl": np.exp(loss),
                "bits_per_byte": sums["nll"] / np.log(2) / sums["bytes"],
            }
        )

    def primary(self) -> "View":
        """The setting that most study rows share: what the scale is about."""
        rows = self.studies.merge(self.runs, on="run")
        plain = rows[~rows["study"].isin([name for name, study in STUDIES.items() if study.sweeps])]
        rows = rows if plain.empty else plain
        always = list(_ALWAYS)
        counts = rows.groupby(always).size()
        values = dict(zip(always, counts.index[int(np.argmax(counts.to_numpy()))], strict=True))
        rows = self.studies.merge(self.runs, on="run")
        rows = rows[(rows[always] == pd.Series(values)).all(axis=1)]
        for column in _SOMETIMES:
            fixed = ~rows["study"].isin([name for name, study in STUDIES.items() if column in study.sweeps])
            known = rows[column][fixed].replace("", np.nan).dropna()
            values[column] = known.mode().iloc[0] if len(known) else ""
        return View(self, values, {})

    def views(self) -> list["View"]:
        """The primary setting first, then every other one that some study's runs were made in."""
        primary = self.primary()
        rows = self.studies[self.studies["study"].isin(list(STUDIES))].merge(self.runs, on="run")
        found: list[dict[str, object]] = []
        for row in rows.to_dict("records"):
            sweeps = STUDIES[str(row["study"])].sweeps
            found.append({str(c): primary.setting[c] if c in sweeps else row[c] for c in SETTING})
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
    _splits: dict[tuple[str, ...], tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        return ", ".join(f"{name}={text(value)}" for name, value in self.differs.items())

    @property
    def last(self) -> int:
        """N, the number of versions; 2 where only two-stage runs are known."""
        return int(float(str(self.setting["versions"] or 2)))

    def runs(self, *studies: str) -> pd.DataFrame:
        """Rows of runs.csv that belong to any of `studies` in this setting; see the module's invariants."""
        return self._split(*studies)[0]

    def scores(self, *studies: str) -> pd.DataFrame:
        """`runs` joined with each version's loss, PPL and bits a byte."""
        return self.runs(*studies).merge(self.ledger.scores, on="run")

    def costs(self, *studies: str) -> pd.DataFrame:
        """`runs` joined with versions.csv, whose step counts are those of versions 1..k."""
        shared = ["unique_steps", "relative_cost"]
        return self.runs(*studies).drop(columns=shared).merge(self.ledger.versions, on="run")

    def left_out(self, *studies: str) -> pd.DataFrame:
        """Runs that `runs` leaves out: another numerics of the same seed, or a second run alike in every column."""
        return self._split(*studies)[1]

    def _split(self, *studies: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        if studies not in self._splits:
            self._splits[studies] = self._divide(studies)
        return self._splits[studies]

    def _divide(self, studies: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = self.ledger.studies[self.ledger.studies["study"].isin(studies)].merge(self.ledger.runs, on="run")
        fits = pd.Series(True, index=rows.index)
        for column in SETTING:
            swept = rows["study"].isin([name for name, study in STUDIES.items() if column in study.sweeps])
            empty = rows[column].isna() | (rows[column] == "")
            fits &= swept | empty | (rows[column] == self.setting[column])
        rows = rows[fits].drop(columns="study").drop_duplicates("run").sort_values("run")
        # The numerics with most runs of a seed, the first by name among equals.
        counts = rows.groupby(["seed", "numerics"], as_index=False).size()
        counts = counts.sort_values(["seed", "size", "numerics"], ascending=[True, False, True])
        chosen = counts.drop_duplicates("seed")[["seed", "numerics"]]
        kept = rows.merge(chosen, on=["seed", "numerics"]).drop_duplicates([*CELL, "seed"])
        return _ordered(kept), rows[~rows["run"].isin(kept["run"])]


def scales(root: Path) -> list[str]:
    """Names of the scales with a ledger under `root`."""
    return sorted(path.parent.parent.name for path in root.glob("*/data/runs.csv"))


def load(root: Path, scale: str) -> Ledger:
    """Read and check one scale's ledger.

    Raises:
        UserError: no such scale, a file or column that is missing, a value of the wrong kind, or no run at all.
    """
    known = scales(root)
    if scale not in known:
        there = f"There are results for: {', '.join(known)}." if known else "There are no results yet."
        train = f"python -m repro.train study=headline scale={scale} ledger.path={root / scale / 'data'}"
        how = f" To make some: {train}" if (CONF / "scale" / f"{scale}.yaml") in (CONF / "scale").glob("*.yaml") else ""
        raise UserError(f"scale={scale!r} has no results under root={root}. {there}{how}")
    folder = root / scale / "data"
    frames = {name: _read(folder / f"{name}.csv", name) for name in _TEXT}
    runs = frames["runs"]
    if runs.empty or frames["studies"].empty:
        raise UserError(f"{folder / 'runs.csv'} holds no run.")
    runs["alpha"] = [_number("alpha", value) for value in runs["alpha"]]
    for column in ("first_cycle", "second_cycle"):
        runs[column] = [np.inf if value == ENDLESS else _number(column, value) for value in runs[column]]
    # Two-stage runs have two versions in any setting. From scratch there is no optimizer state to carry.
    runs["versions"] = runs["versions"].where(runs["paradigm"] != "two_stage")
    carry = runs["carry_optimizer"].str.lower()
    runs["carry_optimizer"] = carry.where(runs["paradigm"] != "ptfs", "")
    for name, frame in frames.items():
        if name in ("runs", "numerics"):
            continue
        strangers = sorted(set(frame["run"]) - set(runs["run"]))
        if strangers:
            raise UserError(f"{folder / name}.csv names runs that runs.csv does not have: {', '.join(strangers[:5])}.")
    return Ledger(scale=scale, folder=folder, **frames)


def paradigm_name(paradigm: str) -> str:
    return PARADIGMS.get(paradigm, paradigm)


def schedule_name(schedule: str) -> str:
    return SCHEDULES.get(schedule, schedule)


def text(value: object) -> str:
    """A setting's value as a person would write it."""
    if isinstance(value, float):
        return ENDLESS if np.isinf(value) else f"{value:g}"
    return str(value)


def _read(path: Path, name: str) -> pd.DataFrame:
    if not path.is_file() and name in _OPTIONAL:
        return pd.DataFrame(
            {c: pd.Series(dtype="str") for c in _TEXT[name]} | {c: pd.Series(dtype="float64") for c in _NUMBERS[name]}
        )
    if not path.is_file():
        raise UserError(f"{path} is missing; a ledger has {', '.join(f'{n}.csv' for n in sorted(_TEXT))}.")
    # Everything as text first: a hexadecimal id such as 12e45678 must not become a number.
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV table: {error}") from None
    missing = [c for c in (*_TEXT[name], *_NUMBERS[name]) if c not in frame]
    if missing:
        raise UserError(f"{path} lacks the column {', '.join(missing)}.")
    for column in _NUMBERS[name]:
        try:
            numbers = pd.to_numeric(frame[column].mask(frame[column].isin(["", "nan"])))
        except ValueError as error:
            raise UserError(f"{path}, column {column}: {error}.") from None
        if column not in _MAY_BE_EMPTY and (frame[column] == "").any():
            raise UserError(f"{path}, column {column}: an entry is empty.")
        frame[column] = numbers
    return frame.sort_values([c for c in _SORTED if c in frame], kind="stable", ignore_index=True)


def _number(column: str, value: str) -> float:
    if value == "":
        return np.nan
    try:
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise UserError(f"runs.csv, column {column}: {value!r} is no number.") from None


def _empty(value: object) -> bool:
    return value == "" or (isinstance(value, float) and np.isnan(value))


def _named(differs: dict[str, object]) -> tuple[str, ...]:
    """A setting's departures in words, for use as a key."""
    return tuple(f"{name}={text(value)}" for name, value in differs.items() if name != "conditions")


def _fit(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two settings can be one: where both say something, it is the same."""
    return all(_empty(value) or _empty(other[c]) or value == other[c] for c, value in one.items())


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Paradigms and schedules in the order of the paper, then by what is swept, then by seed."""
    rank = {name: i for i, name in enumerate((*PARADIGMS, *SCHEDULES))}
    keys = runs.assign(
        _schedule=runs["schedule"].map(rank), _paradigm=runs["paradigm"].map(rank)
    )  # fmt: skip
    by = ["_schedule", "_paradigm", "alpha", "first_cycle", "second_cycle", "parameters", "steps_per_version",
          "max_lr", "architecture", "size", "seed", "run"]  # fmt: skip
    return keys.sort_values(by).drop(columns=["_schedule", "_paradigm"]).reset_index(drop=True)

"""Studies and claims by name: what the report is made of, open to users' modules (`extensions=[my_module]`).

Ours are in `analysis.studies` and `analysis.claims`, one file each; importing those fills the registries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from matplotlib.figure import Figure

from repro.common.registry import Registry

View: TypeAlias = Any
"""An `analysis.frames.View`; that module, and those of tables and verdicts, stand above this one."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What a study of generality varies."""

    column: str
    """In runs.csv."""
    label: str
    """In tables and figures."""
    setting: str
    """On a command line."""

    @property
    def chosen(self) -> str:
        """The column that names the choice: of a size, whose parameters the factor counts, its label."""
        return "size" if self.column == "parameters" else self.column


@dataclass(frozen=True)
class Exhibit:
    """One thing that a section of the report may show."""

    name: str
    """Of its files; told apart by it from what other studies show."""
    per_setting: bool = field(default=False, kw_only=True)
    """Also shown for settings other than the primary one."""


@dataclass(frozen=True)
class TableOf(Exhibit):
    make: Callable[[View], Any] = field(kw_only=True)
    """An `analysis.tables.table.Table`; None: no data."""


@dataclass(frozen=True)
class Plot(Exhibit):
    make: Callable[[View], Figure | None] = field(kw_only=True)
    caption: str = field(kw_only=True)


@dataclass(frozen=True)
class Sentences(Exhibit):
    make: Callable[[View], list[str]] = field(kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A group of runs that answers a question; conf/study/NAME.yaml says what is run."""

    name: str
    question: str
    title: str = ""
    """Over its section; empty: its name."""
    sweeps: tuple[str, ...] = ()
    """Columns of runs.csv that it varies on purpose; all others are held, or make another setting or variant."""
    factor: Factor | None = None
    """What it varies, if whether the paper's comparison holds for every value is what it asks."""
    pooled: bool = False
    """Whether its runs are those of the main comparison, which the store trains once, whichever study asks first."""
    seeds: str = "fewer_seeds"
    """The entry of a scale's `sweep` that lists the seeds it is planned with (`analysis.plans`)."""
    part_of: str = ""
    """A study that runs all of this one's runs as well: where that was run, this one is not missing."""
    optional: bool = False
    """Whether a scale is complete without it."""
    verbs: tuple[str, ...] = ("train",)
    """The commands that make its results, one after another."""
    gaps: Callable[[View], list[str]] | None = None
    """What its comparisons lack, beyond runs that are not finished; for the report's list of what is missing."""
    shows: tuple[Exhibit, ...] = ()
    also: tuple[Exhibit, ...] = ()
    """What it shows where none of the studies was run that this belongs to."""

    @property
    def heading(self) -> str:
        return self.title or self.name.replace("_", " ").capitalize()


Role = Literal["decides", "premise", "shown"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that the ledger is asked about."""

    id: str
    statement: str
    source: str
    study: str
    """The study that answers it."""
    estimator: str
    margin: str
    evaluate: Callable[[View], Any] = field(repr=False)
    """Its `analysis.evidence.Evidence` in a view."""
    note: str = ""
    """What the verdict rests on besides the runs; shown with it."""
    twin: bool = False
    """Whether it compares with PTFS, and is shown against PTFS in order of arrival as well."""
    exact: bool = False
    """Whether it is arithmetic on the tree, which needs no seed."""
    readings: bool = False
    """Whether it is judged under each reading of the branch, where those rest on other runs."""
    equal_versions: bool = False
    """Whether it speaks of versions of equal lengths: runs over others are left out then, and counted."""


STUDIES: Registry[Study] = Registry("study")
CLAIMS: Registry[Claim] = Registry("claim")


def pooled() -> tuple[str, ...]:
    """Studies whose runs of one setting are the main comparison's."""
    return tuple(name for name, study in STUDIES.items() if study.pooled)


def sweeping(column: str) -> list[str]:
    """Studies that vary a column on purpose."""
    return [name for name, study in STUDIES.items() if column in study.sweeps]

"""A table twice over: every digit for programs (CSV), and as printed (Markdown, LaTeX, HTML); with its usual cells.

Means over seeds with the half length of their 95 % t interval; n is the number of seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cuts, lengths, names, stats
from analysis.contrasts import PTFS, losses, versions_after_first
from analysis.evidence import Part
from analysis.formats import escape_latex, escape_markdown, listed, number, paired, plus_minus
from analysis.frames import View

NOT_COMPARED = "undecayed: not compared"
"""In place of a distance in PPL."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table twice over: `data` keeps every digit and unit-bearing column names, `head` and `rows` are for reading."""

    name: str
    caption: str
    data: pd.DataFrame
    head: list[str]
    rows: list[list[str]]

    def write(self, folder: Path) -> list[Path]:
        paths = [folder / f"{self.name}.{kind}" for kind in ("csv", "md", "tex")]
        contents = (self.csv(), self.markdown(), self.latex())
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content, encoding="utf-8")
        return paths

    def csv(self) -> str:
        # Ten digits outlast every use, and hide the last bits in which machines differ.
        return self.data.to_csv(index=False, float_format="%.10g", lineterminator="\n")

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        cells = ([cell if i == 1 else escape_markdown(cell) for cell in line] for i, line in enumerate(lines))
        body = "\n".join(f"| {' | '.join(line)} |" for line in cells)
        return f"{body}\n\n{escape_markdown(self.caption)}\n"

    def latex(self) -> str:
        lines = [" & ".join(map(escape_latex, line)) + r" \\" for line in (self.head, *self.rows)]
        columns = "l" * len(self.head)
        return "\n".join(
            [
                rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule",
                r"\end{tabular}", rf"% {' '.join(self.caption.split())}", "",
            ]
        )  # fmt: skip


def quantity(part: Part) -> str:
    """A part's estimate with its interval and unit."""
    value = f"{number(part.estimate)} {part.unit}"
    if part.exact:
        return value
    if len(part.seeds) == 1:
        return f"{value} (one seed, no interval)"
    return f"{value} [{number(part.low)}, {number(part.high)}]"


def numerics_note(view: View, *studies: str) -> str:
    """Which seeds ran with which numerics: in a caption, so that a table of several machines says so; and over which
    lengths, where versions differ in theirs."""
    return numerics_of(view.runs(*studies))


def numerics_of(runs: pd.DataFrame) -> str:
    groups = [f"{name} (seeds {listed(group['seed'])})" for name, group in runs.groupby("numerics")]
    return f"Numerics: {'; '.join(groups)}.{cuts.note(runs)}{lengths.note(runs)}"


def uneven(counts: "set[int]") -> str:
    """For a caption: rows over different seeds are not to be read against each other."""
    if len(counts) < 2:
        return ""
    return " Rows of different n are means over different seeds: only paired columns compare them."


def mean_cell(values: "pd.Series[float]") -> str:
    return plus_minus(stats.mean_interval(np.asarray(values, dtype=np.float64))) if len(values) else ""


def ends(name: str, interval: stats.Interval) -> dict[str, object]:
    """An estimate's columns in `data`."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high, "n": interval.n}


def seed_count(rows: pd.DataFrame) -> int:
    return int(rows["seed"].nunique())


def relative_cost(view: View, rows: pd.DataFrame, version: int) -> float:
    """Steps of the run's own tree for versions 1..`version`, over those of pre-training each from scratch."""
    versions = view.ledger.versions
    at = versions[versions["run"].isin(rows["run"]) & (versions["version"] == version)]
    return float(at["relative_cost"].iloc[0]) if len(at) else np.nan


def to_ptfs(rows: pd.DataFrame, paradigm: str, view: View, versions: Sequence[int] | None = None) -> str:
    """PPL above PTFS's in per cent, mean over versions 2 to N, or over those given."""
    versions = versions_after_first(view) if versions is None else versions
    if not names.decays(paradigm):
        return NOT_COMPARED
    loss = losses(rows, (PTFS, paradigm), versions) if paradigm != PTFS and versions else {}
    if not loss:
        return ""
    values = (loss[paradigm] - loss[PTFS]).mean(axis=1).to_numpy(dtype=np.float64)
    return paired(values, seed_count(rows[rows["paradigm"] == paradigm]))

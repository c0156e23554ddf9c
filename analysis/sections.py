"""The sections of a report: for each study that was run, and each other setting, what the registries say it shows."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from analysis import provenance
from analysis.commands import again
from analysis.figures import own as own_figure
from analysis.figures.chart import Chart
from analysis.findings import ledger as findings
from analysis.formats import file_name
from analysis.frames import Ledger, View
from analysis.provenance import Provenance
from analysis.registries import STUDIES, Exhibit, Plot, Sentences, Study, TableOf
from analysis.tables import own as own_table
from analysis.tables.cost import spent
from analysis.tables.ledger import numerics, seeds
from analysis.tables.table import Table
from analysis.verdicts import Judged
from repro.common import style

NONE = "none"
"""What the ledger calls the study of runs that were made for none."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as the report shows it."""

    name: str
    caption: str
    png: bytes
    described: str
    """What it is a chart of, for those who do not see it."""
    recipes: frozenset[str]
    """That it shows, by name."""
    spec: str
    """What its interactive twin is drawn from, as JSON; empty: it has none, and no CSV file."""
    provenance: Provenance

    @property
    def data(self) -> str:
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True, kw_only=True)
class Section:
    """A study, or another setting of some."""

    name: str
    """As a file's: its anchor."""
    title: str
    question: str
    findings: list[str]
    verdicts: list[str]
    figures: list[Picture]
    tables: list[Table]
    command: str
    """What made its runs."""

    @property
    def names(self) -> list[str]:
        """Of its files, without their endings: `figures/pareto`."""
        return [*(f"figures/{each.name}" for each in self.figures), *(f"tables/{each.name}" for each in self.tables)]


class Shelf:
    """Where a report's tables and figures are put."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shown: set[str] = set()

    def table(self, table: Table | None, suffix: str = "") -> list[Table]:
        if table is None or (path := f"tables/{table.name + suffix}") in self._shown:  # as in `_picture`
            return []
        self._shown.add(path)
        named = replace(table, name=table.name + suffix)
        named.write(_made(self._folder / "tables"))
        return [named]

    def show(
        self, exhibits: Iterable[Exhibit], view: View, suffix: str = ""
    ) -> tuple[list[Table], list[Picture], list[str]]:
        """The tables, figures and sentences that exhibits make of a view; those without data are left out."""
        tables: list[Table] = []
        pictures: list[Picture] = []
        said: list[str] = []
        for one in exhibits:
            if isinstance(one, TableOf):
                tables += self.table(one.make(view), suffix)
            elif isinstance(one, Plot):
                pictures += self._picture(one, view, suffix)
            elif isinstance(one, Sentences):
                said += one.make(view)
        return tables, pictures, said

    def _picture(self, plot: Plot, view: View, suffix: str) -> list[Picture]:
        if plot.name + suffix in self._shown:  # two studies may share one: it stands where it comes first
            return []
        watched = view.watched()
        figure = plot.make(watched)
        if figure is None:
            return []
        self._shown.add(plot.name + suffix)
        recipes = frozenset(watched.used["paradigm"])
        return [self.picture(plot.name + suffix, plot.caption, figure, provenance.of(watched), recipes)]

    def picture(
        self, name: str, caption: str, figure: Figure, made: Provenance, recipes: frozenset[str] = frozenset()
    ) -> Picture:  # fmt: skip
        """A figure, saved under a name.

        Args:
            recipes: that it shows, where it does not tell itself.
        """
        folder = _made(self._folder / "figures")
        png, _ = style.save(figure, folder, name)
        described, spec = caption, ""
        if isinstance(figure, Chart):
            (folder / f"{name}.csv").write_text(figure.csv(), encoding="utf-8")
            described, recipes, spec = figure.described(), frozenset(figure.recipes), figure.json()
        return Picture(
            name=name, caption=caption, png=png.read_bytes(), described=described, recipes=recipes, spec=spec,
            provenance=made,
        )  # fmt: skip


def studies(view: View, judged: Sequence[Judged], shelf: Shelf, done: Callable[[], None]) -> list[Section]:
    """A section for every study that was run in the primary setting.

    Args:
        done: called after each study's tables and figures.
    """
    sections = []
    for study in map(study_of, view.ran):
        tables, pictures, said = shelf.show(exhibits(study, view.ran), view)
        done()
        mine = [one for one in judged if one.verdict != "not run" and _home(one, view.ran) == study.name]
        if tables or pictures:
            sections.append(
                Section(
                    name=file_name(study.name),
                    title=study.heading,
                    question=study.question,
                    findings=said,
                    verdicts=findings.verdicts(mine),
                    figures=pictures,
                    tables=tables,
                    command=again(study.name, view),
                )
            )
    return sections


def settings(
    views: Sequence[View], judged: Sequence[Judged], shelf: Shelf, done: Callable[[], None]
) -> list[Section]:  # fmt: skip
    """A section for every other setting: all that a study shows if it was run there alone, else what differs.

    Args:
        done: called after each setting's tables and figures.
    """
    sections = []
    primary = views[0].ledger.views[0].ran if views else []
    for place, view in enumerate(views, start=2):
        ran = [study_of(name) for name in view.ran if name in STUDIES]
        shown = [one for study in ran for one in exhibits(study, view.ran)
                 if one.per_setting or study.name not in primary]  # fmt: skip
        tables, pictures, said = shelf.show(shown, view, f"_setting{place}")
        done()
        if not (tables or pictures):
            continue
        noted = view.ledger.commands or list(view.differs) == ["stream"]
        mine = [one for one in judged if one.view is view]
        sections.append(
            Section(
                name=f"setting{place}",
                title=f"Another setting: {view.label}",
                question="The same comparison there.",
                findings=said,
                verdicts=findings.verdicts(mine),
                figures=pictures,
                tables=tables,
                command=" && ".join(again(study.name, view) for study in ran) if noted else "",
            )
        )
    return sections


def study_of(name: str) -> Study:
    """A registered study; any other as what it is: a table and a figure of its runs, under its own name."""
    if name in STUDIES:
        return STUDIES[name]
    stranger = "Runs that were made for no study." if name == NONE else "A study of one's own: its runs, as they are."
    return Study(
        name=name,
        title="Runs of no study" if name == NONE else name,
        question=stranger,
        shows=(own_table.table(name), own_figure.plot(name)),
    )


def exhibits(study: Study, ran: Sequence[str]) -> list[Exhibit]:
    """What a study shows, with what it takes over from studies that were not run."""
    known = [study_of(name) for name in ran]
    shown = {one.name for each in known for one in each.shows}
    taken = list(study.shows)
    for one in study.also:
        takers = [each.name for each in known if one.name in {other.name for other in each.also}]
        if one.name not in shown and takers[0] == study.name:
            taken.append(one)
    return taken


def _home(one: Judged, ran: Sequence[str]) -> str | None:
    """The study whose section shows a verdict: the one that answers it, or that runs the same, or the first."""
    study = STUDIES.get(one.claim.study)
    wanted = (one.claim.study, study.part_of if study else "", "main")
    return next((name for name in wanted if name in ran), ran[0] if ran else None)


def appendix(ledger: Ledger, shelf: Shelf) -> list[Table]:
    return [one for table in (spent(ledger), seeds(ledger), numerics(ledger)) for one in shelf.table(table)]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

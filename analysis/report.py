"""A scale's tables, figures, verdicts and report, from its ledger alone: python -m analysis.report scale=quick

Settings: `scale`, and `root`, the folder of all scales: `results`, or `paper_figures`, where what is published lies, if
the scale has no results of your own. Nothing is trained or evaluated, and nothing but `<root>/<scale>/data/*.csv` is
read. The same CSV files give the same bytes (figures: the same pixels).
"""

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.errors import UserError, refusals

if TYPE_CHECKING:
    from rich.console import RenderableType

    from analysis.claims import Judged
    from analysis.frames import Ledger, View
    from analysis.tables import Table

OWN, PUBLISHED = Path("results"), Path("paper_figures")
"""Where `ledger.path` puts results by default; and where the published ones are, which are never added to unasked."""
PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "scipy")
"""Whose versions may change a digit or a pixel."""


@dataclass(frozen=True)
class Drawn:
    """A figure as the report shows it."""

    name: str
    caption: str
    png: bytes

    @property
    def data(self) -> str:
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Section:
    """A study, or another setting of some."""

    title: str
    question: str
    findings: list[str]
    verdicts: list[str]
    figures: list[Drawn]
    tables: "list[Table]"
    command: str


def build(scale: str, root: Path) -> Path:
    """Write everything for one scale; the path of its report.html.

    Raises:
        UserError: no such scale, or a ledger that cannot be read.
    """
    from analysis import claims, figures, findings, frames, tables
    from repro.common import style

    ledger = frames.load(root, scale)
    folder = root / scale
    before = _listed_outputs(folder)
    written: list[Path] = []
    primary, *others = ledger.views()
    judged = claims.judge(primary)
    elsewhere = _elsewhere(judged, others)

    def draw(view: "View", plot: "figures.Plot", suffix: str = "") -> list[Drawn]:
        figure = plot.draw(view)
        if figure is None:
            return []
        paths = style.save(figure, _made(folder / "figures"), plot.name + suffix)
        written.extend(paths)
        return [Drawn(plot.name + suffix, plot.caption, paths[0].read_bytes())]

    def put(table: "Table | None", suffix: str = "") -> "list[Table]":
        if table is None:
            return []
        named = replace(table, name=table.name + suffix)
        written.extend(named.write(_made(folder / "tables")))
        return [named]

    sections = []
    with style.context():
        ran = [name for name in frames.STUDIES if len(primary.runs(name))]
        for name in ran:
            shown = [t for studies, make in tables.TABLES if _home(studies, ran) == name for t in put(make(primary))]
            drawn = [d for plot in figures.PLOTS if _home(plot.studies, ran) == name for d in draw(primary, plot)]
            mine = [
                one
                for one in judged
                if _home((one.claim.study, "main", *ran), ran) == name and one.verdict != "not run"
            ]
            if shown or drawn:
                said, verdicts = findings.found(name, primary), findings.verdicts(mine)
                study = frames.STUDIES[name]
                sections.append(
                    Section(
                        _title(name), study.question, said, verdicts, drawn, shown, claims.command(name, scale, primary)
                    )
                )
        for place, view in enumerate(others, start=2):
            suffix = f"_setting{place}"
            shown = [t for name in ("headline", "pilot", "main") for t in put(tables.by_version(view, name), suffix)]
            shown += [t for table in (tables.recovery(view), tables.alpha(view)) for t in put(table, suffix)]
            drawn = [one for plot in figures.PLOTS if plot.per_setting for one in draw(view, plot, suffix)]
            if not (shown or drawn):
                continue
            verdicts = findings.verdicts([one for one in elsewhere if one.view is view])
            title = f"Another setting: {view.label}"
            said = [sentence for name in ("main", "alpha") for sentence in findings.found(name, view)]
            run_again = ""
            if list(view.differs) == ["stream"]:
                there = (name for name in frames.STUDIES if len(view.runs(name)))
                run_again = " && ".join(claims.command(name, scale, view) for name in there)
            sections.append(Section(title, "The same comparison there.", said, verdicts, drawn, shown, run_again))

    appendix = [
        table for one in (tables.spent(ledger), tables.seeds(ledger), tables.numerics(ledger)) for table in put(one)
    ]
    parts = put(tables.claim_parts(judged))
    put(tables.scorecard(judged))
    claims_csv = folder / "claims.csv"
    claims_csv.write_text(replace(tables.scorecard([*judged, *elsewhere]), name="claims").csv(), encoding="utf-8")
    written.append(claims_csv)

    context = {
        "scale": scale,
        "judged": judged,
        "counts": _counts(judged),
        "quantity": tables.quantity,
        "set_up": findings.set_up(primary),
        "sections": sections,
        "parts": parts,
        "assumed": findings.ASSUMED,
        "missing": findings.missing(primary),
        "appendix": appendix,
        "command": f"python -m analysis.report scale={scale}",
    }
    for kind in ("html", "md"):
        path = folder / f"report.{kind}"
        path.write_text(_render(f"report.{kind}.j2", context), encoding="utf-8")
        written.append(path)

    for stale in before - set(written):
        stale.unlink(missing_ok=True)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(_manifest(ledger, written), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return folder / "report.html"


def summary(scale: str, root: Path) -> "RenderableType":
    """What a terminal shows at the end: PPL and cost by paradigm and version, verdicts, and where the report is.

    Raises:
        UserError: as `build`.
    """
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    from analysis import claims, findings, frames, tables

    ledger = frames.load(root, scale)
    view = ledger.primary()
    lines: list[RenderableType] = []
    shown = next((t for name in ("headline", "main", "pilot") if (t := tables.by_version(view, name))), None)
    if shown:
        grid = Grid(title=f"{_title(shown.name)} at scale {scale}: means over seeds", title_justify="left")
        start = 0 if len({row[0] for row in shown.rows}) > 1 else 1
        for column in shown.head[start:]:
            grid.add_column(column, justify="left" if column in ("schedule", "paradigm") else "right", no_wrap=True)
        for row in shown.rows:
            # Intervals are in the report: a terminal has 80 columns.
            grid.add_row(*(Text(cell.split(" ±")[0].split(" [")[0]) for cell in row[start:]))
        lines.append(grid)
    verdicts = Grid(title="Claims of the paper", title_justify="left")
    for column in ("", "claim", "weakest evidence [95 % interval]", "verdict"):
        verdicts.add_column(column)
    judged = claims.judge(view)
    for one in (one for one in judged if one.verdict != "not run"):
        part = one.weakest
        evidence = f"{part.what}: {tables.quantity(part)}" if part else ""
        style = {"reproduced": "green", "contradicted": "red"}.get(one.verdict, "dim")
        verdicts.add_row(one.claim.id, one.claim.statement, Text(evidence), Text(one.verdict, style=style))
    idle = ", ".join(one.claim.id for one in judged if one.verdict == "not run")
    counts = _counts(judged).replace("not run.", f"not run ({idle})." if idle else "not run.")
    left_out = [Text(note) for note in findings.missing(view) if note.startswith("Left out")]
    lines += [verdicts, Text(counts), *left_out, Text(f"Report: {root / scale / 'report.html'}")]
    return Group(*lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        given = list(sys.argv[1:] if arguments is None else arguments)
        if {"--help", "-h"} & set(given):
            print(__doc__)
            return
        settings = {"root": ""}
        for argument in given:
            name, equals, value = argument.partition("=")
            if not equals or name not in ("scale", "root") or not value:
                raise UserError(f"{argument!r} is no setting; scale=NAME and root=FOLDER are.")
            settings[name] = value
        from analysis.frames import scales

        own = settings.get("scale") in scales(OWN)
        root = Path(settings["root"]) if settings["root"] else OWN if own else PUBLISHED
        if "scale" not in settings:
            raise UserError(f"scale=NAME is missing. There are results for: {', '.join(scales(root)) or 'no scale'}.")
        build(settings["scale"], root)
        from rich.console import Console

        Console(markup=False, emoji=False).print(summary(settings["scale"], root))


def _elsewhere(judged: "Sequence[Judged]", others: "Sequence[View]") -> "list[Judged]":
    """Verdicts in the other settings, where they rest on other numbers than the primary one's."""
    from analysis import claims

    known = {one.claim.id: [part.estimate for part in one.parts] for one in judged}
    return [
        one
        for view in others
        for one in claims.judge(view)
        if one.verdict != "not run" and [part.estimate for part in one.parts] != known[one.claim.id]
    ]


def _counts(judged: "Sequence[Judged]") -> str:
    kinds = ("reproduced", "contradicted", "undecided", "not run")
    counts = {kind: sum(one.verdict == kind for one in judged) for kind in kinds}
    exact = sum(one.verdict == "reproduced" and all(part.exact for part in one.parts) for one in judged)
    shown = {kind: f"{count} {kind}" for kind, count in counts.items()}
    if exact:
        shown["reproduced"] += f" ({exact} of them by arithmetic alone)"
    return f"{len(judged)} claims: {', '.join(shown.values())}."


def _home(studies: Sequence[str], ran: Sequence[str]) -> str | None:
    """The first of `studies` that was run."""
    return next((study for study in studies if study in ran), None)


def _title(study: str) -> str:
    return study.replace("_", " ").replace("max lr", "maximum learning rate").capitalize()


def _render(name: str, context: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from analysis.tables import escape_markdown

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    return environment.get_template(name).render(context)


def _manifest(ledger: "Ledger", written: Sequence[Path]) -> dict[str, Any]:
    """What went in, what came out, and with which packages."""
    from analysis.frames import text

    folder = ledger.folder.parent
    runs = ledger.runs
    columns = [c for c in runs.columns if c not in ("run", "name", "seed", "numerics", "flops")]
    columns = [c for c in columns if not c.endswith("_steps") or c == "warmup_steps"]
    numerics: dict[str, dict[str, str]] = {}
    for row in ledger.numerics.to_dict("records"):
        numerics.setdefault(str(row["numerics"]), {})[str(row["setting"])] = str(row["value"])
    return {
        "scale": ledger.scale,
        "inputs": {path.relative_to(folder).as_posix(): _sha256(path) for path in ledger.files},
        "outputs": {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(written)},
        "packages": {name: version(name) for name in PACKAGES},
        "python": ".".join(map(str, sys.version_info[:3])),
        "seeds": sorted({int(seed) for seed in runs["seed"]}),
        "settings": {c: sorted({text(v) for v in runs[c]} - {"", "nan"}) for c in columns},
        "numerics": numerics,
    }


def _listed_outputs(folder: Path) -> set[Path]:
    """Files an earlier report wrote here, so that none of them outlives its data."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return set()
    try:
        names = list(json.loads(manifest.read_text(encoding="utf-8"))["outputs"])
    except (ValueError, KeyError, TypeError):
        return set()
    inside = (folder / "tables", folder / "figures")
    paths = (folder / str(name) for name in names)
    return {path for path in paths if path.parent in inside}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

"""A scale's tables, figures, verdicts and report, from its ledger alone: python -m analysis.report scale=quick

Settings: `scale`; `root`, the folder of all scales: `results`, or `paper_figures`, where what is published lies, if
the scale has no results of your own; `extensions=[my_module]`, modules that add studies, claims, recipes or schedules;
`unchecked=true`, to use tables that differ from their checksums. Nothing is trained or evaluated, and nothing but
`<root>/<scale>/data/` is read. The same CSV files give the same bytes (figures: the same pixels).
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from analysis import advice, commands, manifest, names, pages, rendering, sections, verdicts
from analysis.findings import abstract
from analysis.findings import ledger as findings
from analysis.frames import OWN, PUBLISHED, Ledger, View, load, scales, unknown
from analysis.tables.table import quantity
from analysis.tables.verdicts import claim_parts, scorecard
from analysis.terminal import summary
from analysis.verdicts import Judged
from repro.common import progress, style
from repro.common.disk import clear_errors
from repro.common.errors import UserError, refusals
from repro.common.grid import console
from repro.common.options import Options
from repro.config import registries
from repro.store import leftovers

SCRATCH_NAME = re.compile(r"\.report-[a-z0-9_]{8}")
"""Of what a report is written into: what `tempfile` makes of the prefix."""


def build(scale: str, root: Path, *, extensions: Sequence[str] = (), unchecked: bool = False) -> Path:
    """Write everything for one scale, or nothing; the path of its report.html.

    Raises:
        UserError: no such scale, a ledger that cannot be read, or a disk that refuses.
    """
    ledger = load(root, scale, unchecked=unchecked)
    _build(ledger, root / scale, commands.report(ledger, extensions, unchecked=unchecked))
    return root / scale / "report.html"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = Options(__doc__, arguments)
        extensions = [each.strip() for each in line.take("extensions").strip("[]").split(",") if each.strip()]
        unchecked = line.flag("unchecked")
        scale, place = line.take("scale"), line.take("root")
        root = Path(place) if place else OWN if scale in scales(OWN) else PUBLISHED
        if scale not in scales(root):
            line.refuse(unknown(root, scale))
        try:
            registries.load(extensions)
        except UserError as error:
            line.refuse(str(error))
        line.end()
        ledger = load(root, scale, unchecked=unchecked)
        command = commands.report(ledger, extensions, unchecked=unchecked)
        view, judged = _build(ledger, root / scale, command)
        console().print(summary(view, judged, root / scale / "report.html"))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the report's files, on the same disk, that is gone in the end, or in a later one's."""
    leftovers.tidy(folder, SCRATCH_NAME)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=folder, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _build(ledger: Ledger, folder: Path, command: str) -> tuple[View, list[Judged]]:
    """The report in its folder; the primary setting, and the claims as judged in it."""
    with clear_errors(folder, setting="root"), _scratch(folder) as scratch:
        primary, judged, made_by = _write(ledger, scratch, command)
        _publish(ledger, scratch, folder, made_by, command)
    return primary, judged


def _write(ledger: Ledger, folder: Path, command: str) -> tuple[View, list[Judged], dict[str, str]]:
    """Tables, figures, verdicts, report and pages; with the command that made the runs behind each table and figure."""
    primary, *others = ledger.views
    judged = verdicts.judge(primary)
    shelf = sections.Shelf(folder)
    stages = len(primary.ran) + 2 * len(others)
    apart = names.told_apart(*ledger.called)
    with progress.steps("Writing the report", stages) as done, style.context(), apart:
        elsewhere = verdicts.elsewhere(judged, others, done)
        shown = [
            *advice.section(ledger, shelf),
            *sections.studies(primary, judged, shelf, done),
            *sections.settings(others, [*judged, *elsewhere], shelf, done),
        ]
    appendix = sections.appendix(ledger, shelf)
    quantities = shelf.table(claim_parts(judged))
    shelf.table(scorecard(judged))
    every = replace(scorecard([*judged, *elsewhere]), name="claims")
    (folder / "claims.csv").write_text(every.csv(), encoding="utf-8")
    of_claims, of_recipes = pages.claims([*judged, *elsewhere], shown), pages.recipes(primary, shown)
    context = {
        "scale": ledger.scale,
        "question": abstract.QUESTION,
        "answer": abstract.answer(primary),
        "rests_on": abstract.rests_on(primary),
        "judged": judged,
        "counts": verdicts.counted(judged),
        "quantity": quantity,
        "set_up": findings.set_up(primary),
        "sections": shown,
        "quantities": quantities,
        "assumed": findings.ASSUMED,
        "missing": findings.missing(primary),
        "appendix": appendix,
        "claims": of_claims,
        "recipes": of_recipes,
        "claim_path": pages.claim_path,
        "command": command,
    }
    rendering.report(folder, context)
    rendering.pages(folder, [*of_claims, *of_recipes], context)
    rendering.library(folder)
    made_by = {name: section.command for section in shown for name in section.names}
    return primary, judged, made_by


def _publish(ledger: Ledger, scratch: Path, folder: Path, made_by: Mapping[str, str], command: str) -> None:
    """Move a whole report into its place, and take away what an earlier one left there and this one has not."""
    outputs = {path.relative_to(scratch).as_posix(): path for path in sorted(scratch.rglob("*")) if path.is_file()}
    content = json.dumps(manifest.describe(ledger, outputs, made_by, command), indent=1, sort_keys=True) + "\n"
    (scratch / manifest.NAME).write_text(content, encoding="utf-8")
    before = manifest.listed(folder)
    places = [folder / name for name in (*outputs, manifest.NAME)]
    in_the_way = [place for place in places if place.is_dir()]
    in_the_way += [place.parent for place in places if place.parent.exists() and not place.parent.is_dir()]
    if in_the_way:
        raise UserError(f"root={folder.parent}: {in_the_way[0]} is in the report's way; move it, or choose another.")
    for name in (*outputs, manifest.NAME):
        (folder / name).parent.mkdir(exist_ok=True)
        (scratch / name).replace(folder / name)
    for stale in before - {folder / name for name in outputs}:
        stale.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

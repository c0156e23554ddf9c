"""Advise which recipe to update a model with, from a ledger: python -m repro.advise scale=proxy [output=json]

Fits laws of the learning rate to a scale's ledger, plans every recipe for what is asked, and says which to take, what
comes next, what would change that, and what each costs. Settings of the question, besides Hydra's overrides:

    advise.releases=4                 N
    advise.tokens=2048000             of new data per release; [2048000,4096000,...]: one number each
    advise.parameters=231744          of the model, where the ledger has several sizes
    advise.budget='20000 steps'       for all releases; also tokens, flops, device-hours
    advise.delay='2000 steps'         from data to release, at most
    advise.margin=0.5                 per cent of PPL that count as equal; the cheaper wins then

A sweep (paradigm=cpt,path_switching paradigm.alpha=0.2,0.6, study=..., -m ...) says which recipes are asked about;
without one, all are, under every schedule that the ledger has (schedule=... names others). The ledger is
`ledger.path`; else results/SCALE/data, or what is published of the scale.
record=FILE freezes the predictions before the runs exist; score=FILE compares them with the ledger after.
keep=true writes the advice beside the ledger's tables, for the report.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.advice import agreement, candidates, decisions, evidence, question, records, selection, telling
from repro.common.disk import write_document
from repro.common.errors import UserError, refusals
from repro.common.grid import Grid, console
from repro.config.settings import Settings
from repro.planning.arguments import CommandLine
from repro.store import leftovers

if TYPE_CHECKING:
    from rich.console import RenderableType

PUBLISHED = Path("paper_figures")
"""Where a scale's published ledger lies, if it has no results of one's own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = line.take("output", "text", ("text", "json"))
        record, score = line.take("record"), line.take("score")
        keep = line.flag("keep")
        typed = list(line.words())
        if record and score:
            line.refuse("record= freezes predictions and score= compares them, later; give one of the two.")
        asked = question.take(line)
        ledger = place(line.words(), line.settings()[0], writes=keep)
        cells = evidence.read(ledger)
        if score:
            _tell(records.score(Path(score), cells), output, scored)
            return
        found, refused = candidates.asked(line, asked, evidence.schedules(cells))
        known = selection.learn(cells, found, asked.parameters)
        advice = decisions.advise(found, asked, known)
        if record:
            records.record(Path(record), advice, cells, evidence.fingerprint(ledger))
        came = records.scores(ledger / evidence.PREDICTIONS, cells)
        pilot = candidates.pilot(line.words())
        agreed = agreement.agreement(pilot, advice, cells, found) if pilot else None
        told = telling.content(advice, came, refused, pilot, agreed)
        told["ledger"] = evidence.fingerprint(ledger)
        told["command"] = shlex.join(["python", "-m", "repro.advise", *typed, *(["keep=true"] if keep else [])])
        if keep:
            leftovers.tidy(ledger, leftovers.unfinished(evidence.KEPT))
            write_document(ledger / evidence.KEPT, told)
        _tell(told, output, lambda told: telling.text(advice, told))


def place(words: Sequence[str], settings: Settings, *, writes: bool = False) -> Path:
    """The ledger that is read.

    Raises:
        UserError: it is the published one, which nobody named, and something is to be written beside it.
    """
    given = any(word.startswith("ledger.path=") for word in words)
    own, published = Path(settings.ledger.path), PUBLISHED / settings.scale / "data"
    if given or (own / "runs.csv").exists() or not (published / "runs.csv").exists():
        return own
    if writes:
        raise UserError(
            f"keep=true writes beside the ledger, and {own} holds none; what is published is read then, and left as it "
            "is. ledger.path=FOLDER names a ledger of yours; keep=false works."
        )
    return published


def _tell(told: dict[str, Any], output: str, text: Any) -> None:
    if output == "json":
        print(json.dumps(told))
        return
    console().print(text(told))


def scored(told: dict[str, Any]) -> "RenderableType":
    """What became of predictions, for a terminal."""
    from rich.console import Group

    head = ("recipe", "version", "seeds", "predicted", "came", "error, % of PPL", "+-", "held", "extrapolated")
    table = Grid(f"{told['record']}: predicted by the {told['law']}", head)
    for row in told["rows"]:
        table.add(
            row["recipe"], str(row["version"]), str(row["seeds"]), f"{row['predicted']:.3f}", f"{row['seen']:.3f}",
            f"{row['error_percent']:+.2f}", f"{row['half_percent']:.2f}", "yes" if row["covered"] else "no",
            "yes" if row["extrapolated"] else "",
        )  # fmt: skip
    rank, regret = told["rank_correlation"], told["regret_percent"]
    lines = [
        *(_summary(told["summary"][name] if name else told["summary"]) for name in ("", "in_range", "updates")),
        f"Order of recipes at the last version (rank correlation): {'too few' if rank is None else f'{rank:.2f}'}.",
        f"Advised: {told['decision']}, " + ("not run." if regret is None else f"{regret:.2f} % of PPL above the best."),
        *([f"Not run yet: {'; '.join(told['missing'])}."] if told["missing"] else []),
    ]
    return Group(table, *lines)


def _summary(told: dict[str, Any]) -> str:
    if not told["predictions"]:
        return f"{told['of'].capitalize()}: nothing came."
    held = "no intervals" if told["coverage"] is None else f"{told['coverage']:.0%} of the intervals held"
    return (
        f"{told['of'].capitalize()}, {told['predictions']} predictions: off by {told['median_error_percent']:.2f} % of "
        f"PPL in the median, {told['worst_error_percent']:.2f} % at worst; {held}."
    )


if __name__ == "__main__":
    main()

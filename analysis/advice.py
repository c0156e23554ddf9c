"""The report's first section: what repro.advise made of this ledger, and how its predictions came out.

`python -m repro.advise ... keep=true` writes `advice.json` beside the tables; without it there is no such section.
"""

from typing import Any

import pandas as pd

from analysis.figures.residuals import CAPTION, residuals
from analysis.frames import Ledger
from analysis.provenance import Provenance, keys
from analysis.sections import Section, Shelf
from analysis.tables.table import Table
from repro.advice.evidence import KEPT, fingerprint
from repro.advice.telling import laws_numbers, pilots_word, signed
from repro.common.disk import Flaw, read_document
from repro.common.errors import UserError
from repro.results.measures import SO_FAR


def section(ledger: Ledger, shelf: Shelf) -> list[Section]:
    """
    Raises:
        UserError: the file is not as repro.advise wrote it.
    """
    path = ledger.folder / KEPT
    try:
        told = read_document(path)
        if told is None:
            return []
        tables = [each for make in (_recipes, _pilots, _scored) for each in shelf.table(make(told))]
        findings = _sentences(told, stale=told["ledger"] != fingerprint(ledger.folder))
        command = told["command"]
        figure = residuals(told["law"]["left_out"])
        used = {run for cell in told["law"]["left_out"] for run in cell.get("runs", ())}
        made = Provenance(
            commands=[command],
            settings={"law": told["law"]["name"], "ledger": told["ledger"], "runs": str(len(used))},
            runs=keys(ledger.runs[ledger.runs["run"].isin(used)], ledger.versions),
        )
        figures = [] if figure is None else [shelf.picture("advice_residuals", CAPTION, figure, made)]
    except (Flaw, ValueError, KeyError, TypeError) as error:
        reason = f"it {error}" if isinstance(error, Flaw) else repr(error)
        raise UserError(
            f"{path} is not what repro.advise keep=true writes ({reason}); write it again, or remove it."
        ) from None
    return [
        Section(
            name="advice",
            title="Advice",
            question="With this ledger as a pilot: which way of updating, at what price, and what would change that?",
            findings=findings,
            verdicts=[],
            figures=figures,
            tables=tables,
            command=command,
        )
    ]


def _sentences(told: dict[str, Any], *, stale: bool) -> list[str]:
    law, pilot = told["law"], told["pilot"]
    said = [told["decision"]["text"]]
    if told["runner_up"]:
        said.append(f"Second best: {told['runner_up']['recipe']}.")
    if told["flips"]:
        said.append(f"What would flip it: {'; '.join(told['flips'])}.")
    errors = ", ".join(f"{name} {each['rms']:.1f} %" for name, each in law["errors"].items())
    said.append(
        f"Predicted by the {law['name']}. Runs that a law was not fitted to were missed by (root mean square, of PPL): "
        f"{errors}."
    )
    said.append(laws_numbers(law))
    if pilot:
        said.append(
            f"A pilot for such advice takes {pilot['steps']:,} steps, {pilot['device_hours']:.3g} device-hours."
        )
    if told["agreement"]:
        said.append(pilots_word(told["agreement"]))
    if stale:
        said.append("The ledger has changed since this advice was made.")
    return [*said, *told["limits"]]


def _recipes(told: dict[str, Any]) -> Table | None:
    rows, data = [], []
    several = len({row["about"]["schedule"] for row in told["recipes"]}) > 1
    each = "Measured, or under the schedule that is best for the recipe (advice.json has all). " if several else ""
    for row in told["recipes"]:
        if not row["shown"]:
            continue
        over, between = row.get("ppl_over_retraining_percent"), row.get("interval_percent")
        cells = [
            row["name"],
            "not predicted" if over is None else signed(over),
            "" if between is None else f"{signed(between[0])} to {signed(between[1])}",
            f"{row['cost']:.2f}",
            "" if row["next_release_cost"] is None else f"{row['next_release_cost']:.2f}",
            "" if row["delay"] is None else f"{row['delay']:,}",
            _steps(row.get("extra_steps"), never=row.get("never_equal", False)),
            f"{row['checkpoints_gb']:.3g}",
            row["why_not"] or row["basis"] + ("" if row["compared"] else ", undecayed: not compared")
            + (f", extrapolated: {'; '.join(row['extrapolated'])}" if row["extrapolated"] else ""),
        ]  # fmt: skip
        rows.append(cells)
        low, high = between or (None, None)
        data.append(
            {"recipe": row["name"], "ppl_over_retraining_percent": over, "low": low, "high": high, "cost": row["cost"],
             "next_release_cost": row["next_release_cost"], "delay_steps": row["delay"],
             "extra_steps": row.get("extra_steps"), "checkpoints_gb": row["checkpoints_gb"], "basis": row["basis"]}
        )  # fmt: skip
    return Table(
        name="advice", data=pd.DataFrame(data), rows=rows,
        head=["recipe", "% of PPL over retraining", "90 % interval", "cost", "next release", "delay, steps",
              "more steps", "keep, GB", "basis"],
        caption=f"{each}At the last release, {SO_FAR}; intervals are of means over many seeds. Cost: of all releases, "
        "over pre-training each from scratch; next release: the same of one more. More steps: for the loss of "
        "retraining, with all training that leads to the last release stretched. Keep: checkpoints for the next "
        "release.",
    ) if rows else None  # fmt: skip


def _pilots(told: dict[str, Any]) -> Table | None:
    """What the pilot alone says beside what everything says."""
    rows, data = [], []
    shown = {row["name"] for row in told["recipes"] if row["shown"]}
    for each in told["agreement"]["recipes"] if told["agreement"] else ():
        data.append({name: value for name, value in each.items() if name != "interval_percent"})
        if each["recipe"] in shown:
            between = each["interval_percent"]
            inside = {True: "yes", False: "no", None: ""}[each["inside"]]
            rows.append([each["recipe"], signed(each['from_pilot']),
                         "" if between is None else f"{signed(between[0])} to {signed(between[1])}",
                         signed(each['from_everything']), each["basis"], inside])  # fmt: skip
    return Table(
        name="advice_pilot", data=pd.DataFrame(data), rows=rows,
        head=["recipe", "from the pilot", "90 % interval", "from everything", "basis", "inside"],
        caption="Per cent of PPL over retraining at the last release: what the pilot's runs alone say, and what all of "
        "the ledger does.",
    ) if rows else None  # fmt: skip


def _steps(more: float | None, *, never: bool) -> str:
    return "none within tenfold" if never else "" if more is None else f"{more:,.0f}"


def _scored(told: dict[str, Any]) -> Table | None:
    rows, data = [], []
    for each in told["scored"]:
        for summary in (each["summary"], each["summary"]["in_range"], each["summary"]["updates"]):
            if not summary["predictions"]:
                continue
            rows.append(
                [each["record"], summary["of"], str(summary["predictions"]), f"{summary['median_error_percent']:.2f}",
                 f"{summary['worst_error_percent']:.2f}",
                 "" if summary["coverage"] is None else f"{summary['coverage']:.0%}",
                 "" if each["rank_correlation"] is None else f"{each['rank_correlation']:.2f}",
                 "" if each["regret_percent"] is None else f"{each['regret_percent']:.2f}"]
            )  # fmt: skip
            data.append({"record": each["record"], "regret_percent": each["regret_percent"],
                         "rank_correlation": each["rank_correlation"],
                         **{k: v for k, v in summary.items() if k not in ("in_range", "updates")}})  # fmt: skip
    return Table(
        name="advice_scored", data=pd.DataFrame(data), rows=rows,
        head=["predictions", "of", "n", "median error, % of PPL", "worst", "intervals that held", "rank correlation",
              "regret, % of PPL"],
        caption="Predictions that were recorded before their runs existed, against what came. 90 % intervals.",
    ) if rows else None  # fmt: skip

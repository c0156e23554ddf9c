"""Advice in JSON's own types, in plain words, and as a table for a terminal."""

import math
from typing import TYPE_CHECKING, Any

from repro.advice.candidates import Candidate, Pilot
from repro.advice.decisions import Advice, Row, flips
from repro.advice.predictions import LEVEL, Estimate, Knowledge
from repro.advice.question import Amount
from repro.common.grid import Grid
from repro.results.measures import SO_FAR

if TYPE_CHECKING:
    from rich.console import RenderableType

LIMITS = (
    "Known at scale, from others: re-warmed CPT with replay matches retraining at 0.4 to 10 B parameters (2403.08763); "
    "WSD's trunk and branch is common practice (2404.06395, 2405.18392); decay to zero beats a floor of a tenth "
    "(2502.15938).",
)


def signed(percent: float) -> str:
    """To a tenth, with its sign; nothing is never less than nothing."""
    return f"{round(percent, 1) + 0.0:+.1f}"


def content(
    advice: Advice,
    scored: list[dict[str, Any]],
    refused: dict[str, str],
    pilot: Pilot | None,
    agreed: dict[str, Any] | None,
) -> dict[str, Any]:
    """The advice, for a program."""
    chosen, rival = advice.decision, advice.runner_up
    knowledge = advice.knowledge
    return {
        "decision": _short(chosen) | {"text": sentence(advice)},
        "runner_up": None if rival is None else _short(rival),
        "flips": flips(advice),
        "recipes": [row_content(row) | {"shown": row in advice.shown} for row in advice.rows],
        "left_out": refused,
        "law": law_content(knowledge),
        "pilot": pilot and {"study": "pilot_for_advice", "steps": pilot.steps, "device_hours": pilot.device_hours},
        "agreement": agreed,
        "seeds": list(knowledge.evidence.seeds),
        "seed_scatter_percent": None if knowledge.one_seed else 100 * math.sqrt(2) * knowledge.evidence.noise,
        "limits": [
            _measured_on(advice),
            *_compared_at(advice),
            *([OWN_OPTIMIZER.format(chosen.candidate.recipe)] if chosen.candidate.own_optimizer else []),
            *LIMITS,
            *(_without_noise(knowledge) if knowledge.one_seed else []),
        ],
        "scored": scored,
    }


def _compared_at(advice: Advice) -> list[str]:
    """Where rates differ, that of the retraining, and whose law is told."""
    if len({row.candidate.about["max_lr"] for row in advice.rows}) == 1:
        return []
    said = [f"All are compared with retraining at a maximum rate of {advice.reference.about['max_lr']}."]
    if advice.laws > 1:
        rate = advice.decision.candidate.about["max_lr"]
        said.append(f"Maximum rates have laws of their own; the law that is told is that of {rate}, as decided.")
    return said


def _measured_on(advice: Advice) -> str:
    cells = [cell for knowledge in advice.known.values() for cell in knowledge.evidence.cells]
    sizes = [f"{size:,}" for size in sorted({cell.parameters for cell in cells})]
    corpora = sorted({cell["corpus"] for cell in cells})
    return (
        f"What this rests on was measured at {', '.join(sizes)} parameters on {', '.join(corpora)}, and nowhere else: "
        "how far it carries to models of use is not known."
    )


OWN_OPTIMIZER = (
    "{} has an optimizer of its own, and retraining the one of the settings: how much of the difference is the "
    "optimizer's is not known."
)
ONE_SEED = "The ledger has one seed: there is no interval, and a difference may be chance."
UNJOINED = "The ledger's seeds share too few runs: there is no interval, and a difference may be chance."


def _without_noise(knowledge: Knowledge) -> list[str]:
    return [ONE_SEED if len(knowledge.evidence.seeds) == 1 else UNJOINED]


def law_content(knowledge: Knowledge) -> dict[str, Any]:
    """The law that was chosen, and what the others missed."""
    chosen, draws = knowledge.law, knowledge.draws
    intervals = {}
    for name, value in chosen.fit.values.items():
        drawn = sorted(each.values[name] for each in draws)
        cut = round(len(drawn) * (1 - LEVEL) / 2)
        intervals[name] = {"value": value, "low": drawn[cut], "high": drawn[-1 - cut]} if drawn else {"value": value}
    return {
        "name": chosen.fit.law.label,
        "source": chosen.fit.law.source,
        "parameters": intervals,
        "cells": len(knowledge.evidence.cells),
        "sizes": list(knowledge.evidence.sizes),
        "chosen_by": "root mean square error on cells left out, in % of PPL",
        "errors": {
            each.fit.law.label: {"rms": 100 * each.error, "median": 100 * each.median} for each in knowledge.laws
        },
        "left_out": [
            {"cell": each.cell.name, "recipe": each.cell["paradigm"],
             "steps_per_version": each.cell["steps_per_version"],
             "errors_percent": [100 * float(error) for error in each.errors],
             "runs": list(each.cell.runs)}
            for each in chosen.left_out
        ],
    }  # fmt: skip


def hours(candidate: Candidate) -> float:
    """Device-hours of all releases together."""
    return candidate.steps / Amount(1, "device-hours").steps(candidate.run, candidate.weight)


def laws_numbers(law: dict[str, Any]) -> str:
    """What was fitted, with intervals where several seeds give them."""
    said = [
        f"{name} {each['value']:.3g}" + (f" [{each['low']:.3g}, {each['high']:.3g}]" if "low" in each else "")
        for name, each in law["parameters"].items()
    ]
    drawn = any("low" in each for each in law["parameters"].values())
    how = f", with {LEVEL:.0%} intervals over seeds drawn again" if drawn else ""
    return f"Its numbers{how}: {', '.join(said)}."


def row_content(row: Row) -> dict[str, Any]:
    """A recipe of the table."""
    candidate = row.candidate
    run, price = candidate.run, candidate.next
    found: dict[str, Any] = {
        "name": candidate.name,
        "recipe": candidate.run.settings.paradigm.kind,
        "about": candidate.about,
        "predicted": bool(row.losses),
        "why_not": row.why_not,
        "basis": row.losses[-1].basis if row.losses else "",
        "compared": candidate.decays,
        "extrapolated": list(row.beyond),
        "cost": candidate.cost,
        "steps": candidate.steps,
        "flops": candidate.steps * run.step_flops * candidate.weight,
        "device_hours": hours(candidate),
        "next_release_steps": price and price.steps,
        "next_release_cost": price and price.cost,
        "delay": price and price.delay,
        "checkpoints_gb": candidate.kept_gb,
    }
    if row.losses:
        found |= {
            "versions": [_numbers(loss, over) for loss, over in zip(row.losses, row.over, strict=True)],
            "ppl_over_retraining_percent": row.regret,
            "interval_percent": None if math.isnan(row.half) else [row.regret - row.half, row.regret + row.half],
            "extra_steps": row.extra_steps if math.isfinite(row.extra_steps) else None,
            "never_equal": math.isinf(row.extra_steps),
        }
    return found


def _numbers(loss: Estimate, over: Estimate) -> dict[str, Any]:
    return {
        "loss": loss.center,
        "spread": _known(loss.spread),
        "noise": _known(loss.noise),
        "freedom": loss.freedom,
        "over": over.center,
        "over_spread": _known(over.spread),
        "over_noise": _known(over.noise),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _short(row: Row) -> dict[str, Any]:
    return {
        "recipe": row.candidate.name,
        "ppl_over_retraining_percent": row.regret,
        "interval_percent": None if math.isnan(row.half) else [row.regret - row.half, row.regret + row.half],
        "steps": row.candidate.steps,
        "cost": row.candidate.cost,
    }


def sentence(advice: Advice) -> str:
    """The decision in a line."""
    row, asked = advice.decision, advice.question
    run = row.candidate.run
    lengths = run.releases.steps
    tokens = [steps * run.step_tokens for steps in lengths]
    each = f"{tokens[0]:,}" if len(set(tokens)) == 1 else f"{min(tokens):,} to {max(tokens):,}"
    limits = [f"{name} of {value}" for name, value in (("a budget", asked.budget), ("a delay", asked.delay)) if value]
    under = f" under {' and '.join(limits)}" if limits else ""
    return (
        f"For {len(lengths)} releases of {each} tokens{under}: {row.candidate.name}. PPL {_over(row)} that of "
        f"retraining at the last release{_basis(row)}, at {row.candidate.cost:.0%} of its cost "
        f"({row.candidate.steps:,} steps, {hours(row.candidate):.3g} device-hours)."
    )


def _basis(row: Row) -> str:
    if row.retraining:
        return ""
    if row.measured:
        return " (measured)"
    return f" (predicted; extrapolated: {'; '.join(row.beyond)})" if row.beyond else " (predicted, not measured)"


def _over(row: Row) -> str:
    if row.retraining:
        return "is"
    about = "" if math.isnan(row.half) else f" [{signed(row.regret - row.half)}, {signed(row.regret + row.half)}]"
    return f"{signed(row.regret)} %{about} against"


def text(advice: Advice, told: dict[str, Any]) -> "RenderableType":
    """The advice for a terminal."""
    from rich.console import Group

    schedules = dict.fromkeys(row.candidate.run.settings.schedule.kind for row in advice.rows)
    each = (
        ""
        if len(schedules) == 1
        else f"measured, or under the best of {', '.join(sorted(schedules))} (output=json: all); "
    )
    head = (
        "recipe",
        "loss",
        "over",
        f"{LEVEL:.0%} interval",
        "cost",
        "next",
        "delay",
        "more steps",
        "keep, GB",
        "basis",
    )
    table = Grid(
        f"recipes, best first; {each}% of PPL over retraining at the last release, {SO_FAR}", head, left=("basis",)
    )
    base = next((row.losses[-1].center for row in advice.rows if row.retraining and row.losses), None)
    for row, known in zip(advice.rows, told["recipes"], strict=True):
        if known["shown"]:
            table.add(row.candidate.name, *_cells(row, known, base))
    law, scatter, pilot = told["law"], told["seed_scatter_percent"], told["pilot"]
    errors = "; ".join(f"{name} {each['rms']:.2f} %" for name, each in law["errors"].items())
    lines = [
        f"Decision: {told['decision']['text']}",
        f"Runner-up: {told['runner_up']['recipe'] if told['runner_up'] else 'none'}.",
        "What would flip it: " + ("; ".join(told["flips"]) or "nothing that was tried") + ".",
        f"Law: {law['name']}, missing cells left out by {errors} of PPL (root mean square).",
        laws_numbers(law),
        *(
            []
            if scatter is None
            else [
                f"Intervals are of means over many seeds; a difference of two runs of a seed scatters by "
                f"{scatter:.1f} %."
            ]
        ),
        *(
            []
            if pilot is None
            else [
                f"A pilot for such advice, study=pilot_for_advice: {pilot['steps']:,} steps, "
                f"{pilot['device_hours']:.3g} device-hours."
            ]
        ),
        *([] if told["agreement"] is None else [pilots_word(told["agreement"])]),
        *(f"Left out: {name}: {why}" for name, why in told["left_out"].items()),
        *told["limits"],
    ]
    return Group(table, *lines)


def pilots_word(agreed: dict[str, Any]) -> str:
    """What the pilot alone would have advised."""
    held = [each["inside"] for each in agreed["recipes"] if each["inside"] is not None]
    worse = agreed["worse_percent"]
    same = "the same" if agreed["same_decision"] else agreed["decision"]
    costs = "" if worse is None or agreed["same_decision"] else f", {worse:.1f} % of PPL above the best by all of them"
    return (
        f"From the pilot's {agreed['kinds']} kinds of runs alone, seeds {', '.join(map(str, agreed['seeds']))}, the "
        f"decision would be {same}{costs}; what all runs say lies in its interval for {sum(held)} of {len(held)}."
    )


def _cells(row: Row, known: dict[str, Any], base: float | None) -> list[str]:
    """
    Args:
        base: the loss of retraining. A recipe's own may be of fewer seeds and so of other text: what is compared is the
            difference within a seed.
    """
    following = "" if known["next_release_cost"] is None else f"{known['next_release_cost']:.2f}"
    delay = "" if known["delay"] is None else f"{known['delay']:,}"
    costs = [f"{known['cost']:.2f}", following, delay]
    keep = f"{known['checkpoints_gb']:.3g}"
    if not row.losses:
        return ["not predicted", "", "", *costs, "", keep, row.why_not]
    between = "" if math.isnan(row.half) else f"{signed(row.regret - row.half)} to {signed(row.regret + row.half)}"
    more = row.extra_steps
    extra = "" if math.isnan(more) else "none within x10" if math.isinf(more) else f"{more:,.0f}"
    basis = known["basis"] + (f"; extrapolated: {'; '.join(row.beyond)}" if row.beyond else "")
    if not row.candidate.decays:
        basis += "; undecayed, not compared"
    loss = row.losses[-1].center if base is None else base + row.over[-1].center
    return [f"{loss:.3f}", signed(row.regret), between, *costs, extra, keep, basis]

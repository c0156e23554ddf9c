"""One function a table: from a `View` to plain numbers (CSV), and to the same as printed (Markdown, LaTeX, HTML).

Means over seeds with the half length of their 95 % t interval; n is the number of seeds. None when there is no data.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis import stats
from analysis.claims import RECOVERED, Judged, Part
from analysis.contrasts import (
    CPT,
    GENERALITY,
    POOL,
    PTFS,
    SWITCH,
    THREE,
    alpha_means,
    alpha_to_cpt,
    downstream_scores,
    downstream_shared,
    forgetting_matrix,
    losses,
    swept_values,
    tree_costs,
    two_stage,
    versions_after_first,
)
from analysis.frames import Ledger, View, paradigm_name, schedule_name, text
from repro.config.places import CONF


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


def escape_markdown(value: str) -> str:
    """Names are data: nothing in one becomes markup."""
    for character in "\\`*_[]<>|#":
        value = value.replace(character, "\\" + character)
    return " ".join(value.split())


def escape_latex(value: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special |= {character: "\\" + character for character in "&%$#_{}"} | {c: f"${c}$" for c in "<>|"}
    return " ".join("".join(special.get(character, character) for character in value).split())


def number(value: float, digits: int = 3) -> str:
    """To `digits` significant digits, never as a power of ten below a million."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "unbounded"
    places = digits - 1 - int(np.floor(np.log10(abs(value)))) if value else 0
    return f"{value:.{max(places, 0)}f}" if abs(value) < 1e6 else f"{value:.{digits}g}"


def plus_minus(interval: stats.Interval, decimals: int = 2) -> str:
    if np.isnan(interval.estimate):
        return "diverged"
    half = "" if np.isnan(interval.half) else f" ± {interval.half:.{decimals}f}"
    return f"{interval.estimate:.{decimals}f}{half}"


def quantity(part: Part) -> str:
    """A part's estimate with its interval and unit."""
    value = f"{number(part.estimate)} {part.unit}"
    if part.exact:
        return value
    if len(part.seeds) == 1:
        return f"{value} (one seed, no interval)"
    return f"{value} [{number(part.low)}, {number(part.high)}]"


def numerics_note(view: View, *studies: str) -> str:
    """Which seeds ran with which numerics: in a caption, so that a table of several machines says so."""
    return _numerics_note(view.runs(*studies))


def _numerics_note(runs: pd.DataFrame) -> str:
    groups = [f"{name} (seeds {listed(group['seed'])})" for name, group in runs.groupby("numerics")]
    return f"Numerics: {'; '.join(groups)}."


def by_version(view: View, study: str) -> Table | None:
    """PPL by schedule, paradigm and version, with cost and, where all three paradigms are there, the gap recovered."""
    scores = view.scores(study)
    scores = scores[scores["paradigm"].isin(THREE)]
    if scores.empty:
        return None
    versions = list(range(1, view.last + 1))
    rows, data = [], []
    for schedule in dict.fromkeys(scores["schedule"]):
        mine = scores[scores["schedule"] == schedule]
        for paradigm in (p for p in THREE if p in set(mine["paradigm"])):
            runs = mine[mine["paradigm"] == paradigm]
            by = {version: runs[runs["version"] == version] for version in versions}
            gap = _relative(mine, paradigm, view)
            seeds = sorted({_n(at) for at in by.values() if len(at)})
            for version, at in by.items():
                if len(at):
                    data.append(
                        {"schedule": schedule, "paradigm": paradigm, "version": version}
                        | _interval("ppl", stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64)))
                        | {"bits_per_byte": at["bits_per_byte"].mean(), "relative_cost": _cost(view, at, version)}
                    )
            whole = by[view.last]
            cost = f"{100 * _cost(view, whole, view.last):.0f} %" if len(whole) else ""
            cells = [_mean(at["ppl"]) for at in by.values()]
            n = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
            rows.append([schedule_name(schedule), paradigm_name(paradigm), *cells, cost, gap, n])
    last = f"{versions_after_first(view)[0]} to {view.last}" if view.last > 1 else "1"
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=["schedule", "paradigm", *(f"PPL v{version}" for version in versions), "cost", "PPL to PTFS", "n"],
        caption="PPL of version k on held-out slices 1 to k. Cost: steps of the run's own tree over PTFS's, all "
        f"versions. PPL to PTFS: mean over versions {last}, paired by seed. {numerics_note(view, study)}",
    )  # fmt: skip


def stages(view: View, study: str) -> Table | None:
    """The two-stage studies: what each cycle leads to."""
    updated = two_stage(view, study, 2)
    if updated.empty:
        return None
    first = study == "first_stage"
    checkpoint = two_stage(view, study, 1)
    column = "first_cycle" if first else "second_cycle"
    runs, curves = view.runs(study), view.ledger.curves
    rows, data = [], []
    for cycle in (float(c) for c in updated.columns):
        run = runs[runs[column] == cycle].iloc[0]
        curve = curves[(curves["run"] == run["run"]) & (curves["version"] == (1 if first else 2))]
        end = float(curve.sort_values("step")["lr"].iloc[-1] / run["max_lr"]) if len(curve) else np.nan
        after = stats.mean_interval(np.exp(updated[cycle].to_numpy(dtype=np.float64)))
        line = {"cycle_in_T": text(cycle), "lr_end_over_max": end} | _interval("updated_ppl", after)
        cells = [text(cycle) if np.isinf(cycle) else f"{cycle:g} T", number(end, 2), plus_minus(after), str(after.n)]
        if first:
            before = stats.mean_interval(np.exp(checkpoint[cycle].to_numpy(dtype=np.float64)))
            line |= _interval("checkpoint_ppl", before)
            cells.insert(2, plus_minus(before))
        rows.append(cells)
        data.append(line)
    stage = "first" if first else "second"
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=[f"cycle of the {stage} stage", "learning rate at its end / maximum",
              *(["PPL checkpoint"] if first else []), "PPL updated", "n"],
        caption=f"The {stage} stage is cut at T steps. Checkpoint on slice 1, updated model on slices 1 and 2. "
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def alpha(view: View) -> Table | None:
    """PPL and cost by alpha."""
    scores = view.scores("alpha")
    rows, data = [], []
    for schedule in dict.fromkeys(scores["schedule"]):
        mean = alpha_means(view, schedule)
        beside = alpha_to_cpt(view, schedule).reindex(columns=mean.columns)
        final = scores[(scores["schedule"] == schedule) & (scores["version"] == view.last)]
        for value in mean.columns:
            known = mean[value].dropna()
            if known.empty:
                continue
            at = final[(final["alpha"] == value) & final["seed"].isin(known.index)]
            paired = beside[value].dropna().to_numpy(dtype=np.float64)
            to_cpt = _paired(paired, len(known)) if len(paired) else ""
            average = stats.mean_interval(np.exp(known.to_numpy(dtype=np.float64)))
            last = stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64))
            cost = _cost(view, at, view.last)
            rows.append(
                [
                    schedule_name(schedule),
                    text(value),
                    plus_minus(average),
                    plus_minus(last),
                    to_cpt,
                    f"{100 * cost:.0f} %",
                    str(average.n),
                ]
            )
            data.append(
                {"schedule": schedule, "alpha": value}
                | _interval("mean_ppl", average)
                | _interval("last_ppl", last)
                | {"relative_cost": cost, "mean_nats_above_cpt": beside[value].mean()}
            )
    if not rows:
        return None
    return Table(
        name="alpha", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "alpha", f"PPL v2 to v{view.last}", f"PPL v{view.last}", "PPL to CPT", "cost", "n"],
        caption="Path switching: alpha is the branch's share of a version's steps. PPL to CPT: mean over versions 2 to "
        f"{view.last}, paired by seed. Cost: steps of the run's own tree "
        f"over PTFS's. {numerics_note(view, 'alpha')}",
    )  # fmt: skip


def generality(view: View, study: str) -> Table | None:
    """The three paradigms by value of what a generality study sweeps."""
    factor, label = GENERALITY[study]
    scores = view.scores(study)
    rows, data = [], []
    for value, group in swept_values(scores, study):
        for schedule in dict.fromkeys(group["schedule"]):
            mine = group[group["schedule"] == schedule]
            for paradigm in (p for p in THREE if p in set(mine["paradigm"])):
                at = mine[(mine["paradigm"] == paradigm) & (mine["version"] == view.last)]
                if at.empty:
                    continue
                last = stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64))
                cost = _cost(view, at, view.last)
                rows.append(
                    [value, schedule_name(schedule), paradigm_name(paradigm), plus_minus(last), f"{100 * cost:.0f} %",
                     _relative(mine, paradigm, view), _share(mine, view) if paradigm == SWITCH else "", str(_n(at))]
                )  # fmt: skip
                data.append(
                    {factor: value, "schedule": schedule, "paradigm": paradigm, "version": view.last}
                    | _interval("ppl", last)
                    | {"relative_cost": cost}
                )
    if not rows:
        return None
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=[label, "schedule", "paradigm", f"PPL v{view.last}", "cost", "PPL to PTFS", "gap recovered", "n"],
        caption=f"PPL to PTFS and gap recovered: mean over versions 2 to {view.last}, paired by seed. "
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def recovery(view: View) -> Table | None:
    """Share of the gap between CPT and PTFS that path switching recovers, by schedule and version."""
    scores = view.scores(*POOL)
    rows, data = [], []
    versions = versions_after_first(view)
    for schedule in dict.fromkeys(scores["schedule"]):
        mine = scores[scores["schedule"] == schedule]
        for at in ([version] for version in versions):
            loss = losses(mine, THREE, at)
            if loss:
                rows.append([schedule_name(schedule), f"v{at[0]}", *recovery_cells(loss)])
                data.append({"schedule": schedule, "version": at[0]} | _recovery_numbers(loss))
        loss = losses(mine, THREE, versions)
        if loss and len(versions) > 1:
            rows.append([schedule_name(schedule), f"v2 to v{view.last}", *recovery_cells(loss)])
            data.append({"schedule": schedule, "version": f"2-{view.last}"} | _recovery_numbers(loss))
    if not rows:
        return None
    return Table(
        name="recovery", data=pd.DataFrame(data), rows=rows,
        head=["schedule", "version", "CPT above PTFS", "path switching above PTFS", "gap recovered", "n"],
        caption=f"Paired by seed. The claim needs more than {100 * RECOVERED:g} % of the gap recovered; shares with "
        "Fieller's interval, and only where the gap itself is told apart from 0. "
        f"{numerics_note(view, *POOL)}",
    )  # fmt: skip


def cost(view: View) -> Table | None:
    """Steps to release versions 1..k."""
    costs = tree_costs(view)
    if not costs:
        return None
    runs = view.runs(*POOL)
    t, tokens = int(runs["steps_per_version"].iloc[0]), int(runs["tokens_per_step"].iloc[0])
    rows, data = [], []
    for one in costs:
        for version, (steps, scratch) in enumerate(zip(one.steps, one.scratch, strict=True), start=1):
            cells = [f"{steps:.3g} T", f"{steps * t:,.0f}", f"{steps * t * tokens / 1e6:,.3g} M"]
            span, share = f"v1 to v{version}", f"{100 * steps / scratch:.3g} %"
            rows.append([paradigm_name(one.paradigm), one.label, span, *cells, share])
            data.append(
                {"paradigm": one.paradigm, "schedules": " ".join(one.schedules), "versions": version}
                | {"steps": round(steps * t), "steps_in_T": steps, "tokens": round(steps * t * tokens)}
                | {"relative_cost": steps / scratch}
            )
    return Table(
        name="cost", data=pd.DataFrame(data), rows=rows,
        head=["paradigm", "schedule", "versions", "steps in T", "steps", "tokens", "of PTFS"],
        caption=f"What has to be trained to release versions 1 to k: T = {t:,} steps of {tokens:,} tokens. CPT and "
        "path switching: their own tree. PTFS: every version from scratch.",
    )  # fmt: skip


def forgetting(view: View) -> Table | None:
    """PPL of every version on every slice."""
    rows, data = [], []
    slices = list(range(1, view.last + 1))
    for paradigm in THREE:
        matrix = forgetting_matrix(view, paradigm)
        if matrix is None:
            continue
        for version, line in matrix.iterrows():
            rows.append([paradigm_name(paradigm), f"v{version}", *(f"{value:.2f}" for value in line)])
            data += [
                {"paradigm": paradigm, "version": version, "slice": part, "ppl": value} for part, value in line.items()
            ]
    if not rows:
        return None
    return Table(
        name="forgetting", data=pd.DataFrame(data), rows=rows,
        head=["paradigm", "version", *(f"PPL slice {part}" for part in slices)],
        caption=f"Geometric mean over seeds, cosine if it was run. {numerics_note(view, *POOL)}",
    )  # fmt: skip


def downstream(view: View) -> Table | None:
    """Scores after fine-tuning by task, beside chance and standard error: over what all three paradigms have."""
    shared = downstream_shared(view)
    if shared.empty:
        return None
    scores = downstream_scores(view)
    versions = sorted(set(shared.index.get_level_values("version")))
    keys = list(shared.index.names)
    scores = scores[scores.set_index(keys).index.isin(shared.index)]
    means = shared.groupby(level="task").mean()
    rows, data = [], []
    for task, group in scores.groupby("task", sort=True):
        cells = []
        chance, items, metric = (group[column].iloc[0] for column in ("chance", "items", "metric"))
        for paradigm in THREE:
            at = group[group["paradigm"] == paradigm]
            value, error = float(means[paradigm][task]), at["stderr"].mean()
            cells.append(f"{value:.1f}" + ("" if np.isnan(error) else f" ± {100 * error:.1f}"))
            data.append(
                {"task": task, "metric": metric, "paradigm": paradigm, "score": value / 100, "stderr": error}
                | {"chance": chance, "items": items}
                | {"gold_bits_per_byte": at["gold_bits_per_byte"].mean(), "n": _n(at)}
            )
        rows.append([str(task), str(metric), *cells, f"{100 * chance:.1f}", f"{items:.0f}"])
    by_chance = f"{100 * scores.groupby('task')['chance'].first().fillna(0).mean():.1f}"
    for version in versions if len(versions) > 1 else ():
        one = shared[shared.index.get_level_values("version") == version]
        rows.append([f"average, version {version}", "", *(f"{one[p].mean():.2f}" for p in THREE), by_chance, ""])
    rows.append(["average", "", *(f"{shared[p].mean():.2f}" for p in THREE), by_chance, ""])
    raw = downstream_scores(view, finetuned=False)
    raw = raw[raw.set_index(keys).index.isin(shared.index)]
    if len(raw):
        before = 100 * raw.groupby("paradigm")["value"].mean().reindex(list(THREE))
        rows.append(["average before fine-tuning", "", *(f"{value:.2f}" for value in before), by_chance, ""])
    bits = scores.groupby("paradigm")["gold_bits_per_byte"].mean()
    rows.append(["gold answer, bits a byte", "", *(number(float(bits[p])) for p in THREE), "", ""])
    return Table(
        name="downstream", data=pd.DataFrame(data), rows=rows,
        head=["task", "metric", *map(paradigm_name, THREE), "chance", "items"],
        caption=f"After fine-tuning, per cent, averaged over {_n(scores)} seeds, version{'s' * (len(versions) > 1)} "
        f"{listed(versions)}, "
        f"{scores['finetune_seed'].nunique()} fine-tuning seeds and {scores['schedule'].nunique()} schedules; ± one "
        "standard error of a single evaluation. Version 1 is left out, as in every comparison. "
        f"lm-eval {listed(scores['lm_eval'])}. {_numerics_note(scores)}",
    )  # fmt: skip


def seeds(ledger: Ledger) -> Table:
    """What was run: seeds and numerics of every study."""
    rows = ledger.studies.merge(ledger.runs, on="run")
    lines, data = [], []
    for (study, name), group in rows.groupby(["study", "numerics"], sort=True):
        lines.append([str(study), str(len(group)), listed(group["seed"]), str(name)])
        data.append({"study": study, "runs": len(group), "seeds": listed(group["seed"]), "numerics": name})
    return Table(
        name="seeds", data=pd.DataFrame(data), rows=lines, head=["study", "runs", "seeds", "numerics"],
        caption="A run is one paradigm, schedule and seed over all versions. Runs that studies share are trained once.",
    )  # fmt: skip


def assumed_rate(device: str) -> float:
    """Operations a second that plans assume of a worker on a device."""
    settings = yaml.safe_load((CONF / "numerics" / f"{device.partition(':')[0]}.yaml").read_text())
    return float(settings["estimate"]["flops_per_second"])


def spent(ledger: Ledger) -> Table:
    """What every study costs: steps, FLOPs, hours of a core or GPU."""
    rows = ledger.studies.merge(ledger.runs, on="run")
    devices = ledger.numerics[ledger.numerics["setting"] == "device"].set_index("numerics")["value"]
    rates = {name: assumed_rate(str(device)) for name, device in devices.items()}
    rows["hours"] = rows["flops"] / rows["numerics"].map(rates) / 3600
    lines, data = [], []
    for study, group in rows.groupby("study", sort=True):
        alone, own = int(group["logical_steps"].sum()), int(group["unique_steps"].sum())
        tokens = int((group["unique_steps"] * group["tokens_per_step"]).sum())
        flops = float(group["flops"].sum())
        hours = float(group["hours"].sum())
        cells = [f"{alone:,}", f"{own:,}", f"{tokens / 1e6:.1f} M", f"{flops:.2e}", f"{hours:.2f}"]
        lines.append([str(study), str(len(group)), *cells])
        data.append({"study": study, "runs": len(group), "steps_alone": alone, "steps": own, "tokens": tokens})
        data[-1] |= {"flops": flops, "worker_hours": hours}
    return Table(
        name="spent", data=pd.DataFrame(data), rows=lines,
        head=["study", "runs", "steps, versions alone", "steps", "tokens", "FLOPs", "core- or GPU-hours"],
        caption="Steps: of each run's own tree, as every paradigm would be charged for it; what runs and studies have "
        "in common is trained once (repro.plan shows how much). Hours: FLOPs of these steps at "
        f"{', '.join(f'{rate / 1e12:g}' for rate in sorted(set(rates.values())))} TFLOP/s a worker, as plans assume.",
    )  # fmt: skip


def numerics(ledger: Ledger) -> Table:
    """What may change bits without changing what is computed."""
    wide = ledger.numerics.drop_duplicates(["numerics", "setting"])
    rows = [[str(row["numerics"]), str(row["setting"]), str(row["value"])] for row in wide.to_dict("records")]
    return Table(
        name="numerics", data=wide, rows=rows, head=["numerics", "setting", "value"],
        caption="Only runs of one numerics are paired; no bit is promised to be the same across them.",
    )  # fmt: skip


def scorecard(judged: Sequence[Judged], name: str = "scorecard") -> Table:
    """Every claim with its weakest evidence and verdict."""
    rows = []
    for one in judged:
        part = one.weakest
        evidence = f"{part.what}: {quantity(part)}; needs {part.needs}" if part else ""
        rows.append([one.claim.id, one.claim.statement, one.claim.source, evidence, one.verdict, one.reason])
    return Table(
        name=name, data=verdicts(judged), rows=rows,
        head=["", "claim", "from", "weakest evidence [95 % interval]", "verdict", "because"],
        caption="A claim is reproduced when the 95 % interval of every part of it lies beyond its margin, contradicted "
        "when one is on the wrong side of it at 5 % (Holm over the claim's parts), and undecided otherwise. The "
        "weakest part is shown.",
    )  # fmt: skip


def claim_parts(judged: Sequence[Judged]) -> Table:
    """Every quantity behind every verdict."""
    rows, data = [], []
    for one in judged:
        for part in one.parts:
            n = "exact" if part.exact else str(len(part.seeds))
            needs = (
                part.needs
                if part.role == "decides"
                else f"({part.role})"
                if part.role == "shown"
                else f"{part.needs} (premise)"
            )
            effect = "" if np.isnan(part.effect) else f"{part.effect:+.1f}"
            rows.append([one.claim.id, part.what, quantity(part), needs, effect, "yes" if part.holds else "no", n])
            data.append(
                {
                    "claim": one.claim.id,
                    "part": part.what,
                    "role": part.role,
                    "estimate": part.estimate,
                    "low": part.low,
                }
                | {"high": part.high, "unit": part.unit, "needs": part.needs, "effect": part.effect}
                | {"n": len(part.seeds), "p": part.p}
            )
    return Table(
        name="claim_parts", data=pd.DataFrame(data), rows=rows,
        head=["claim", "quantity", "estimate [95 % interval]", "needs", "effect", "holds", "n"],
        caption="Positive speaks for the claim. Effect: distance from the margin in standard deviations over seeds. "
        "Rows marked as shown do not decide.",
    )  # fmt: skip


def verdicts(judged: Sequence[Judged]) -> pd.DataFrame:
    """claims.csv: one row a claim and setting."""
    rows = []
    for one in judged:
        part = one.weakest
        row: dict[str, object] = {
            "setting": one.view.label or "primary", "claim": one.claim.id, "statement": one.claim.statement,
            "source": one.claim.source, "study": one.claim.study, "estimator": one.claim.estimator,
            "margin": one.claim.margin, "verdict": one.verdict, "reason": one.reason,
        }  # fmt: skip
        if part:
            row |= {
                "weakest_part": part.what, "estimate": part.estimate, "low": part.low, "high": part.high,
                "unit": part.unit, "needs": part.needs, "n": "exact" if part.exact else len(part.seeds),
                "seeds": " ".join(map(str, part.seeds)), "p": one.p, "p_holm": one.p_holm,
            }  # fmt: skip
        rows.append(row | {"command": one.command})
    columns = [
        "setting", "claim", "statement", "source", "study", "estimator", "margin", "verdict", "reason", "weakest_part",
        "estimate", "low", "high", "unit", "needs", "n", "seeds", "p", "p_holm", "command",
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=columns)


TABLES: tuple[tuple[tuple[str, ...], Callable[[View], Table | None]], ...] = (
    (("headline",), lambda view: by_version(view, "headline")),
    (("headline", "main", "pilot"), cost),
    (("pilot",), lambda view: by_version(view, "pilot")),
    (("first_stage",), lambda view: stages(view, "first_stage")),
    (("second_stage",), lambda view: stages(view, "second_stage")),
    (("main",), lambda view: by_version(view, "main")),
    (("main", "headline"), recovery),
    (("main", "headline", "pilot"), forgetting),
    (("alpha",), alpha),
    (("architecture",), lambda view: generality(view, "architecture")),
    (("model_size",), lambda view: generality(view, "model_size")),
    (("data_scale",), lambda view: generality(view, "data_scale")),
    (("max_lr",), lambda view: generality(view, "max_lr")),
    (("downstream", "main", "headline"), downstream),
)
"""The studies each table may stand with, the first that was run taking it; and what makes it."""


def _mean(values: "pd.Series[float]") -> str:
    return plus_minus(stats.mean_interval(np.asarray(values, dtype=np.float64))) if len(values) else ""


def _interval(name: str, interval: stats.Interval) -> dict[str, object]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high, "n": interval.n}


def _n(rows: pd.DataFrame) -> int:
    return int(rows["seed"].nunique())


def listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in sorted(set(values)))


def _cost(view: View, rows: pd.DataFrame, version: int) -> float:
    """Relative cost of versions 1..`version`; 1 for PTFS, which trains each version from scratch."""
    if (rows["paradigm"] == PTFS).all():
        return 1.0
    versions = view.ledger.versions
    at = versions[versions["run"].isin(rows["run"]) & (versions["version"] == version)]
    return float(at["relative_cost"].iloc[0]) if len(at) else np.nan


def _relative(rows: pd.DataFrame, paradigm: str, view: View) -> str:
    """PPL above PTFS's in per cent, mean over versions 2 to N."""
    versions = versions_after_first(view)
    loss = losses(rows, (PTFS, paradigm), versions) if paradigm != PTFS and versions else {}
    if not loss:
        return ""
    values = (loss[paradigm] - loss[PTFS]).mean(axis=1).to_numpy(dtype=np.float64)
    return _paired(values, _n(rows[rows["paradigm"] == paradigm]))


def _paired(nats: stats.Values, n: int) -> str:
    """A paired difference, with how many seeds it has where they are not the `n` of its row."""
    return percent(nats) + ("" if len(nats) == n else f" (n = {len(nats)})")


def percent(nats: stats.Values) -> str:
    interval = stats.mean_interval(nats)
    low, middle, high = (100 * float(np.expm1(x)) for x in (interval.low, interval.estimate, interval.high))
    return f"{middle:+.2f} %" + ("" if np.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")


def _share(rows: pd.DataFrame, view: View) -> str:
    loss = losses(rows, THREE, versions_after_first(view))
    return recovery_cells(loss)[2] if loss else ""


def recovery_cells(loss: dict[str, pd.DataFrame]) -> list[str]:
    """CPT to PTFS, path switching to PTFS, the share of the gap recovered, and n; as printed."""
    mean = {paradigm: frame.mean(axis=1).to_numpy(dtype=np.float64) for paradigm, frame in loss.items()}
    share = stats.fieller(mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS])
    gap = stats.mean_interval(mean[CPT] - mean[PTFS])
    shown = f"{number(100 * share.estimate)} %"
    if gap.estimate <= 0 or gap.low <= 0:
        shown = "no gap established"
    elif share.n > 1:
        shown = f"{shown} [{number(100 * share.low)}, {number(100 * share.high)}]"
    return [percent(mean[CPT] - mean[PTFS]), percent(mean[SWITCH] - mean[PTFS]), shown, str(share.n)]


def _recovery_numbers(loss: dict[str, pd.DataFrame]) -> dict[str, object]:
    mean = {paradigm: frame.mean(axis=1).to_numpy(dtype=np.float64) for paradigm, frame in loss.items()}
    return (
        _interval("cpt_above_ptfs_nats", stats.mean_interval(mean[CPT] - mean[PTFS]))
        | _interval("path_switching_above_ptfs_nats", stats.mean_interval(mean[SWITCH] - mean[PTFS]))
        | _interval("recovered_share", stats.fieller(mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS]))
    )

"""The paper's claims as data: where each comes from, what estimates it, which margin decides, and its verdict.

Every quantity is signed so that a positive one speaks for the claim. A verdict is a function of the ledger alone.
Margins were fixed before any run was looked at; changing one changes a verdict and belongs in a commit of its own.
How a verdict is reached, in words: docs/claims.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import yaml

from analysis import frames, stats
from analysis.contrasts import (
    CPT,
    GENERALITY,
    POOL,
    PTFS,
    SWITCH,
    alpha_losses,
    downstream_means,
    downstream_shared,
    losses,
    swept_values,
    tree_costs,
    two_stage,
    versions_after_first,
)
from analysis.frames import View, paradigm_name, schedule_name, text
from repro.config.places import CONF

Verdict = Literal["reproduced", "contradicted", "undecided", "not run"]
Role = Literal["decides", "premise", "shown"]
Series: TypeAlias = "pd.Series[float]"
"""One entry a seed."""

RECOVERED = 0.8
"""Path switching "matches" PTFS when it recovers more than this share of the gap between CPT and PTFS."""
TIE = 0.002
"""Nats a token (0.2 % of PPL): two neighbouring cycles this close count as equal where one must be "the best"."""
FAR_LESS = 0.5
"""CPT costs "far less" when it costs at most this share of PTFS at the last version."""
PUBLISHED_COST = 0.58
"""[abstract] Share of PTFS's cost that path switching takes over `PUBLISHED_VERSIONS` at `PUBLISHED_ALPHA`."""
PUBLISHED_VERSIONS = 4
PUBLISHED_ALPHA = 0.6
PUBLISHED_ROUNDING = 0.005
"""The abstract gives whole per cents."""

NINE = 9
"""[article] Tasks that the average is over."""
THREE_SCHEDULES = ("cosine", "knee", "multi_step")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One quantity that a claim stands on."""

    what: str
    unit: str
    needs: str
    """The margin, as shown: "> 0", "> 80"."""
    estimate: float
    low: float
    high: float
    contrast: stats.Values
    """One entry a seed; the part holds when its mean is above 0. Margins are already taken off."""
    seeds: tuple[int, ...] = ()
    """Empty for arithmetic on the tree, which needs none."""
    role: Role = "decides"

    @property
    def exact(self) -> bool:
        return not self.seeds

    @property
    def holds(self) -> bool:
        if self.exact:
            return bool(self.contrast[0] > 0)
        return bool(stats.mean_interval(self.contrast).low > 0)

    @property
    def p(self) -> float:
        return np.nan if self.exact else stats.p_value(self.contrast)

    @property
    def effect(self) -> float:
        """Effect size: distance from the margin in standard deviations over seeds; NaN for one seed or none."""
        return stats.effect(self.contrast) if len(self.seeds) > 1 else np.nan

    @property
    def weakness(self) -> float:
        """To find a claim's weakest part: one-sided p of "it does not hold"; for one seed or none only which side."""
        if len(self.seeds) > 1:
            return stats.p_below(self.contrast)
        return float(np.mean(self.contrast) <= 0)


def _weakest(parts: Sequence[Part]) -> Part | None:
    """The deciding part that is nearest to failing (or fails by most); arithmetic counts only if it fails."""
    deciding = [part for part in parts if part.role == "decides"]
    return max(deciding, key=lambda part: (not (part.exact and part.holds), part.weakness), default=None)


Evidence = tuple[list[Part], list[str]]
"""Parts that could be computed, and what is missing, in words."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    id: str
    statement: str
    source: str
    study: str
    estimator: str
    margin: str
    evaluate: Callable[[View], Evidence] = field(repr=False)
    note: str = ""
    """What the verdict rests on besides the runs; shown with it."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict in one setting."""

    claim: Claim
    view: View = field(repr=False)
    parts: list[Part]
    verdict: Verdict
    reason: str
    p: float
    """Two-sided, of the weakest part; contradicted: of the part that speaks most against it, by Holm over its parts."""
    p_holm: float
    """Holm's correction over all claims of this setting that have a p."""

    @property
    def weakest(self) -> Part | None:
        return _weakest(self.parts)

    @property
    def command(self) -> str:
        return command(self.claim.study, self.view.ledger.scale, self.view)


def command(study: str, scale: str, view: View | None = None) -> str:
    """What makes a study's results, in the view's setting where that is another stream, with the seeds it has there,
    and with torch's own products where it has those: they are no longer the default on a CPU."""
    more = f" {view.label}" if view and list(view.differs) == ["stream"] else ""
    seeds = ",".join(str(seed) for seed in sorted(set(view.runs(study)["seed"]))) if view else ""
    path = CONF / "scale" / f"{scale}.yaml"
    if seeds and path.is_file() and seeds != str(yaml.safe_load(path.read_text())["sweep"]["seed"]):
        more += f" seed={seeds}"
    if view and _own_products(view, study):
        more += " numerics.matmul=torch"
    verbs = ("train", "finetune", "evaluate") if study == "downstream" else ("train",)
    return " && ".join(f"python -m repro.{verb} study={study} scale={scale}{more}" for verb in verbs)


def _own_products(view: View, study: str) -> bool:
    """Whether all of a study, or all there is if it was not run, was run on CPUs with torch's own products."""
    rows = view.ledger.numerics
    runs = view.runs(study)
    used = set((runs if len(runs) else view.runs(*frames.STUDIES))["numerics"])
    on_cpu = set(rows[(rows["setting"] == "device") & (rows["value"] == "cpu")]["numerics"])
    otherwise = set(rows[rows["setting"] == "matmul"]["numerics"])
    return bool(used) and used <= on_cpu - otherwise


def judge(view: View) -> list[Judged]:
    """Every claim's verdict in one setting, in the order of `CLAIMS`."""
    judged = [_verdict(claim, view) for claim in CLAIMS]
    adjusted = stats.holm([one.p for one in judged])
    return [replace(one, p_holm=p) for one, p in zip(judged, adjusted, strict=True)]


def _verdict(claim: Claim, view: View) -> Judged:
    parts, missing = claim.evaluate(view)
    deciding = [part for part in parts if part.role == "decides"]
    if not deciding:
        reason = "; ".join(missing) or f"not run: {command(claim.study, view.ledger.scale, view)}"
        return Judged(claim=claim, view=view, parts=parts, verdict="not run", reason=reason, p=np.nan, p_holm=np.nan)
    # "For all" needs no correction where every part must hold, but "one of them fails" does.
    adjusted = stats.holm([part.p for part in deciding])
    against = {
        part.what: p
        for part, p in zip(deciding, adjusted, strict=True)
        if (part.exact and not part.holds) or (p < 1 - stats.LEVEL and np.mean(part.contrast) < 0)
    }
    open_parts = [part for part in deciding if not part.holds]
    premises = [part for part in parts if part.role == "premise" and not part.holds]
    verdict: Verdict
    if premises:
        verdict, reason = "undecided", f"its premise is not established: {premises[0].what} ({_seeds_text(premises)})"
    elif against:
        verdict, reason = "contradicted", f"against it: {'; '.join(against)}"
    elif open_parts:
        verdict, reason = "undecided", _seeds_text(open_parts, len(deciding))
    elif missing:
        verdict, reason = "undecided", f"holds in what was run ({_coverage(deciding)})"
    else:
        verdict, reason = "reproduced", _coverage(deciding)
    if missing:
        reason = f"{reason}; {'; '.join(missing)}"
    if claim.note:
        reason = f"{reason}; {claim.note}"
    weakest = _weakest(parts)
    assert weakest is not None
    measured = [p for p in against.values() if not np.isnan(p)]
    p = min(measured, default=np.nan) if verdict == "contradicted" else weakest.p
    return Judged(claim=claim, view=view, parts=parts, verdict=verdict, reason=reason, p=p, p_holm=np.nan)


def _coverage(parts: list[Part]) -> str:
    counts = {len(part.seeds) for part in parts if not part.exact}
    if not counts:
        return "arithmetic on the tree"
    low, high = min(counts), max(counts)
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"


def _seeds_text(parts: list[Part], deciding: int = 1) -> str:
    """How many seeds would decide: for the claim all of its parts must hold, against it one of `deciding` must fail."""
    if any(len(part.seeds) == 1 for part in parts):
        return "1 seed; at least 2 needed for an interval"
    failing = [part for part in parts if np.mean(part.contrast) < 0]
    if failing:
        level = 1 - (1 - stats.LEVEL) / deciding  # Holm's first step
        counts = [stats.deciding_seeds(part.contrast, level) for part in failing]
        wanted = min((n for n in counts if n is not None), default=None)
        which = "would contradict it"
    else:
        power = stats.POWER ** (1 / len(parts))  # of each, that all of them hold, as if they were independent
        counts = [stats.deciding_seeds(part.contrast, power=power) for part in parts]
        wanted = None if None in counts else max(n for n in counts if n is not None)
        which = "would decide"
    would = f"more than {stats.MOST_SEEDS}" if wanted is None else f"about {wanted}"
    return f"{_coverage(parts)}; {would} {which} with a chance of {100 * stats.POWER:g} %, if mean and spread stayed"


# Parts


def _measured(what: str, values: Series, *, unit: str = "% of PPL", above: float = 0.0, role: Role = "decides") -> Part:
    """The mean over seeds of `values` (nats a token where the unit is per cent of PPL) must be above `above`."""
    contrast = np.asarray(values, dtype=np.float64)
    interval = stats.mean_interval(contrast)
    show = _percent if unit.startswith("% of PPL") else float
    return Part(
        what=what, unit=unit, needs=f"> {show(above):.3g}", estimate=show(interval.estimate), low=show(interval.low),
        high=show(interval.high), contrast=contrast - above, seeds=_seeds(values), role=role,
    )  # fmt: skip


def _recovered(where: str, gained: Series, gap: Series, role: Role = "decides") -> Part:
    """The share of `gap` that `gained` is, both in nats a token.

    Decided on the linear contrast gained - RECOVERED x gap, which is sound for any gap; shown as a share with Fieller's
    interval where there is a gap to recover, as that contrast otherwise.
    """
    a, b = np.asarray(gained, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    contrast, seeds = a - RECOVERED * b, _seeds(gained)
    share, whole = stats.fieller(a, b), stats.mean_interval(b)
    if whole.estimate <= 0 or whole.low <= 0:
        point = stats.mean_interval(contrast)
        return Part(
            what=f"point {100 * RECOVERED:g} % of the way from CPT to PTFS above path switching, {where} "
            "(no gap is established, so no share is shown)",
            unit="% of PPL", needs="> 0", estimate=_percent(point.estimate), low=_percent(point.low),
            high=_percent(point.high), contrast=contrast, seeds=seeds, role=role,
        )  # fmt: skip
    return Part(
        what=f"gap recovered, {where}", unit="% of the gap", needs=f"> {100 * RECOVERED:g}",
        estimate=100 * share.estimate, low=100 * share.low, high=100 * share.high, contrast=contrast, seeds=seeds,
        role=role,
    )  # fmt: skip


def _exact(what: str, estimate: float, holds: bool, *, unit: str, needs: str, role: Role = "decides") -> Part:
    return Part(
        what=what, unit=unit, needs=needs, estimate=estimate, low=estimate, high=estimate,
        contrast=np.array([1.0 if holds else -1.0]), role=role,
    )  # fmt: skip


def _percent(nats: float) -> float:
    return 100 * float(np.expm1(nats))


def _seeds(values: Series) -> tuple[int, ...]:
    return tuple(int(seed) for seed in values.index)


def _cells(
    view: View, scores: pd.DataFrame, paradigms: Sequence[str], wanted: Sequence[str], study: str
) -> tuple[dict[str, dict[str, pd.DataFrame]], list[str]]:
    """Losses by schedule, others than the wanted ones too; and which of the wanted ones have none."""
    found = {}
    for schedule in dict.fromkeys([*wanted, *scores["schedule"]]):
        loss = losses(scores[scores["schedule"] == schedule], paradigms, versions_after_first(view))
        if loss:
            found[schedule] = loss
    absent = ", ".join(schedule_name(schedule) for schedule in wanted if schedule not in found)
    return found, [f"not run: {absent} ({command(study, view.ledger.scale, view)})"] if absent else []


def _role(schedule: str) -> Role:
    """The claims speak of three schedules; what another one does is shown."""
    return "decides" if schedule in THREE_SCHEDULES else "shown"


# The claims


def _p1(view: View) -> Evidence:
    cells, missing = _cells(view, view.scores(*POOL), (PTFS, CPT), THREE_SCHEDULES, "pilot")
    parts = []
    for schedule, loss in cells.items():
        gap = (loss[CPT] - loss[PTFS]).mean(axis=1)
        parts.append(_measured(f"CPT above PTFS, {schedule_name(schedule)}", gap, role=_role(schedule)))
    return parts, missing


def _p2(view: View) -> Evidence:
    if view.last < 3:
        return [], ["a trend over versions 2 to N needs at least 3 versions"]
    cells, missing = _cells(view, view.scores(*POOL), (PTFS, CPT), THREE_SCHEDULES, "pilot")
    parts = []
    for schedule, loss in cells.items():
        gap = loss[CPT] - loss[PTFS]
        slope = pd.Series(stats.slopes(gap.to_numpy(), versions_after_first(view)), index=gap.index)
        what = f"growth of CPT's gap to PTFS, {schedule_name(schedule)}"
        parts.append(_measured(what, slope, unit="% of PPL a version", role=_role(schedule)))
    return parts, missing


def _p3(view: View) -> Evidence:
    costs = tree_costs(view)
    parts = []
    for cpt in (one for one in costs if one.paradigm == CPT):
        for ptfs in (one for one in costs if one.paradigm == PTFS and set(one.schedules) & set(cpt.schedules)):
            ratio = 100 * float(cpt.steps[-1] / ptfs.steps[-1])
            saved = np.diff(ptfs.steps - cpt.steps)
            if not len(saved):
                continue
            what = f"CPT's cost over PTFS's ({cpt.label})"
            parts.append(_exact(what, ratio, ratio <= 100 * FAR_LESS, unit="%", needs=f"<= {100 * FAR_LESS:g}"))
            least = float(saved.min())
            what = f"least growth of the cost gap with one version ({cpt.label})"
            parts.append(_exact(what, least, least > 0, unit="T", needs="> 0"))
    return parts, []


def _m1(view: View) -> Evidence:
    scores = view.scores(*POOL)
    cells, missing = _cells(view, scores, (PTFS, CPT, SWITCH), THREE_SCHEDULES, "main")
    parts = []
    for schedule, loss in cells.items():
        where = schedule_name(schedule)
        parts += _matches(where, loss, _role(schedule))
        parts += _over_versions(where, view, loss, scores[scores["schedule"] == schedule])
    return parts, missing


def _matches(where: str, loss: dict[str, pd.DataFrame], role: Role = "decides") -> list[Part]:
    mean = {paradigm: frame.mean(axis=1) for paradigm, frame in loss.items()}
    return [
        _measured(f"CPT above path switching, {where}", mean[CPT] - mean[SWITCH], role=role),
        _recovered(where, mean[CPT] - mean[SWITCH], mean[CPT] - mean[PTFS], role),
        _measured(f"PTFS above path switching, {where}", mean[PTFS] - mean[SWITCH], role="shown"),
    ]


def _over_versions(where: str, view: View, loss: dict[str, pd.DataFrame], rows: pd.DataFrame) -> list[Part]:
    """What the mean over versions 2 to N, which decides, does not say."""
    lead = loss[PTFS] - loss[SWITCH]
    parts = [_measured(f"PTFS above path switching, version {view.last}, {where}", lead[view.last], role="shown")]
    parts.append(_recovered(f"version {view.last}, {where}", (loss[CPT] - loss[SWITCH])[view.last],
                            (loss[CPT] - loss[PTFS])[view.last], role="shown"))  # fmt: skip
    if view.last > 2:
        slope = pd.Series(stats.slopes(lead.to_numpy(), versions_after_first(view)), index=lead.index)
        what = f"growth of PTFS's distance above path switching, {where}"
        parts.append(_measured(what, slope, unit="% of PPL a version", role="shown"))
    # Version 1 has no past: what separates the two there is the shape of their schedules.
    if first := losses(rows, (PTFS, SWITCH), [1]):
        values = (first[PTFS] - first[SWITCH])[1]
        parts.append(_measured(f"PTFS above path switching, version 1, {where}", values, role="shown"))
    return parts


def _m2(view: View) -> Evidence:
    costs = [one for one in tree_costs(view) if one.paradigm == SWITCH]
    if not costs:
        return [], []
    alpha = view.setting["alpha"]
    if view.last != PUBLISHED_VERSIONS or alpha != PUBLISHED_ALPHA:
        published = f"published for {PUBLISHED_VERSIONS} versions and alpha {PUBLISHED_ALPHA}"
        return [], [f"{published}, not for {view.last} and {text(alpha)}"]
    parts = []
    for cost in costs:
        # A branch that begins at the maximum repeats main-path steps, which our tree trains only once.
        role: Role = "decides" if "cosine" in cost.schedules else "shown"
        holds = abs(cost.share - PUBLISHED_COST) <= PUBLISHED_ROUNDING
        needs = f"{100 * PUBLISHED_COST:g} as published, to the whole per cent"
        what = f"our tree's cost over PTFS's ({cost.label})"
        parts.append(_exact(what, 100 * cost.share, holds, unit="%", needs=needs, role=role))
    return parts, []


def _t1(view: View) -> Evidence:
    if view.last < 3:
        return [], ["telling linear from quadratic needs at least 3 versions"]
    costs = tree_costs(view)
    if {one.paradigm for one in costs} != {PTFS, CPT, SWITCH}:
        return [], []
    parts = []
    for cost in costs:
        bend = np.diff(cost.steps, 2).round(9)
        if cost.paradigm == PTFS:
            steady = bool(bend.min() > 0 and np.ptp(bend) == 0)
            what, needs = "PTFS: second difference of its cost", "> 0, always the same"
            parts.append(_exact(what, float(bend.min()), steady, unit="T", needs=needs))
        else:
            what = f"{paradigm_name(cost.paradigm)}: largest second difference of its cost ({cost.label})"
            most = float(np.abs(bend).max())
            parts.append(_exact(what, most, most == 0, unit="T", needs="0"))
    return parts, []


def _s1(view: View) -> Evidence:
    checkpoint, updated = (two_stage(view, "first_stage", version) for version in (1, 2))
    cycles = [float(cycle) for cycle in updated.columns]
    if updated.empty:
        return [], _incomplete(view, "first_stage")
    if np.inf not in cycles or len(cycles) < 3:
        return [], ["a trend needs at least 3 cycles, the endless one among them"]
    trend = pd.Series(-stats.slopes(updated.to_numpy(), range(len(cycles))), index=updated.index)
    parts = [_measured("fall of the updated model's PPL with each slower first stage", trend, unit="% of PPL a step")]
    for cycle in cycles[:-1]:
        # Against the fastest decay there is no tie: a checkpoint that nothing tells apart is not "the worst".
        least = 0.0 if cycle == cycles[0] else -TIE
        parts.append(
            _measured(f"checkpoint: endless above {cycle:g} T", checkpoint[np.inf] - checkpoint[cycle], above=least)
        )
        parts.append(_measured(f"updated: {cycle:g} T above endless", updated[cycle] - updated[np.inf], above=-TIE))
    return parts, []


def _s2(view: View) -> Evidence:
    updated = two_stage(view, "second_stage", 2)
    cycles = [float(cycle) for cycle in updated.columns]
    slower = [cycle for cycle in cycles if cycle > 1]
    if updated.empty:
        return [], _incomplete(view, "second_stage")
    if 1.0 not in cycles or not slower:
        return [], ["a cycle of 1 T is compared with longer ones, and both are needed"]
    parts = [
        _measured(f"{text(cycle)}{'' if np.isinf(cycle) else ' T'} above 1 T", updated[cycle] - updated[1.0])
        for cycle in slower
    ]
    for cycle in (cycle for cycle in cycles if cycle < 1):
        parts.append(_measured(f"{cycle:g} T above 1 T", updated[cycle] - updated[1.0], role="shown"))
    return parts, []


def _c1(view: View) -> Evidence:
    checkpoint, updated = (two_stage(view, "first_stage", version) for version in (1, 2))
    if updated.empty:
        return [], _incomplete(view, "first_stage")
    if not {1.0, np.inf} <= set(updated.columns):
        return [], ["a cycle of 1 T is compared with the endless one, and both are needed"]
    return [
        _measured("current version: endless above a complete decay", checkpoint[np.inf] - checkpoint[1.0]),
        _measured("next version: a complete decay above endless", updated[1.0] - updated[np.inf]),
    ], []


def _incomplete(view: View, study: str) -> list[str]:
    """Why there is nothing to pair, where a study was run."""
    return ["no seed has every cycle"] if len(view.scores(study)) else []


def _a1(view: View) -> Evidence:
    parts, missing = [], []
    costs = view.costs("alpha")
    for schedule in dict.fromkeys(costs["schedule"]):
        mean = alpha_losses(view, schedule)
        alphas = [float(alpha) for alpha in mean.columns]
        if len(alphas) < 3 or mean.empty:
            why = "no seed has every alpha" if len(alphas) >= 3 else "a trend needs at least 3 alphas"
            missing.append(f"{why}, {schedule_name(schedule)}")
            continue
        fall = pd.Series(-stats.slopes(mean.to_numpy(), alphas) / 10, index=mean.index)
        parts.append(_measured(f"fall of PPL for each 0.1 of alpha, {schedule_name(schedule)}", fall))
        if PUBLISHED_ALPHA in alphas[1:-1]:
            before = (mean[alphas[0]] - mean[PUBLISHED_ALPHA]) / (PUBLISHED_ALPHA - alphas[0])
            after = (mean[PUBLISHED_ALPHA] - mean[alphas[-1]]) / (alphas[-1] - PUBLISHED_ALPHA)
            what = f"gain for 0.1 of alpha up to {PUBLISHED_ALPHA}, less the gain beyond it, {schedule_name(schedule)}"
            parts.append(_measured(what, (before - after) / 10, role="shown"))
        final = costs[(costs["schedule"] == schedule) & (costs["version"] == view.last)]
        rise = np.diff(final.groupby("alpha")["relative_cost"].first().to_numpy(dtype=np.float64))
        what = f"least rise of cost from one alpha to the next, {schedule_name(schedule)}"
        least = 100 * float(rise.min())
        parts.append(_exact(what, least, least > 0, unit="% of PTFS's cost", needs="> 0"))
    return parts, missing


def _generality(study: str) -> Callable[[View], Evidence]:
    name = GENERALITY[study][1]

    def evaluate(view: View) -> Evidence:
        parts: list[Part] = []
        missing, values = [], []
        scores = view.scores(study)
        runs = view.runs(study)
        runs = runs[runs["paradigm"].isin((PTFS, CPT, SWITCH))]
        for value, group in swept_values(runs, study):
            values.append(value)
            for schedule in dict.fromkeys(group["schedule"]):
                label = f"{name} {value}, {schedule_name(schedule)}"
                cell = group[group["schedule"] == schedule]
                rows = scores[scores["run"].isin(cell["run"])]
                loss = losses(rows, (PTFS, CPT, SWITCH), versions_after_first(view))
                parts += _matches(label, loss) if loss else []
                diverged = int(rows[~np.isfinite(rows["loss"]) & (rows["paradigm"] == SWITCH)]["run"].nunique())
                if diverged:
                    what = f"runs of path switching that diverged, {label}"
                    parts.append(_exact(what, diverged, holds=False, unit="runs", needs="0"))
                left_out = set(cell["seed"]) - (set(loss[PTFS].index) if loss else set())
                if left_out:
                    seeds = ", ".join(map(str, sorted(left_out)))
                    missing.append(f"{label}: not all three paradigms came to version {view.last} with seeds {seeds}")
        if len(values) == 1:
            missing.append(f"only {name} {values[0]} was run; {command(study, view.ledger.scale, view)}")
        return parts, missing

    return evaluate


def _d1(view: View) -> Evidence:
    means = downstream_means(view)
    if means.empty:
        return [], []
    best = means[[PTFS, CPT, SWITCH]].mean().idxmax()
    shared = downstream_shared(view).reset_index()
    missing = []
    for (seed, version), rows in shared.groupby(["seed", "version"]):
        tasks = rows.groupby("schedule")["task"].nunique().reindex(list(THREE_SCHEDULES), fill_value=0)
        missing += [
            f"{count} of {NINE} tasks were scored for all three paradigms, {schedule_name(str(schedule))}, version "
            f"{version}, seed {seed} ({command('downstream', view.ledger.scale, view)})"
            for schedule, count in tasks.items()
            if count < NINE
        ]
    if len(missing) > 1:
        missing = [f"{missing[0]}, and {len(missing) - 1} more such"]
    return [
        _measured("average score above chance", means[best] - means["chance"], unit="points", role="premise"),
        *(
            _measured(f"path switching above {name}", means[SWITCH] - means[paradigm], unit="points")
            for paradigm, name in ((PTFS, "PTFS"), (CPT, "CPT"))
        ),
    ], missing


CLAIMS = (
    Claim(
        id="P1", statement="PTFS reaches a lower PPL than CPT, for each of three schedules, over four versions",
        source="[article], [review]", study="pilot", evaluate=_p1,
        estimator="ln PPL of CPT less PTFS, mean over versions 2 to N; paired by seed; each schedule",
        margin="above 0 for every schedule",
    ),
    Claim(
        id="P2", statement="That gap widens as versions accumulate",
        source="[article]", study="pilot", evaluate=_p2,
        estimator="slope of that difference over versions 2 to N, one a seed (version 1 is the same run in both)",
        margin="above 0 for every schedule",
    ),
    Claim(
        id="P3", statement="CPT costs far less than PTFS, and the cost gap widens too",
        source="[article]", study="pilot", evaluate=_p3,
        estimator="steps of CPT's own tree against PTFS's steps, over versions 1 to k",
        margin="at most half of PTFS's at version N, and a larger gap with every version; exact",
    ),
    Claim(
        id="S1",
        statement="First stage: the slower it decays, the better the updated model; without decay the checkpoint is "
        "the worst and the updated model the best",
        source="[article]", study="first_stage", evaluate=_s1,
        estimator="slope of the updated model's ln PPL over the rank of the cycle, one a seed; differences of every "
        "cycle to the endless one",
        margin="trend below 0; the endless one worst before and best after the update, ties of 0.2 % of PPL allowed",
    ),
    Claim(
        id="S2", statement="Second stage: a fast, complete decay to the minimum gives the best updated model",
        source="[article]", study="second_stage", evaluate=_s2,
        estimator="ln PPL of the updated model, each cycle that T cuts short less the complete one of 1 T; paired "
        "by seed",
        margin="above 0 for every cycle longer than T",
    ),
    Claim(
        id="C1", statement="CPT cannot serve both the current version and the next one",
        source="[article]", study="first_stage", evaluate=_c1,
        estimator="ln PPL, complete decay against none: of the checkpoint, and of the model updated from it",
        margin="decay better for the current version and worse for the next, both apart from 0",
    ),
    Claim(
        id="M1", statement="Path switching matches PTFS's PPL and beats CPT's, for three schedules",
        source="[abstract], [article]", study="main", evaluate=_m1,
        estimator="mean ln PPL over versions 2 to N: CPT less path switching, and the share of the gap between CPT and "
        "PTFS that this recovers; paired by seed; Fieller's interval",
        margin="above 0, and more than 80 % recovered, for every schedule",
    ),
    Claim(
        id="M2", statement="At four versions it costs 58 % of PTFS",
        source="[abstract]", study="main", evaluate=_m2,
        estimator="steps of path switching's own tree over PTFS's steps, versions 1 to 4, alpha 0.6, cosine (a Knee or "
        "multi-step branch begins at the maximum, so that its first steps are the main path's own)",
        margin="58 % as published, to the whole per cent; exact",
        note="judged under a cosine alone, a choice made after the first trees were counted",
    ),
    Claim(
        id="A1", statement="A higher alpha gives a lower PPL and a higher cost",
        source="[article]", study="alpha", evaluate=_a1,
        estimator="slope of mean ln PPL over versions 2 to N against alpha, one a seed; relative cost by alpha",
        margin="PPL falls (apart from 0) and cost rises with alpha; that 0.6 is the balance is a choice, not judged",
    ),
    Claim(
        id="T1",
        statement="Its cost, like CPT's, grows linearly with the number of versions; PTFS's grows quadratically",
        source="[article], [review]", study="headline", evaluate=_t1,
        estimator="second differences of steps over versions 1 to N, in units of T",
        margin="0 for CPT and path switching, a positive constant for PTFS; exact",
    ),
    Claim(
        id="D1", statement="After fine-tuning, it has the best average over 9 common downstream tasks",
        source="[article]", study="downstream", evaluate=_d1,
        estimator="mean score over the ledger's tasks, schedules, fine-tuned versions from 2 on and fine-tuning "
        "seeds; path switching less each other paradigm; paired by seed",
        margin="above 0 against both; only decidable where the best average is above chance",
    ),
    *(
        Claim(
            id=id, statement=f"It holds {over}", source="[article]", study=study, evaluate=_generality(study),
            estimator=f"as M1, for every {GENERALITY[study][1]}; under the schedules that the study runs (cosine)",
            margin="as M1, for every value",
        )
        for id, over, study in (
            ("G1", "for the LLaMA and Qwen architectures", "architecture"),
            ("G2", "across parameter counts", "model_size"),
            ("G3", "across data sizes", "data_scale"),
            ("G4", "across maximum learning rates", "max_lr"),
        )
    ),
)  # fmt: skip

"""What training costs: each recipe's own tree, and what studies spent."""

import pandas as pd
import yaml

from analysis import lengths
from analysis.contrasts import tree_costs
from analysis.frames import Ledger, View
from analysis.names import recipe_name
from analysis.registries import pooled
from analysis.tables.table import Table
from repro.config.places import CONF


def cost(view: View) -> Table | None:
    """Steps to release versions 1..k."""
    costs = tree_costs(view)
    if not costs:
        return None
    runs = view.runs(*pooled())
    t, tokens = float(runs["steps_per_version"].iloc[0]), int(runs["tokens_per_step"].iloc[0])
    digits = 2 if t * tokens < 1e7 else 1 if t * tokens < 1e8 else 0
    rows, data = [], []
    for one in costs:
        for version, (steps, scratch) in enumerate(zip(one.steps, one.scratch, strict=True), start=1):
            cells = [f"{steps:.3g} T", f"{steps * t:,.0f}", f"{steps * t * tokens / 1e6:,.{digits}f} M"]
            span, share = f"v1 to v{version}", f"{100 * steps / scratch:.3g} %"
            rows.append([recipe_name(one.paradigm), one.label, span, *cells, share])
            data.append(
                {"paradigm": one.paradigm, "schedules": " ".join(one.schedules), "versions": version}
                | {"steps": round(steps * t), "steps_in_T": steps, "tokens": round(steps * t * tokens)}
                | {"relative_cost": steps / scratch}
            )
    return Table(
        name="cost", data=pd.DataFrame(data), rows=rows,
        head=["paradigm", "schedule", "versions", "steps in T", "steps", "tokens", "of PTFS"],
        caption=f"What has to be trained to release versions 1 to k: T = {t:,.6g} steps of {tokens:,} tokens. Of "
        "each recipe's own tree: what its versions share is trained once. Those of PTFS share nothing but, in order of "
        f"arrival, the steps before their rates part.{lengths.note(runs)}",
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
        f"{', '.join(f'{rate / 1e12:g}' for rate in sorted(set(rates.values())))} TFLOP/s per worker, as plans assume.",
    )  # fmt: skip

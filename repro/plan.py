"""Show what a sweep would train and cost, checked before anything runs: python -m repro.plan study=headline scale=quick

Time comes from FLOPs (`Shape.flops_per_token`) at `estimate.flops_per_second` on each device, which the output
states. Options besides Hydra's overrides: `output=json` prints one JSON object, `figure=FILE` draws the learning-rate
curves, `study=all` merges every study.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro.common.disk import clear_errors
from repro.common.errors import printable, refusals
from repro.common.grid import Grid, console
from repro.planning import planner
from repro.planning.arguments import CommandLine
from repro.planning.planner import Plan, left_over_text
from repro.planning.runs import Run, labels
from repro.store.store import Store

if TYPE_CHECKING:
    from rich.console import RenderableType


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = line.take("output", "text", ("text", "json"))
        figure = line.take("figure")
        if figure and Path(figure).suffix not in (".png", ".pdf", ".svg"):
            line.refuse(f"figure={figure}: no figure has that suffix; .png, .pdf and .svg work.")
        plan = line.plan(data_optional=True)
        planner.check_models(plan)
        foreign = planner.foreign(plan, Store.of(plan.tree.runs[0].settings.store), line.words())
        for note in (*plan.notes, *foreign):
            print(printable(f"note: {note}"), file=sys.stderr)
        if figure:
            from repro.planning import drawing

            with clear_errors(Path(figure), setting="figure"):
                drawing.draw(plan.tree.runs, Path(figure))
        if output == "json":
            print(json.dumps(plan.summary()))
        else:
            console().print(table(plan))


def table(plan: Plan) -> "RenderableType":
    """The plan for a terminal."""
    from rich.console import Group
    from rich.table import Table

    summary = plan.summary()
    # The same but where a model grows: its steps before that are of a smaller one.
    grows = any(row["relative_flops"] != row["relative_cost"] for row in summary["runs"])
    costly = ["cost over PTFS", *(["in FLOPs"] if grows else [])]
    runs = Grid(
        f"study {plan.study}, scale {plan.scale}",
        ["run", "M params", "steps", *costly, "next release", "delay", "learning rate"],
        left=("learning rate",),
        caption="next release: what one more version adds, over its pre-training from scratch; delay: steps from its "
        "data's arrival to its release",
    )
    rows = zip(plan.tree.runs, labels(plan.tree.runs), summary["runs"], strict=True)
    for index, (r, label, row) in enumerate(rows):
        parameters = plan.tree.run_at(index, plan.tree.ends[index][-1]).parameters
        cost = [f"{row['relative_cost']:.2f}", *([f"{row['relative_flops']:.2f}"] if grows else [])]
        following = "" if row["next_release_cost"] is None else f"{row['next_release_cost']:.2f}"
        delay = "" if row["delay"] is None else f"{row['delay']:,}"
        runs.add(label, f"{parameters / 1e6:,.2f}", f"{row['steps']:,}", *cost, following, delay, _sparkline(r))
    estimate = summary["estimate"]
    unit = "GPU" if estimate["device"].startswith("cuda") else "worker"
    costs = Grid(
        "with every trajectory trained alone, and with what a study's runs share trained once",
        ("study", "runs", "steps alone", "shared", f"{unit}-hours alone", "shared"),
    )
    for row in summary["studies"]:
        steps = (f"{row[name]:,}" for name in ("runs", "logical_steps", "unique_steps"))
        hours = (_figure(row[name]) for name in ("logical_hours", "unique_hours"))
        costs.add(row["study"], *steps, *hours)
    totals = Table.grid(padding=(0, 2))
    stored = summary["stored_steps"]
    unique = summary["unique_steps"]
    processes = estimate["processes"]
    workers = "worker" if processes == 1 else f"worker of {processes} processes"
    time = f"about {_duration(summary['estimated_seconds'])} on one {workers}"
    for name, value in (
        ("logical steps", f"{summary['logical_steps']:,}"),
        ("unique steps", f"{unique:,} ({unique / summary['logical_steps']:.0%}), {stored:,} of them stored"),
        ("branch points", f"{summary['branch_points']:,}"),
        ("tokens", f"{summary['tokens']:,}"),
        ("FLOPs", f"{summary['flops']:.2e}"),
        ("checkpoints", f"{summary['checkpoints']:,}, {_figure(summary['checkpoint_bytes'] / 1e9)} GB"),
        ("to train", f"{unique - stored:,} steps, {_figure(summary['estimated_hours'])} {unit}-hours, {time}"),
        ("assumed", f"{estimate['flops_per_second'] / 1e12:g} TFLOP/s per {unit}: {estimate['basis']}"),
        *((f"left over, version {row['version']}", left_over_text(row)) for row in summary["left_over"]),
    ):
        totals.add_row(name, value)
    return Group(runs, costs, totals)


def _sparkline(r: Run, width: int = 16) -> str:
    """The last version's learning rate, in as many heights as the output's encoding has signs for."""
    rates = r.trajectories[-1].learning_rates
    top = r.settings.schedule.max_lr
    signs = "▁▂▃▄▅▆▇█" if (sys.stdout.encoding or "").lower().startswith("utf") else "_.-~=+*#"
    picked = [rates[min(len(rates) - 1, (2 * i + 1) * len(rates) // (2 * width))] for i in range(width)]
    return "".join(signs[min(7, int(rate / top * 8))] for rate in picked)


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


if __name__ == "__main__":
    main()

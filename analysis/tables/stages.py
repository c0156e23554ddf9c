"""The two-stage studies: what each cycle leads to."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import swept_cycle, two_stage, two_stage_runs
from analysis.formats import cycle as cycle_cell
from analysis.formats import number, plus_minus, text
from analysis.frames import View
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_note
from repro.results.measures import EVERY


def stages(view: View, study: str) -> Table | None:
    """The two-stage studies: what each cycle leads to."""
    updated = two_stage(view, study, 2)
    if updated.empty:
        return None
    first = study == "first_stage"
    checkpoint = two_stage(view, study, 1)
    column = swept_cycle(study)
    runs, curves = two_stage_runs(view, study), view.ledger.curves
    rows, data = [], []
    for cycle in (float(c) for c in updated.columns):
        run = runs[runs[column] == cycle].iloc[0]
        curve = curves[(curves["run"] == run["run"]) & (curves["version"] == (1 if first else 2))]
        end = float(curve.sort_values("step")["lr"].iloc[-1] / run["max_lr"]) if len(curve) else np.nan
        after = stats.mean_interval(np.exp(updated[cycle].to_numpy(dtype=np.float64)))
        line = {"cycle_in_T": text(cycle), "lr_end_over_max": end} | ends("updated_ppl", after)
        cells = [cycle_cell(cycle), number(end, 2), plus_minus(after), str(after.n)]
        if first:
            before = stats.mean_interval(np.exp(checkpoint[cycle].to_numpy(dtype=np.float64)))
            line |= ends("checkpoint_ppl", before)
            cells.insert(2, plus_minus(before))
        rows.append(cells)
        data.append(line)
    stage = "first" if first else "second"
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=[f"cycle of the {stage} stage", "learning rate at its end / maximum",
              *(["PPL checkpoint"] if first else []), "PPL updated", "n"],
        caption=f"The {stage} stage is cut at T steps. PPL {EVERY}. "
        f"{numerics_note(view, study)}",
    )  # fmt: skip


def stages_of(study: str) -> TableOf:
    """`stages` as a study shows it."""
    return TableOf(study, make=lambda view: stages(view, study))

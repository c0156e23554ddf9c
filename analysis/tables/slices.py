"""PPL of every version on every slice."""

import pandas as pd

from analysis.contrasts import forgetting_matrix
from analysis.frames import View
from analysis.names import recipe_name, recipes
from analysis.registries import pooled
from analysis.tables.table import Table, numerics_note


def forgetting(view: View) -> Table | None:
    """PPL of every version on every slice."""
    rows, data = [], []
    slices = list(range(1, view.last + 1))
    for paradigm in recipes(view.runs(*pooled())["paradigm"]):
        matrix = forgetting_matrix(view, paradigm)
        if matrix is None:
            continue
        for version, line in matrix.iterrows():
            rows.append([recipe_name(paradigm), f"v{version}", *(f"{value:.2f}" for value in line)])
            data += [
                {"paradigm": paradigm, "version": version, "slice": part, "ppl": value} for part, value in line.items()
            ]
    if not rows:
        return None
    return Table(
        name="forgetting", data=pd.DataFrame(data), rows=rows,
        head=["paradigm", "version", *(f"PPL slice {part}" for part in slices)],
        caption="Geometric mean over seeds; one schedule, cosine if any was run with it. "
        f"{numerics_note(view, *pooled())}",
    )  # fmt: skip

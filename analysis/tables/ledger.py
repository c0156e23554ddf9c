"""What a ledger holds: seeds and numerics of every study."""

import pandas as pd

from analysis.formats import listed
from analysis.frames import Ledger
from analysis.tables.table import Table


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


def numerics(ledger: Ledger) -> Table:
    """What may change bits without changing what is computed."""
    wide = ledger.numerics.drop_duplicates(["numerics", "setting"])
    rows = [[str(row["numerics"]), str(row["setting"]), str(row["value"])] for row in wide.to_dict("records")]
    return Table(
        name="numerics", data=wide, rows=rows, head=["numerics", "setting", "value"],
        caption="Only runs of one numerics are paired; no bit is promised to be the same across them.",
    )  # fmt: skip

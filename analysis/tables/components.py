"""Components of chance, and what each way to reduce variance gave."""

import numpy as np
import pandas as pd

from analysis.components import STUDY, VERSION, components, reductions
from analysis.frames import View
from analysis.registries import TableOf
from analysis.tables.table import Table, numerics_note

JUDGED_SHARE = 0.1
"""Evaluation's standard deviation is to stay below this share of the seeds' (docs/protocol.md)."""


def of_chance(view: View) -> Table | None:
    found = components(view)
    rows, data = [], []
    for name, one in found.items():
        sources = {"cut": one.cut, "seed": one.seed, "rest": one.rest, "evaluation": one.evaluation}
        deviation = {source: 100 * float(np.sqrt(variance)) for source, variance in sources.items()}
        judged = 100 * float(np.sqrt(one.judged))
        share = deviation["evaluation"] / judged if judged else np.nan
        rows.append([name, *(f"{value:.2f}" for value in deviation.values()), f"{judged:.2f}", f"{100 * share:.0f} %",
                     f"{one.cuts} x {one.seeds}"])  # fmt: skip
        data.append(
            {"quantity": name} | {f"sd_{source}_percent": value for source, value in deviation.items()}
            | {"sd_judged_percent": judged, "evaluation_share": share, "cuts": one.cuts, "seeds": one.seeds}
        )  # fmt: skip
    if not rows:
        return None
    return Table(
        name=STUDY, data=pd.DataFrame(data), rows=rows,
        head=["quantity", "cut", "seed", "rest", "evaluation", "as judged", "evaluation / as judged", "cuts x seeds"],
        caption=f"Standard deviations in per cent of PPL, version {VERSION}, cosine: by cut of the text, by seed "
        "(initialization and order), and the rest, which is their interaction and evaluation. As judged: of a seed "
        "whose cut follows it. Evaluation: of the mean over slices, from the spread between them, since the ledger "
        "has no losses of single blocks; held-out slices are large enough while it is below "
        f"{100 * JUDGED_SHARE:g} % of the seeds'. {_met(data)} PPL of different cuts differ by their tokenizers, too: "
        f"the first row holds that. {numerics_note(view, STUDY)}",
    )  # fmt: skip


def _met(data: list[dict[str, float | int | str]]) -> str:
    met = [str(one["quantity"]) for one in data if float(one["evaluation_share"]) < JUDGED_SHARE]
    return f"So it is of: {', '.join(met)}." if met else "It is of none here."


def of_reductions(view: View) -> Table | None:
    found = reductions(view)
    if not found:
        return None
    rows, data = [], []
    for one in found:
        sd = [100 * float(np.sqrt(variance)) for variance in (one.before, one.after)]
        ratio = one.before / one.after if one.after else np.inf
        rows.append([one.way, one.contrast, *(f"{value:.2f}" for value in sd), f"{ratio:.1f}", str(one.n)])
        data.append({"way": one.way, "contrast": one.contrast, "sd_before_percent": sd[0], "sd_after_percent": sd[1],
                     "variance_ratio": ratio, "n": one.n})  # fmt: skip
    return Table(
        name="variance_reductions", data=pd.DataFrame(data), rows=rows,
        head=["way", "contrast", "sd without", "sd with", "variance ratio", "n"],
        caption="Standard deviations in per cent of PPL. The ratio is how many times fewer seeds give the same "
        "interval.",
    )  # fmt: skip


COMPONENTS = TableOf(STUDY, make=of_chance)
REDUCTIONS = TableOf("variance_reductions", make=of_reductions)

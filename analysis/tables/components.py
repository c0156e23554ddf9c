"""Components of chance, those of a seed alone, and what each way to reduce variance gave."""

import numpy as np
import pandas as pd

from analysis.components import VERSION, components, reductions
from analysis.frames import View
from analysis.registries import TableOf
from analysis.tables.table import Table, numerics_note

JUDGED_SHARE = 0.1
"""Evaluation's standard deviation is to stay below this share of the seeds' (docs/protocol.md)."""


def of_chance(view: View) -> Table | None:
    """Cuts of the text crossed with seeds."""
    return _crossed(
        view, "components", "cut", "seed", "by cut of the text, by seed (initialization and order), and the rest, "
        "which is their interaction and evaluation. As judged: of a seed whose cut follows it.",
        " PPL of different cuts differ by their tokenizers, too: the first row holds that.",
    )  # fmt: skip


def of_orders(view: View) -> Table | None:
    """Orders of the data crossed with initializations: what a seed decides, on one cut of the text."""
    return _crossed(
        view, "orders", "order", "initialization", "by order of the data, on one cut of the text, by initialization, "
        "and the rest, which is their interaction and evaluation. As judged: of a seed that decides both.",
    )  # fmt: skip


def _crossed(view: View, study: str, by_row: str, by_seed: str, said: str, besides: str = "") -> Table | None:
    rows, data = [], []
    for name, one in components(view, study).items():
        sources = {by_row: one.row, by_seed: one.seed, "rest": one.rest, "evaluation": one.evaluation}
        deviation = {source: 100 * float(np.sqrt(variance)) for source, variance in sources.items()}
        judged = 100 * float(np.sqrt(one.judged))
        share = deviation["evaluation"] / judged if judged else np.nan
        rows.append([name, *(f"{value:.2f}" for value in deviation.values()), f"{judged:.2f}", f"{100 * share:.0f} %",
                     f"{one.rows} x {one.seeds}"])  # fmt: skip
        data.append(
            {"quantity": name} | {f"sd_{source}_percent": value for source, value in deviation.items()}
            | {"sd_judged_percent": judged, "evaluation_share": share, f"{by_row}s": one.rows, f"{by_seed}s": one.seeds}
        )  # fmt: skip
    if not rows:
        return None
    return Table(
        name=study, data=pd.DataFrame(data), rows=rows,
        head=["quantity", by_row, by_seed, "rest", "evaluation", "as judged", "evaluation / as judged",
              f"{by_row}s x {by_seed}s"],
        caption=f"Standard deviations in per cent of PPL, version {VERSION}, cosine: {said} Evaluation: of the mean "
        "over slices, from the spread between them, since the ledger has no losses of single blocks; held-out slices "
        f"are large enough while it is below {100 * JUDGED_SHARE:g} % of the seeds'. {_met(data)}{besides} "
        f"{numerics_note(view, study)}",
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


COMPONENTS = TableOf("components", make=of_chance)
ORDERS = TableOf("orders", make=of_orders)
REDUCTIONS = TableOf("variance_reductions", make=of_reductions)

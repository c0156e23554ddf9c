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
    data = _deviations(view, "components", "cut", "seed")
    if data.empty:
        return None
    judged = data["sd_judged_percent"]
    data.insert(len(data.columns) - 2, "evaluation_share", data["sd_evaluation_percent"] / judged.where(judged > 0))
    return Table(
        name="components", data=data,
        rows=[
            [*cells[:-1], f"{100 * share:.0f} %", cells[-1]]
            for cells, share in zip(_cells(data), data["evaluation_share"], strict=True)
        ],
        head=["quantity", "cut", "seed", "rest", "evaluation", "as judged", "evaluation / as judged", "cuts x seeds"],
        caption=f"Standard deviations in per cent of PPL, version {VERSION}, cosine: by cut of the text, which its "
        "held-out blocks belong to, by seed (initialization and order), and the rest, which is their interaction "
        "and what evaluation has that differs from model to model. As judged: of a seed whose cut follows it. "
        "Evaluation: of the mean over slices, from the spread between them, since the ledger has no losses of "
        f"single blocks; held-out slices are large enough while it is below {100 * JUDGED_SHARE:g} % of the "
        f"seeds'. {_met(data)} PPL of different cuts differ by their tokenizers, too: the first row holds that. "
        f"{numerics_note(view, 'components')}",
    )  # fmt: skip


def of_orders(view: View) -> Table | None:
    """Orders of the data crossed with initializations: what a seed decides, on one cut of the text."""
    data = _deviations(view, "orders", "order", "initialization")
    if data.empty:
        return None
    return Table(
        name="orders", data=data, rows=_cells(data),
        head=["quantity", "order", "initialization", "rest", "evaluation", "as judged", "orders x initializations"],
        caption=f"Standard deviations in per cent of PPL, version {VERSION}, cosine, on one cut of the text: by order "
        "of the data, by initialization, and the rest, which is their interaction. As judged: of a seed that "
        "decides both. All are measured on the same held-out blocks, so that of evaluation (of the mean over "
        "slices, from the spread between them) the rest has but what differs from model to model. A component is "
        f"0 where none shows beside the rest. {numerics_note(view, 'orders')}",
    )  # fmt: skip


def _deviations(view: View, study: str, by_row: str, by_seed: str) -> pd.DataFrame:
    """Of each quantity, standard deviations by source, in per cent of PPL; and the crossing's two sizes, last."""
    data = []
    for name, one in components(view, study).items():
        sources = {by_row: one.row, by_seed: one.seed, "rest": one.rest, "evaluation": one.evaluation}
        sources |= {"judged": one.judged}
        deviations = {f"sd_{source}_percent": 100 * float(np.sqrt(variance)) for source, variance in sources.items()}
        data.append({"quantity": name} | deviations | {f"{by_row}s": one.rows, f"{by_seed}s": one.seeds})
    return pd.DataFrame(data)


def _cells(data: pd.DataFrame) -> list[list[str]]:
    """Lines of a table: the quantity, its deviations, and the sizes as one."""
    names = [name for name in data if str(name).startswith("sd_")]
    sizes = data.iloc[:, -2:].to_numpy()
    lines = zip(data["quantity"], data[names].to_numpy(), sizes, strict=True)
    return [[str(name), *(f"{each:.2f}" for each in values), f"{a} x {b}"] for name, values, (a, b) in lines]


def _met(data: pd.DataFrame) -> str:
    met = list(data["quantity"][data["evaluation_share"] < JUDGED_SHARE])
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

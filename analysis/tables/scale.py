"""Whether a scale is one to compare at, on version 1 alone: what its decay gains, and where the best maximum lies."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import PTFS
from analysis.formats import number, percent
from analysis.frames import View
from analysis.rates import STUDY
from analysis.registries import TableOf
from analysis.tables.table import Table, numerics_note

UNDECAYED = "trunk"
COSINE = "cosine"


def scale(view: View) -> Table | None:
    """PPL of version 1 by maximum: decayed and not. Looks at no comparison of recipes."""
    scores = view.scores(STUDY)
    scores = scores[(scores["version"] == 1) & (scores["schedule"] == COSINE)]
    wide = scores[scores["paradigm"].isin([PTFS, UNDECAYED])].pivot_table(
        index="seed", columns=["max_lr", "paradigm"], values="loss"
    )
    if wide.empty:
        return None
    decayed_rates = [rate for rate in wide.columns.get_level_values("max_lr").unique() if (rate, PTFS) in wide]
    best = min((wide[rate, PTFS].mean() for rate in decayed_rates), default=np.nan)
    rows, data = [], []
    for rate in decayed_rates:
        decayed = wide[rate, PTFS].dropna()
        gain = wide[rate, UNDECAYED].sub(decayed).dropna() if (rate, UNDECAYED) in wide else decayed.iloc[:0]
        spread = float(decayed.std(ddof=1)) if len(decayed) > 1 else np.nan
        above = float(decayed.mean() - best)
        rows.append([f"{rate:g}", f"{np.exp(decayed.mean()):.2f}", f"{100 * np.expm1(above):.1f} %",
                     f"{100 * spread:.1f} %", percent(np.asarray(gain, dtype=np.float64)) if len(gain) else "",
                     number(_ratio(gain, spread)), str(len(decayed))])  # fmt: skip
        data.append({"max_lr": rate, "loss": decayed.mean(), "above_best_nats": above, "sd_nats": spread,
                     "decay_gain_nats": gain.mean() if len(gain) else np.nan, "n": len(decayed)})  # fmt: skip
    if not rows:
        return None
    return Table(
        name="version_1", data=pd.DataFrame(data), rows=rows,
        head=["maximum", "PPL of version 1", "above the best", "standard deviation", "its decay's gain",
              "gain over standard deviation", "n"],
        caption="PTFS under a cosine, the tuning seeds. Its decay's gain: PPL of the undecayed trunk at the same step "
        f"over that of version 1, paired by seed. {numerics_note(view, STUDY)}",
    )  # fmt: skip


def _ratio(gain: "pd.Series[float]", spread: float) -> float:
    return (
        float(stats.mean_interval(np.asarray(gain, dtype=np.float64)).estimate / spread)
        if len(gain) and spread
        else np.nan
    )


SCALE = TableOf("version_1", make=scale)

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
from repro.results.measures import EVERY

UNDECAYED = "trunk"
COSINE = "cosine"


def scale(view: View) -> Table | None:
    """PPL of version 1 by maximum: decayed and not. Looks at no comparison of recipes."""
    scores = view.scores(STUDY)
    scores = scores[(scores["version"] == 1) & (scores["schedule"] == COSINE)]
    every, undecayed = (_by_rate(scores[scores["paradigm"] == recipe]) for recipe in (PTFS, UNDECAYED))
    if every.empty:
        return None
    whole = every.dropna(axis="columns")
    best = every[whole.mean().idxmin()] if len(whole.columns) else every.mean(axis="columns") * np.nan
    rows, data = [], []
    for rate in every.columns:
        decayed = every[rate].dropna()
        gain = undecayed[rate].sub(decayed).dropna() if rate in undecayed else decayed.iloc[:0]
        spread = float(decayed.std(ddof=1)) if len(decayed) > 1 else np.nan
        above = float((decayed - best).mean())
        rows.append([
            f"{rate:g}", f"{np.exp(decayed.mean()):.2f}" if len(decayed) else "diverged", _per_cent(above),
            _per_cent(spread), percent(np.asarray(gain, dtype=np.float64)) if len(gain) else "",
            number(_ratio(gain, spread)), str(len(decayed)),
        ])  # fmt: skip
        data.append({"max_lr": rate, "loss": decayed.mean(), "above_best_nats": above, "sd_nats": spread,
                     "decay_gain_nats": gain.mean() if len(gain) else np.nan, "n": len(decayed)})  # fmt: skip
    if not rows:
        return None
    return Table(
        name="version_1", data=pd.DataFrame(data), rows=rows,
        head=["maximum", "PPL of version 1", "above the best", "standard deviation", "its decay's gain",
              "gain over standard deviation", "n"],
        caption=f"PTFS under a cosine, the tuning seeds. PPL {EVERY}. Above the best: of the maxima that all seeds "
        "have, paired by seed. Its decay's gain: PPL of the undecayed trunk at the same step over that of version 1, "
        f"paired by seed. {numerics_note(view, STUDY)}",
    )  # fmt: skip


def _by_rate(rows: pd.DataFrame) -> pd.DataFrame:
    """Losses, (seeds, maxima); NaN: not there, or diverged."""
    wide = rows.pivot_table(index="seed", columns="max_lr", values="loss", dropna=False)
    return wide.replace([np.inf, -np.inf], np.nan)


def _per_cent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f} %"


def _ratio(gain: "pd.Series[float]", spread: float) -> float:
    return (
        float(stats.mean_interval(np.asarray(gain, dtype=np.float64)).estimate / spread)
        if len(gain) and spread
        else np.nan
    )


SCALE = TableOf("version_1", make=scale)

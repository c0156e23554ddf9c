"""What survives fine-tuning."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.contrasts import CPT, PTFS, SWITCH, THREE, downstream_means, downstream_shared
from analysis.formats import spoken
from analysis.frames import View
from analysis.names import recipe_name


def downstream(view: View) -> list[str]:
    means = downstream_means(view)
    if means.empty:
        return []
    chance = means["chance"].mean()
    parts = [f"{means[p].mean():.2f} for {recipe_name(p)}" for p in THREE]
    versions = sorted(set(downstream_shared(view, THREE).index.get_level_values("version")))
    which = f"version{'s' if len(versions) > 1 else ''} {', '.join(map(str, versions))}"
    return [
        f"Average score after fine-tuning, in points, {which}: {spoken(parts)}; chance is {chance:.2f} "
        f"(n = {len(means)}).",
        *_separates(means),
    ]


def _separates(means: pd.DataFrame) -> list[str]:
    """Whether the benchmark tells anything at this scale."""
    if len(means) < 2:
        return []
    above = stats.mean_interval((means[list(THREE)].mean(axis=1) - means["chance"]).to_numpy(dtype=np.float64))
    beside = [stats.mean_interval((means[SWITCH] - means[p]).to_numpy(dtype=np.float64)) for p in (PTFS, CPT)]
    points = [f"{one.estimate:+.2f} [{one.low:+.2f}, {one.high:+.2f}]" for one in (*beside, above)]
    return [
        f"Path switching's average lies {points[0]} points above PTFS's and {points[1]} above CPT's; the average of "
        f"all three lies {points[2]} points above chance."
    ]

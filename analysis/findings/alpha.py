"""What a longer branch buys."""

import numpy as np

from analysis.contrasts import SWITCH, alpha_means, alpha_to_cpt, ppl
from analysis.formats import percent, spoken
from analysis.frames import View
from analysis.names import later, schedule_name


def alpha(view: View) -> list[str]:
    """From the shortest branch to the longest, and each beside CPT; every part over the seeds that have it."""
    final = view.costs("alpha")
    final = final[(final["version"] == view.last) & (final["paradigm"] == SWITCH)]
    sentences = []
    for schedule in dict.fromkeys(final["schedule"]):
        mean = alpha_means(view, schedule).dropna(axis=1, how="all")
        if mean.empty:
            continue
        low, high = mean.columns[0], mean.columns[-1]
        ends = mean[[low, high]].dropna()
        if low < high and len(ends):
            cost = 100 * final[final["schedule"] == schedule].groupby("alpha")["relative_cost"].first()
            table = ppl(ends).mean()
            sentences.append(
                f"With {schedule_name(schedule)}, from alpha {low:g} to {high:g}, mean PPL of "
                f"{later(view.last)} goes from {table[low]:.2f} to {table[high]:.2f} and cost from {cost[low]:.0f} to "
                f"{cost[high]:.0f} % of PTFS's (n = {len(ends)})."
            )
        beside = alpha_to_cpt(view, schedule)
        if len(beside):
            pairs = {a: beside[a].dropna().to_numpy(dtype=np.float64) for a in beside}
            even = len({len(values) for values in pairs.values()}) == 1
            parts = [
                f"{percent(values)} with alpha {a:g}" + ("" if even else f" (n = {len(values)})")
                for a, values in pairs.items()
                if len(values)
            ]
            sentences.append(
                f"With {schedule_name(schedule)}, relative to CPT's, mean PPL of {later(view.last)} is "
                f"{spoken(parts)}{f' (n = {len(beside)})' if even else ''}."
            )
    return sentences


def gaps(view: View) -> list[str]:
    """Seeds that lack an alpha which another has."""
    notes = []
    for schedule in dict.fromkeys(view.runs("alpha")["schedule"]):
        mean = alpha_means(view, schedule)
        lacking = sorted(mean.index[mean.isna().any(axis=1)])
        if lacking:
            which = f"seed{'s' if len(lacking) > 1 else ''} {', '.join(map(str, lacking))}"
            notes.append(
                f"alpha, {schedule_name(schedule)}: {which} without some alpha that another seed has. Every comparison "
                "takes the seeds that have both sides of it, and says how many."
            )
    return notes

"""Which tasks tell models apart after fine-tuning: an untrained one, version 1 and the last version of PTFS."""

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claims.downstream import BITS, UNTRAINED, by_version, gained, separating
from analysis.contrasts import PTFS, downstream_scores
from analysis.formats import number
from analysis.frames import View
from analysis.registries import TableOf
from analysis.tables.table import Table, ends, numerics_of

ACCURACY = "value"


def tasks(view: View) -> Table | None:
    """By task: what version 1 gains over an untrained model, and the last version over version 1; bits and accuracy."""
    scores = downstream_scores(view)
    judged = separating(scores) or []
    scores = scores[scores["paradigm"] == PTFS]
    rows, data = [], []
    for task, mine in scores.groupby("task", sort=True):
        bits, points = by_version(mine, BITS), 100 * by_version(mine, ACCURACY)
        if not {UNTRAINED, 1, view.last} <= set(bits.columns):
            continue
        gains = {
            "pretraining_bits": gained(bits, UNTRAINED, 1),
            "versions_bits": gained(bits, 1, view.last),
            "pretraining_accuracy": gained(points, 1, UNTRAINED),
            "versions_accuracy": gained(points, view.last, 1),
        }
        if any(gain.empty for gain in gains.values()):
            continue
        shown = {name: stats.mean_interval(np.asarray(gain, dtype=np.float64)) for name, gain in gains.items()}
        effects = {name: _effect(gain) for name, gain in gains.items()}
        cells = [f"{_span(shown[name], name)}, {number(effects[name])}" for name in gains]
        levels = [
            number(float(bits[version].groupby(level="seed").mean().mean())) for version in (UNTRAINED, 1, view.last)
        ]
        rows.append([str(task), *levels, *cells, "yes" if task in judged else "no", str(shown["versions_bits"].n)])
        line: dict[str, object] = {"task": task, "judged": task in judged}
        for name, interval in shown.items():
            line |= ends(name, interval) | {f"{name}_over_noise": effects[name]}
        data.append(line)
    if not rows:
        return None
    return Table(
        name="tasks", data=pd.DataFrame(data), rows=rows,
        head=["task", "bits a byte, untrained", "v1", f"v{view.last}", "v1 over untrained, bits",
              f"v{view.last} over v1, bits", "v1 over untrained, points", f"v{view.last} over v1, points",
              "judged", "n"],
        caption="PTFS, after fine-tuning: gain [95 % interval over seeds], and the gain over its standard deviation "
        "over seeds. Bits per byte of the gold answer, and accuracy in points; mean over schedules and fine-tuning "
        "seeds. Untrained: the model before its first step, fine-tuned alike. Judged, by the protocol's rule: version "
        f"1's gain in bits over the untrained model lies above 0. {numerics_of(scores)}",
    )  # fmt: skip


def _effect(gain: "pd.Series[float]") -> float:
    values = np.asarray(gain, dtype=np.float64)
    return stats.effect(values) if len(values) > 1 else float("nan")


def _span(at: stats.Interval, name: str) -> str:
    digits = 2 if name.endswith("accuracy") else 3
    span = "" if np.isnan(at.low) else f" [{at.low:+.{digits}f}, {at.high:+.{digits}f}]"
    return f"{at.estimate:+.{digits}f}{span}"


TASKS = TableOf("tasks", make=tasks)

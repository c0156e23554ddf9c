"""What averaging a measure over last checkpoints gives: python docs/examples/checkpoints/averaged.py ROOT [SCALE]

Of the runs that earlier.py beside it describes, `ROOT/SCALE/averaged.csv`: of each contrast at the last version, in per
cent of PPL, mean and standard deviation over seeds, of the last checkpoint alone and of the mean over all checkpoints
of ln PPL, and how many times smaller the variance is.
"""

import argparse
from pathlib import Path

import pandas as pd

from analysis.frames import load
from repro.common.errors import UserError, refusals
from repro.results.columns import settings_of

CONTRASTS = (("cpt", "ptfs"), ("path_switching", "ptfs"), ("path_switching", "cpt"))


def contrasts(root: Path, scale: str) -> pd.DataFrame:
    """Rows: contrast, seed; columns: `before`, steps before the end, ascending. 100 x nats of ln PPL."""
    ledger = load(root, scale)
    runs = ledger.runs[ledger.runs["paradigm"] == "earlier"]
    if runs.empty:
        raise UserError(f"{ledger.folder} has no runs of paradigm=earlier; earlier.py says what makes them.")
    scores = runs.merge(ledger.scores, on="run")
    scores = scores[scores["version"] == scores["version"].max()]
    own = [settings_of(text) for text in scores["settings"]]
    scores = scores.assign(of=[one["of"] for one in own], before=[int(one["before"]) for one in own])
    loss: pd.DataFrame = 100 * scores.pivot(index=["of", "seed"], columns="before", values="loss").dropna()  # noqa: PD010
    less = {f"{a} less {b}": (loss.loc[a] - loss.loc[b]).dropna() for a, b in CONTRASTS}
    return pd.concat(less, names=["contrast"])


def averaged(found: pd.DataFrame) -> pd.DataFrame:
    """By contrast: of the last checkpoint, and of the mean over checkpoints."""
    rows = []
    for contrast, table in found.groupby(level="contrast", sort=False):
        last, mean = table[table.columns.min()], table.mean(axis=1)
        rows.append(
            {
                "contrast": contrast, "checkpoints": len(table.columns), "n": len(table),
                "last_percent": last.mean(), "averaged_percent": mean.mean(),
                "sd_last_percent": last.std(ddof=1), "sd_averaged_percent": mean.std(ddof=1),
                "variance_ratio": last.var(ddof=1) / mean.var(ddof=1),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("scale", nargs="?", default="proxy")
    asked = parser.parse_args()
    with refusals():
        table = averaged(contrasts(asked.root, asked.scale))
        table.to_csv(asked.root / asked.scale / "averaged.csv", index=False, float_format="%.4f")
        print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()

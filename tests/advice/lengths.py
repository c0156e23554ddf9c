"""What the length of a pilot is worth, on the ledger `mixed`: python -m tests.advice.lengths (half a minute).

Of PTFS, CPT and two branches under two seeds, versions up to some are taken for a pilot. What advice makes of them
stands beside what version 4 came to, each over PTFS in per cent of PPL.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tests.advice.backtest import LEDGERS, ROOT

LEDGER = LEDGERS["mixed"]
SEEDS = ("100", "101")
LENGTHS = (2, 3, 4)
PILOT = ("ptfs", "cpt", "path_switching_a0.2", "path_switching_a0.6")
SETTINGS = (
    *("scale=quick", "corpus=mixed", "stream=dealt", "size=w32_l1", "schedule=cosine"),
    *("stream.steps_per_version=200", "schedule.warmup_steps=20"),
)
RECIPES = {
    "path_switching_a1": "path switching, alpha 1",
    "path_switching_a0.8": "path switching, alpha 0.8",
    "path_switching_a0.4": "path switching, alpha 0.4; WSD",
    "wsd_s_d0.4": "WSD-S",
    "infinite_a0.6_c0.5": "infinite schedule",
    "cpt": "CPT",
    "falling_cosine": "falling cosines",
}


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(LEDGER / f"{name}.csv", dtype=str, keep_default_na=False)


def runs() -> pd.DataFrame:
    """Those of the size, the schedule and the seeds; their recipes, as names have them."""
    every = table("runs")
    some = every[(every["size"] == "w32_l1") & (every["schedule"] == "cosine") & every["seed"].isin(SEEDS)]
    return some.assign(recipe=some["name"].str.split("-").str[1])


def pilot(folder: Path, length: int) -> None:
    """Write a ledger of the pilot's runs, as they were after so many versions."""
    every = runs()
    some = every[every["recipe"].isin(PILOT)]
    some.assign(versions=str(length)).drop(columns="recipe").to_csv(folder / "runs.csv", index=False)
    for name in ("versions", "perplexity", "paths", "curves", "studies"):
        rows = table(name)
        rows = rows[rows["run"].isin(some["run"])]
        for column in {"version", "slice"} & set(rows.columns):
            rows = rows[rows[column].astype(int) <= length]
        rows.to_csv(folder / f"{name}.csv", index=False)
    table("numerics").to_csv(folder / "numerics.csv", index=False)


def advice(length: int) -> dict[str, str]:
    """By recipe: PPL over PTFS's, and half of its interval."""
    with tempfile.TemporaryDirectory() as folder:
        pilot(Path(folder), length)
        command = [sys.executable, "-m", "repro.advise", *SETTINGS, f"ledger.path={folder}", "output=json"]
        said = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    told = {}
    for row in said["recipes"]:
        name = row["name"].partition(",")[0]
        if name in RECIPES:
            low, high = row["interval_percent"]
            told[name] = f"{row['ppl_over_retraining_percent']:.1f} ± {(high - low) / 2:.1f}"
            if row["basis"] == "measured":
                told[name] = "(in the pilot)"
    return told


def came() -> dict[str, str]:
    """By recipe: version 4's PPL over PTFS's, of the same seeds and slices."""
    rows = table("perplexity").astype({"version": int, "slice": int, "nll": float, "tokens": float})
    rows = rows[(rows["version"] == 4) & (rows["slice"] <= 4)].merge(runs(), on="run")
    sums = rows.pivot_table(index="recipe", columns="seed", values=["nll", "tokens"], aggfunc="sum")
    losses = sums["nll"] / sums["tokens"]
    over = 100 * np.expm1((losses - losses.loc["ptfs"]).mean(axis=1))
    return {name: f"{over[name]:.1f}" for name in RECIPES}


def lines() -> Iterator[str]:
    there, told = came(), [advice(length) for length in LENGTHS]
    for name, words in RECIPES.items():
        yield f"| {words} | {there[name]} | {' | '.join(each[name] for each in told)} |"


if __name__ == "__main__":
    for line in lines():
        print(line)

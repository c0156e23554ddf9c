"""Lengths of versions in words: one T for all of them, or one for each.

A ledger writes unequal lengths one after another, `20 40 10 60`. Units of T stand for their mean then, and captions say
so. Claims that speak of equal versions leave such runs out (`View.of_equal_versions`).
"""

import pandas as pd


def unequal(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows of runs.csv are runs over versions of unequal lengths."""
    return runs["lengths"].str.contains(" ").astype(bool)


def first(runs: pd.DataFrame) -> int:
    """T_1, of runs that share their lengths."""
    return int(str(runs["lengths"].iloc[0]).split()[0])


def note(runs: pd.DataFrame) -> str:
    """A caption's sentence on what T and costs are in units of; nothing where all versions are of T steps."""
    each = list(dict.fromkeys(runs["lengths"][unequal(runs)]))
    if not each:
        return ""
    said = "; or ".join(", ".join(f"{int(steps):,}" for steps in written.split()) for written in each)
    return f" Versions of {said} steps: T is their mean, and costs are over PTFS's steps for the same lengths."


def axis(runs: pd.DataFrame) -> str:
    """What T is, for the label of an axis that counts steps in it."""
    return "T = one version's new data" + (", on average" if unequal(runs).any() else "")

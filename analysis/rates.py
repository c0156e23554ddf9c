"""Maximum learning rates that were tried: each recipe at its own best, and what a rate off by two costs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import DATA, borrowed, comparable
from analysis.frames import CELL, View
from analysis.registries import sweeping

STUDY = "rates"


@dataclass(frozen=True)
class Tried:
    """A recipe under one schedule, at one version."""

    schedule: str
    recipe: str
    version: int
    loss: pd.DataFrame
    """Nats per token: (seeds that have every rate, rates in rising order). A rate at which any of them diverged is
    absent."""
    diverged: tuple[float, ...]

    @property
    def rates(self) -> list[float]:
        """Those in `loss`."""
        return [float(str(rate)) for rate in self.loss.columns]

    @property
    def best(self) -> float:
        """The rate with the lowest mean."""
        return float(str(self.loss.mean().idxmin()))

    @property
    def bracketed(self) -> bool:
        """Whether rates on both sides of the best were tried: else a better one may lie beyond."""
        rates = [*self.rates, *self.diverged]
        return min(rates) < self.best < max(rates)

    def off(self, factor: float) -> "pd.Series[float] | None":
        """By seed, what a rate `factor` times the best costs; None: it was not tried. Infinite: it diverged."""
        for rate in (*self.rates, *self.diverged):
            if np.isclose(rate, factor * self.best):
                diverged = pd.Series(np.inf, index=self.loss.index)
                return diverged if rate in self.diverged else self.loss[rate].sub(self.loss[self.best])
        return None


def tried(view: View, study: str = STUDY) -> list[Tried]:
    """Every recipe, schedule and version of a study of rates, undecayed recipes left out.

    Minima that are not the usual share of their maximum are left out as well: they are another question.
    """
    scores = comparable(_with_usual(view, view.scores(study)))
    shares = (scores["min_lr"] / scores["max_lr"]).round(9)
    scores = scores[shares == shares.mode().min()] if len(shares) else scores
    # Tuning has fewer versions than other studies, on other slices: the two are not mixed.
    scores = scores[scores["versions"] == scores["versions"].mode().min()] if len(scores) else scores
    found = []
    for schedule in dict.fromkeys(scores["schedule"]):
        mine = scores[scores["schedule"] == schedule]
        for recipe in names.recipes(mine["paradigm"]):
            for version, rows in mine[mine["paradigm"] == recipe].groupby("version"):
                wide = rows.pivot(index="seed", columns="max_lr", values="loss")  # noqa: PD010
                ran = rows.pivot(index="seed", columns="max_lr", values="run").notna()  # noqa: PD010
                bad = [float(rate) for rate in wide if (ran[rate] & ~np.isfinite(wide[rate])).any()]
                loss = wide.drop(columns=bad).dropna()
                if loss.size:
                    found.append(Tried(schedule, recipe, int(str(version)), loss, tuple(bad)))
    return found


def _with_usual(view: View, scores: pd.DataFrame) -> pd.DataFrame:
    """With runs at the usual maximum, where a study varies it and leaves that one to others: of the same seeds, text
    and numerics, in whichever study."""
    usual = view.own["max_lr"]
    if scores.empty or (scores["max_lr"] == usual).any():
        return scores
    rates = ("max_lr", "min_lr")
    alike = ["seed", "numerics", "cut", "settings", "optimizer", *(c for c in CELL if c not in rates)]
    known = scores[list(dict.fromkeys([*alike, *DATA]))].drop_duplicates()
    return pd.concat([scores, borrowed(view, known, lambda rows: rows["max_lr"] == usual)], ignore_index=True)


def tuned_note(view: View, rows: pd.DataFrame) -> str:
    """For a caption: that rates were tuned for some of the recipes that it compares, and not alike for the others; or
    under some of the schedules, and not under the others."""
    known = view.runs(*sweeping("max_lr"))
    notes = []
    untuned = []
    for schedule, mine in rows.groupby("schedule", sort=False):
        at = known[known["schedule"] == schedule]
        counts = {p: at[at["paradigm"] == p]["max_lr"].nunique() for p in names.recipes(mine["paradigm"])}
        tuned = {recipe: count for recipe, count in counts.items() if count > 1}
        untuned += [] if tuned else [names.schedule_name(str(schedule))]
        if tuned and len(set(counts.values())) > 1:
            each = ", ".join(f"{names.recipe_name(recipe)} {max(count, 1)}" for recipe, count in counts.items())
            notes.append(
                f"Rates were not tuned alike under {names.schedule_name(str(schedule))} (maximum rates tried: {each}): "
                "distances favour the recipes with more. "
            )
    if untuned and len(known):
        notes.append(f"Rates were not tuned under {', '.join(untuned)}, which have the usual maximum. ")
    return "".join(notes)

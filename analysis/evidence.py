"""What a claim's evidence is made of: quantities with a margin, signed so that a positive one speaks for the claim."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis import stats
from analysis.registries import Role


@dataclass(frozen=True, kw_only=True)
class Part:
    """One quantity that a claim stands on."""

    what: str
    unit: str
    needs: str
    """The margin, as shown: "> 0", "< 1"."""
    estimate: float
    low: float
    high: float
    contrast: stats.Values
    """One entry per seed; the part holds when its mean is above 0. Margins are already taken off."""
    seeds: tuple[int, ...] = ()
    """Empty for arithmetic on the tree, which needs none."""
    role: Role = "decides"
    tie: float = 0.0
    """What the margin allows on the wrong side of 0, as a tie."""
    equal: float | None = None
    """What the contrast's mean is if path switching equals PTFS exactly; None: it says nothing of that."""
    moves: bool = True
    """Whether that mean falls by as much as path switching is worse; a trend of one distance everywhere does not."""

    @property
    def exact(self) -> bool:
        return not self.seeds

    @property
    def holds(self) -> bool:
        if self.exact:
            return bool(self.contrast[0] > 0)
        return bool(stats.mean_interval(self.contrast).low > 0)

    @property
    def tied(self) -> bool:
        """Whether it holds by its tie alone: without it, nothing would be told apart."""
        return self.tie > 0 and self.holds and not stats.mean_interval(self.contrast - self.tie).low > 0

    @property
    def p(self) -> float:
        """One-sided, of "it does not hold"; NaN for one seed or none."""
        return np.nan if self.exact else stats.p_below(self.contrast)

    @property
    def effect(self) -> float:
        """Effect size: distance from the margin in standard deviations over seeds; NaN for one seed or none."""
        return stats.effect(self.contrast) if len(self.seeds) > 1 else np.nan

    @property
    def weakness(self) -> float:
        """To find a claim's weakest part: its p; for one seed or none only which side it lies on."""
        return self.p if len(self.seeds) > 1 else float(np.mean(self.contrast) <= 0)


Evidence = tuple[list[Part], list[str]]
"""Parts that could be computed, and what is missing, in words."""


def weakest(parts: Sequence[Part]) -> Part | None:
    """The deciding part that is nearest to failing (or fails by most); arithmetic counts only if it fails."""
    deciding = [part for part in parts if part.role == "decides"]
    return max(deciding, key=lambda part: (not (part.exact and part.holds), part.weakness), default=None)

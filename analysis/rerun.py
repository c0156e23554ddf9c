"""Whose runs a claim is judged on, and which of them it leaves out."""

from analysis import lengths
from analysis.frames import View
from analysis.registries import Claim, pooled


def studies_of(claim: Claim) -> tuple[str, ...]:
    """Studies whose runs a claim is judged on: its own, or all of the main comparison's."""
    return pooled() if claim.study in pooled() else (claim.study,)


def left_out(claim: Claim, view: View) -> list[str]:
    """What a claim that speaks of equal versions says of the runs over others that it is not judged on."""
    if not claim.equal_versions:
        return []
    count = int(lengths.unequal(view.runs(*studies_of(claim))).sum())
    return [f"judged on equal versions only: {count} runs of unequal versions left out"] if count else []

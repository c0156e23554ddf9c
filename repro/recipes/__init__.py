"""What a training run is: learning rate and batch by step. Pure, without torch.

One file a recipe; importing the package fills the registries.
"""

from repro.recipes import (
    cpt,
    falling_cosine,
    infinite,
    orders,
    path_switching,
    ptfs,
    schedules,
    trunk,
    two_stage,
    wsd,
    wsd_s,
)

__all__ = [
    "cpt",
    "falling_cosine",
    "infinite",
    "orders",
    "path_switching",
    "ptfs",
    "schedules",
    "trunk",
    "two_stage",
    "wsd",
    "wsd_s",
]

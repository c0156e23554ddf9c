"""What a version is: learning rate and batch by step, or an operation on such weights. Pure, without torch.

One file a recipe; importing the package fills the registries.
"""

from repro.recipes import (
    cpt,
    falling_cosine,
    infinite,
    merge,
    operations,
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
    "merge",
    "operations",
    "orders",
    "path_switching",
    "ptfs",
    "schedules",
    "trunk",
    "two_stage",
    "wsd",
    "wsd_s",
]

"""What a version is: learning rate and batch by step, or an operation on such weights. Pure, without torch.

One file per recipe; importing the package fills the registries. Tables and figures follow the order of the registry.
"""

from repro.config.registries import RECIPES
from repro.recipes import (
    branch_average,
    cpt,
    falling_cosine,
    grow,
    growing,
    infinite,
    merge,
    operations,
    orders,
    path_switching,
    ptfs,
    schedule_free,
    schedules,
    soup,
    trunk,
    two_stage,
    updated,
    wsd,
    wsd_s,
)

RECIPES.lead("ptfs", "cpt", "path_switching", "two_stage")

__all__ = [
    "branch_average",
    "cpt",
    "falling_cosine",
    "grow",
    "growing",
    "infinite",
    "merge",
    "operations",
    "orders",
    "path_switching",
    "ptfs",
    "schedule_free",
    "schedules",
    "soup",
    "trunk",
    "two_stage",
    "updated",
    "wsd",
    "wsd_s",
]

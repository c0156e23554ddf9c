"""What a training run is: learning rate and batch by step. Pure, without torch.

One file a recipe; importing the package fills the registries.
"""

from repro.recipes import cpt, orders, path_switching, ptfs, schedules, two_stage

__all__ = ["cpt", "orders", "path_switching", "ptfs", "schedules", "two_stage"]

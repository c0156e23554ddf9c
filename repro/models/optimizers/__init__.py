"""Update rules: one file each. Importing the package fills the registry."""

from repro.models.optimizers import adamw, muon, schedule_free

__all__ = ["adamw", "muon", "schedule_free"]

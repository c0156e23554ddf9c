"""The model, its update rule, and what its bits depend on. Importing the package fills the registries."""

from repro.models import architectures, optimizers

__all__ = ["architectures", "optimizers"]

"""The model, its update rule, and what its bits depend on."""

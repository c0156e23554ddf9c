"""Settings: their schema, their ranges, and what can be chosen by name."""

"""From a command to Hydra's jobs."""

"""Checkpoints and results by key."""

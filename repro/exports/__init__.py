"""Exports: what other programs load. Versions and trunks as folders, learning rates as others' settings."""

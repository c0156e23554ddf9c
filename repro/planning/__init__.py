"""Runs merged into one graph, checked and frozen."""

"""From text to a version stream. Importing the package fills the registry of corpora."""

from repro.data import corpora

__all__ = ["corpora"]

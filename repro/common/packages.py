"""Which version of a package is installed here, and how to install one that is not."""

from functools import lru_cache
from importlib.metadata import version

installed = lru_cache(version)
"""The version of a package, by its name. Kept, since each time the package's whole description is read, and every run
of a plan asks for several.

Raises:
    importlib.metadata.PackageNotFoundError: it is not installed.
"""


def remedy(extra: str) -> str:
    """The command that installs one of our extras.

    Args:
        extra: as pyproject.toml names it.
    """
    return f'pip install "lr-path-switching[{extra}]" (in a clone: pip install -e ".[{extra}]")'

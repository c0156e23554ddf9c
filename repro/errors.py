"""One way to refuse: a message that names the setting, its value and what would work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

USAGE_STATUS = 2
"""Exit status for input that was refused before anything was trained."""


class UserError(ValueError):
    """Input that cannot work. Its message is all a user sees: no traceback, exit status 2."""


class Preempted(Exception):
    """Work was asked to stop; what was done so far is kept and the next run goes on from there."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a `UserError`, and Hydra's and OmegaConf's own complaints, into a message and exit status 2."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        detail = f"\n{cause}" if isinstance(cause, OmegaConfBaseException) else ""
        print(f"error: {str(error).strip()}{detail}", file=sys.stderr)
        raise SystemExit(USAGE_STATUS) from None

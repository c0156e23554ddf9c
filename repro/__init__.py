"""Learning-rate path switching, reproduced: plan, train, evaluate and judge version-update paradigms."""

import sys

__version__ = "0.1.0"

try:
    import fcntl  # noqa: F401
except ImportError:
    print(
        "error: this suite needs the file locks of a POSIX system: Linux, which it is tested on, or macOS. On Windows, "
        "it works in WSL 2.",
        file=sys.stderr,
    )
    raise SystemExit(2) from None

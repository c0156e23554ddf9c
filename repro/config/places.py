"""Where the configuration lies: the checkout's `conf/`, or the copy that travels in the wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
"""The folder that holds `conf/`. A checkout has it beside the package; the wheel puts it into the package."""
CONF = HOME / "conf"

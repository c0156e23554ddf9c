"""Where the configuration lies: the checkout's `conf/`, or the copy that travels in the wheel."""

from pathlib import Path

from repro.common.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]

HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
"""The folder that holds `conf/`. A checkout has it beside the package; the wheel puts it into the package."""
CONF = HOME / "conf"


def tasks(include_path: str) -> Path:
    """The folder of task files; a relative path may start in the working directory or beside our own `conf/`.

    Raises:
        UserError: there is no such folder.
    """
    for path in (Path(include_path), HOME / include_path):
        if path.is_dir():
            return path
    raise UserError(f"tasks.include_path={include_path} is no folder; conf/tasks/nine_local would work.")

"""Lists the commands, one line per command: python -m repro"""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

from repro.common import output
from repro.common.options import HELP, VERSION, version

PACKAGE = Path(__file__).resolve().parent


def commands() -> dict[str, str]:
    """What each command does, by the module that `python -m` takes: the first line of its docstring.

    Nothing is imported, so that the list is there at once and whatever is installed.
    """
    files = {f"repro.{path.stem}": path for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    files |= {f"repro.{path.parent.name}": path for path in PACKAGE.glob("*/__main__.py")}
    if (report := PACKAGE.parent / "analysis" / "report.py").is_file():
        files["analysis.report"] = report
    lines = {}
    for module in sorted(files, key=lambda module: (module.startswith("analysis"), module)):
        document = ast.get_docstring(ast.parse(files[module].read_text(encoding="utf-8"))) or ""
        line, *_ = [*document.splitlines(), ""]
        lines[module] = line.partition(": python -m")[0].rstrip(":.")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    output.secure()
    given = [each for each in (sys.argv[1:] if arguments is None else arguments) if each not in HELP]
    if given == [VERSION]:
        print(version())
        output.deliver()
        return
    if given:
        print(f"error: {given[0]!r} is no argument; python -m repro lists the commands.", file=sys.stderr)
        raise SystemExit(2)
    known = commands()
    width = max(map(len, known))
    for module, line in known.items():
        print(f"python -m {module:{width}}  {line}")
    print("\nEach says more with --help.")
    output.deliver()


if __name__ == "__main__":
    main()

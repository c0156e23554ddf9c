"""From what a report says to its files: pages that open from disk, and the library that draws the interactive figures.

Nothing is asked of a network. A page's style and script are part of it; the library lies beside it, once.
"""

import base64
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import provenance
from analysis.formats import escape_markdown
from analysis.pages import Page

if TYPE_CHECKING:
    from jinja2 import Environment

LIBRARY = "plotly.min.js"
"""As the plotly package carries it: 5 MB, which no page repeats and no repository needs, since a report writes it."""
TEMPLATES = Path(__file__).parent / "templates"


def report(folder: Path, context: dict[str, Any]) -> None:
    """report.html and its Markdown twin."""
    for kind in ("html", "md"):
        _write(folder / f"report.{kind}", f"report.{kind}.j2", context | {"up": ""})


def pages(folder: Path, every: Iterable[Page], context: dict[str, Any]) -> None:
    """A page each, in folders of their own."""
    for page in every:
        path = folder / page.path
        path.parent.mkdir(exist_ok=True)
        _write(path, "page.html.j2", context | {"page": page, "up": "../"})


def library(folder: Path) -> None:
    """What draws the interactive figures, beside the report."""
    from plotly.offline import get_plotlyjs

    (folder / LIBRARY).write_text(get_plotlyjs(), encoding="utf-8")


def _write(path: Path, template: str, context: dict[str, Any]) -> None:
    from markupsafe import Markup

    names = ("report.js", "explore.js") if template == "report.html.j2" else ("report.js",)
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {
        "css": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": Markup(f"'sha256-{digest}'"),
        "library": LIBRARY,
        "code": provenance.code(),
        "packages": provenance.packages(),
    }
    page = _environment(escape=".html" in template).get_template(template)
    path.write_text(page.render(context | shared), encoding="utf-8")


@functools.cache
def _environment(*, escape: bool) -> "Environment":
    """Templates are compiled once, however many pages there are."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    return environment

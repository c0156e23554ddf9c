"""Hooks of mkdocs: which files of the repository are pages, and what a link to a source file leads to.

Pages keep the paths that they have in the repository, so that links between them work in both places. The reference is
made here: a page per room of `repro`, one for the commands, one for `analysis`.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = "docs/reference"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
ANY_LINK = re.compile(r"\]\(([^)#\s]+)")


def documents() -> list[str]:
    """Pages that are files, as paths from the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "paper_figures").glob("*/report.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def reference() -> dict[str, str]:
    """The other pages: their text by name, from the commands down to the lowest room, as pyproject.toml orders them."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.search(r"^layers = \[(.*?)\]", pyproject, flags=re.DOTALL | re.MULTILINE)
    assert layers
    commands, *rooms = re.findall(r'"(.*?)"', layers[1])
    shown = [f"repro.{name}" for name in commands.split(" | ") if not name.startswith("_")]
    only = "    options: {members: false, show_submodules: false}"
    pages = {"commands": "".join(f"::: {name}\n{only}\n\n" for name in [*shown, "repro.store.__main__"])}
    pages |= {name: f"::: repro.{name}\n" for name in rooms}
    pages["analysis"] = "::: analysis\n"
    return {name: f"# {name.capitalize()}\n\n{text}" for name, text in pages.items()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    assert config.nav
    pages = [{name: f"{REFERENCE}/{name}.md"} for name in reference()]
    config.nav = [{"Reference": pages} if "Reference" in entry else entry for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages, and whatever file of the repository one of them links to or shows."""
    wanted = set(documents())
    for document in documents():
        for target in ANY_LINK.findall((ROOT / document).read_text(encoding="utf-8")):
            path = _path(document, target)
            if (ROOT / path).is_file() and not _referenced(path):
                wanted.add(path)
    made = [File.generated(config, f"{REFERENCE}/{name}.md", content=text) for name, text in reference().items()]
    theme = [file for file in files if file.src_dir != config.docs_dir]
    found = [File.generated(config, path, abs_src_path=str(ROOT / path)) for path in sorted(wanted)]
    return Files([*theme, *found, *made])


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to our source lead to its reference; links to folders are text, since a site shows no folders."""
    source = page.file.src_uri

    def replace(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        path = _path(source, target)
        if module := _referenced(path):
            room = module.split(".")[1] if module.count(".") else module
            if room not in reference():
                room = "analysis" if module.startswith("analysis") else "commands"
            leads = posixpath.relpath(f"{REFERENCE}/{room}.md", posixpath.dirname(source) or ".")
            return f"[{text}]({leads}#{module})"
        if (ROOT / path).is_dir() and not target.startswith("http"):
            return str(text)
        return f"[{text}]({target}{anchor or ''})"

    return LINK.sub(replace, markdown)


def _path(document: str, target: str) -> str:
    """What a document links to, as a path from the root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), target))


def _referenced(path: str) -> str | None:
    """The module that a path is the source of, if the reference shows it."""
    parts = path.removesuffix(".py").split("/")
    if parts[0] not in ("repro", "analysis") or not (path.endswith(".py") or (ROOT / path / "__init__.py").exists()):
        return None
    return ".".join(parts)

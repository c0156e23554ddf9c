"""What the documents tell a reader to type works, and what they link to is there."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from repro import pages, sizes
from repro.launching import updating
from repro.planning import recipe_page, sweeps

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OWN_OPTIONS = (
    *("output=", "figure=", "version=", "what=", "step=", "dtype=", "rates=", "dry_run=", "root=", "data.path="),
    "-",
)


def commands(document: Path) -> list[str]:
    """The command lines of a document's shell blocks."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", document.read_text(), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


OF_ONES_OWN = re.compile(r"\bmine\b")
"""In commands that need a module of one's own: tests/test_contributing.py carries them out with that module."""
ALL = [(path.name, line) for path in DOCUMENTS for line in commands(path) if not OF_ONES_OWN.search(line)]


@pytest.mark.parametrize(("document", "command"), ALL)
def test_a_command_in_the_documents_composes(document: str, command: str) -> None:
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if words[:1] == ["make"]:
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    if "-m" not in words or not (module := words[words.index("-m") + 1]).startswith("repro."):
        return
    overrides = [word for word in words[words.index("-m") + 2 :] if not word.startswith(OWN_OPTIONS)]
    if module in ("repro.plan", "repro.train", "repro.finetune", "repro.evaluate", "repro.export", "repro.update"):
        overrides = [word.replace("study=all", "study=main") for word in overrides]
        if module == "repro.update":
            overrides = updating.completed(overrides)
        swept = "-m" in words[words.index("-m") + 2 :]
        assert sweeps.compose([word for word in overrides if not word.startswith("hydra")], multirun=swept)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_the_table_of_sizes_is_the_codes() -> None:
    assert sizes.table() in (ROOT / "docs" / "models.md").read_text()


def test_the_page_of_recipes_is_the_registrys() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert page == recipe_page.page()
    assert {path.stem for path in (ROOT / "docs/figures/recipes").iterdir()} == {*recipe_page.runs(), "schedules"}
    costs = dict(re.findall(r"^\| \[(\w+)\]\S+ \|[^|]+\| ([\d.]+) % ", page, flags=re.MULTILINE))
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|[^|]*\| [^|]+ \|$", page, flags=re.MULTILINE)
    assert set(rows) == {path.stem for path in (ROOT / "conf" / "schedule").glob("*.yaml")}
    assert (costs["ptfs"], costs["cpt"], costs["path_switching"], costs["wsd"]) == ("100", "40", "58", "46")


def test_the_page_of_recipes_is_written_with_its_figures(tmp_path: Path) -> None:
    pages.main([f"output={tmp_path / 'recipes.md'}"])
    assert (tmp_path / "recipes.md").read_text() == (ROOT / "docs" / "recipes.md").read_text()
    for target in re.findall(r"\]\((figures/[^)]+)", (tmp_path / "recipes.md").read_text()):
        assert (tmp_path / target).stat().st_size > 1000
    with pytest.raises(SystemExit):
        pages.main(["nonsense"])


@pytest.mark.slow
def test_the_site_builds_and_shows_every_room(tmp_path: Path) -> None:
    """Strictly: a link that leads nowhere, or a page that no menu names, is an error."""
    if not importlib.util.find_spec("mkdocs") or not importlib.util.find_spec("mkdocstrings"):
        pytest.skip("mkdocs comes with the extra docs")
    build = ["mkdocs", "build", "--quiet", "--strict", "--config-file", "docs/mkdocs.yml", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([sys.executable, "-m", *build], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'id="repro.recipes.trajectory.' in (tmp_path / "docs" / "reference" / "recipes.html").read_text()
    assert 'id="repro.train"' in (tmp_path / "docs" / "reference" / "commands.html").read_text()
    assert "reference/recipes.html#repro.recipes.trajectory" in (tmp_path / "docs" / "design.html").read_text()
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(https?://[^\"' >]+)", page.read_text())
        assert not loaded, (page, loaded)


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"\[(\w+)\]\(\.\./(tests/[\w/]+\.py)\)", (ROOT / "docs/promises.md").read_text())
    assert len(named) > 25
    missing = [name for name, path in named if not re.search(rf"(def|class) {name}\b", (ROOT / path).read_text())]
    assert not missing


def test_what_make_test_leaves_out_of_the_promises_is_marked_so() -> None:
    marked = 0
    for line in (ROOT / "docs/promises.md").read_text().splitlines():
        for found in re.finditer(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", line):
            source = (ROOT / found[2]).read_text()
            marks = re.findall(rf"((?:^@pytest\.mark\.\w+\n)+)def {found[1]}\b", source, flags=re.MULTILINE)
            seldom = any(re.search(r"mark\.(slow|torture|slurm)$", each, flags=re.MULTILINE) for each in marks)
            assert not seldom or "**T**" in line[: found.start()], found[1]
            marked += seldom
    assert marked, "the marks are looked for where they stand"


def test_the_layout_in_the_design_names_every_room_and_command_in_the_order_that_lint_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = next(contract for contract in contracts if contract["id"] == "rooms")
    assert rooms["exhaustive"], "a module that no layer names would be checked by nobody"
    commands, *layers = rooms["layers"]
    listed = re.search(r"\nrepro/ +(.*)\n((?:  \w+/ .*\n)+)conf/", (ROOT / "docs" / "design.md").read_text())
    assert listed
    assert ["__main__", *listed[1].split()] == commands.split(" | ")
    assert re.findall(r"^  (\w+)/", listed[2], flags=re.MULTILINE) == layers
    found = {path.stem for path in (ROOT / "repro").glob("*.py")} - {"__init__", "__main__"}
    assert found == set(listed[1].split())
    assert {path.parent.name for path in (ROOT / "repro").glob("*/__init__.py")} == set(layers)


def test_rooms_import_only_rooms_below_them() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter comes with the extra lint")
    done = subprocess.run([lint, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

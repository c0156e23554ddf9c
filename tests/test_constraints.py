"""constraints.txt names versions that published results record, and one for all that is asked for directly.

Results may be of several versions: those of transformers give the same bits (docs/promises.md).
"""

import csv
import json
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = sorted(path.parent for path in (ROOT / "paper_figures").glob("*/manifest.json"))


def pinned() -> dict[str, str]:
    """The one version of each package, by its normalized name."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    versions = {}
    for line in lines:
        name, version = re.fullmatch(r"([\w.-]+)==([\w.!]+)", line).groups()  # exact, and without a local suffix
        assert versions.setdefault(canonicalize_name(name), version) == version, line
    return versions


def test_constraints_are_the_versions_of_the_published_results() -> None:
    versions = pinned()
    assert PUBLISHED
    every: dict[str, set[str]] = {}
    for scale in PUBLISHED:
        with (scale / "data" / "numerics.csv").open(newline="") as file:
            numerics = {row["setting"]: row["value"].partition("+")[0] for row in csv.DictReader(file)}
        recorded = json.loads((scale / "manifest.json").read_text())["packages"]
        recorded |= {package: numerics[package] for package in ("torch", "transformers")}
        for package, version in recorded.items():
            every.setdefault(package, set()).add(version)
    assert {package: versions[package] for package, known in every.items() if versions[package] not in known} == {}
    assert [package for package, known in every.items() if len(known) > 1] == ["transformers"]


def test_constraints_cover_and_fit_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    versions = pinned()
    for line in [*project["dependencies"], *extras["test"], *extras["lint"], *extras["docs"]]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), line

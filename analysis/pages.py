"""A page for every claim and every recipe that a report has results of: all that is known of one, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import names, stats
from analysis.best import as_published
from analysis.contrasts import DATA, PTFS, cells
from analysis.formats import file_name, plus_minus
from analysis.frames import View
from analysis.registries import STUDIES, Claim
from analysis.sections import Picture, Section, study_of
from analysis.tables.table import Table, ends, numerics_of, relative_cost, seed_count, to_ptfs, uneven
from analysis.tables.verdicts import claim_parts
from analysis.verdicts import Judged
from repro.config.registries import RECIPES
from repro.results.measures import EVERY


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a template shows; links lead up to the report."""

    path: str
    title: str
    kind: str
    """`claim` or `recipe`."""
    said: list[str]
    facts: dict[str, str]
    judged: list[Judged]
    tables: list[Table]
    pictures: list[Picture]
    sections: list[Section]


def claim_path(claim: str) -> str:
    return f"claims/{file_name(claim.replace(' ', '_'))}.html"


def recipe_path(recipe: str) -> str:
    return f"recipes/{file_name(recipe)}.html"


def claims(judged: Sequence[Judged], sections: Sequence[Section]) -> list[Page]:
    """
    Args:
        judged: every verdict, in every setting and reading.
    """
    by_claim: dict[str, list[Judged]] = {}
    for one in judged:
        by_claim.setdefault(one.claim.id, []).append(one)
    return [_claim(each[0].claim, each, sections) for each in by_claim.values()]


def _claim(claim: Claim, judged: list[Judged], sections: Sequence[Section]) -> Page:
    study = STUDIES.get(claim.study)
    homes = {file_name(name) for name in (claim.study, study.part_of if study else "") if name}
    at_home = [section for section in sections if section.name in homes]
    facts = {"Source": claim.source, "Estimator": claim.estimator, "Margin": claim.margin, "Study": claim.study}
    tables = [
        replace(claim_parts([one]), name=f"of verdict {place}", caption=f"Every quantity behind it{_said(one)}.")
        for place, one in enumerate(judged, start=1)
        if one.parts
    ]
    return Page(
        path=claim_path(claim.id), title=f"{claim.id}: {claim.statement}", kind="claim",
        said=[claim.note] if claim.note else [], facts=facts | {"To make it again": judged[0].command}, judged=judged,
        tables=tables, pictures=[picture for section in at_home for picture in section.figures], sections=at_home,
    )  # fmt: skip


def _said(one: Judged) -> str:
    return f", {one.where}" if one.where else ""


def recipes(view: View, sections: Sequence[Section]) -> list[Page]:
    """Of every recipe with results in the primary setting."""
    # Study by study: of all at once, only runs under the numerics that most of a seed's runs have would be here.
    present = names.recipes(pd.concat([view.runs(study)["paradigm"] for study in view.ran]))
    return [_recipe(recipe, view, sections) for recipe in present]


def _recipe(recipe: str, view: View, sections: Sequence[Section]) -> Page:
    kind = RECIPES.get(recipe.split(names.VARIANT)[0])
    mechanism = getattr(kind, "mechanism", "")
    sources = ", ".join(getattr(kind, "sources", ()))
    name, *own = recipe.replace(names.VARIANT, " ").split()
    facts = {"Setting": " ".join([f"paradigm={name}", *(f"paradigm.{each}" for each in own)]), "Sources": sources}
    facts["Ends decayed"] = "yes" if names.decays(recipe) else "no"
    shown = [section for section in sections if any(recipe in picture.recipes for picture in section.figures)]
    pictures = {picture.name: picture for section in shown for picture in section.figures if recipe in picture.recipes}
    return Page(
        path=recipe_path(recipe), title=names.recipe_name(recipe), kind="recipe",
        said=[mechanism] if mechanism else [], facts={name: text for name, text in facts.items() if text}, judged=[],
        tables=[results(recipe, view)], pictures=list(pictures.values()), sections=shown,
    )  # fmt: skip


def results(recipe: str, view: View) -> Table:
    """A recipe's last versions, in every study that has it."""
    rows, data, counts = [], [], set()
    ran = [study for study in view.ran if (view.runs(study)["paradigm"] == recipe).any()]
    # Study by study: each has the numerics that most of its own runs have.
    runs = pd.concat([view.runs(study) for study in ran]).drop_duplicates("run")
    for study in ran:
        scores = view.scores(study)
        for label, mine in cells(scores[scores["paradigm"] == recipe]):
            version = int(mine["version"].max())
            at = mine[mine["version"] == version]
            schedule, settings = str(mine["schedule"].iloc[0]), label.partition(": ")[2]
            last = stats.mean_interval(at["ppl"].to_numpy(dtype=np.float64))
            cost, n = relative_cost(view, at, version), seed_count(at)
            counts.add(n)
            alike = _alike(scores, mine)
            cell = [study_of(study).heading, names.schedule_name(schedule), settings, f"v{version}", plus_minus(last)]
            rows.append([*cell, f"{100 * cost:.0f} %", to_ptfs(alike, recipe, view, range(2, version + 1)), str(n)])
            known = {"study": study, "schedule": schedule, "settings": settings, "version": version}
            data.append(known | ends("ppl", last) | {"relative_cost": cost})
    return Table(
        name=f"recipe_{file_name(recipe)}", data=pd.DataFrame(data), rows=rows,
        head=["study", "schedule", "settings", "version", "PPL", "cost", "PPL to PTFS", "n"],
        caption=f"PPL of the last version {EVERY}. PPL to PTFS: mean over versions from 2 on, "
        f"paired by seed, where PTFS was run alike.{uneven(counts)} {numerics_of(runs)}",
    )  # fmt: skip


def _alike(scores: pd.DataFrame, mine: pd.DataFrame) -> pd.DataFrame:
    """Runs of one recipe, and those of PTFS as published, under all the same settings of data, model and schedule."""
    shared = ("schedule", "max_lr", "min_lr", "warmup_steps", "architecture", "size", *DATA)
    same = pd.Series(True, index=scores.index)
    for column in shared:
        same &= scores[column] == mine[column].iloc[0]
    # In a study that nothing registered, its variants are called PTFS as well.
    ptfs = scores[same & (scores["paradigm"] == PTFS)]
    ptfs = ptfs[[as_published(PTFS, settings) for settings in ptfs["settings"]]]
    return pd.concat([mine, ptfs]).drop_duplicates(["paradigm", "seed", "version"])

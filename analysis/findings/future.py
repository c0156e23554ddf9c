"""How a fine-tuned model follows a new version best."""

from analysis.formats import spoken
from analysis.frames import View
from analysis.names import recipe_name, recipes, schedule_name
from analysis.registries import Sentences
from analysis.tables.future import WAYS, scores


def future(view: View) -> list[str]:
    found = scores(view)
    sentences = []
    for schedule in dict.fromkeys(found.index.get_level_values("schedule")):
        mine = found.xs(schedule, level="schedule")
        parts = []
        for recipe in recipes(mine.index.get_level_values("paradigm")):
            means = mine.xs(recipe, level="paradigm").groupby(level="seed").mean()
            said = ", ".join(f"{means[way].mean():.2f} {way}" for way in WAYS if way in means)
            parts.append(f"{recipe_name(recipe)} {said}")
        if parts:
            found_at = sorted(set(mine.index.get_level_values("version")))
            versions = f"version{'s' if len(found_at) > 1 else ''} {', '.join(map(str, found_at))}"
            seeds = mine.index.get_level_values("seed").nunique()
            sentences.append(
                f"With {schedule_name(schedule)}, average score in points by way of updating, {versions}: "
                f"{spoken(parts)} (n = {seeds})."
            )
    return sentences


FINDINGS = Sentences("future_findings", make=future)

"""Names and looks: from the registries, and for what nothing registered."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from matplotlib.lines import Line2D

from analysis import names
from repro.config.registries import RECIPES, SCHEDULES

STRANGERS = [f"stranger_{number}" for number in range(40)]


def test_recipes_and_schedules_look_as_their_registries_say() -> None:
    ours = {name: recipe for name, recipe in RECIPES.items() if recipe.__module__.startswith("repro.")}
    for name, recipe in ours.items():  # other tests may have added some of a test's own
        assert names.recipe_name(name) == recipe.label
        assert names.colour(name) == recipe.colour
    for name, schedule in SCHEDULES.items():
        assert names.schedule_name(name) == schedule.label
        assert (names.marker(name), names.line(name)) == (schedule.marker, schedule.line)


def test_order_is_the_registrys_then_by_name() -> None:
    assert names.recipes(["zeta", "path_switching", "alpha", "ptfs", "cpt, carry_optimizer=false", "cpt", "ptfs"]) == [
        "ptfs", "cpt", "cpt, carry_optimizer=false", "path_switching", "alpha", "zeta",
    ]  # fmt: skip
    assert names.schedules(["mine", "multi_step", "cosine"]) == ["cosine", "multi_step", "mine"]


def test_what_nothing_registered_goes_by_its_own_name_and_can_be_seen() -> None:
    for name in STRANGERS:
        assert names.recipe_name(name) == names.schedule_name(name) == name
        assert names.colour(name) in names.COLOURS
        assert names.marker(name) in Line2D.filled_markers
    assert len(set(map(names.colour, STRANGERS))) > 4
    assert not set(names.COLOURS) & {recipe.colour for recipe in RECIPES.values()}
    assert not set(names.MARKERS) & {schedule.marker for schedule in SCHEDULES.values()}


def test_what_is_shown_together_looks_apart_while_there_are_looks() -> None:
    alike = [name for name in STRANGERS if names.colour(name) == names.colour(STRANGERS[0])][:3]
    variants = [f"cpt, replay={share}" for share in (0.1, 0.2)]
    assert len(alike) == 3
    with names.told_apart(["ptfs", "cpt", *alike, *variants], ["cosine", *alike]):
        assert len(set(map(names.colour, [*alike, *variants]))) == 5
        assert len({(names.marker(name), names.line(name)) for name in alike}) == 3
        assert len(set(map(names.marker, alike))) == len(set(map(names.line, alike))) == 3
        assert names.colour("cpt") == RECIPES.find("cpt").colour
        assert names.line("cosine") == SCHEDULES.find("cosine").line
    assert len(set(map(names.colour, alike))) == 1
    with names.told_apart(STRANGERS, STRANGERS):  # more than there are looks: each is used equally often
        counts = Counter(map(names.colour, STRANGERS))
        assert counts == dict.fromkeys(names.COLOURS, len(STRANGERS) // len(names.COLOURS))


def test_a_look_is_the_same_in_every_process() -> None:
    code = f"from analysis import names; print([(names.colour(n), names.marker(n)) for n in {STRANGERS!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([(names.colour(name), names.marker(name)) for name in STRANGERS])


def test_a_points_edge_is_never_white_on_a_marker_without_a_face(monkeypatch) -> None:
    crossed = type("Crossed", (SCHEDULES["cosine"],), {"marker": "+", "label": "crossed"})
    monkeypatch.setitem(SCHEDULES, "crossed", crossed)
    assert names.edge("crossed", "#123456") == "#123456"
    assert names.edge("cosine", "#123456") == "white"


def test_one_version_is_no_stretch() -> None:
    assert (names.later(2), names.span(2)) == ("version 2", "v2")
    assert (names.later(4), names.span(4)) == ("versions 2 to 4", "v2 to v4")

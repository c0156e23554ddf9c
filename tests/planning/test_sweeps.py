"""Every shipped configuration composes, and composes to what Hydra itself would launch."""

from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from repro.config.places import CONF
from repro.config.registries import RECIPES
from repro.config.resolve import from_config
from repro.planning import sweeps

SCALES = sorted(path.stem for path in (CONF / "scale").glob("*.yaml"))
FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml") if path.parent.name != "study")
NEEDS = {
    "local": ["corpus.path=texts"],
    "hf": ["corpus.dataset=some/dataset"],
    "hf_config": ["model.config=some/config.json"],
}


SELDOM = ("gpu_small", "paper", "quick", "smoke")
"""Where other tests compose some of the studies."""
LARGE = ("branch", "downstream", "frontier", "main", "model_size", "pilot", "rates")
"""Dozens of runs each, of which other tests compose some."""


@pytest.mark.parametrize(
    ("study", "scale"),
    [
        pytest.param(study, scale, marks=pytest.mark.slow if scale in SELDOM or study in LARGE else ())
        for study in sweeps.studies()
        for scale in SCALES
    ],
)
def test_every_study_composes_at_every_scale(study: str, scale: str) -> None:
    settings = sweeps.compose([f"study={study}", f"scale={scale}"])
    assert len(settings) > 1
    assert {s.study for s in settings} == {study}
    assert {s.scale for s in settings} == {scale}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_group_option_composes(file: Path) -> None:
    if file.stem == "base":
        pytest.skip("shared by the files beside it, not for direct use")
    (settings,) = sweeps.compose([f"{file.parent}={file.stem}", *NEEDS.get(file.stem, [])])
    assert settings.scale in SCALES


def test_every_shipped_file_says_how_to_use_it() -> None:
    files = list(CONF.glob("*/*.yaml"))
    assert len(files) > 80
    for path in files:
        if path.stem != "base":
            assert "python -m repro." in path.read_text().split("\n\n")[0], path


@pytest.mark.parametrize(
    "study",
    [
        "alpha",
        "architecture",
        pytest.param("first_stage", marks=pytest.mark.slow),
        pytest.param("data_scale", marks=pytest.mark.slow),
    ],
)
def test_composing_a_sweep_at_once_gives_what_hydra_gives_job_by_job(study: str) -> None:
    given = [f"study={study}", "scale=smoke", "optimizer.eps=1e-7", "seed=4,5"]
    fast = sweeps.compose(given)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        master = hydra_compose("config", overrides=given[:2], return_hydra_config=True)
        swept = [f"{k}={v}" for k, v in master.hydra.sweeper.params.items()]
        parsed = OverridesParser.create().parse_overrides([*swept, *given])
        jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
        slow = [from_config(hydra_compose("config", overrides=job)) for job in jobs]
    assert fast == slow


def test_an_override_on_top_replaces_what_a_study_sweeps() -> None:
    settings = sweeps.compose(["study=alpha", "scale=quick", "paradigm.alpha=0.3,0.5", "seed=0,1,2"])
    assert [(s.paradigm.alpha, s.seed) for s in settings] == [(a, s) for a in ("0.3", "0.5") for s in (0, 1, 2)]


def test_a_setting_that_changes_nothing_of_a_run_does_not_repeat_it() -> None:
    """CPT has no branch, and PTFS has one for a curve of its own alone."""
    settings = sweeps.compose(["study=main", "scale=smoke"])
    runs = [(s.schedule.kind, s.paradigm.kind, getattr(s.paradigm, "branch", "")) for s in settings]
    each = [("ptfs", "decay"), ("cpt", ""), ("path_switching", "decay"), ("path_switching", "cycle")]
    assert runs == [(schedule, *one) for schedule in ("cosine", "knee", "multi_step") for one in each]
    switched = sweeps.compose(
        ["paradigm=ptfs", "paradigm.curve=path_switching", "paradigm.branch=decay,cycle"], multirun=True
    )
    assert len(switched) == 2


def test_a_study_of_every_recipe_has_every_recipe() -> None:
    recipes = {s.paradigm.kind for s in sweeps.compose(["study=frontier", "scale=smoke"])}
    ours = {name for name, recipe in RECIPES.items() if recipe.__module__.startswith("repro.")}
    assert recipes == ours - {"two_stage", "updated", "grow"}
    updated = {s.paradigm.of for s in sweeps.compose(["study=plasticity", "scale=smoke"])}
    assert updated == recipes

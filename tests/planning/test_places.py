"""Paths stay what was typed."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from repro.config.registries import ARCHITECTURES, CORPORA
from repro.config.settings import Settings
from repro.planning.places import WORDS, as_typed
from repro.planning.sweeps import compose


@pytest.mark.parametrize("name", ["2024_01", "1e3", "007", "1.50", "inf", "2024-01", "v1"])
def test_a_path_that_looks_like_a_number_stays_a_path(name: str) -> None:
    (settings,) = compose(["scale=smoke", "corpus=local", f"corpus.path={name}", f"store.path={name}"])
    assert settings.corpus.path == name  # type: ignore[attr-defined]
    assert settings.store.path == name
    (settings,) = compose(["scale=smoke", f"model.init={name}", f"model.name={name}", f"tasks.group={name}"])
    assert (settings.model.init, settings.model.name, settings.tasks.group) == (name, name, name)
    (settings,) = compose(["scale=smoke", "model=hf_config", f"model.config={name}"])
    assert settings.model.config == name  # type: ignore[attr-defined]


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))
    (settings,) = compose(["scale=smoke", "store.path=~/runs"])
    assert settings.store.path == str(tmp_path / "my home" / "runs")


def test_what_is_quoted_and_what_holds_no_path_is_left_alone() -> None:
    given = ["store.path='1e3'", "seed=0,1", "corpus.path=a,b", "study=main", "-m"]
    assert as_typed(given) == given
    assert as_typed(as_typed(["corpus.path=1e3,x"])) == ["corpus.path='1e3',x"]


def free(group: type, prefix: str = "") -> Iterator[str]:
    """Settings of a group that hold text of a user's choosing."""
    hints = get_type_hints(group)
    for each in fields(group):
        if is_dataclass(hints[each.name]):
            yield from free(hints[each.name], f"{each.name}.")
        elif hints[each.name] in (str, str | None) and not {"options", "share"} & each.metadata.keys():
            yield prefix + each.name


def test_every_setting_that_holds_text_is_known() -> None:
    held = set(free(Settings))
    for prefix, registry in (("corpus.", CORPORA), ("model.", ARCHITECTURES)):
        held |= {name for each in registry for name in free(registry.get(each), prefix)}
    chosen = {name for name in held if name.endswith(".kind")} | {"model.architecture"}
    ours = {"numerics.device", "frozen_plan", "estimate.basis", "study", "scale"}
    assert held - chosen - ours == set(WORDS)

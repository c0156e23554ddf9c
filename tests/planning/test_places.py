"""Paths stay what was typed."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from repro.common.disk import expanded
from repro.common.errors import UserError
from repro.config.registries import ARCHITECTURES, CORPORA
from repro.config.settings import Settings
from repro.planning.places import WORDS, as_typed
from repro.planning.planner import make
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


def test_a_comma_within_quotes_is_part_of_a_path() -> None:
    given = ['corpus.path="my,12,texts"', r"corpus.path='it\'s, 12',x"]
    assert as_typed(given) == given
    assert as_typed(["corpus.path='a,1','b',12"]) == ["corpus.path='a,1','b','12'"]
    (settings,) = compose(["scale=smoke", "corpus=local", *as_typed(["corpus.path='my,12,texts'"])])
    assert settings.corpus.path == "my,12,texts"  # type: ignore[attr-defined]


def test_commas_of_a_pattern_are_its_own() -> None:
    given = ["scale=smoke", "corpus=local", "corpus.path=texts", "corpus.pattern=*.py,wiki_*"]
    assert as_typed(as_typed(given)) == as_typed(given)
    (settings,) = compose(given, multirun=True)
    assert settings.corpus.pattern == "*.py,wiki_*"  # type: ignore[attr-defined]
    assert len(compose([*given[:3], "corpus.pattern=choice(a,b)"], multirun=True)) == 2


def test_nobodys_home_is_part_of_a_name() -> None:
    assert expanded("~nobody-at-all/x") == Path("~nobody-at-all/x")
    with pytest.raises(UserError, match=r"corpus\.path=~nobody-at-all/text does not exist"):
        make(compose(["scale=smoke", "corpus=local", *as_typed(["corpus.path='~nobody-at-all/text'"])]))


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_tilde_within_quotes_is_the_home_folder(quote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (settings,) = compose(["scale=smoke", *as_typed([f"store.path={quote}~/a b{quote}"])])
    assert settings.store.path == "/home/me/a b"


@pytest.mark.parametrize("name", ["straße", "my données", "~/文本", "texte/é,texte/è"])
def test_letters_beyond_ascii_need_no_quotes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    sweep = compose(["scale=smoke", "corpus=local", f"corpus.path={name}"], multirun=True)
    wanted = [each.replace("~", "/home/me") for each in name.split(",")]
    assert [settings.corpus.path for settings in sweep] == wanted  # type: ignore[attr-defined]
    assert as_typed(given := as_typed([f"corpus.path={name}"])) == given


def test_no_place_is_the_empty_one() -> None:
    """`corpus.path=$UNSET` was the folder that the command was typed in."""
    given = ["corpus=local", "corpus.path=", "tasks.include_path=", "model.init=", "stream.tokenizer=", "store.path="]
    with pytest.raises(UserError) as refusal:
        compose(["scale=smoke", *given])
    said = str(refusal.value).splitlines()
    assert {line.partition("=")[0] for line in said} == {each.partition("=")[0] for each in given[1:]}
    assert all(line.endswith("='' is no path.") for line in said)


def test_a_setting_of_several_values_has_one() -> None:
    given = ["tasks.names=[]", "stream.steps_per_version=[]", "finetune.versions=[]"]
    with pytest.raises(UserError) as refusal:
        compose(["scale=smoke", *given])
    assert {line.partition(" is empty")[0] for line in str(refusal.value).splitlines()} == {*given}
    with pytest.raises(UserError, match=r"stream\.steps_per_version=\[\]"):
        compose(["scale=smoke", "study=data_scale", "stream.steps_per_version=[]"])


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

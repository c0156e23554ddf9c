"""A model's shape is counted once on a machine: planning again builds no model and imports no transformers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.common.errors import UserError
from repro.models.architectures import shapes
from repro.models.architectures.architecture import Architecture, architecture
from repro.planning.planner import check_models, make
from repro.planning.sweeps import compose

Overrides = Callable[..., list[str]]
WARM = "import sys; from repro import plan; plan.main(sys.argv[1:]); print('transformers' in sys.modules)"


def test_a_plan_that_was_made_before_imports_no_transformers(smoke: Overrides, tmp_path: Path, data_path: Path) -> None:
    command = [sys.executable, "-c", WARM, *smoke("paradigm=cpt", "model=qwen", "output=json")]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() for _ in range(2)]
    assert json.loads(said[0][-2]) == json.loads(said[1][-2])
    assert said[1][-1] == "False"


def test_what_is_kept_is_what_is_counted_and_damage_is_counted_again(tmp_path: Path) -> None:
    model = architecture(compose(["scale=smoke", "size=w48_l2"])[0].model)
    counted = model.shape(300, 32)
    assert shapes.known(model, 300, 32, tmp_path) == counted
    (kept,) = (tmp_path / "shapes").iterdir()
    text = kept.read_text()
    assert f'"parameters": {counted.parameters}' in text
    for damaged in (text.replace(str(counted.parameters), "7"), "", "{}"):
        kept.write_text(damaged)
        assert shapes.known(model, 300, 32, tmp_path) == counted
    assert kept.read_text() == text
    assert shapes.known(model, 301, 32, tmp_path) != counted


def test_what_cannot_be_built_is_refused_every_time(smoke: Overrides, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Architecture, vocab_size: int, sequence_length: int) -> None:
        raise ValueError("no such shape")

    monkeypatch.setattr(Architecture, "build_meta", refuse)
    given = smoke("paradigm=cpt", "size=w48_l2", "stream.vocab_size=333")
    for _ in range(2):
        with pytest.raises(UserError, match="transformers cannot build it: no such shape"):
            check_models(make(compose(given)))

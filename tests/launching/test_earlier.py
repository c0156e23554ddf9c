"""docs/examples/checkpoints: measures averaged over a run's last checkpoints, without another step of training."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from repro.common.errors import UserError
from repro.config.registries import RECIPES
from repro.planning.planner import make
from repro.planning.sweeps import compose

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "checkpoints"
OURS = ["extensions=[earlier]", f"hydra.searchpath=[file://{EXAMPLE / 'conf'}]", "paradigm=earlier"]
OF = ("ptfs", "cpt", "path_switching")
Overrides = Callable[..., list[str]]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Importable, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in ("earlier", "averaged"):
        sys.modules.pop(name, None)
    RECIPES.pop("earlier", None)


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize("recipe", OF)
def test_earlier_checkpoints_lie_on_the_recipes_own_way_and_cost_no_step(recipe: str, smoke: Overrides) -> None:
    own = make(compose(smoke(f"paradigm={recipe}"))).tree
    given = [f"paradigm.of={recipe}", "paradigm.before=0,3"]
    tree = make(compose(smoke(*OURS, *given), multirun=True)).tree
    last, before = (run.trajectories for run in tree.runs)
    assert tree.ends[0] == own.ends[0], "those that end where the recipe's own do are the recipe's own"
    assert not set(tree.ends[1]) & set(tree.ends[0])
    assert tree.unique_steps == own.unique_steps
    for whole, cut in zip(last, before, strict=True):
        assert cut.end == whole.end - 3
        assert list(cut.learning_rates) == list(whole.learning_rates[:-3])


@pytest.mark.usefixtures("example")
def test_a_version_that_has_no_such_checkpoint_is_refused(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"paradigm\.before=50 leaves nothing of a version of 50 steps; fewer work"):
        compose(smoke(*OURS, "paradigm.of=cpt", "paradigm.before=50"))


@pytest.mark.usefixtures("example")
def test_an_average_has_the_variance_that_it_has() -> None:
    from averaged import averaged

    index = pd.MultiIndex.from_product([["a less b"], [1, 2, 3]], names=["contrast", "seed"])
    found = pd.DataFrame({0: [1.0, 2.0, 3.0], 20: [3.0, 2.0, 1.5]}, index=index)
    [row] = averaged(found).to_dict("records")
    assert (row["checkpoints"], row["n"], row["last_percent"], row["sd_last_percent"]) == (2, 3, 2.0, 1.0)
    assert row["averaged_percent"] == pytest.approx((2 + 2 + 2.25) / 3)
    assert row["variance_ratio"] == pytest.approx(1 / pd.Series([2, 2, 2.25]).var())


@pytest.mark.slow
def test_the_commands_in_the_example_do_what_they_say(smoke: Overrides, tmp_path: Path) -> None:
    text = (EXAMPLE / "earlier.py").read_text()
    typed = re.search(r"    (PYTHONPATH=.*?) -m\n", text, flags=re.DOTALL)
    assert typed
    _, _, _, module, *words = shlex.split(typed[1].replace("\\\n", " "))
    short = {"scale": "smoke", "paradigm.before": "0,2,4", "seed": "0,1", "ledger.path": f"{tmp_path}/smoke/data"}
    words = [f"{name}={short[name]}" if (name := word.partition("=")[0]) in short else word for word in words]
    places = [word for word in smoke() if word.startswith(("data.path=", "store.path="))]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLE)}
    command = [sys.executable, "-m", module, *words, *places, "-m"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    script = [sys.executable, str(EXAMPLE / "averaged.py"), str(tmp_path), "smoke"]
    subprocess.run(script, cwd=ROOT, check=True, capture_output=True, env=environment | {"PYTHONPATH": str(ROOT)})
    table = pd.read_csv(tmp_path / "smoke" / "averaged.csv")
    assert list(table["contrast"]) == ["cpt less ptfs", "path_switching less ptfs", "path_switching less cpt"]
    assert set(table["checkpoints"]) == {3}
    assert set(table["n"]) == {2}
    assert (table["sd_last_percent"] > 0).all()

"""Variables that choose a library's kernels are numerics; where none is set, keys are as they were."""

import os
from collections.abc import Callable

import pytest

from repro import adopt, plan, train
from repro.common.errors import UserError
from repro.models import numerics
from repro.planning import planner, sweeps

Overrides = Callable[..., list[str]]
SMALL = ("paradigm=ptfs", "stream.versions=1", "stream.steps_per_version=4", "schedule.warmup_steps=1")


@pytest.fixture
def smoke(smoke: Overrides, few: list[str]) -> Overrides:
    return lambda *more: smoke(*few, *more)


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(numerics.INDUCTOR) or any(name in names for names in numerics.VARIABLES.values()):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_variable_that_turns_compiling_off_is_named(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, name: str, device: str
) -> None:
    monkeypatch.setenv(name, "1")
    (asked,) = sweeps.compose(smoke("paradigm=cpt", "numerics.compile=true", f"numerics.device={device}"))
    with pytest.raises(UserError, match=rf"compiles nothing while {name}=1; unset it"):
        numerics.describe(asked)
    assert not numerics.has_compiler()


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("name", numerics.VARIABLES["cpu"])
def test_a_variable_that_chooses_kernels_enters_the_key_where_it_is_set(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def run() -> tuple[dict[str, object], str]:
        tree = planner.make(sweeps.compose(smoke(*SMALL))).tree
        return tree.runs[0].numerics, tree.ends[0][0]

    before, key = run()
    assert not any("variables" in setting for setting in before)
    monkeypatch.setenv(name, "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run() == (before, key)
    monkeypatch.setenv(name, "something")
    after, other = run()
    assert after == before | {"variables": f"{name}=something"}
    assert other != key


@pytest.mark.usefixtures("unset")
def test_variables_of_gpus_and_of_the_compiler_enter_where_those_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_processor", lambda device: {"processor": device})
    monkeypatch.setattr(numerics, "_compiler", lambda: "a compiler")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE", "1")
    assert numerics._part("cpu") == {"processor": "cpu"}
    assert numerics._part("cuda:1") == {"processor": "cuda:1", "variables": "NVIDIA_TF32_OVERRIDE=1"}
    for part in (numerics.COMPILER, numerics.COMPILED):
        assert numerics._part(part)["compiler variables"] == "TORCHINDUCTOR_MAX_AUTOTUNE=1"
    monkeypatch.setenv("TORCHINDUCTOR_VEC_ISA_OK", "0")  # and whatever else begins so: other code, other bits
    for name in ("CACHE_DIR", "FX_GRAPH_CACHE", "COMPILE_THREADS"):
        monkeypatch.setenv(f"TORCHINDUCTOR_{name}", "1")
    both = "TORCHINDUCTOR_MAX_AUTOTUNE=1 TORCHINDUCTOR_VEC_ISA_OK=0"
    assert numerics._part(numerics.COMPILER)["compiler variables"] == both


@pytest.mark.usefixtures("unset")
def test_checkpoints_made_under_another_variable_are_not_used_and_the_command_that_would_works(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke(*SMALL)
    train.main(given)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2")
    assert planner.make(sweeps.compose(given)).missing
    capsys.readouterr()
    plan.main([*given, "output=json"])
    said = capsys.readouterr().err
    assert "variables (theirs None, ours GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2)" in said
    command = said.rpartition("python -m repro.adopt ")[2].split()
    assert command == ["differ=variables", *given]
    adopt.main(command)
    assert not planner.make(sweeps.compose(given)).missing

"""Learning rates for others: the settings that are written give the same curve, or it is said that they do not."""

import csv
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import get_scheduler

from repro import export
from repro.exports import peers
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.recipes.trajectory import Trajectory

Overrides = Callable[..., list[str]]
HIGH, LOW = 1e-2, 1e-3  # of scale smoke, with a warm-up of 5 steps and T of 50


def trajectory(given: list[str], version: int) -> Trajectory:
    return make(compose(given)).tree.runs[0].trajectories[version - 1]


def written(given: list[str], version: int) -> dict[str, peers.Peer]:
    t = trajectory(given, version)
    return {each.name: each for each in peers.peers(t.phases, t.learning_rates)}


def test_tables_hold_the_bits_that_training_uses(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("paradigm=path_switching", "paradigm.carry_optimizer=false")
    expected = trajectory(given, 2).learning_rates
    export.main([*given, "version=2", f"rates={tmp_path / 'rates.csv'}"])
    said = capsys.readouterr().out
    with (tmp_path / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(100))
    assert np.array_equal([float(row["lr"]) for row in rows], expected)
    assert "--lr-wsd-decay-style cosine" in said
    assert "The optimizer forgets its moments before step 70" in said

    export.main([*given, f"rates={tmp_path / 'rates.json'}"])
    content = json.loads((tmp_path / "rates.json").read_text())
    assert content["version"] == 4
    assert np.array_equal(content["lr"], trajectory(given, 4).learning_rates)
    assert content["step"] == list(range(200))
    assert content["optimizer_reset_before"] == [170]
    assert set(content["settings"]) == {"Megatron-LM", "OLMo-core", "transformers"}
    *words, last = shlex.split(content.pop("command"))
    assert (words[:3], last) == (["python", "-m", "repro.export"], "rates=rates.json")
    places = [each for each in given if ".path=" in each]
    export.main([*words[3:], *places, f"rates={tmp_path / 'again.json'}"])
    again = json.loads((tmp_path / "again.json").read_text())
    assert {name: again[name] for name in content} == content
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["paradigm=grow", "model.layers=2", "paradigm.grow_at=3"], "from weights made of a training that this file"),
        (["paradigm=merge"], "checkpoints, which this curve alone does not give"),
        (["paradigm=cpt"], None),
    ],
)
def test_what_a_curve_alone_does_not_give_is_said(
    words: list[str], told: str | None, smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export.main([*smoke(*words), f"rates={tmp_path / 'rates.csv'}"])
    said = capsys.readouterr().out
    assert (told in said) if told else ("does not" not in said.replace("does not decay", ""))


def test_one_curve_with_a_known_ending_is_asked_for(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["rates=rates.txt"], ".csv and .json work"),
        (["rates=r.csv", "--multirun", "seed=0,1"], "there are 2 runs"),
        (["rates=r.csv", "version=9"], "versions 1 to 4"),
        (["version=" + "9" * 5000], "error: version=99999"),
        (["rates="], "rates= is empty; give it a value, or leave it out."),
        (["paradigm=cpt", "rates=/proc/x.json"], "choose another rates"),
    ):
        with pytest.raises(SystemExit) as refusal:
            export.main(smoke(*words))
        assert refusal.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "version", "decay_type"),
    [
        (["paradigm=path_switching"], 3, "cosine"),
        (["paradigm=path_switching", "schedule=knee"], 3, "linear"),
        (["paradigm=ptfs", "schedule=wsd"], 2, "linear"),
        (["paradigm=ptfs", "schedule=sqrt"], 2, "1-sqrt"),
        (["paradigm=two_stage", "paradigm.first_cycle=4"], 1, "cosine"),  # cut before its decay is over
    ],
)
def test_transformers_own_scheduler_gives_our_curve_from_the_warm_up_on(
    smoke: Overrides, words: list[str], version: int, decay_type: str
) -> None:
    given = smoke(*words)
    ours = trajectory(given, version).learning_rates
    peer = written(given, version)["transformers"]
    arguments = eval(peer.settings or "", {"TrainingArguments": dict})
    assert arguments["lr_scheduler_kwargs"]["decay_type"] == decay_type
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=arguments["learning_rate"])
    scheduler = get_scheduler(
        arguments["lr_scheduler_type"],
        optimizer,
        num_warmup_steps=arguments["warmup_steps"],
        num_training_steps=arguments["max_steps"],
        scheduler_specific_kwargs=arguments["lr_scheduler_kwargs"],
    )
    theirs = []
    for _ in range(len(ours)):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(theirs[5:], ours[5:], rtol=1e-12)
    # Their warm-up begins at the minimum, ours at one fifth of the maximum: that is said, with the difference.
    assert theirs[0] == pytest.approx(LOW)
    assert ours[0] == pytest.approx(HIGH / 5)
    assert "another warm-up: the largest difference is 0.001 at step 0" in peer.note


def test_settings_by_hand(smoke: Overrides) -> None:
    # 150 steps, a warm-up of 5, a branch of 30: the decay's first step is 120, its last one 149.
    found = written(smoke("paradigm=path_switching", "schedule=knee"), 3)
    assert found["Megatron-LM"].settings == (
        "--lr 0.01 --lr-warmup-iters 4 --lr-warmup-init 0.002 --train-iters 150 --min-lr 0.001 --lr-decay-style WSD "
        "--lr-wsd-decay-style linear --lr-wsd-decay-iters 30 --lr-decay-iters 149"
    )
    assert found["OLMo-core"].settings == (
        "lr=0.01, scheduler=WSD(warmup=5, decay=30, decay_fraction=None, decay_min_lr=0.001)"
    )
    assert found["Megatron-LM"].note == found["OLMo-core"].note == "the same curve, to roundings."
    trunk = written(smoke("paradigm=trunk"), 2)
    assert {each.note for each in trunk.values()} == {"the same curve, to roundings."}


def test_megatrons_rates_are_those_of_a_steps_beginning() -> None:
    # By hand from its code: warm-up is init + (max - init) n / warmup, a decay is over at n = decay iters.
    cycle = peers.Cycle(start=0, warmup=4, high=1.0, low=0.0, held=6, end=10)
    rates = {re.findall(r"style (\w+) --lr-wsd-decay-iters", line)[0]: r for line, r in peers.megatron(cycle, 12)}
    assert rates["linear"] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0])
    assert rates["cosine"][7] == pytest.approx(0.5)
    assert rates["minus_sqrt"][6:10] == pytest.approx([0.5, 1 - 0.5**0.5, 1 - 0.75**0.5, 0])
    assert rates["exponential"][7] == pytest.approx(2**0.5 - 1)


@pytest.mark.parametrize(
    ("words", "none"),
    [
        (["paradigm=ptfs", "schedule=multi_step"], {"Megatron-LM", "OLMo-core", "transformers"}),
        (["paradigm=cpt"], {"Megatron-LM", "OLMo-core", "transformers"}),
        (["paradigm=infinite"], {"Megatron-LM", "OLMo-core", "transformers"}),
        (["paradigm=wsd_s", "schedule=linear"], {"Megatron-LM", "transformers"}),
        (["paradigm=ptfs", "schedule=sqrt"], {"OLMo-core"}),
        (["paradigm=ptfs", "schedule=exponential"], {"Megatron-LM", "OLMo-core", "transformers"}),
        (["paradigm=ptfs", "schedule=exponential", "schedule.min_lr=0.005"], {"OLMo-core", "transformers"}),
    ],
)
def test_a_curve_that_is_not_theirs_gets_no_settings(smoke: Overrides, words: list[str], none: set[str]) -> None:
    found = written(smoke(*words), 3)
    assert {name for name, each in found.items() if each.settings is None} == none
    assert all("take the table" in found[name].note for name in none)


def test_olmos_wsd_s_is_named_for_ours(smoke: Overrides) -> None:
    peer = written(smoke("paradigm=wsd_s", "schedule=linear"), 3)["OLMo-core"]
    assert peer.settings == (
        "lr=0.01, scheduler=WSDS(period_lengths=[50, 50, 50], warmup=5, decay=20, decay_min_lr=0.001)"
    )
    assert peer.note == "the same curve, to roundings."

"""The team's command: a release as data arrive, its folder, its price, and what it refuses."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import items
import pytest
import torch
from dumps import dump, text
from huggingface_hub import ModelCard
from stops import die, killed, left_long_ago
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro import adopt, plan, update
from repro.config.registries import RECIPES
from repro.downstream import harness
from repro.downstream import items as local_items
from repro.planning import prices
from repro.planning.asked import WORKS
from repro.planning.planner import Plan, make
from repro.planning.sweeps import compose
from repro.recipes.recipe import recipe
from repro.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
COUNTS = (16, 30, 9, 45)
"""Documents: 1x, 2x, 0.5x and 3x."""

Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs the command in tmp_path on its folder of dumps; what it prints, in 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*more: str) -> str:
        capsys.readouterr()
        update.main([*given(), *more])
        return capsys.readouterr().out

    return run


def given() -> list[str]:
    """What is asked of all commands. (A process opens a stream once: another folder wants another path.)"""
    places = [f"corpus.path={Path('dumps').absolute()}", f"data.path={Path('data').absolute()}"]
    return [*places, "scale=smoke", "schedule.warmup_steps=2", "stream.heldout_blocks=4", "stream.global_batch_size=8"]


def planned(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    plan.main(["corpus=releases", *given(), "output=json"])
    return dict(json.loads(capsys.readouterr().out))


def made() -> Plan:
    return make(compose(["corpus=releases", *given()]))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(name: str, output: str = "releases") -> dict[str, Any]:
    return dict(json.loads(Path(output, name, "release.json").read_text()))


def test_each_release_costs_its_own_steps_and_leaves_those_before_as_they_were(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    first = say()
    before = planned(capsys)
    assert before["stored_steps"] == before["unique_steps"]
    assert "100% of training it from scratch" in first
    was, kept = files(Path("releases/dump-1")), Store(Path("store")).steps()

    dump(Path("dumps"), 2, COUNTS[1])
    after = planned(capsys)
    assert after["stored_steps"] == before["unique_steps"] < after["unique_steps"]
    (node,) = prices.needed_next(made().tree.runs[0], kept)
    own = after["unique_steps"] - before["unique_steps"]
    second = say()
    assert f"trained now       {own:,} steps" in second
    assert told("dump-2")["cost"]["steps"] == own
    assert f"{node.key[:16]}, step {node.step:,}" in second
    assert planned(capsys)["stored_steps"] == after["unique_steps"]
    assert Store(Path("store")).steps().items() > kept.items()
    assert files(Path("releases/dump-1")) == was


def test_what_a_killed_update_left_goes_once_nobody_can_be_writing_it(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    shutil.rmtree("releases")
    with monkeypatch.context() as patch:
        patch.setattr("repro.exports.card.text", die)
        killed(say)
    (left,) = Path("releases").iterdir()
    assert (left / "model.safetensors").exists()
    say()
    assert {path.name for path in Path("releases").iterdir()} == {left.name, "dump-1"}
    left_long_ago(left)
    left_long_ago(Path("releases/dump-1"))
    say()
    assert [path.name for path in Path("releases").iterdir()] == ["dump-1"]


def test_what_is_needed_next_is_where_the_next_release_begins(say: Say) -> None:
    for number, count in enumerate(COUNTS[:3], start=1):
        dump(Path("dumps"), number, count)
    say()
    stored = Store(Path("store")).steps()
    (needed,) = prices.needed_next(made().tree.runs[0], stored)
    dump(Path("dumps"), 4, COUNTS[3])
    tree = made().tree
    missing = tree.missing(stored)
    starts = {parent for key in missing for parent in tree.nodes[key].parents} - missing
    assert starts == {needed.key}


def test_overlap_with_earlier_releases_is_said_beforehand_and_kept_with_the_release(say: Say) -> None:
    """Each document of the second dump quotes another of the first, be that trained on or held out."""
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    was = files(Path("releases"))
    Path("dumps/dump-2").mkdir()
    for number in range(2 * COUNTS[0]):
        quoted = " ".join(text(1, number % COUNTS[0]).split()[number : number + 25])
        Path(f"dumps/dump-2/{number}.txt").write_text(f"{text(2, number)} {quoted} {text(3, number)}")
    ahead = " ".join(say("dry_run=true").split())
    say()
    assert {name: content for name, content in files(Path("releases")).items() if "dump-1" in name} == was
    counted = told("dump-2")["data"]["preparation"]
    before, removed = counted["held out, trained on before"], counted["left out"]["pieces that overlap held-out text"]
    assert 0 < before["documents"] <= counted["held out"]
    assert removed > 0
    assert f"data of dump-2 {counted['documents']} documents, {counted['held out']} of them held out" in ahead
    size = counted["left out"]["bytes of such pieces"]
    assert f"{removed} pieces that overlap held-out text ({size:,} bytes)" in ahead
    assert f"{before['documents']} held-out documents ({before['bytes']:,} bytes) share a passage with what" in ahead
    assert "dumps/dump-2/" in ahead.replace(" ", "")
    assert "dumps/" not in json.dumps(told("dump-2"))


def test_run_again_it_trains_and_writes_nothing_and_says_so(say: Say) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    releases, steps = files(Path("releases")), Store(Path("store")).steps()
    times = {path: path.stat().st_mtime_ns for path in Path("store/checkpoints").rglob("*")}
    again = say()
    assert "nothing: all of it was in the store" in again
    assert "no release" in again
    assert files(Path("releases")) == releases
    assert Store(Path("store")).steps() == steps
    assert {path: path.stat().st_mtime_ns for path in Path("store/checkpoints").rglob("*")} == times


def test_a_dry_run_says_it_all_beforehand_and_writes_nothing(say: Say, tmp_path: Path) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    dump(Path("dumps"), 2, COUNTS[1])
    everything = {
        path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "data" not in path.parts
    }
    assert re.search(r"about [\d,]{8,} days", " ".join(say("dry_run=true", "estimate.flops_per_second=1e-9").split()))
    ahead = say("dry_run=true")
    now = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "data" not in path.parts}
    assert now == everything
    (steps,) = re.findall(r"to train +([\d,]+) steps", ahead)
    (promised,) = re.findall(r"cost of dump-2 +([\d,]+ steps, \d+% of training it from scratch)", ahead)
    (following,) = re.findall(r"the next one +(with as much data: .*)", ahead)
    assert re.search(r"times +assumed, not measured: 0\.04 TFLOP/s \(one thread of a laptop", ahead)
    assert "to be made" in ahead
    afterwards = say()
    assert f"trained now       {steps} steps" in afterwards
    assert promised in afterwards
    assert following in afterwards
    assert max(map(len, (ahead + afterwards).splitlines())) <= 80


def test_names_of_releases_and_of_what_they_leave_out_control_no_terminal(
    say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    folder = Path("dumps/dump-1").rename("dumps/dump-1\x1b[31mRED")
    (folder / "a\x1b[2Jb.pdf").write_bytes(b"%PDF")
    update.main([*given(), "dry_run=true"])
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert r"dump-1\x1b[31mRED" in "".join(out.split())
    assert r"dump-1\x1b[31mRED/a\x1b[2Jb.pdf)" in err


def test_gains_and_losses_by_slice_are_those_of_the_releases_files(say: Say) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    dump(Path("dumps"), 2, COUNTS[1])
    text = say()
    one, two = (told(name)["perplexity"]["by_slice"] for name in ("dump-1", "dump-2"))
    assert one.keys() == {"dump-1"}
    assert two.keys() == {"dump-1", "dump-2"}
    row = next(line for line in text.splitlines() if line.startswith("│ dump-1"))
    change = two["dump-1"] / one["dump-1"] - 1
    assert [cell.strip() for cell in row.split("│")[2:-1]] == [
        f"{one['dump-1']:.2f}",
        f"{two['dump-1']:.2f}",
        f"{change:+.1%}",
    ]


def test_no_digit_of_a_release_is_cut_in_a_narrow_terminal(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        dump(Path("dumps"), number, COUNTS[0])
    say()
    slices = told("dump-2")["perplexity"]["by_slice"]
    monkeypatch.setenv("COLUMNS", "24")
    text = say()
    assert max(map(len, text.splitlines())) <= 24
    for value in slices.values():
        assert f"{value:.2f}" in text
    assert "nothing: all" in text


@pytest.mark.parametrize("before", ["paradigm.layers_before=1", "paradigm.intermediate_before=40"])
def test_a_release_before_the_model_grows_has_the_size_that_it_was_trained_in(say: Say, before: str) -> None:
    """It ended in a traceback after the training, each time."""
    for number in (1, 2):
        dump(Path("dumps"), number, COUNTS[0])
    none = ["paradigm.layers_before=null"] if "layers" not in before else []
    say("paradigm=grow", "paradigm.grow_at=2", "size=w48_l2", *none, before)
    models = [AutoModelForCausalLM.from_pretrained(Path("releases", f"dump-{number}")) for number in (1, 2)]
    small, large = (model.num_parameters() for model in models)
    assert small < large
    assert [told(f"dump-{number}")["parameters"] for number in (1, 2)] == [small, large]


def test_steps_before_the_model_grows_are_priced_as_the_smaller_models(say: Say) -> None:
    for number in (1, 2):
        dump(Path("dumps"), number, COUNTS[0])
    slow = ["paradigm=grow", "paradigm.grow_at=2", "paradigm.intermediate_before=40", "estimate.flops_per_second=1e6"]
    ahead = " ".join(say(*slow, "dry_run=true").split())
    plan = make(compose(["corpus=releases", *given(), *slow]))
    smaller, larger = sorted({plan.tree.nodes[key].run.step_flops for key in plan.missing})
    assert f"to train {plan.missing_steps:,} steps, about {timedelta(seconds=round(plan.seconds))} " in ahead
    assert plan.missing_steps * smaller / 1e6 < plan.seconds < plan.missing_steps * larger / 1e6


@pytest.mark.parametrize("place", ["output", "ledger.path"])
def test_a_place_that_a_file_is_in_the_way_of_is_refused_before_training(
    say: Say, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    Path("taken").write_text("")
    with pytest.raises(SystemExit, match="2"):
        say(f"{place}=taken/deeper")
    assert "taken is no folder; another" in capsys.readouterr().err
    assert not list(Path().glob("store/checkpoints/*"))


def test_what_works_keeps_the_options_of_an_update(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """Pasted, the line trained for real, and wrote elsewhere."""
    dump(Path("dumps"), 1, COUNTS[0])
    with pytest.raises(SystemExit, match="2"):
        say("schedule.min_lr=1", "output=mine", "dry_run=true")
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith(WORKS))
    assert line.endswith("output=mine dry_run=true")


def test_what_works_is_what_an_update_takes(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """It left `stream=releases` out, which an update chooses where nothing is."""
    dump(Path("dumps"), 1, 2 * COUNTS[1])
    more = ["corpus=local", "stream.versions=2", "stream.steps_per_version=5", "dry_run=true"]
    with pytest.raises(SystemExit, match="2"):
        say(*more)
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith(WORKS))
    assert "stream=dealt" in said.split()
    update.main(shlex.split(said.removeprefix(WORKS)))
    assert "cost of v2 " in capsys.readouterr().out


def test_a_recipe_that_does_not_go_on_makes_no_releases(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        dump(Path("dumps"), number, COUNTS[0])
    with pytest.raises(SystemExit, match="2"):
        say("paradigm=two_stage")
    assert "paradigm=two_stage releases 2 versions, and there are 3" in capsys.readouterr().err


def test_releases_one_by_one_are_the_releases_at_once(say: Say) -> None:
    for number, count in enumerate(COUNTS, start=1):
        dump(Path("dumps"), number, count)
        say()
    say("output=at_once", "store.path=other")
    assert sorted(path.name for path in Path("releases").iterdir()) == [f"dump-{n}" for n in (1, 2, 3, 4)]
    assert files(Path("releases")) == files(Path("at_once"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ([], "its data have changed since"),
        (["schedule.max_lr=0.02"], "schedule.max_lr=0.02 (then 0.01)"),
        (["paradigm=cpt"], "paradigm.kind=cpt (then path_switching)"),
        (["numerics.threads=2"], "threads (theirs 1, ours 2)"),
    ],
    ids=["data", "schedule", "recipe", "numerics"],
)
def test_a_release_that_would_change_is_refused_before_anything_is_trained(
    change: list[str], reason: str, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    dump(Path("dumps"), 2, COUNTS[1])
    before = told("dump-1")
    if not change:
        (Path("dumps/dump-1/deep/0.txt")).write_text("Another text. " * 50)
    steps, written = Store(Path("store")).steps(), files(Path("releases"))
    for dry in ("true", "false"):
        with pytest.raises(SystemExit, match="2"):
            say(*change, f"dry_run={dry}")
        message = capsys.readouterr().err
        assert "releases/dump-1 holds release dump-1, which does not change" in message
        assert reason in message
        (then, now), keys = (re.findall(rf"{what} (?:then|now) +([0-9a-f]{{64}})", message) for what in ("data", "key"))
        assert (then, keys[0]) == (before["data"]["fingerprint"], before["key"])
        assert (then != now) == (not change)
        assert Store(Path("store")).steps() == steps
        assert files(Path("releases")) == written


def test_a_release_that_comes_before_those_there_are_is_refused(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    dump(Path("dumps"), 2, COUNTS[0])
    say()
    dump(Path("dumps"), 1, COUNTS[1])
    with pytest.raises(SystemExit, match="2"):
        say()
    assert "it was version 1 and would be version 2" in capsys.readouterr().err


@pytest.mark.parametrize("known_from", ["data", "releases"])
@pytest.mark.parametrize(("gone", "there", "at"), [(1, 2, 1), (2, 3, 2)])
def test_a_release_that_is_gone_is_named_and_nothing_takes_its_place(
    gone: int, there: int, at: int, known_from: str, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        dump(Path("dumps"), number, COUNTS[number - 1])
    say()
    dump(Path("dumps"), 3, COUNTS[2])
    steps, written = Store(Path("store")).steps(), files(Path("releases"))
    folder, kept = Path(f"dumps/dump-{gone}"), Path("kept")
    folder.rename(kept)
    if known_from == "releases":
        shutil.rmtree("data")
    more = ["output=others"] if known_from == "data" else []
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        update.main([*given(), *more])
    message = " ".join(capsys.readouterr().err.split())
    assert f"dump-{gone} (version {gone})" in message
    assert f"dump-{there} would be version {at} in its place" in message
    assert "Put it back" in message
    if known_from == "data":
        with pytest.raises(SystemExit, match="2"):
            plan.main(["corpus=releases", *given()])
        assert f"no longer has dump-{gone} (version {gone})" in capsys.readouterr().err
    assert (Store(Path("store")).steps(), files(Path("releases"))) == (steps, written)
    kept.rename(folder)
    assert "new dump-3 " in " ".join(say("dry_run=true").split())


@pytest.mark.parametrize("trained", [False, True])
def test_what_was_only_looked_at_may_be_taken_out_again(
    trained: bool, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    dump(Path("dumps"), 2, COUNTS[1])
    say("dry_run=true")
    if trained:
        say()
        shutil.rmtree("releases")  # or it would say itself that release 2 is another one
    Path("dumps/dump-2").rename("stray")
    dump(Path("dumps"), 3, COUNTS[2])
    capsys.readouterr()
    if trained:
        with pytest.raises(SystemExit, match="2"):
            say("dry_run=true")
        assert "no longer has dump-2 (version 2)" in " ".join(capsys.readouterr().err.split())
    else:
        assert "new dump-3 " in " ".join(say("dry_run=true").split())


def test_the_last_release_may_go_and_folders_may_be_renamed(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        dump(Path("dumps"), number, COUNTS[number - 1])
    whole = planned(capsys)
    Path("dumps/dump-1").rename("dumps/dump-01")
    assert planned(capsys) == whole
    Path("dumps/dump-3").rename("taken")
    assert planned(capsys)["unique_steps"] < whole["unique_steps"]
    Path("taken").rename("dumps/dump-3")
    assert planned(capsys) == whole


@pytest.mark.slow
def test_adopted_checkpoints_serve_under_other_numerics(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    say()
    dump(Path("dumps"), 2, COUNTS[1])
    with pytest.raises(SystemExit, match="2"):
        say("numerics.threads=2", "dry_run=true")
    hint = capsys.readouterr().err.partition("To go on from it: python -m repro.adopt ")[2].splitlines()[0]
    adopt.main(shlex.split(hint))
    ours = f"{told('dump-1')['key']}"
    say("numerics.threads=2")
    assert told("dump-1")["key"] == ours
    assert told("dump-2")["numerics"]["threads"] == 2


def test_a_folder_of_somebody_elses_is_left_alone(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    Path("releases/dump-1").mkdir(parents=True)
    Path("releases/dump-1/notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        say()
    assert "is to be release dump-1 and holds something else" in capsys.readouterr().err
    assert not Path("store").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["paradigm=cpt,ptfs", "-m"], "2 runs"),
        (["stream=shuffled", "stream.versions=1", "stream.global_batch_size=4"], "releases, dated, dealt work"),
        (["--cfg", "job"], "not supported here"),
        (["dry_run=perhaps"], "dry_run=perhaps is unknown"),
        (["stream.versions=3"], "stream.versions=1 works"),
    ],
)
def test_what_an_update_is_not(more: list[str], message: str, say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    with pytest.raises(SystemExit, match="2"):
        say(*more)
    assert message in capsys.readouterr().err
    assert not Path("releases").exists()


def test_options_and_settings_are_refused_together(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    with pytest.raises(SystemExit, match="2"):
        say("dryrun=true", "output=out", "paradgm=cpt")
    said = " ".join(capsys.readouterr().err.split())
    assert "dryrun=true is unknown; did you mean dry_run=?" in said
    assert "paradgm is unknown; did you mean paradigm?" in said
    assert said.endswith("paradigm=cpt output=out")


def test_names_come_from_the_list_and_lead_nowhere_else(say: Say) -> None:
    dump(Path("dumps"), 1, COUNTS[0])
    Path("dumps/releases.csv").write_text("name,folder,date\n../a name of ours,dump-1,\n")
    say("output=out")
    (folder,) = Path("out").iterdir()
    assert told(folder.name, "out")["name"] == "../a name of ours"


def test_releases_of_a_pile_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus that comes in no releases is dealt."""
    monkeypatch.chdir(tmp_path)
    dump(Path("dumps"), 1, 2 * COUNTS[1])
    pile = ["corpus=local", "corpus.path=dumps/dump-1", "stream=dealt", "stream.heldout_blocks=4"]
    update.main(["scale=smoke", "schedule.warmup_steps=2", *pile, "stream.versions=2", "stream.steps_per_version=5"])
    assert told("v2")["before"] == {"name": "v1", "key": told("v1")["key"]}


@pytest.mark.slow
def test_a_release_is_a_folder_that_others_load(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, count in enumerate(COUNTS[:2], start=1):
        dump(Path("dumps"), number, count)
    say()
    folder = tmp_path / "releases" / "dump-2"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    weights = Store(Path("store")).load_weights(told("dump-2")["key"])
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    text = tokenizer("abcde ", return_tensors="pt")
    assert model.generate(**text, max_new_tokens=5, do_sample=False).shape[1] > text["input_ids"].shape[1]
    card = ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.license) == ("transformers", "unknown")
    assert told("dump-2")["data"]["fingerprint"] in card.text
    assert "python -m repro.update corpus.path=dumps scale=smoke" in card.text
    assert str(tmp_path) not in json.dumps(told("dump-2")) + card.text

    settings, data_path = items.install(tmp_path, monkeypatch)
    local_items.prepare(data_path)
    work = tmp_path / "work"
    shutil.copytree(settings.include_path, work / "conf" / "tasks" / "nine_local")
    (work / "data").symlink_to(data_path)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder}"]
    command += ["--include_path", "conf/tasks/nine_local", "--tasks", "openbookqa_local", "--device", "cpu"]
    command += ["--batch_size", "4", "--limit", "4", "--output_path", "scores"]
    done = subprocess.run(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads(next((work / "scores").rglob("results_*.json")).read_text())["results"]
    only = replace(settings, names=["openbookqa_local"])
    (row,) = harness.evaluate(model.eval(), tokenizer, only, data_path, 4, 4)
    assert scores[row["task"]][f"{row['metric']},none"] == row["value"]


MORE = {
    "two_stage": ["stream.versions=2"],
    "infinite": ["paradigm.cooldown_share=0.4"],
    "grow": ["paradigm.intermediate_before=40"],
}
AT_THE_MAXIMUM = ("merge", "schedule_free")
"""They decay by averaging."""


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "my_update"])
def test_every_recipe_plans_releases_of_unequal_lengths_and_decays_where_each_ends(name: str, say: Say) -> None:
    for number in (1, 2, 3):
        dump(Path("dumps"), number, COUNTS[number - 1])
    small = "stream.global_batch_size=4"  # steps enough for the shares of every recipe
    more = [small, "schedule=linear", f"paradigm={name}", *MORE.get(name, [])]
    run = make(compose(["corpus=releases", *given(), *more])).tree.runs[0]
    steps, s = run.releases.steps, run.settings
    assert len(set(steps)) == len(steps) == run.versions
    ends = [trajectory.end for trajectory in run.trajectories]
    assert ends == [sum(steps[:version]) for version in range(1, run.versions + 1)]
    lowest = s.schedule.max_lr if name in AT_THE_MAXIMUM or not recipe(s).decays else s.schedule.floor_lr
    rates = [float(trajectory.learning_rates[-1]) for trajectory in run.trajectories]
    # (The first of two stages is cut within its cycle.)
    ended = rates[1:] if name == "two_stage" else rates
    assert ended == pytest.approx([lowest] * len(ended))
    assert f"cost of dump-{run.versions} " in say(*more, "dry_run=true")


def test_the_readmes_section_works_as_typed(tmp_path: Path) -> None:
    (section,) = re.findall(r"\n## Your next release\n(.*?)\n## ", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    blocks = re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)
    assert sum("repro.update" in line for block in blocks for line in block.splitlines()) == 3
    for name in ("docs", *(path.name for path in ROOT.glob("*.md"))):
        (tmp_path / name).symlink_to(ROOT / name)
    folder = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in blocks:
        done = subprocess.run(["bash", "-ec", block], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["2026-01", "2026-02"]

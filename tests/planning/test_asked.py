"""All that is wrong with a command line is said at once, with one set of values that is then accepted as a whole."""

import random
import re
import shlex
from pathlib import Path

import pytest

from repro import plan as plan_command
from repro.common.errors import UserError
from repro.planning import asked, complaints
from repro.planning.planner import Plan

WORKS = asked.WORKS


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides for scale smoke on prepared text that is enough for some 60 steps per version."""
    chance = random.Random(0)
    words = ["".join(chance.choices("aeioubcdfgklmnprst", k=chance.randint(2, 7))) for _ in range(400)]
    place = tmp_path_factory.mktemp("little")
    (place / "texts").mkdir()
    for number in range(60):
        (place / "texts" / f"{number}.txt").write_text(" ".join(chance.choices(words, k=150)))
    places = [f"{name}.path={place / name}" for name in ("store", "data", "ledger")]
    given = ["scale=smoke", "corpus=local", f"corpus.path={place / 'texts'}", *places]
    asked.plan(given)  # which prepares the text
    return given


def refused(given: list[str], *, multirun: bool = False) -> tuple[str, Plan]:
    """What is said of overrides, and the plan of those that are said to work."""
    with pytest.raises(UserError) as refusal:
        asked.plan(given, multirun=multirun)
    said, _, works = str(refusal.value).rpartition(WORKS)
    said = said.removesuffix(f"{asked.NOT_PREPARED}\n")
    words = shlex.split(works)
    assert words, str(refusal.value)
    return said, asked.plan([each for each in words if each != "-m"], multirun="-m" in words)


def test_what_another_command_has_is_said_to_be_elsewhere(little: list[str]) -> None:
    said, _ = refused([*little, "dry_run=true"])
    assert said.strip() == f"dry_run is no setting; {complaints.ELSEWHERE['dry_run']}"


def test_a_folder_of_tasks_that_is_not_there_is_in_no_set_that_works(little: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        asked.plan([*little, "tasks.include_path=nowhere", "schedule=cosin"])
    said = str(refusal.value)
    assert "did you mean cosine?" in said
    assert "tasks.include_path=nowhere is no folder" in said
    assert WORKS not in said


def test_unknown_names_and_values_are_all_named_with_what_was_meant(little: list[str]) -> None:
    wrong = ["study=headlin", "schedule=cosin", "modle=qwen", "paradigm.alfa=1/2", "seed=-1", "numerics.dtype=bfloat"]
    wrong += ["stream.vocab_size=12", "schedule.max_lr=two", "nonsense=1"]
    said, plan = refused([*little, *wrong])
    for name, meant in (("study", "headline"), ("schedule", "cosine"), ("modle", "model"), ("alfa", "alpha")):
        assert any(
            name in line and f"did you mean {'paradigm.' * (name == 'alfa')}{meant}?" in line
            for line in said.splitlines()
        )
    for line in (
        *("seed=-1 must lie between", "numerics.dtype='bfloat' is unknown; did you mean bfloat16?"),
        *("stream.vocab_size=12 must lie", "schedule.max_lr=two: Value 'two'", "nonsense is unknown"),
    ):
        assert line in said
    assert len(said.splitlines()) == 9
    runs = [run.settings for run in plan.tree.runs]
    assert {s.paradigm.kind for s in runs} == {"ptfs", "cpt", "path_switching"}
    assert {(s.study, s.model.architecture, s.numerics.dtype, s.seed) for s in runs} == {
        ("headline", "qwen2", "bfloat16", 0)
    }
    assert {s.paradigm.alpha for s in runs if s.paradigm.kind == "path_switching"} == {"1/2"}


def test_where_the_defaults_work_no_empty_set_is_said_to() -> None:
    with pytest.raises(UserError) as refusal:
        asked.plan(["study=nope"])
    (line,) = str(refusal.value).splitlines()
    assert line.startswith("study=nope is unknown; choose one of alpha")


def test_too_little_text_is_answered_with_lengths_that_everything_fits(little: list[str]) -> None:
    """Found in three rounds once: T, then a warm-up that is too long for it, then shares that are not whole."""
    said, plan = refused([*little, "study=main", "stream.steps_per_version=500", "schedule.warmup_steps=60"])
    (line,) = said.splitlines()
    most = int(line.rpartition("stream.steps_per_version=")[2].split()[0])
    (steps,) = {run.settings.stream.steps_per_version for run in plan.tree.runs}
    assert most - 50 < steps <= most
    assert steps % 50 == 0, "multi-step's tenths of a branch of 0.6"
    assert all(run.settings.schedule.warmup_steps <= steps for run in plan.tree.runs)
    assert len(plan.tree.runs) == 12


def test_too_little_text_for_releases_is_answered_too(little: list[str], tmp_path: Path) -> None:
    """How many versions there are is not known then: it ended in a traceback."""
    (tmp_path / "dumps").mkdir()
    texts = next(each for each in little if each.startswith("corpus.path=")).partition("=")[2]
    (tmp_path / "dumps" / "a").symlink_to(texts)
    given = ["corpus=releases", f"corpus.path={tmp_path / 'dumps'}", "stream.steps_per_version=100000"]
    said, plan = refused([*(each for each in little if not each.startswith("corpus")), *given])
    assert "stream.steps_per_version=100000 needs" in said
    assert plan.tree.runs[0].settings.stream.steps_per_version > 50


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("headlin=1", "study=headline"),
        ("alfa=0.5", "paradigm.alpha"),
        ("schedule.alfa=0.5", "paradigm.alpha"),
        ("max_lr=0.1", "finetune.max_lr or schedule.max_lr"),
        ("lr=0.1", "finetune.max_lr or schedule.max_lr or schedule.min_lr"),
        ("shedule.maxlr=1", "schedule.max_lr"),
        ("schedule.decay_shpe=sqrt", "schedule.decay_shape"),
        ("optimizer.momentun=0.9", "optimizer.momentum"),
    ],
)
def test_a_name_is_told_by_its_letters_and_its_group_comes_second(little: list[str], typed: str, meant: str) -> None:
    said, _ = refused([*little, typed])
    assert f"{typed.partition('=')[0]} is unknown; did you mean {meant}?" in said


def test_a_misspelled_sweep_stays_a_sweep(little: list[str]) -> None:
    said, plan = refused([*little, "sede=0,1"], multirun=True)
    assert said == "sede is unknown; did you mean seed?\n"
    assert {run.settings.seed for run in plan.tree.runs} == {0, 1}


def test_a_sweep_that_was_not_asked_for_names_the_flag_and_a_value(little: list[str]) -> None:
    said, plan = refused([*little, "seed=1,2"])
    assert said.strip() == "seed=1,2 is a sweep: with -m each of its values is run, and seed=1 is one."
    assert {run.settings.seed for run in plan.tree.runs} == {1}


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        (["model.heads=3", "stream.global_batch_size=6", "numerics.micro_batch_size=4", "schedule.min_lr=1"], 5),
        (["paradigm=cpt", "paradigm.start=previous_end", "paradigm.rewarm_steps=3", "schedule.min_lr=0"], 2),
        (["paradigm=merge", "paradigm.count=7", "paradigm.window=0.1"], 1),
        (["paradigm.alpha=0.55", "schedule=knee"], 1),
        (["paradigm.branch_share=0.123"], 1),
        (["stream=dealt", "stream.versions=auto"], 1),
        (["numerics.world_size=3"], 2),
        (["schedule.warmup_steps=49"], 1),
        (["paradigm=cpt", "paradigm.alpha=0.5"], 1),
        (["stream.block_tokens=16"], 1),
        (["optimizer=muon", "optimizer.betta=3"], 1),
        (["optimizer.momentum=0.9"], 1),
        (["paradigm=grow", "paradigm.layers_before=null", "seed=x"], 2),
        (["paradigm=grow", "paradigm.at=9", "seed=x"], 3),
        (["stream.steps_per_version=[50,50]", "stream.versions=3"], 1),
        (["paradigm=cpt", "paradigm.replay=1/3"], 1),
        (["paradigm=ptfss", "seed=x", "hydra.sweep.dir=[1,2]"], 3),
    ],
)
def test_what_does_not_go_together_is_answered_with_what_does(little: list[str], wrong: list[str], lines: int) -> None:
    said, plan = refused([*little, *wrong])
    assert len(said.splitlines()) == lines, said
    assert plan.tree.runs


def test_of_a_sweep_the_values_that_work_stay(little: list[str]) -> None:
    said, plan = refused([*little, "paradigm.alpha=0.3,0.6,1.5", "seed=0,-1,2"], multirun=True)
    assert sorted(line.split()[0] for line in said.splitlines()) == ["paradigm.alpha=1.5", "seed=-1"]
    kept = {(run.settings.paradigm.alpha, run.settings.seed) for run in plan.tree.runs}
    assert kept == {(alpha, seed) for alpha in ("0.3", "0.6") for seed in (0, 2)}


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ("seed=1,", "seed=1,: a comma stands between values, and one is missing here; seed=1 works."),
        ("seed=,1", "seed=,1: a comma stands between values, and one is missing here; seed=1 works."),
        ("seed=[1", f"seed=[1 cannot be read. {complaints.QUOTING}"),
        ("+seed=3", "+seed: seed is there, and is set without a plus."),
        ("+foo=1", "foo is unknown."),
        ("+stream.ordr=1", "stream.ordr is unknown; did you mean stream.order?"),
        ("hydra.mode=MULTI", "hydra.mode=MULTI: Invalid value 'MULTI', expected one of [RUN, MULTIRUN]."),
        ("study=null", "study=null: study is a group, of which one option is chosen; without study=, its default is."),
    ],
)
def test_what_hydra_cannot_read_is_answered_in_our_words(little: list[str], wrong: str, answer: str) -> None:
    with pytest.raises(UserError) as refusal:
        asked.plan([*little, wrong])
    said, _, works = str(refusal.value).partition(WORKS)
    assert said.splitlines()[0] == answer
    assert asked.plan(shlex.split(works)).tree.runs


def test_a_fraction_that_was_cut_off_asks_for_no_billion_steps(little: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        asked.plan([*little, "paradigm.alpha=0.333333333"])
    said, _, works = str(refusal.value).partition(WORKS)
    assert "a fraction is written as one: paradigm.alpha=1/3." in said
    assert "multiple" not in said
    assert asked.plan(shlex.split(works)).tree.runs


@pytest.mark.parametrize("wrong", [["corpus.path=nowhere"], ["corpus.path=a(b"], ["extensions=[no_such]"]])
def test_what_only_the_user_knows_is_not_made_up(little: list[str], wrong: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        asked.plan([*little, *wrong])
    said, _, works = str(refusal.value).partition(WORKS)
    assert wrong[0].partition("=")[2].strip("[]") in said
    assert wrong[0] not in shlex.split(works)


def test_the_command_says_it_and_takes_what_it_says(little: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = [*little, "paradigm=ptsf,cpt", "seed=0,1", "stream.steps_per_version=5000", "-m"]
    with pytest.raises(SystemExit) as status:
        plan_command.main(given)
    assert status.value.code == 2
    said = capsys.readouterr().err
    assert "did you mean ptfs?" in said
    assert "is the largest that works" in said
    plan_command.main(shlex.split(said.rpartition(WORKS)[2]))
    assert "cost over PTFS" in capsys.readouterr().out


@pytest.mark.parametrize(("stream", "remedy"), [("dated", "dealt"), ("chronological", "shuffled")])
def test_missing_dates_are_named_beside_what_is_wrong_with_settings(
    little: list[str], tmp_path: Path, stream: str, remedy: str
) -> None:
    """And no text is prepared to find them."""
    wrong = [f"data.path={tmp_path}", f"stream={stream}", "seed=-1", "schedule.kind=cosin"]
    with pytest.raises(UserError) as refusal:
        asked.plan([*little, *wrong])
    dates, unknown, works = str(refusal.value).splitlines()[-3:]
    assert "seed=-1" in str(refusal.value)
    assert "did you mean cosine?" in str(refusal.value)
    assert dates.startswith(f"stream.order={stream} needs a date for every document, and 60 of 60 have none, such as ")
    assert dates.endswith(f"stream.order={remedy} needs no dates.")
    assert unknown == asked.NOT_PREPARED
    assert works.startswith(WORKS)
    assert not list(tmp_path.glob("*/*"))


def test_a_share_that_holds_out_too_little_is_answered_with_one_that_does(little: list[str]) -> None:
    short = ["stream.sequence_length=512", "stream.steps_per_version=5", "schedule.warmup_steps=0"]
    with pytest.raises(UserError, match="held-out tokens, and one block needs 513") as refusal:
        asked.plan([*little, *short, "stream.versions=2", "stream.heldout_share=0.001"])
    (share,) = re.findall(r"About stream\.heldout_share=(\S+) or more text works\.", str(refusal.value))
    assert asked.plan([*little, *short, "stream.versions=2", f"stream.heldout_share={share}"]).tree.runs


def test_text_too_short_for_the_shares_is_answered_with_a_batch_that_fits(little: list[str]) -> None:
    said, plan = refused([*little, "stream.steps_per_version=auto", "stream.global_batch_size=64"])
    assert "version 1 has data for 4 steps" in said
    assert "stream.global_batch_size=51" in said
    assert all(run.settings.stream.global_batch_size == 51 for run in plan.tree.runs)
    said, plan = refused([*little, "stream.steps_per_version=auto", "stream.global_batch_size=1000"])
    assert "version 1 has data for 0 steps" in said
    assert all(run.settings.stream.global_batch_size == 51 for run in plan.tree.runs)

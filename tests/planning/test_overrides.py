"""What was typed is what is meant: paths stay text, places are not swept, and what cannot be launched is refused."""

import logging
import math
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from repro import plan, train
from repro.common.errors import UserError
from repro.config.places import CONF
from repro.config.registries import CORPORA
from repro.launching import training
from repro.planning import asked, planner, sweeps
from repro.results import measures
from repro.store.store import Store

Overrides = Callable[..., list[str]]


@pytest.mark.parametrize("name", ["1e3", "2024_01", "0x10", "007", "nan", "1_0.5", "true", "+1", "1."])
def test_a_path_that_looks_like_a_number_stays_what_was_typed(name: str) -> None:
    (settings,) = sweeps.compose([f"store.path={name}", f"data.path={name}", f"ledger.path={name}"])
    (other,) = sweeps.compose(["corpus=local", f"corpus.path={name}"])
    assert (settings.store.path, settings.data.path, other.corpus.path) == (name, name, name)
    assert Path(settings.ledger.path).name == name


@pytest.mark.parametrize("setting", ["corpus.path", "corpus.pattern", "store.path"])
def test_a_value_that_is_not_utf_8_is_refused_before_anything_is_trained(setting: str) -> None:
    name = os.fsdecode(b"caf\xe9")
    with pytest.raises(UserError, match=rf"{setting}='caf\\udce9' is not UTF-8"):
        sweeps.compose(["corpus=local", f'{setting}="{name}"'])


def test_a_word_that_looks_like_a_number_stays_what_was_typed() -> None:
    given = ["corpus=local", "corpus.path=x", "corpus.text_column=1e3", "corpus.pattern=007", "tracker.project=1_0"]
    (settings,) = sweeps.compose(given)
    assert isinstance(settings.corpus, CORPORA["local"])
    assert (settings.corpus.text_column, settings.corpus.pattern, settings.tracker.project) == ("1e3", "007", "1_0")


def test_text_where_the_suite_keeps_its_own_is_refused_with_another_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(SystemExit):
        plan.main(["scale=smoke", "corpus=local", f"corpus.path={tmp_path}", f"data.path={tmp_path}"])
    said = capsys.readouterr().err
    assert f"corpus.path={tmp_path} is data.path" in said
    assert "data.path=prepared" in said.partition("together: ")[2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_sweep_is_kept_where_it_was_told_to_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_path: Path, few: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [*few, "paradigm=ptfs", "scale=smoke", "stream.versions=2", "stream.steps_per_version=4"]
    train.main([*small, "schedule.warmup_steps=1", f"data.path={data_path}", "store.path=1e3", "ledger.path=2024_01"])
    assert {path.name for path in tmp_path.iterdir()} == {"1e3", "2024_01"}


def test_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/some one")
    (settings,) = sweeps.compose(["store.path=~/store", "data.path=~"])
    assert settings.store.path == "/home/some one/store"
    assert settings.data.path == "/home/some one"


def test_one_ledger_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    spelled = ("ledger", "./x/../ledger", str(tmp_path / "ledger"), str(tmp_path / "link" / "ledger"))
    assert len({sweeps.compose([f"ledger.path={each}"])[0].ledger.path for each in spelled}) == 1


@pytest.mark.parametrize(
    "swept",
    [
        *("store.path=A,B", "data.path=A,B", "ledger.path=A,B", "tracker=none,tensorboard", "store.save_seconds=1,2"),
        *("estimate.flops_per_second=1e9,2e9", "extensions=[math],[json]", "tracker.project=choice(a,b)"),
        "store.path=s${seed}",
    ],
)
def test_where_a_sweep_is_kept_cannot_be_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], swept: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as status:
        train.main(["-m", "scale=smoke", "paradigm=ptfs", "seed=0,1", swept])
    assert status.value.code == 2
    said = capsys.readouterr().err
    assert "cannot be swept" in said or "must be one for a whole sweep" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "n_jobs=0 starts no worker"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=many"], "n_jobs"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1.5"], "n_jobs"),
        (["hydra/launcher=joblib", "hydra.launcher.batch_size=0"], "batch_size"),
        (["hydra/launcher=joblib", "hydra.launcher.backend=nope"], "nope"),
        (["hydra/launcher=joblib", "hydra.launcher.pre_dispatch=foo"], "all or 2*n_jobs works"),
        (["hydra/launcher=joblip"], "did you mean joblib?"),
        (["hydra/sweeper=optuna"], "list the values"),
        (["hydra.sweeper._target_=other.OptunaSweeper"], "list the values"),
        (["hydra/launcher=joblib", "hydra.launcher=2"], "hydra/launcher=NAME chooses which"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jbos=2"], "did you mean hydra.launcher.n_jobs?"),
        (["hydra.sweeper.max_batch_size=0"], "must be a whole number from 1, or null"),
        (["schedule.max_lr=interval(1e-4,1e-3)"], "schedule.max_lr=1e-4,1e-3 runs its ends"),
        (["finetune.versions=9"], "finetune.versions=[9] is"),
        (["--cfg", "job"], "seed=0,1 is a sweep, and what is shown is one job's; give seed one value"),
        (["seed=interval(0,1)"], "seed=0,1 runs its ends"),
        (["hydra.job.name=a,b"], "hydra.job.name=a,b: Hydra sweeps none of its own settings; one value works."),
        (["hydra/launcher=joblib,basic"], "Hydra sweeps none of its own settings"),
        (["hydra/launcher=basic", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "n_jobs=0 starts no worker"),
    ],
)
def test_what_cannot_be_launched_is_refused_before_anything_is_frozen(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], word: str
) -> None:
    with pytest.raises(SystemExit) as status:
        train.main(["-m", *smoke("paradigm=ptfs", "seed=0,1", *given)])
    assert status.value.code == 2
    said = capsys.readouterr().err
    assert any(each in said for each in word.split("|")), said
    assert not (tmp_path / "store" / "plans").exists()


def test_a_launchers_numbers_are_refused_with_all_else_and_what_works_has_them_right(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["hydra.launcher.n_jobs=0", "hydra.launcher.prefer=foo", "schedule.max_lr=-1", "seed=0,1"]
    with pytest.raises(SystemExit) as status:
        train.main(["-m", *smoke("paradigm=cpt", "hydra/launcher=joblib", *wrong)])
    assert status.value.code == 2
    said = capsys.readouterr().err
    for each in ("n_jobs=0 starts no worker", "foo", "schedule.max_lr=-1"):
        assert each in said
    works = said.splitlines()[-1].partition("works together: ")[2]
    assert "n_jobs=1" in works
    assert "foo" not in works
    assert "max_lr=-1" not in works


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is what this asks for in vain")
@pytest.mark.parametrize(
    ("wrong", "word"), [("numerics=cuda", "sees no such GPU"), ("tracker=wandb", "needs the package wandb")]
)
def test_what_this_machine_has_not_is_in_no_set_that_works(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: str, word: str
) -> None:
    monkeypatch.setattr("repro.results.trackers.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        train.main(smoke("paradigm=cpt", "seed=x", wrong))
    said = capsys.readouterr().err
    assert "seed=x: Value 'x' of type 'str' could not be converted to Integer" in said
    assert word in said
    works = said.splitlines()[-1].partition(asked.WORKS)[2]
    assert "paradigm=cpt" in works
    assert wrong not in works


def test_joblib_is_told_to_start_no_more_workers_than_there_are_jobs(smoke: Overrides) -> None:
    from joblib import cpu_count

    from repro.launching.launchers import handed

    def workers(*overrides: str) -> int:
        return int(handed(smoke("hydra/launcher=joblib", *overrides), ["-m"])[-1].partition("=")[2])

    assert workers("seed=0,1") == min(2, cpu_count())
    assert workers("seed=0,1", "hydra.launcher.n_jobs=7") == 2
    assert handed(smoke("hydra/launcher=joblib", "hydra/launcher=basic"), ["-m"])[-1] == "hydra/launcher=basic"
    assert workers("seed=0,1,2,3", "hydra.launcher.n_jobs=3") == 3
    assert workers("seed=0,1,2,3", "hydra.launcher.n_jobs=-1") == min(4, cpu_count())
    assert workers("seed=0,1,2,3", "hydra.launcher.n_jobs=-300") == 1
    assert workers("study=all", "hydra.launcher.n_jobs=1000") == len(sweeps.studies())


def test_a_launcher_is_handed_a_single_run_too(smoke: Overrides) -> None:
    """Hydra has none start what is no sweep, and would train here."""
    from repro.launching.launchers import handed

    given = smoke("paradigm=cpt", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    assert "-m" in handed(given, [])
    assert "-m" not in handed(smoke("paradigm=cpt"), [])
    assert "-m" not in handed([*given, "study=headline"], [])  # which says so itself


def test_jobs_in_folders_of_their_own_are_refused(smoke: Overrides) -> None:
    with pytest.raises(UserError, match=r"hydra\.job\.chdir=true: each job would look for the store"):
        sweeps.compose(smoke("hydra.job.chdir=true"))
    assert sweeps.compose(smoke("hydra.job.chdir=false"))


def test_a_composed_configuration_is_shown_for_a_sweep_and_elsewhere_its_command_is_named(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main(["-m", *smoke("paradigm=ptfs"), "--cfg", "job", "stream.versions=7"])
    assert "versions: 7" in (shown := capsys.readouterr().out)
    assert "steps_per_version" in shown
    with pytest.raises(SystemExit) as status:
        plan.main([*smoke("paradigm=ptfs"), "--cfg", "job"])
    assert status.value.code == 2
    assert "repro.train --cfg job" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["paradigm=base"], ["-m", "paradigm=glob(*)"]])
def test_what_recipes_begin_with_is_none_itself(
    smoke: Overrides, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        plan.main(smoke(*given))
    assert status.value.code == 2
    assert "paradigm=base is what others begin with" in (said := capsys.readouterr().err)
    assert "paradigm='glob(*,exclude=base)' leaves it out" in said
    assert len(sweeps.compose(smoke("paradigm=glob(*,exclude=[base,grow])"), multirun=True)) > 10


def test_a_glob_is_mended_in_one_round(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plan.main(["-m", *smoke("paradigm=glob(*)")])
    base, grow, together = capsys.readouterr().err.splitlines()
    assert "paradigm=base is what others begin with" in base
    assert grow.startswith("paradigm=grow needs a smaller model")
    works = shlex.split(together.partition("together: ")[2])
    found = {each.paradigm.kind for each in sweeps.compose(works[1:], multirun=True)}
    assert found == {path.stem for path in (CONF / "paradigm").glob("*.yaml")} - {"base"}


def test_a_glob_among_other_values_is_refused_with_one_that_matches_them(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        plan.main(["-m", *smoke("paradigm=ptfs,glob(c*)")])
    said = capsys.readouterr().err
    assert "a glob stands alone; paradigm='glob([ptfs,c*])' matches all of these." in said
    works = shlex.split(said.partition("together: ")[2])
    assert [each.paradigm.kind for each in sweeps.compose(works[1:], multirun=True)] == ["cpt", "ptfs"]


def test_a_job_returns_its_last_versions_loss(smoke: Overrides, tmp_path: Path) -> None:
    given = smoke("paradigm=cpt", "stream.versions=2", "stream.steps_per_version=4", "schedule.warmup_steps=1")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loss = training.job.__wrapped__(compose("config", overrides=given))
    tree = planner.make(sweeps.compose(given)).tree
    slices = measures.find(tree.runs[0], tree.ends[0][1], Store(tmp_path / "store"))
    assert slices is not None
    assert math.exp(loss) == measures.perplexity(slices, 2)


@pytest.mark.parametrize("given", ["timeout_min=0", "timeout_min=-5", "nodes=0", "mem_gb=0", "cpus_per_task=-1"])
def test_a_cluster_is_not_asked_for_nothing(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    pytest.importorskip("submitit", reason="comes with the extra slurm")
    with pytest.raises(SystemExit) as status:
        train.main(smoke("paradigm=ptfs", "-m", "hydra/launcher=submitit_local", f"hydra.launcher.{given}"))
    assert status.value.code == 2
    assert f"hydra.launcher.{given} must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "store" / "plans").exists()


def test_what_only_a_launcher_finds_wrong_ends_in_its_words(
    smoke: Overrides, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("paradigm=ptfs", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.pre_dispatch=2+*")
    with pytest.raises(SystemExit) as status:
        train.main(["-m", *given])
    assert status.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "error: joblib: " in said


@pytest.fixture
def quiet() -> Iterator[None]:
    """Takes back what Hydra's --info does to this process's logging."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("hydra", "hydra.core.utils"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize("shown", ["--cfg job", "--info config"])
@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ("study=headlin", "did you mean headline?"),
        ("paradgm=cpt", "did you mean paradigm?"),
        ("paradigm.alpha=7", "paradigm.alpha=7 must lie in"),
        ("extensions=[nosuch]", "extensions=[nosuch] cannot be imported"),
        ("study=all", "study=all is every study, and what is shown is one job's"),
    ],
)
def test_no_configuration_is_shown_that_would_be_refused(
    smoke: Overrides, capsys: pytest.CaptureFixture[str], shown: str, wrong: str, word: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.main([*smoke(wrong), *shown.split()])
    out, said = capsys.readouterr()
    assert word in said
    assert out == ""


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("shown", ["--cfg job", "--cfg all", "--info config", "-c hydra", "--info"])
@pytest.mark.parametrize("more", [[], ["-m"], ["study=alpha"]])
def test_a_configuration_is_shown_whatever_is_swept(
    smoke: Overrides, tmp_path: Path, shown: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    train.main([*more, *smoke("paradigm.alpha=0.5"), *shown.split()])
    assert len(capsys.readouterr().out) > 200
    assert not (tmp_path / "store").exists()

"""The plan's command line: what it prints, and what it refuses."""

import json
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

from repro import plan as plan_command
from repro import train
from repro.launching import training
from repro.planning import frozen, planner, runs, sweeps
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store

Overrides = Callable[..., list[str]]


def planned(capsys: pytest.CaptureFixture[str], *overrides: str) -> dict[str, object]:
    plan_command.main([*overrides, "output=json"])
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


def test_json_is_one_object_with_the_trees_numbers(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    result = planned(capsys, *smoke("study=headline"))
    assert (result["study"], result["scale"]) == ("headline", "smoke")
    assert [(r["paradigm"], r["schedule"], r["seed"], r["steps"], r["relative_cost"]) for r in result["runs"]] == [
        ("ptfs", "cosine", 0, 500, 1.0),
        ("cpt", "cosine", 0, 200, 0.4),
        ("path_switching", "cosine", 0, 290, 0.58),
    ]
    assert result["logical_steps"] == 3 * 500
    # What the three trees share: version 1 of ptfs and cpt, and the warm-up of the main path with both.
    assert result["unique_steps"] == 500 + 200 + 290 - 50 - 5
    assert result["stored_steps"] == 0
    assert result["branch_points"] == 3 + 1
    assert result["checkpoint_bytes"] > 12 * result["checkpoints"]


def test_runs_of_one_name_are_told_apart_by_their_settings(smoke: Overrides) -> None:
    given = smoke("schedule=wsd,linear", "schedule.decay_share=0.1,0.2")
    assert runs.labels(make(compose(given, multirun=True)).tree.runs) == [
        "wsd path_switching_a0.6 decay_share=0.1",
        "wsd path_switching_a0.6 decay_share=0.2",
        "linear path_switching_a0.6",
    ]
    given = smoke("optimizer=muon,adamw", "optimizer.weight_decay=0,0.1")
    assert runs.labels(make(compose(given, multirun=True)).tree.runs) == [
        f"path_switching_a0.6 optimizer={kind} weight_decay={decay}"
        for kind in ("muon", "adamw")
        for decay in (0.0, 0.1)
    ]
    optimizers = make(compose(smoke("optimizer=muon,adamw"), multirun=True)).tree.runs
    assert runs.labels(optimizers) == ["path_switching_a0.6 optimizer=muon", "path_switching_a0.6 optimizer=adamw"]
    seeds = make(compose(smoke("seed=0,1"), multirun=True)).tree.runs
    assert runs.labels(seeds) == ["path_switching_a0.6 s0", "path_switching_a0.6 s1"]


@pytest.mark.slow  # `make evidence` plans many studies together, too
def test_all_studies_merge_into_one_plan(smoke: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    everything = planned(capsys, *smoke("study=all"))
    main = planned(capsys, *smoke("study=main"))
    assert everything["study"] == "all"
    assert len(everything["runs"]) > len(main["runs"])
    assert main["unique_steps"] < everything["unique_steps"] < everything["logical_steps"] / 2
    *studies, together = everything["studies"]
    assert (together["study"], together["runs"]) == ("all", len(everything["runs"]))
    for name in ("logical_steps", "unique_steps"):
        assert together[name] == everything[name]
    # A study costs in the plan of all what it costs by itself.
    (alone,) = main["studies"]
    (there,) = (row for row in studies if row["study"] == "main")
    assert there == pytest.approx(alone)
    assert sum(row["unique_steps"] for row in studies) > together["unique_steps"]


def test_a_worker_that_says_it_is_at_the_last_step_has_not_finished_it(
    smoke: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint is still being written, or never will be: the worker may have died since."""
    given = smoke("paradigm=cpt", "stream.versions=2")
    tree = planner.make(sweeps.compose(given)).tree
    signs = {key: {"step": node.step} for key, node in tree.nodes.items()}
    monkeypatch.setattr(Store, "leases", lambda store: signs)
    launched = []
    monkeypatch.setattr(training, "job", lambda: launched.append(True))
    with pytest.raises(SystemExit) as status:
        train.main(given)
    assert launched, "there was something to do"
    assert status.value.code == 1
    left = tree.unique_steps + 2  # a measurement a version
    assert f"{left:,} steps are not done" in capsys.readouterr().err
    # Only the progress bar takes its word.
    made = planner.make(sweeps.compose(given))
    store = Store(Path(made.tree.runs[0].settings.store.path))
    assert training.begun(made, store) == tree.unique_steps


def test_what_can_be_resumed_counts_as_begun(smoke: Overrides, tmp_path: Path) -> None:
    plan, store = make(compose(smoke("paradigm=cpt", "stream.versions=2"))), Store(tmp_path / "store")
    first, second = plan.tree.ends[0]
    store.save_partial(first, 20, {}, {})
    assert training.begun(plan, store) == 20
    store.save(first, 50, {}, {})
    assert training.begun(plan, store) == 0
    store.save_partial(second, 70, {}, {})
    assert training.begun(plan, store) == 20


def test_a_frozen_sweeps_id_is_no_number_to_hydra(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash of digits with an e in them once was read as infinity, and the sweep's workers found no plan."""

    class Digest:
        def hexdigest(self) -> str:
            return "12e45678901234567890"

    made = planner.make(sweeps.compose(smoke("paradigm=cpt")))
    monkeypatch.setattr(frozen.hashlib, "sha256", lambda data: Digest())
    name = frozen.name(made)
    assert "12e45678" in name
    (override,) = OverridesParser.create().parse_overrides([f"frozen_plan={name}"])
    assert override.value() == name


def test_planning_writes_nothing_but_the_prepared_stream(smoke: Overrides, tmp_path: Path) -> None:
    plan_command.main(smoke("study=headline"))
    assert list(tmp_path.iterdir()) == []


def test_paper_scale_is_planned_without_data_or_a_gpu(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = planned(capsys, "study=headline", "scale=paper", f"store.path={tmp_path}")
    assert [r["relative_cost"] for r in result["runs"]] == [1.0, 0.4, 0.58]
    assert result["unique_steps"] == 188_000 - 1_000
    assert 1e21 < result["flops"] < 1e22
    assert result["estimated_hours"] == pytest.approx(result["flops"] / 1.25e14 / 3600)
    (study,) = result["studies"]
    assert study["unique_hours"] == pytest.approx(result["estimated_hours"])
    assert study["logical_hours"] == pytest.approx(study["unique_hours"] * 300 / 187)
    text = (Path(__file__).resolve().parents[2] / "docs/scaling.md").read_text()
    assert f"takes {study['unique_hours']:,.0f} GPU-hours rather than {study['logical_hours']:,.0f}" in text


def test_gpu_hours_come_with_what_they_assume(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    eight = ["numerics.world_size=8", "estimate.flops_per_second=1e14", "estimate.basis='a guess'"]
    overrides = ["paradigm=cpt", "scale=paper", f"store.path={tmp_path}", *eight]
    plan_command.main(overrides)
    text = capsys.readouterr().out
    hours = planned(capsys, *overrides)["estimated_hours"]
    assert isinstance(hours, float)
    assert f"40,000 steps, {hours:,.0f} GPU-hours, about {hours / 8:,.0f} h on one worker of 8 processes" in text
    assert "100 TFLOP/s per GPU: a guess" in text


REFUSED = {
    "an unknown study": (["study=nope"], "study=nope is unknown; choose one of"),
    "an unknown schedule": (["schedule=nope"], "schedule=nope is unknown; choose one of"),
    "an unknown paradigm": (["paradigm=nope"], "paradigm=nope is unknown; choose one of"),
    "an unknown corpus": (["corpus=nope"], "corpus=nope is unknown; choose one of"),
    "an unknown scale": (["scale=nope"], "scale=nope is unknown; choose one of"),
    "an unknown setting": (["stream.nope=1"], "stream.nope"),
    "a reference to nothing": (
        ["evaluation.batch_size=${nope}"],
        "evaluation.batch_size=${nope}: Interpolation key 'nope' not found.\nAll of this works together: scale=smoke ",
    ),
    "a reference to another type": (
        ["evaluation.batch_size=${scale}"],
        "evaluation.batch_size=${scale}: While dereferencing interpolation '${scale}': Value 'smoke' of type 'str'",
    ),
    "an unknown output": (["output=xml"], "output=xml"),
    "alpha of 0": (["paradigm.alpha=0"], r"paradigm.alpha=0 must lie in (0, 1]"),
    "alpha above 1": (["paradigm.alpha=1.2"], "paradigm.alpha=1.2"),
    "alpha that is no number": (["paradigm.alpha=much"], "paradigm.alpha='much'"),
    "alpha T not whole": (["paradigm.alpha=0.333"], "nearest values that work"),
    "alpha T next to 0": (["paradigm.alpha=0.001"], "values that work: paradigm.alpha=1/50; or a"),
    "an exploration of nearly the whole cycle": (
        ["schedule=knee", "paradigm=cpt", "schedule.explore_share=0.999"],
        "values that work: schedule.explore_share=49/50; or a",
    ),
    "a corpus that is too short": (["stream.steps_per_version=10000000"], "missing"),
    "a minimum above the maximum": (["schedule.min_lr=1"], "schedule.min_lr=1 is above schedule.max_lr=0.01"),
    "a warm-up longer than version 1": (["schedule.warmup_steps=51"], "longer than version 1"),
    "heads that do not divide the width": (["model.heads=3"], "model.heads=3 does not divide model.hidden_size=32"),
    "no document at all": (
        ["corpus=hf", "corpus.dataset=some/dataset", "corpus.max_documents=0"],
        "corpus.max_documents=0 must lie between 1 and",
    ),
    "a setting that none of the runs has": (["corpus.max_documents=5"], "corpus.max_documents is a setting of hf"),
    "a setting of a recipe that does not run": (
        ["paradigm=cpt", "paradigm.alpha=0.5"],
        "paradigm.alpha is a setting of ptfs, path_switching",
    ),
    "no example at all": (["finetune.max_examples=-1"], "finetune.max_examples=-1 must lie between 1 and"),
    "a value of the wrong type": (["stream.versions=two"], "stream.versions"),
    "a list that becomes text": (["finetune.seeds=${scale}"], "finetune.seeds='smoke' is no list; one as [1,2] works."),
    "a sweep without multirun": (["seed=0,1"], "seed=0,1"),
    "a group that is misspelled": (["modle=qwen"], "modle is unknown; did you mean model?"),
    "a setting that is misspelled": (["stream.version=3"], "stream.version is unknown; did you mean stream.versions?"),
    "a study that is misspelled": (["study=headlin"], "study=headlin is unknown; did you mean headline? choose one of"),
    "a value that needs quotes": (["corpus.path=a (b)"], "stands in quotes within quotes"),
    "a sweep over nothing": (["-m", "seed=glob(*)"], "The sweep has no run"),
    "an override that does not parse": (["a=b=c"], "a=b=c"),
    "a local corpus without a path": (["corpus=local"], "corpus.path"),
    "a local corpus that is not there": (["corpus=local", "corpus.path=nowhere"], "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", [plan_command.main, train.main], ids=["plan", "train"])
def test_bad_input_is_refused_before_anything_is_written(
    smoke: Overrides,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: str,
    command: Callable[[list[str]], None],
) -> None:
    overrides, expected = REFUSED[case]
    if command is train.main and case == "an unknown output":
        pytest.skip("an option of plan's own")
    with pytest.raises(SystemExit) as refusal:
        command(smoke(*overrides))
    assert refusal.value.code == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err + captured.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("plan.foo", r"\.png, \.pdf and \.svg work"),
        ("nowhere/plan.png", "cannot be written: No such file .* another figure"),
    ],
)
def test_a_figure_that_cannot_be_made_is_refused(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str], figure: str, expected: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        plan_command.main(smoke(f"figure={tmp_path / figure}"))
    assert refusal.value.code == 2
    assert re.search(f"^error: .*{figure}.*{expected}", capsys.readouterr().err)


def test_a_plan_is_drawn_whatever_its_runs_are_called(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs.Run, "name", "北京")  # an extension's recipe
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each box
        plan_command.main(smoke(f"figure={tmp_path / 'plan.png'}"))
    assert (tmp_path / "plan.png").stat().st_size


def test_a_line_that_is_no_json_is_named(smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "texts.jsonl"
    corpus.write_text('{"text": "fine"}\n{"text": \n')
    with pytest.raises(SystemExit) as refusal:
        plan_command.main(smoke("corpus=local", f"corpus.path={corpus}"))
    assert refusal.value.code == 2
    assert "texts.jsonl" in (message := capsys.readouterr().err)
    assert "2" in message


def test_a_store_that_cannot_be_written_is_refused(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as refusal:
        train.main(smoke(f"store.path={tmp_path / 'file' / 'store'}"))
    assert refusal.value.code == 2
    assert "store.path" in capsys.readouterr().err


def test_the_command_itself_refuses_without_a_traceback(tmp_path: Path) -> None:
    for module in ("repro.plan", "repro.train"):
        result = subprocess.run(
            [sys.executable, "-m", module, "study=nope"], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert result.returncode == 2
        assert "study=nope is unknown; choose one of alpha" in result.stderr
        assert "Traceback" not in result.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["cpu:0", "meta", "tpu"])
def test_a_device_of_no_known_kind_is_refused(
    smoke: Overrides, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A numbered CPU, too: it would be the same device under another name, hence under other keys."""
    with pytest.raises(SystemExit) as refusal:
        train.main(smoke(f"numerics.device={device}"))
    assert refusal.value.code == 2
    assert f"numerics.device='{device}' is " in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here_is_planned_for_and_not_trained_on(
    smoke: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = smoke("study=headline", "numerics=cuda")
    assert make(compose(given)).missing_steps > 0
    with pytest.raises(SystemExit) as refusal:
        train.main(given)
    assert refusal.value.code == 2
    assert "numerics.device=cuda: this machine's torch" in capsys.readouterr().err
    assert not (tmp_path / "store" / "plans").exists()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (["--config-dir=mine"], "--config-dir: not supported"),
        (["--experimental-rerun", "x"], "--experimental-rerun: not supported"),
        (["paradigm.alpha='1e30000000'"], "paradigm.alpha='1e30000000' is no number"),
        (["corpus=local", f"corpus.path={'a' * 300}"], "does not exist"),
    ],
)
def test_what_would_run_past_the_plan_or_for_ever_is_refused(
    smoke: Overrides, capsys: pytest.CaptureFixture[str], wrong: list[str], expected: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        train.main([*smoke("study=headline"), *wrong])
    assert refusal.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_norm_that_is_no_number_is_not_kept(
    smoke: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: clip(*given) * float("nan"))
    with pytest.raises(SystemExit) as status:
        train.main(smoke("paradigm=cpt"))
    assert status.value.code == 1
    assert Store(tmp_path / "store").steps() == {}


def test_who_reads_the_output_may_close_it_early(smoke: Overrides) -> None:
    command = [sys.executable, "-m", "repro.plan", *smoke("study=headline"), "output=json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as plan_:
        assert plan_.stdout is not None
        assert plan_.stderr is not None
        plan_.stdout.close()
        assert plan_.stderr.read() == ""
    assert plan_.returncode == 128 + signal.SIGPIPE

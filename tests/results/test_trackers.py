"""Trackers, each in its local mode: what was written, read back with the tracker's own reader."""

import json
import math
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro import train
from repro.common.errors import UserError
from repro.common.packages import remedy
from repro.config.registries import CORPORA
from repro.config.settings import TrackerSettings
from repro.launching import console
from repro.planning.planner import Plan, make
from repro.planning.sweeps import compose
from repro.planning.tree import Tree
from repro.results import measures, trackers
from repro.store.store import Store
from repro.training.worker import Worker

Curves = dict[str, list[tuple[int, float]]]
Published = dict[int, tuple[Curves, dict[str, Any]]]
"""For each version, its curves and what it says of itself."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_path: Path) -> tuple[Path, list[str]]:
    """A store with two versions on a main path and a branch each, and the overrides it was trained with."""
    place = tmp_path_factory.mktemp("trackers")
    overrides = [
        *("scale=smoke", "stream.versions=2", "paradigm.alpha=3/5", "model.name=../../out of/there"),
        *(f"store.path={place / 'store'}", f"data.path={data_path}", f"ledger.path={place / 'ledger'}"),
    ]
    Worker(make(compose(overrides)).tree, 0, Store(place / "store"), threading.Event()).work()
    return place, overrides


def opened(trained: tuple[Path, list[str]], place: Path, *more: str) -> tuple[Tree, Store]:
    """The tree of that run with a tracker, and a copy of its store."""
    shutil.copytree(trained[0] / "store", place / "store")
    return make(compose([*trained[1], f"store.path={place / 'store'}", *more])).tree, Store(place / "store")


def read_tensorboard(path: Path) -> Published:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    published = {}
    for folder in path.glob("*/v*"):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
        curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        (text,) = events.Tensors("lineage/text_summary")
        lineage = text.tensor_proto.string_val[0].decode().strip("`\n")
        published[int(folder.name[1:])] = curves, json.loads(lineage)
    return published


def read_wandb(path: Path) -> Published:
    from wandb.proto.wandb_internal_pb2 import Record

    published = {}
    for file in path.glob("wandb/offline-run-*/*.wandb"):
        curves: Curves = {}
        config = {}
        for data in log_records(file.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            for update in (*record.run.config.update, *record.config.update):
                config["/".join(update.nested_key) or update.key] = json.loads(update.value_json)
            for item in record.history.item:
                name = "/".join(item.nested_key) or item.key
                curves.setdefault(name, []).append((record.history.step.num, json.loads(item.value_json)))
        curves = {name: points for name, points in curves.items() if name[0] != "_"}
        published[config["lineage"]["version"]] = curves, config["lineage"]
    return published


def log_records(content: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format, in which wandb keeps a run."""
    at, record = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def read_mlflow(path: Path) -> Published:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{path}/mlflow.db")
    experiment = client.get_experiment_by_name("lr-path-switching")
    published = {}
    for run in client.search_runs([experiment.experiment_id]):
        assert run.info.status == "FINISHED"
        assert run.data.params["paradigm.kind"] == "path_switching"
        curves = {
            name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        about = json.loads(Path(client.download_artifacts(run.info.run_id, "about.json")).read_text())
        assert run.data.tags["parent"] == about["lineage"]["parent"]
        published[int(run.data.tags["version"])] = curves, about["lineage"]
    return published


READERS = {"tensorboard": read_tensorboard, "wandb": read_wandb, "mlflow": read_mlflow}


@dataclass
class Shown:
    """What a tracker was given, and what it shows."""

    tree: Tree
    store: Store
    home: Path
    """Holds the store, and was the user's home."""
    place: Path
    """The tracker's own."""
    versions: Published


@pytest.fixture(scope="module", params=READERS)
def shown(
    request: pytest.FixtureRequest, trained: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    kind: str = request.param
    pytest.importorskip(kind, reason=f"needs pip install -e '.[{kind}]'")
    home = tmp_path_factory.mktemp(kind)
    place = home / "a place" / "of its own"
    tree, store = opened(trained, home, f"tracker={kind}", f"tracker.path={place}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for name in ("WANDB_CACHE_DIR", "WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY"):
            patch.setenv(name, "")  # so that what the tracker sets is undone
            patch.delenv(name)
        assert trackers.publish(tree, store)
        yield Shown(tree, store, home, place, READERS[kind](place))


def test_a_tracker_shows_every_step_as_the_store_has_it(shown: Shown) -> None:
    assert shown.versions.keys() == {1, 2}
    for version, key in enumerate(shown.tree.ends[0], start=1):
        curves, lineage = shown.versions[version]
        trace = shown.store.load(key, "trace")["trace"]["trace"].numpy()
        rates = shown.tree.runs[0].trajectories[version - 1].learning_rates
        for name, expected in (("loss", trace[:, 0]), ("gradient_norm", trace[:, 1]), ("lr", rates)):
            steps, values = zip(*curves[name], strict=True)
            assert list(steps) == list(range(len(expected)))
            assert np.array_equal(np.array(values, dtype=np.float32), expected.astype(np.float32))
        assert [step for step, _ in curves["perplexity"]] == [len(trace) - 1]
        assert lineage["path"] == [{"step": node.step, "key": node.key} for node in shown.tree.path(key)]


def test_a_branch_shows_where_it_left_and_continues_its_parents_curve(shown: Shown) -> None:
    (first, _), (second, lineage) = shown.versions[1], shown.versions[2]
    # Version 1 leaves the main path at (1 - alpha) T = 20, where version 2 goes on.
    assert [node["step"] for node in lineage["path"]] == [20, 100]
    assert (lineage["branch_step"], lineage["parent"]) == (20, lineage["path"][0]["key"])
    assert first["loss"][:20] == second["loss"][:20]
    assert first["loss"][20:] != second["loss"][20:50]


def test_what_is_published_is_not_published_again(shown: Shown) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_size for path in shown.place.rglob("*") if path.is_file()}

    assert len(shown.store.results("tracker")) == 2
    before = files()
    assert trackers.publish(shown.tree, shown.store)
    assert files() == before


def test_nothing_is_written_outside_the_trackers_folder(shown: Shown) -> None:
    assert ".." in shown.tree.runs[0].name
    assert {path.name for path in shown.home.iterdir()} == {"store", "a place"}
    assert {path.name for path in (shown.home / "a place").iterdir()} == {"of its own"}


def test_a_trackers_folder_that_was_removed_is_written_again(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(view: trackers.TrackedVersion, settings: TrackerSettings) -> None:
        (Path(settings.path) / view.group / str(view.version)).mkdir(parents=True)

    monkeypatch.setitem(trackers.PUBLISHERS, "tensorboard", show)
    tree, store = opened(trained, tmp_path, "tracker=tensorboard")
    assert trackers.publish(tree, store)
    shutil.rmtree(tmp_path / "store" / "tensorboard")
    assert trackers.publish(tree, store)
    assert len(list((tmp_path / "store" / "tensorboard").glob("*/*"))) == 2


def test_what_a_tracker_writes_below_a_corpus_is_none_of_its_text_nor_a_release(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(view: trackers.TrackedVersion, settings: TrackerSettings) -> None:
        folder = Path(settings.path) / view.group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"v{view.version}.json").write_text('{"text": "a tracker\'s"}')

    monkeypatch.setitem(trackers.PUBLISHERS, "tensorboard", show)
    dumps = tmp_path / "dumps"
    (dumps / "2024-01").mkdir(parents=True)
    (dumps / "2024-01" / "a.txt").write_text("text")
    corpora = [CORPORA[kind](kind=kind, path=str(dumps)) for kind in ("local", "releases")]
    before = [corpus.identity() for corpus in corpora]
    tree, store = opened(trained, tmp_path, "tracker=tensorboard", f"tracker.path={dumps / 'tracked'}")
    assert trackers.publish(tree, store)
    assert list((dumps / "tracked").glob("*/v*.json"))
    assert [corpus.identity() for corpus in corpora] == before


def test_a_release_in_which_a_tracker_writes_stays_one(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.PUBLISHERS, "tensorboard", lambda view, settings: None)
    release = tmp_path / "dumps" / "2024-01"
    release.mkdir(parents=True)
    (release / "a.txt").write_text("text")
    tree, store = opened(trained, tmp_path, "tracker=tensorboard", f"tracker.path={release}")
    assert trackers.publish(tree, store)
    assert CORPORA["releases"](kind="releases", path=str(release.parent)).release_names() == ["2024-01"]


def test_a_tracker_in_the_very_folder_of_a_corpus_is_refused(tmp_path: Path) -> None:
    given = ["scale=smoke", "corpus=local", f"corpus.path={tmp_path}", f"tracker.path={tmp_path}"]
    compose([*given, "tracker=none"])
    with pytest.raises(UserError, match=r"is tracker\.path.*tracker\.path=tracker works"):
        compose([*given, "tracker=mlflow"])


def test_a_tracker_that_fails_says_so_and_is_tried_again(
    trained: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[int | None] = []

    def show(view: trackers.TrackedVersion, settings: object) -> None:
        if not shown:
            shown.append(None)
            raise ConnectionError("no route")
        shown.append(view.version)

    monkeypatch.setitem(trackers.PUBLISHERS, "mlflow", show)
    tree, store = opened(trained, tmp_path, "tracker=mlflow", "tracker.uri=http://localhost:1")
    assert not trackers.publish(tree, store)
    assert "tracker.kind=mlflow: no route. Results are kept" in capsys.readouterr().err
    assert trackers.publish(tree, store)
    assert trackers.publish(tree, store)
    assert shown == [None, 1, 2]


def test_a_tracker_whose_library_is_missing_is_refused_before_training(
    smoke: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as refusal:
        train.main(smoke("tracker=wandb"))
    assert refusal.value.code == 2
    assert f"tracker=wandb needs the package wandb: {remedy('wandb')}; or" in capsys.readouterr().err


def test_a_finished_study_can_be_shown_to_a_tracker_chosen_afterwards(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    monkeypatch.setitem(trackers.PUBLISHERS, "tensorboard", lambda view, settings: shown.append(view.version))
    _, store = opened(trained, tmp_path)
    before = store.steps()
    train.main([*trained[1], f"store.path={tmp_path / 'store'}", "tracker=tensorboard"])
    assert store.steps() == before
    assert shown == [1, 2]
    assert f"versions published to tensorboard: 2 ({tmp_path / 'store' / 'tensorboard'})" in capsys.readouterr().out


def test_a_command_whose_tracker_fails_keeps_its_results_and_ends_with_status_1(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    monkeypatch.setitem(trackers.PUBLISHERS, "wandb", lambda view, settings: 1 / 0)
    opened(trained, tmp_path)
    ledger = tmp_path / "ledger"
    with pytest.raises(SystemExit) as end:
        train.main([*trained[1], f"store.path={tmp_path / 'store'}", f"ledger.path={ledger}", "tracker=wandb"])
    assert end.value.code == 1
    assert (ledger / "versions.csv").exists()


def test_a_perplexity_beyond_all_numbers_is_shown_as_infinite(
    trained: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a run that diverged with losses that are numbers still."""
    seen = []
    monkeypatch.setattr(measures, "find", lambda *which: [{"slice": 1, "nll": 7100.0, "tokens": 10}])
    monkeypatch.setitem(trackers.PUBLISHERS, "mlflow", lambda view, settings: seen.append(view.perplexity))
    tree, store = opened(trained, tmp_path, "tracker=mlflow")
    assert trackers.publish(tree, store)
    assert seen == [math.inf] * 2
    console.summary(Plan("none", "smoke", tree, store.steps()), store)
    assert capsys.readouterr().out.split().count("inf") == 2


def test_an_unknown_tracker_is_refused(smoke: Callable[..., list[str]]) -> None:
    with pytest.raises(UserError, match=r"tracker\.kind"):
        compose(smoke("tracker.kind=paper"))

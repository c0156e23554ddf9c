"""Finished versions as another tool shows them: TensorBoard, Weights & Biases, MLflow.

A tracker is a view. The store and the ledger hold the results; nothing is ever read back from a tracker, and training
knows of none: whoever finishes a command publishes, once, each version that is trained and measured. A version's
curve has every step since the initialization, so that a branch's continues its parent's, and its lineage names the
checkpoints it went through. Nothing is sent anywhere unless the tracker's settings say so.
"""

import json
import logging
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.common.canonical import digest
from repro.common.errors import UserError
from repro.common.packages import remedy
from repro.config.settings import Settings, TrackerSettings
from repro.data.corpora.reading.files import TRACKER_TAG
from repro.planning.runs import flattened
from repro.planning.tree import Tree
from repro.results import measures, rows
from repro.store.layout import Damaged
from repro.store.store import Store

KIND = "tracker"
"""Where the store notes what was published."""


@dataclass(frozen=True)
class TrackedVersion:
    """One version of one run, as a tracker shows it."""

    id: str
    """Of this version of this run at this place: what is published once."""
    group: str
    """The run: its label and the ledger's id of it, fit for a folder's name."""
    version: int
    about: dict[str, Any]
    """The run's settings, and under `lineage` where the version comes from."""
    origin: int
    """The step at which its training starts: not 0 where that is from derived weights."""
    rates: NDArray[np.float64]
    """(steps,)"""
    log: NDArray[np.float32]
    """(steps, 2), as checkpoints keep it; of derived weights, their last parent's."""
    perplexity: float
    """`measures.SO_FAR`."""

    @property
    def lineage(self) -> dict[str, Any]:
        lineage: dict[str, Any] = self.about["lineage"]
        return lineage

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Each step with its metrics; the last one has the version's perplexity, too."""
        rows = zip(self.rates.tolist(), self.log.tolist(), strict=True)
        for step, (rate, (loss, norm)) in enumerate(rows, start=self.origin):
            metrics = {"loss": loss, "lr": rate, "gradient_norm": norm}
            last = step + 1 == self.origin + len(self.rates)
            yield step, metrics | ({"perplexity": self.perplexity} if last else {})


def check(settings: Iterable[Settings]) -> None:
    """Refuse a tracker whose library is not installed, before anything is trained.

    Raises:
        UserError
    """
    for kind in {s.tracker.kind for s in settings} - {"none"}:
        if find_spec(kind) is None:
            raise UserError(f"tracker={kind} needs the package {kind}: {remedy(kind)}; or tracker=none.")


def publish(tree: Tree, store: Store) -> bool:
    """Show each finished version once to the tracker that its run names; whether that worked.

    What could not be published is said on standard error, and tried again by the next command.
    """
    stored = store.steps()
    gone = {r.settings.tracker.path for r in tree.runs if not Path(r.settings.tracker.path).exists()}
    done: Counter[tuple[str, str]] = Counter()
    for index, r in enumerate(tree.runs):
        settings = r.settings.tracker
        if settings.kind == "none":
            continue
        for version, key in enumerate(tree.ends[index], start=1):
            slices = measures.find(r, key, store)
            if key not in stored or slices is None:
                continue
            view_id = _view_id(settings, rows.run_id(tree, index), version)
            with store.lease(view_id) as lease:
                kept = settings.uri is not None or settings.path not in gone
                if lease is None or (kept and store.get_result(KIND, view_id) is not None):
                    continue
                try:
                    view = _view(tree, index, version, view_id, measures.perplexity(slices, version), store)
                    folder = Path(settings.path)
                    ours = _is_empty(folder)
                    PUBLISHERS[settings.kind](view, settings)
                    if ours and folder.is_dir():  # made by what was published, or it would be taken for published to
                        (folder / TRACKER_TAG).touch()
                except Damaged:
                    continue  # It was quarantined; once it is trained again, so is this.
                except Exception as error:  # whatever a tracker's library or server raises
                    print(
                        f"error: tracker.kind={settings.kind}: {error}. Results are kept; the same command publishes "
                        f"them again, and tracker=none does without.",
                        file=sys.stderr,
                    )
                    return False
                store.put_result(KIND, view_id, {"tracker": asdict(settings), "lineage": view.lineage})
                done[settings.kind, settings.uri or settings.path] += 1
    for (kind, place), count in done.items():
        print(f"versions published to {kind}: {count} ({place})")
    return True


def _is_empty(folder: Path) -> bool:
    """Whether it may be marked as a tracker's, which no corpus contains: it holds nobody's text."""
    return not folder.exists() or not any(folder.iterdir())


def _view_id(settings: TrackerSettings, run: str, version: int) -> str:
    place = settings.uri or str(Path(settings.path).absolute())
    content = [settings.kind, place, settings.project, settings.mode, run, version]
    return digest(content)


def _view(tree: Tree, index: int, version: int, view_id: str, perplexity: float, store: Store) -> TrackedVersion:
    r, key = tree.runs[index], tree.ends[index][version - 1]
    run = rows.run_id(tree, index)
    path, trajectory = tree.path(key), r.trajectories[version - 1]
    lineage = {
        "run": run,
        "name": r.name,
        "version": version,
        "key": key,
        "steps": path[-1].step,
        "parent": ",".join(path[-1].parents),
        "branch_step": path[-1].parent_step,
        "path": [{"step": node.step, "key": node.key} for node in path],
    }
    return TrackedVersion(
        id=view_id,
        group=f"{_safe(r.name)}.{run}",
        version=version,
        about=asdict(r.settings) | {"lineage": lineage},
        origin=trajectory.origin,
        rates=trajectory.learning_rates,
        log=store.load_log(tree.trained(key).key),
        perplexity=perplexity,
    )


def _safe(name: str) -> str:
    """A name that stays one folder: labels are a user's, and `alpha=3/5` has a slash."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100].lstrip(".")


def _tensorboard(view: TrackedVersion, settings: TrackerSettings) -> None:
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(settings.path) / view.group / f"v{view.version}"
    shutil.rmtree(folder, ignore_errors=True)  # what a publication that was cut short left
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("lineage", f"```\n{json.dumps(view.lineage, indent=1)}\n```")
        writer.add_text("settings", f"```\n{json.dumps(view.about, indent=1)}\n```")
        for step, metrics in view.rows():
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)


def _wandb(view: TrackedVersion, settings: TrackerSettings) -> None:
    here = Path(settings.path).absolute()
    here.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_CACHE_DIR", str(here / "cache"))
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would ask a server even when offline
    import wandb

    with wandb.init(
        project=settings.project,
        dir=here,
        mode=settings.mode,
        id=view.id[:32],
        resume="allow" if settings.mode == "online" else None,
        name=f"{view.lineage['name']} v{view.version}",
        group=view.group,
        config=view.about,
        reinit="create_new",
        settings=wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        ),
    ) as run:
        for step, metrics in view.rows():
            run.log(metrics, step=step)


def _mlflow(view: TrackedVersion, settings: TrackerSettings) -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # from INFO, which tells each table it makes
    here = Path(settings.path).absolute()
    here.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(settings.uri or f"sqlite:///{here}/mlflow.db")
    known = client.get_experiment_by_name(settings.project)
    artifacts = None if settings.uri else (here / "artifacts").as_uri()
    experiment = known.experiment_id if known else client.create_experiment(settings.project, artifacts)
    for left in client.search_runs([experiment], f"tags.view = '{view.id}'"):
        client.delete_run(left.info.run_id)  # what a publication that was cut short left
    tags = {name: str(value) for name, value in view.lineage.items() if name != "path"} | {"view": view.id}
    run = client.create_run(experiment, tags=tags, run_name=f"{view.lineage['name']} v{view.version}").info.run_id
    client.log_dict(run, view.about, "about.json")
    now = int(time.time() * 1000)
    metrics = (Metric(name, value, now, step) for step, row in view.rows() for name, value in row.items())
    params = [Param(name, str(value)) for name, value in flattened(view.about) if not name.startswith("lineage")]
    # The most that a server takes at once.
    for start in range(0, len(params), 100):
        client.log_batch(run, params=params[start : start + 100])
    while batch := list(islice(metrics, 1000)):
        client.log_batch(run, metrics=batch)
    client.set_terminated(run)


PUBLISHERS: dict[str, Callable[[TrackedVersion, TrackerSettings], None]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}

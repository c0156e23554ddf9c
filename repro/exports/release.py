"""Releases: versions under names of their own, each written once as a folder that others load.

<output>/<name>/ is an export (repro.exports.folder) with a model card and `release.json`, which says what the version
was made from (data, key, settings, numerics), what it cost, and how well it predicts each slice that there was. A
release does not change: whatever would make another version of the same name is refused before anything is trained.
"""

import json
import shutil
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from repro import __version__
from repro.common.disk import Flaw, clear_errors, read, renamed, sync
from repro.common.errors import UserError
from repro.config.settings import GROWING
from repro.data import counts
from repro.data.corpora.corpus import corpus
from repro.exports import card
from repro.exports import folder as folders
from repro.exports.folder import folder_name
from repro.models import numerics
from repro.planning import again
from repro.planning.planner import Plan
from repro.planning.runs import Run, flattened
from repro.planning.tree import Node
from repro.recipes.trajectory import Key
from repro.results import measures
from repro.store import leftovers
from repro.store.layout import Damaged
from repro.store.store import Store

FILE = "release.json"
SAID = {"name", "version", "data", "key", "identity_key", "settings", "numerics"}
"""What every release's file says."""
IDENTITY = ("seed", "data_seed", "model", "corpus", "stream", "schedule", "paradigm", "optimizer")
"""Settings that decide what a version is."""


@dataclass(frozen=True)
class Release:
    """A version of a run, under its own name."""

    name: str
    folder: Path
    run: Run
    """As it is when this version is its last."""
    version: int
    node: Node
    cost: int
    """Steps that it adds to what the versions before it need."""

    @property
    def data(self) -> str:
        """Fingerprint of its own data."""
        return self.run.stream.version_fingerprint(self.version)

    @property
    def share(self) -> float:
        """Its cost, over that of pre-training it from scratch."""
        return self.cost / self.run.scratch_steps[self.version - 1]

    @property
    def settings(self) -> dict[str, Any]:
        """Those that decide what it is; where its text lies is nobody's business."""
        whole = json.loads(json.dumps(asdict(self.run.settings)))
        whole["corpus"].pop("path", None)
        return {name: whole[name] for name in IDENTITY}

    def written(self) -> dict[str, Any] | None:
        """What its folder says of it; None: it is not written yet.

        Raises:
            UserError: the folder holds something else.
        """
        if (content := _content(self.folder)) is not None:
            return content
        if not self.folder.exists():
            return None
        raise UserError(
            f"output={self.folder.parent}: {self.folder} is to be release {self.name} and holds something else; "
            "move it away, or choose another output."
        )


def of(plan: Plan, output: Path) -> list[Release]:
    """The releases of a plan of one run, version 1 first.

    Raises:
        UserError: its stream does not grow, or names of releases are not distinct.
    """
    (run,), (ends,) = plan.tree.runs, plan.tree.ends
    s = run.settings
    if s.stream.order not in GROWING:
        raise UserError(
            f"stream.order={s.stream.order} cuts its text at once, so that a next release would change those before; "
            f"{', '.join(GROWING)} work."
        )
    if run.versions < s.stream.versions:
        raise UserError(
            f"paradigm={s.paradigm.kind} releases {run.versions} versions, and there are {s.stream.versions}; a recipe "
            "that goes on works."
        )
    named = corpus(s.corpus).release_names() if s.stream.order == "releases" else None
    names = list(named or [f"v{version}" for version in range(1, run.versions + 1)])[: run.versions]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{corpus(s.corpus).place} has two releases called {double}; each needs a name of its own.")
    steps = [0, *(plan.tree.run_steps(0, version) for version in range(1, run.versions + 1))]
    return [
        Release(
            name,
            output / folder_name(name),
            _until(run, version),
            version,
            plan.tree.nodes[key],
            steps[version] - steps[version - 1],
        )
        for version, (name, key) in enumerate(zip(names, ends, strict=True), start=1)
    ]


def _until(run: Run, version: int) -> Run:
    """The run under the settings that it has when a version is its last."""
    stream = replace(run.settings.stream, versions=version, steps_per_version=run.releases.steps[:version])
    return replace(run, settings=replace(run.settings, stream=stream))


def check(releases: Sequence[Release], stored: Collection[Key], words: Sequence[str]) -> list[Release]:
    """The releases that are not written yet.

    Args:
        stored: keys of the checkpoints there are.
        words: the overrides that they were planned with.

    Raises:
        UserError: one that is written would change, or its folder holds something else; or the corpus no longer has
            one, and another would be the version that it was.
    """
    _refuse_gaps(releases)
    new = []
    for release in releases:
        before = release.written()
        if before is None:
            new.append(release)
        elif reason := _change(release, before, stored):
            raise UserError(
                f"{release.folder} holds release {release.name}, which does not change, and {reason}.\n"
                f"data then {before['data']['fingerprint']}\ndata now  {release.data}\n"
                f"key then  {before['key']}\nkey now   {release.node.key}\n"
                "Put it back as it was: what is new belongs into a release of its own, after all others. "
                f"Or choose another output.{_adopting(release, before, words)}"
            )
    return new


def _refuse_gaps(releases: Sequence[Release]) -> None:
    """Refuse what would take the place of a release that is written, of the same kind of corpus, and gone from it."""
    output, names = releases[0].folder.parent, [release.name for release in releases]
    folders = sorted(output.iterdir()) if output.is_dir() else []
    written = [content for folder in folders if (content := _content(folder)) is not None]
    kind = releases[0].settings["corpus"]
    gone = {
        content["version"]: content["name"]
        for content in written
        if content["name"] not in names and content["settings"]["corpus"] == kind and content["version"] <= len(names)
    }
    if gone:
        first = min(gone)
        raise UserError(
            f"output={output} holds {', '.join(f'{gone[version]} (version {version})' for version in sorted(gone))}, "
            f"which corpus.path no longer has: {names[first - 1]} would be version {first} in its place, and all from "
            "there on be trained anew. Put it back: a version stays what it was, and releases can go from the end "
            "alone, before others come. To begin anew without it, another output works."
        )


def _content(folder: Path) -> dict[str, Any] | None:
    """What a release's folder says of it; None: it is none of a release."""
    try:
        content = json.loads(read(folder / FILE))
        return dict(content) if content.keys() >= SAID else None
    except (Flaw, ValueError, AttributeError):
        return None


def _change(release: Release, before: dict[str, Any], stored: Collection[Key]) -> str:
    """Why a version would be another one than is written; empty: it is the same."""
    if before["version"] != release.version:
        return f"it was version {before['version']} and would be version {release.version}"
    if before["data"]["fingerprint"] != release.data:
        return "its data have changed since"
    if before["identity_key"] != release.node.identity_key:
        now, then = (dict(flattened(each)) for each in (release.settings, before["settings"]))
        changed = [
            f"{name}={now.get(name)} (then {then.get(name)})"
            for name in sorted(now | then)
            if now.get(name) != then.get(name)
        ]
        return f"it was made with other settings: {', '.join(changed) or 'those of a release before it'}"
    if before["key"] != release.node.key and release.node.key not in stored:
        return f"it was made under other numerics: {numerics.difference(release.run.numerics, before['numerics'])}"
    return ""


def _adopting(release: Release, before: dict[str, Any], words: Sequence[str]) -> str:
    """The command that goes on from a release of other numerics, on a line of its own; of other changes, nothing."""
    differ = ",".join(map(numerics.called, numerics.differing(release.run.numerics, before["numerics"])))
    if before["identity_key"] != release.node.identity_key or not differ:
        return ""
    return f"\nTo go on from it: {again.command('repro.adopt', [f'differ={differ}', *words])}"


def write(release: Release, before: Sequence[Release], store: Store, words: Sequence[str]) -> None:
    """Write a release's folder: whole, or not at all.

    Args:
        before: the releases before it.
        words: those that repro.update was given.

    Raises:
        UserError: its checkpoint is damaged or not measured, or the disk refuses.
    """
    run, node = release.run, release.node
    try:
        weights = store.load_weights(node.key)
    except Damaged as damaged:
        raise UserError(f"{damaged}. It was quarantined; the same command makes it again.") from None
    slices = measures.find(run, node.key, store)
    if slices is None:
        raise UserError(f"release {release.name} is not measured; the same command does that.")
    command = again.published("repro.update", [word for word in words if not word.startswith("dry_run=")])
    output = release.folder.parent
    scratch = output / f".{_short(release)}.{uuid.uuid4().hex}"
    with clear_errors(release.folder, undo=lambda: shutil.rmtree(scratch, ignore_errors=True), setting="output"):
        # Of the size that it was trained in: a recipe may grow its model at a later release.
        model = folders.write(scratch, run.training(node.run.settings.model), node.key, weights)
        about = _about(release, before, slices, command) | {"parameters": model.num_parameters()}
        (scratch / "README.md").write_text(_card(release, about), encoding="utf-8")
        (scratch / FILE).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        folders.follow_umask(scratch)
        for path in (*scratch.iterdir(), scratch):
            sync(path)
        if not renamed(scratch, release.folder):  # someone else was first, with the same
            shutil.rmtree(scratch)


def tidy(releases: Sequence[Release]) -> None:
    """Remove what is left of folders whose writers were killed."""
    leftovers.tidy(releases[0].folder.parent, leftovers.unfinished(*map(_short, releases)))


def _short(release: Release) -> str:
    return release.folder.name[:100]


def _about(
    release: Release, before: Sequence[Release], slices: Collection[Mapping[str, Any]], command: str
) -> dict[str, Any]:
    """What `release.json` says: nothing of releases after it, nor of where and when it was made."""
    run, version, last = release.run, release.version, before[-1] if before else None
    names = [each.name for each in (*before, release)]
    each = measures.by_slice(slices)
    return {
        "name": release.name,
        "version": version,
        "before": None if last is None else {"name": last.name, "key": last.node.key},
        "data": {
            "fingerprint": release.data,
            "corpus": corpus(run.settings.corpus).label,
            "tokens": run.releases.steps[version - 1] * run.step_tokens,
            "preparation": counts.public(run.stream.report(version)),
        },
        "key": release.node.key,
        "identity_key": release.node.identity_key,
        "steps": {"on_its_data": run.releases.steps[version - 1], "from_initialization": release.node.step},
        "cost": {"steps": release.cost, "of_retraining": release.share},
        "perplexity": {
            "so_far": measures.perplexity(slices, version),
            "by_slice": {name: each[number] for number, name in enumerate(names, start=1)},
        },
        "command": command,
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")}
        | {"lr-path-switching": __version__},
        "settings": release.settings,
        "numerics": run.numerics,
    }


def _card(release: Release, about: dict[str, Any]) -> str:
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in about["perplexity"]["by_slice"].items())
    before = f"After {about['before']['name']}: what" if about["before"] else "What"
    return card.text(
        release.run,
        about["parameters"],
        what=f"release {release.name}",
        step=release.node.step,
        perplexity=about["perplexity"]["so_far"],
        dtype="float32",
        commands=[about["command"]],
        more={
            "data fingerprint": f"`{release.data}`",
            "cost": f"{release.cost:,} steps, {release.share:.0%} of training it from scratch",
        },
        after=f"""
{before} it makes of the held-out text of every release so far:

| slice | perplexity |
|---|---|
{rows}

`{FILE}` says all of this, and the settings, for programs.
""",
    )

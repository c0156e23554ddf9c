"""To make it again: commands out of reports, manifests, cards and releases, typed as they stand there, train nothing.

In a folder with spaces and brackets in its name; settings of schedule, recipe, stream and seeds are unusual.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from dumps import dump

from analysis import report as report_command
from repro import train as train_command
from repro import update
from repro.planning import again, runs
from repro.planning.sweeps import compose
from repro.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
TEXTS = "my texts (2)"
UNUSUAL = [
    *(
        "study=alpha",
        "scale=smoke",
        "corpus=local",
        f'corpus.path="{TEXTS}"',
        "stream.split_seed=7",
        "stream.versions=2",
    ),
    *("stream.steps_per_version=10", "stream.heldout_blocks=2", "schedule=wsd", "schedule.decay_share=1/2"),
    *("schedule.warmup_steps=2", "paradigm.alpha=0.4,4/5", "seed=3,1"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with this suite as it is here, and texts of one's own."""
    for name in ("repro", "analysis", "conf"):
        (tmp_path / name).symlink_to(ROOT / name)
    for version in (1, 2):
        dump(tmp_path / TEXTS, version, 40)
    monkeypatch.chdir(tmp_path)
    runs._stream.cache_clear()  # paths are relative: what was read from them in another folder is not here
    return tmp_path


def typed(line: str) -> str:
    """Have a shell carry out a command line as it stands; what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-ec", line], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def kept(*folders: str) -> dict[str, int]:
    """Every file of the folders, with the time of its last change."""
    files = (path for folder in folders for path in Path(folder).rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): path.stat().st_mtime_ns for path in files if "hydra" not in path.parts}


def test_a_reports_commands_find_all_of_an_unusual_setting_stored(place: Path) -> None:
    kept_at = ["store.path=some/store", 'ledger.path="our results/smoke/data"']
    train_command.main([*UNUSUAL, *kept_at])
    report_command.main(["scale=smoke", "root=our results"])
    report = Path("our results/smoke/report.md").read_text()
    manifest = json.loads(Path("our results/smoke/manifest.json").read_text())
    before = kept("some/store", "our results/smoke/data")
    assert any("checkpoints" in path for path in before)
    (train, redraw), *others = re.findall(r"To make it again: `([^`]+)`, then `([^`]+)`", report)
    assert not others
    assert manifest["commands"]["figures/alpha.png"] == f"{train} && {redraw}"
    assert manifest["commands"]["report.html"] == redraw
    outputs = manifest["outputs"]
    assert manifest["commands"]["tables/alpha.csv"] == manifest["commands"]["figures/alpha.png"]
    for line in (train, redraw):
        typed(line)
        assert kept("some/store", "our results/smoke/data") == before
    assert json.loads(Path("our results/smoke/manifest.json").read_text())["outputs"] == outputs

    (missing,) = re.findall(r"^- headline was not run: (.+)$", report.replace("\\", ""), flags=re.MULTILINE)
    asked, made = compose(shlex.split(missing)[3:]), compose([*UNUSUAL, *kept_at])
    assert {s.paradigm.kind for s in asked} == {"ptfs", "cpt", "path_switching"}
    assert {s.seed for s in asked} == {1, 3}
    for group in ("corpus", "stream", "schedule", "store", "ledger"):
        assert {getattr(s, group) for s in asked} == {getattr(s, group) for s in made}


@pytest.mark.slow
def test_a_cards_commands_find_all_stored_and_write_the_same(place: Path) -> None:
    typed(shlex.join(["python", "-m", "repro.train", *UNUSUAL]))
    (folder,) = typed(
        shlex.join(["python", "-m", "repro.export", *UNUSUAL[:-2], "paradigm.alpha=4/5", "seed=1", "version=2"])
    ).split()
    before, weights = kept("store", "results"), (Path(folder) / "model.safetensors").read_bytes()
    train, export = re.findall(r"^python -m .*$", (Path(folder) / "README.md").read_text(), flags=re.MULTILINE)
    assert "version=2" in export.split()
    typed(train)
    assert {path for path in kept("store") if "/plans/" not in path} == {
        path for path in before if path.startswith("store/") and "/plans/" not in path
    }
    assert all(kept("store")[path] == time for path, time in before.items() if "/checkpoints/" in path)
    assert typed(export).split() == [folder]
    assert (Path(folder) / "model.safetensors").read_bytes() == weights


def test_a_releases_command_finds_it_made(place: Path) -> None:
    given = ['corpus.path="dumps of ours"', "scale=smoke", "schedule.warmup_steps=2", "stream.heldout_blocks=4"]
    dump(place / "dumps of ours", 1, 16)
    update.main(given)
    before = kept("store", "releases", "results")
    (folder,) = Path("releases").iterdir()
    typed(json.loads((folder / "release.json").read_text())["command"])
    assert kept("store", "releases", "results") == before
    assert Store(Path("store")).steps()


@pytest.mark.slow
def test_modules_and_configurations_of_ones_own_are_found_again(place: Path) -> None:
    (place / "mine" / "conf" / "schedule").mkdir(parents=True)
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Adding a schedule")[2].partition("\n## ")[0]
    code, yaml = (re.findall(rf"```{each}\n(.*?)```", section, flags=re.DOTALL)[0] for each in ("python", "yaml"))
    (place / "mine" / "my_schedule.py").write_text(code)
    (place / "mine" / "conf" / "schedule" / "quadratic.yaml").write_text(yaml)
    small = [each for each in UNUSUAL[1:] if not each.startswith(("schedule", "paradigm", "seed"))]
    words = ["extensions=[my_schedule]", "hydra.searchpath=[file://mine/conf]", "schedule=quadratic", *small]
    line = f"PYTHONPATH=mine python -m repro.train {shlex.join([*words, 'schedule.warmup_steps=2'])}"
    typed(line)
    (made,) = {
        line
        for runs in json.loads(Path("results/smoke/data/commands.json").read_text())["content"].values()
        for verbs in runs.values()
        for line in verbs.values()
    }
    assert made == line
    before = kept("store", "results")
    typed(made)
    assert kept("store", "results") == before


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("corpus.path=/home/a/texts", "corpus.path=texts"),
        ('corpus.path="/home/a/my texts"', 'corpus.path="my texts"'),
        ("corpus.path=texts/b", "corpus.path=texts/b"),
        ("corpus.path=~/texts", "corpus.path=texts"),
        ("corpus.dataset=/home/a/private", "corpus.dataset=private"),
        ("corpus.dataset=org/set", "corpus.dataset=org/set"),
        ("model.init=/srv/weights/one", "model.init=one"),
        ("hydra.searchpath=[file:///home/a/conf,file://mine/conf]", "hydra.searchpath=[file://conf,file://mine/conf]"),
        ("store.path=/home/a/store", ""),
        ("hydra/launcher=joblib", ""),
        ("hydra.launcher.n_jobs=2", ""),
        ("-m", "-m"),
        ("paradigm.alpha=0.3,1/2", "paradigm.alpha=0.3,1/2"),
    ],
)
def test_what_is_published_tells_no_folders_of_this_machine(word: str, told: str) -> None:
    line = again.published("repro.train", ["scale=smoke", word])
    assert shlex.split(line)[3:] == ["scale=smoke", *([told] if told else [])]

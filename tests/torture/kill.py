"""Kill a sweep at random moments, inside a save too, and run it again until it is done: python -m tests.torture.kill

Each round starts a study with two workers and kills it (SIGKILL): the whole group, or the launcher alone. After each
round the store must be sound. In the end, weights, moments, training log and ledger must be those of an undisturbed
run, bit for bit, and no step that was kept may have been trained again: a kept edge is never touched again, and an edge
that was cut off goes on at the last step that was kept of it.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from repro.store import upkeep
from repro.store.store import Store
from tests.scripts import options

from . import common

STUDIES = ("headline", "second_stage", "alpha", "pilot")
MOMENTS = ("any time", "training", "inside a save")
MOST_KILLS = 25
"""Of one sweep; then it may finish."""


class Trial:
    """One sweep, killed until it is finished."""

    def __init__(self, study: str, place: Path, data: Path, chance: random.Random) -> None:
        self.study, self.place, self.chance = study, place, chance
        self.given = common.overrides(place, data, study, "store.save_seconds=0.1", *common.JOBLIB)
        self.store = Store(place / "store")
        self.kept: dict[str, str] = {}
        """Finished edges, with their manifests' checksums."""
        self.resumed: dict[str, set[int]] = {}
        """For each edge, steps at which it has to have gone on."""
        self.failures: list[str] = []
        self.groups: set[int] = set()
        """Process groups of rounds of which something may live."""

    def round(self) -> str | None:
        """Run until killed: what was done; None when the sweep has finished."""
        moment = self.chance.choices(MOMENTS, (1, 2, 2))[0]
        before = set((self.store.root / "scratch").glob("*/"))
        with (self.place / "log").open("ab") as log:
            process = subprocess.Popen(
                common.command(self.given), stdout=log, stderr=log, start_new_session=True, env=common.ENVIRONMENT
            )
        self.groups.add(process.pid)
        cut_off = self._wait(process, moment)
        if process.poll() is not None:
            if process.returncode != 0:
                self.failures.append(f"exit status {process.returncode}")
            self._end_orphans()
            return None
        alone = self.chance.random() < 0.2
        (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        inside = set((self.store.root / "scratch").glob("*/"))
        left = alone and self.chance.random() < 0.5
        if alone and not left:
            self._wait_for(lambda: not common.held(self.store), "orphaned workers train on")
        if not left:
            self._end_orphans()
        self._poll(sure=not left)
        return "launcher alone" if alone else "inside a save" if inside - before else cut_off

    def finish(self) -> None:
        """Run undisturbed."""
        with (self.place / "log").open("ab") as log:
            subprocess.run(common.command(self.given), stdout=log, stderr=log, check=True, env=common.ENVIRONMENT)

    def check(self, undisturbed: Path) -> int:
        """Compare the end with an undisturbed run; the number of final states compared."""
        tree = common.tree(self.given)
        ends = {key for each in tree.ends for key in each}
        self.failures += common.differences(undisturbed, self.place, sorted(ends))
        for key in self.store.steps():
            manifest = self.store.manifest(key)
            if self.kept.get(key, manifest["manifest_sha256"]) != manifest["manifest_sha256"]:
                self.failures.append(f"{key} was kept, and made again")
            sessions = manifest["sessions"]
            if sessions != sorted(set(sessions)) or not self.resumed.get(key, set()) <= set(sessions):
                self.failures.append(f"{key} went on at {sessions}, was cut off at {self.resumed.get(key)}")
        log = (self.place / "log").read_text(errors="replace")
        self.failures += [phrase for phrase in ("Traceback", "by another worker", "twice") if phrase in log]
        return len(ends)

    def _wait(self, process: "subprocess.Popen[bytes]", moment: str) -> str:
        scratch = self.store.root / "scratch"
        end = time.monotonic() + self.chance.uniform(0, 10)
        if moment != "any time":
            while process.poll() is None and not common.held(self.store):
                time.sleep(0.005)
            end = time.monotonic() + self.chance.expovariate(1)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        if moment == "inside a save":
            before = set(scratch.glob("*/"))
            while process.poll() is None and not set(scratch.glob("*/")) - before:
                pass
            time.sleep(self.chance.uniform(0, 0.004))
        return moment

    def _poll(self, *, sure: bool) -> None:
        """Note what is kept; `sure`: nobody works any more."""
        if sure:
            self.failures += [f"{path}: {reason}" for path, reason in upkeep.damage(self.store)]
        stored = self.store.steps()
        for key in stored:
            self.kept.setdefault(key, self.store.manifest(key)["manifest_sha256"])
        if sure:
            for folder in (self.store.root / "partial").glob("*/"):
                if folder.name not in stored and (steps := self.store.partial_steps(folder.name)):
                    self.resumed.setdefault(folder.name, set()).add(steps[-1])

    def _end_orphans(self) -> None:
        """What lives of this round and of those before; one that is killed first finishes its system call, such as the
        renaming that makes an edge kept."""
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._wait_for(lambda: not _living(self.groups), "killed workers live")
        self.groups.clear()

    def _wait_for(self, what: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + 60
        while not what():
            time.sleep(0.02)
            if time.monotonic() > end:
                self.failures.append(otherwise)
                return


def _living(groups: set[int]) -> bool:
    """Whether any process of these groups lives."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, 0)
            return True
    return False


def main(arguments: Sequence[str]) -> None:
    chosen = options(__doc__, arguments, {"rounds": "200", "seed": "0", "path": ""})
    print(" ".join(f"{name}={value}" for name, value in chosen.items()), flush=True)
    chance = random.Random(int(chosen["seed"]))
    begin = time.monotonic()
    counts: Counter[str] = Counter()
    sweeps: list[tuple[str, int, int, list[str]]] = []
    with tempfile.TemporaryDirectory(dir=chosen["path"] or None) as temporary:
        base = Path(temporary)
        for study in STUDIES:
            given = common.overrides(base / "undisturbed" / study, base / "data", study)
            subprocess.run(common.command(given), check=True, capture_output=True, env=common.ENVIRONMENT)
        number = 0
        while counts.total() < int(chosen["rounds"]):
            study = STUDIES[number % len(STUDIES)]
            place = base / f"sweep-{number}"
            place.mkdir()
            trial = Trial(study, place, base / "data", chance)
            number += 1
            kills = 0
            while kills < MOST_KILLS and (kind := trial.round()) is not None:
                counts[kind] += 1
                kills += 1
                print(f"round {counts.total()}: {study}, killed {kind}, {len(trial.kept)} edges kept", flush=True)
            if kills == MOST_KILLS:
                trial.finish()
            compared = trial.check(base / "undisturbed" / study)
            sweeps.append((study, kills, compared, trial.failures))
            print(
                f"{study}: {kills} kills, {compared} final states compared, {trial.failures or 'identical'}", flush=True
            )
            if trial.failures:
                print((place / "log").read_text(errors="replace")[-4000:])
    _summarize(counts, sweeps, time.monotonic() - begin, chosen["seed"])
    if any(failures for *_, failures in sweeps):
        raise SystemExit(1)


def _summarize(counts: Counter[str], sweeps: list[tuple[str, int, int, list[str]]], seconds: float, seed: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"kill anywhere: {counts.total()} rounds, seed {seed}, {seconds / 60:.0f} min")
    for name in ("study", "sweeps", "kills", "final states compared", "failures"):
        table.add_column(name, justify="left" if name == "study" else "right")
    for study in STUDIES:
        mine = [sweep for sweep in sweeps if sweep[0] == study]
        failures = sum(len(sweep[3]) for sweep in mine)
        table.add_row(study, *map(str, (len(mine), sum(s[1] for s in mine), sum(s[2] for s in mine), failures)))
    Console().print(table)
    Console().print(", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))


if __name__ == "__main__":
    main(sys.argv[1:])

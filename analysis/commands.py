"""Commands that make a report's results again, or make what is missing in the same setting.

The ledger keeps what was typed for each run (repro.results.commands). Of a ledger without, the tables tell most of it.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import yaml

from analysis.frames import Ledger, View
from analysis.registries import STUDIES
from repro.config.places import CONF

TRAIN = "python -m repro.train"
FREE = ("seed",)
"""What studies sweep and a command line may choose for all of them."""


def command(study: str, scale: str, view: View | None = None) -> str:
    """What makes all of a study's results in a view's setting, one command after another."""
    verbs = STUDIES[study].verbs if study in STUDIES else ("train",)
    return " && ".join(_whole(study, verb, scale, view) for verb in verbs)


def again(study: str, view: View) -> str:
    """What made the runs of a study that a view shows; of runs of no known study, nothing where it was not noted."""
    verbs = STUDIES[study].verbs if study in STUDIES else ("train",)
    train = _noted(study, "train", view)
    if not train:
        return command(study, view.ledger.scale, view) if study in STUDIES else ""
    lines = [line for verb in verbs for line in _noted(study, verb, view) or [_by(verb, line) for line in train]]
    if set(view.runs(study)["run"]) - set(view.ledger.commands[study]):  # some are of a ledger that did not note it
        lines += [_guessed(study, verb, view.ledger.scale, view) for verb in verbs]
    return " && ".join(dict.fromkeys(lines))


def report(ledger: Ledger, extensions: Sequence[str] = (), *, unchecked: bool = False) -> str:
    """What makes a report from a ledger where it was written."""
    words = [f"scale={ledger.scale}"]
    if root := _root(ledger):
        words.append(f"root={root}")
    if extensions:
        words.append(f"extensions=[{','.join(extensions)}]")
    return f"python -m analysis.report {shlex.join([*words, *(['unchecked=true'] if unchecked else [])])}"


def _root(ledger: Ledger) -> str:
    """The folder of all scales, as `ledger.path` named it; empty for the usual one."""
    for line in _all(ledger):
        for word in shlex.split(line):
            name, _, value = word.partition("=")
            place = Path(value.strip("'\""))
            if name == "ledger.path" and place.parts[-2:] == (ledger.scale, "data"):
                root = str(place.parent.parent)
                return "" if root == "results" else root
    return ""


def _all(ledger: Ledger) -> Iterable[str]:
    return (line for runs in ledger.commands.values() for made in runs.values() for line in made.values())


def _whole(study: str, verb: str, scale: str, view: View | None) -> str:
    """A study's command: as most of its runs were made, or else with what all that was typed in the setting shares;
    without what is swept."""
    if view is None:
        return f"python -m repro.{verb} study={study} scale={scale}"
    made = view.ledger.commands
    counts = Counter(
        (each == study, each, made[each][run]["train"])
        for each in view.ran
        for run in view.runs(each)["run"]
        if "train" in made.get(each, {}).get(run, {})
    )
    if not counts:
        return _guessed(study, verb, scale, view)
    own, other, line = min(counts, key=lambda each: (not each[0], -counts[each], each))
    before, _, after = line.partition(TRAIN)
    swept = {*_swept(study), *_swept(other), "study"}
    words = [word for word in shlex.split(after) if word.lstrip("+").partition("=")[0] not in swept and word[:1] != "-"]
    if not own:
        typed = [set(shlex.split(line.partition(TRAIN)[2])) for _, _, line in counts]
        words = [word for word in words if all(word in each for each in typed)]
    return _by(verb, f"{before}{TRAIN} {shlex.join([f'study={study}', *words])}")


def _noted(study: str, verb: str, view: View) -> list[str]:
    """What was typed for the runs of a study in this setting."""
    made = view.ledger.commands.get(study, {})
    return sorted({made[run][verb] for run in view.runs(study)["run"] if verb in made.get(run, {})})


def _by(verb: str, line: str) -> str:
    """Another command that takes the arguments that repro.train took."""
    return line.replace(TRAIN, f"python -m repro.{verb}", 1)


@cache
def _swept(study: str) -> frozenset[str]:
    path = CONF / "study" / f"{study}.yaml"
    if not path.is_file():
        return frozenset()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return frozenset(content.get("hydra", {}).get("sweeper", {}).get("params", {})) - {*FREE}


def _guessed(study: str, verb: str, scale: str, view: View) -> str:
    """For a ledger that does not say: the view's setting where that is another stream, the seeds it has there, and the
    numerics that it has on a CPU, where the default is `auto`."""
    more = f" {view.label}" if list(view.differs) == ["stream"] else ""
    seeds = ",".join(str(seed) for seed in sorted(set(view.runs(study)["seed"])))
    path = CONF / "scale" / f"{scale}.yaml"
    if seeds and path.is_file() and seeds != str(yaml.safe_load(path.read_text())["sweep"]["seed"]):
        more += f" seed={seeds}"
    more += "".join(f" numerics.{name}={value}" for name, value in _numerics(study, view).items())
    return f"python -m repro.{verb} study={study} scale={scale}{more}"


def _numerics(study: str, view: View) -> dict[str, str]:
    """What all of a study, or all there is if it was not run, has of products and compiling, where that was on CPUs.

    A ledger has a row for oneDNN's products alone: torch's own leave none.
    """
    runs = view.runs(study)
    used = set((runs if len(runs) else view.runs(*view.ledger.reported))["numerics"])
    rows = view.ledger.numerics
    rows = rows[rows["numerics"].isin(used)]
    told = {name: set(mine["value"]) for name, mine in rows.groupby("setting")}
    with_products = set(rows[rows["setting"] == "matmul"]["numerics"])
    if not used or told.get("device") != {"cpu"}:
        return {}
    found = {"matmul": "onednn" if with_products else "torch"} if with_products in (set(), used) else {}
    if len(compiled := told.get("compile", set())) == 1:
        found["compile"] = str(*compiled).lower()
    return found

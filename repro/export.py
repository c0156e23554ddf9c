"""Write versions as folders that transformers and the `lm_eval` command load:

    python -m repro.export study=headline scale=quick output=models
    python -m repro.export paradigm=cpt scale=quick version=4 output=models

Writes `<output>/<run>-v<version>/` for each trained version of each run, or for one `version`. A run's name does not
tell all of its settings: what another run exported there is not overwritten.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro.common.disk import clear_errors
from repro.common.errors import UserError, refusals
from repro.downstream.loading import load_model
from repro.planning import planner
from repro.planning.arguments import CommandLine
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.recipes.trajectory import Key
from repro.store.layout import Damaged
from repro.store.store import Store

if TYPE_CHECKING:
    pass

ORIGIN = "checkpoint.json"
"""In an exported folder: the key of what it was made from."""


def folder_name(name: str) -> str:
    """A run's name as that of a folder: what could lead elsewhere, or nowhere, is replaced, and its hash added."""
    plain = "".join(each if each.isalnum() or each in "._-" else "_" for each in name).lstrip(".")
    if plain == name and len(name.encode()) <= 200:
        return name
    return f"{plain.encode()[:180].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = line.take("output", "models")
        version = line.take("version")
        if version and not version.isdigit():
            raise UserError(f"version={version} is no version; a number such as 4 works.")
        plan = planner.make(line.settings())
        store = Store(Path(plan.tree.runs[0].settings.store.path))
        exports = _exports(plan, Path(output), version)
        if not exports:
            raise UserError(
                f"nothing to export: store.path={store.root} holds no "
                f"{f'version {version}' if version else 'version'} of these runs; train them first."
            )
        for folder, (run, key) in exports.items():
            _export(folder, run, key, store)
        for folder in exports:
            print(folder)


def _exports(plan: Plan, output: Path, version: str) -> dict[Path, tuple[Run, Key]]:
    """What to write, by folder.

    Raises:
        UserError: a folder would have to hold two checkpoints, or holds something else.
    """
    exports: dict[Path, tuple[Run, Key]] = {}
    for run, ends in zip(plan.tree.runs, plan.tree.ends, strict=True):
        for number, key in enumerate(ends, start=1):
            if key in plan.stored and version in ("", str(number)):
                folder = output / folder_name(f"{run.name}-v{number}")
                other = exports.setdefault(folder, (run, key))[1]
                if other != key:
                    raise UserError(
                        f"output={output}: checkpoints {other[:16]} and {key[:16]}, of runs that differ in what their "
                        f"name does not tell, would both be {folder.name}; export them one at a time, each to another "
                        f"output."
                    )
    for folder, (_, key) in exports.items():
        with clear_errors(folder, setting="output"):
            there = _holds(folder)
        if there not in (None, key):
            raise UserError(
                f"output={output}: {folder} holds {f'checkpoint {there[:16]}' if there else 'something else'}, and "
                f"would be overwritten with {key[:16]}; choose another output, or remove that folder."
            )
    return exports


def _holds(folder: Path) -> str | None:
    """The key of the checkpoint that was exported to a folder; empty if nobody knows, None if nothing is there."""
    try:
        return str(json.loads((folder / ORIGIN).read_bytes())["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return "" if folder.is_dir() and any(folder.iterdir()) else None


def _export(folder: Path, run: Run, key: Key, store: Store) -> None:
    try:
        model, tokenizer = load_model(run, store.load_weights(key))
    except Damaged as damaged:
        raise UserError(
            f"{damaged}. What is damaged was quarantined; repro.train with the same arguments makes it again."
        ) from None
    with clear_errors(folder, setting="output"):
        folder.mkdir(parents=True, exist_ok=True)
        # First of all: an export that was cut short can be repeated.
        (folder / ORIGIN).write_text(json.dumps({"key": key, "run": run.name}))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()

"""Write versions as folders that transformers and the `lm_eval` command load, trunks to go on from, learning rates:

    python -m repro.export study=headline scale=quick output=models
    python -m repro.export paradigm=cpt scale=quick version=4 dtype=bfloat16 output=models
    python -m repro.export study=headline scale=quick what=trunk [step=...] output=models
    python -m repro.export scale=quick rates=rates.json

Writes `<output>/<run>-v<version>/` for each trained version of each run, or for one `version`. With what=trunk,
`<output>/<run>-trunk-<step>/`: weights and the optimizer's state, for each run's last stored point of the trunk, or for
one `step`. `dtype` is float32, bfloat16 or float16. rates=FILE (.csv or .json) writes one run's learning rate by step,
and says what Megatron-LM, OLMo-core and transformers need for the same curve; it needs no trained run, and writes no
folder unless `what` is given. A run's name does not tell all of its settings: what another run exported there is not
overwritten.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from repro.common.disk import clear_errors
from repro.common.errors import UserError, printable, refusals
from repro.exports import card, rates, trunk
from repro.exports import folder as folders
from repro.exports.folder import DTYPES, folder_name
from repro.planning import again, machines
from repro.planning.arguments import CommandLine
from repro.planning.planner import Plan
from repro.planning.runs import Run
from repro.recipes.trajectory import Key
from repro.results import measures
from repro.store.layout import Damaged
from repro.store.store import Store

KINDS = ("versions", "trunk", "nothing")


@dataclass(frozen=True)
class Export:
    """One folder to write."""

    run: Run
    key: Key
    step: int
    what: str
    """For people: `version 4`, `trunk at step 120`."""
    version: int | None
    write: Callable[[Path, Store], Any]
    """Writes all but the card; returns the model."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        typed = tuple(line.words())
        output = Path(line.take("output", "models"))
        version, step = (line.read(name, partial(_number, name)) for name in ("version", "step"))
        dtype = line.take("dtype", "float32", DTYPES)
        table = line.take("rates")
        kind = line.take("what", "nothing" if table else "versions", KINDS)
        for complaint in _contradictions(kind, version, step, dtype):
            line.refuse(complaint)
        here = line.plan()
        plan = machines.nearest(here, _missing, Store.of(here.tree.runs[0].settings.store))
        if table:
            rates.check(Path(table), plan.tree.runs, version)
        if kind != "nothing":
            _write(plan, output, kind, version, step, dtype, typed)
        if table:
            command = f"{again.published('repro.export', typed)} rates={shlex.quote(Path(table).name)}"
            print(rates.write(Path(table), plan.tree.runs[0], version, command))


def _missing(plan: Plan, store: Store) -> int:
    """Checkpoints that are not there: what is exported may have been trained on another machine."""
    return len(plan.tree.missing(store.steps()))


def _number(name: str, given: str) -> int:
    if not given.isdecimal() or len(given) > 9 or not int(given):
        raise UserError(f"{name}={given} is no {name}; a number such as 4 works.")
    return int(given)


def _contradictions(kind: str, version: int | None, step: int | None, dtype: str) -> Iterator[str]:
    if kind == "trunk" and dtype != "float32":
        yield f"dtype={dtype}: what=trunk keeps float32, as training goes on from it; leave dtype out."
    if kind == "trunk" and version is not None:
        yield f"version={version} is of what=versions; what=trunk takes step=."
    if kind != "trunk" and step is not None:
        yield f"step={step} is a point of the trunk; add what=trunk."


def _write(
    plan: Plan, output: Path, kind: str, version: int | None, step: int | None, dtype: str, typed: Sequence[str]
) -> None:
    store = Store.of(plan.tree.runs[0].settings.store)
    exports = _trunks(plan, output, step) if kind == "trunk" else _versions(plan, output, version, dtype)
    if not exports:
        last = max(map(len, plan.tree.ends))
        raise UserError(
            f"nothing to export: store.path={store.root} holds no "
            f"{f'version {version}' if version else 'version'} of these runs; "
            + (f"they have {last}." if version and version > last else "train them first.")
        )
    _check_free(exports, output)
    for folder, export in exports.items():
        try:
            model = export.write(folder, store)
        except Damaged as damaged:
            raise UserError(
                f"{damaged}. What is damaged was quarantined; repro.train with the same arguments makes it again."
            ) from None
        _describe(folder, export, model, store, dtype, typed)
    for length in sorted({export.run.settings.stream.sequence_length for export in exports.values()}):
        print(f"context: {length} tokens (stream.sequence_length)", file=sys.stderr)
    for folder in exports:
        print(folder)


def _versions(plan: Plan, output: Path, version: int | None, dtype: str) -> dict[Path, Export]:
    """Trained versions, by folder.

    Raises:
        UserError: a folder would have to hold two checkpoints.
    """
    exports: dict[Path, Export] = {}
    suffix = "" if dtype == "float32" else f"-{dtype}"
    for index, ends in enumerate(plan.tree.ends):
        for number, key in enumerate(ends, start=1):
            run = plan.tree.run_at(index, key)
            if key in plan.stored and version in (None, number):

                def write(folder: Path, store: Store, run: Run = run, key: Key = key) -> Any:
                    return folders.write(folder, run, key, store.load_weights(key), dtype)

                folder = output / folder_name(f"{run.name}-v{number}{suffix}")
                step = plan.tree.nodes[key].step
                _add(exports, folder, Export(run, key, step, f"version {number}", number, write), output)
    return exports


def _trunks(plan: Plan, output: Path, step: int | None) -> dict[Path, Export]:
    """Points of the trunk, by folder; raises as `trunk.choose` and `_add` do."""
    exports: dict[Path, Export] = {}
    for index, node in trunk.choose(plan, step):
        run = plan.tree.run_at(index, node.key)
        trunk.check(run)

        def write(folder: Path, store: Store, run: Run = run, node: Any = node) -> Any:
            return trunk.write(folder, run, node, store.load(node.key, "model", "optimizer"))

        folder = output / folder_name(f"{run.name}-trunk-{node.step}")
        _add(exports, folder, Export(run, node.key, node.step, f"trunk at step {node.step}", None, write), output)
    return exports


def _add(exports: dict[Path, Export], folder: Path, export: Export, output: Path) -> None:
    other = exports.setdefault(folder, export).key
    if other != export.key:
        raise UserError(
            f"output={output}: checkpoints {other[:16]} and {export.key[:16]}, of runs that differ in what their "
            f"name does not tell, would both be {folder.name}; export them one at a time, each to another output."
        )


def _check_free(exports: dict[Path, Export], output: Path) -> None:
    """Refuse to write over something else.

    Raises:
        UserError
    """
    for folder, export in exports.items():
        with clear_errors(folder, setting="output"):
            there = folders.origin(folder)
        if there not in (None, export.key):
            raise UserError(
                f"output={output}: {folder} holds {f'checkpoint {there[:16]}' if there else 'something else'}, and "
                f"would be overwritten with {export.key[:16]}; choose another output, or remove that folder."
            )


def _describe(folder: Path, export: Export, model: Any, store: Store, dtype: str, typed: Sequence[str]) -> None:
    """Write the model card, where there is none: licence and language are for people to fill in."""
    path = folder / "README.md"
    if path.exists():
        print(f"kept as it is: {printable(str(path))}", file=sys.stderr)
        return
    slices = measures.find(export.run, export.key, store) if export.version else None
    text = card.text(
        export.run,
        model.num_parameters(),
        what=export.what,
        step=export.step,
        perplexity=measures.perplexity(slices, export.version) if slices and export.version else None,
        dtype=dtype,
        commands=card.exported_by(typed),
    )
    with clear_errors(folder, setting="output"):
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

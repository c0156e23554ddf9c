"""What is `auto` of numerics, resolved before anything is planned: what is faster is a fact of the machine.

Which library makes products faster depends on the processor, the model's shape and the number of threads. It is
measured once and kept in the store. Bits and keys depend on the choice, so that a store goes on as it was begun: what
another processor chose there, under the same torch, holds here too. Frozen plans and keys have the choice, never
`auto`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from repro.common.canonical import canonical, digest
from repro.common.packages import installed
from repro.config.settings import AUTO, NumericsSettings
from repro.models import numerics
from repro.models.architectures.architecture import architecture
from repro.planning.runs import Run
from repro.store.store import Store

KIND = "matmul"
"""The choices in a store: one for each processor model, shape and number of threads."""
CLEARLY = 1.05
"""oneDNN is chosen where it is faster by this factor; what is closer would be decided by chance."""


def resolved(runs: Sequence[Run], store: Store, *, keep: bool, measure: bool = True) -> tuple[list[Run], list[str]]:
    """The runs with what their settings leave open decided, and a line for each choice that was measured.

    Args:
        keep: whether to write a new choice to the store.
        measure: False: take any, for a plan that nobody gets to see.

    Raises:
        UserError: the disk refuses.
    """
    lines: dict[str, None] = {}
    return [_resolved(run, store, keep, measure, lines) for run in runs], list(lines)


def _resolved(run: Run, store: Store, keep: bool, measure: bool, lines: dict[str, None]) -> Run:
    asked = run.settings.numerics
    chosen: dict[str, Any] = {}
    if asked.compile == AUTO:
        chosen["compile"] = asked.device == "cpu" and numerics.has_compiler()
    if asked.matmul == AUTO:
        chosen["matmul"] = "torch"
        if measure and numerics.choosable(asked):
            found = _choice(run, store, keep)
            chosen["matmul"] = found["matmul"]
            lines[_line(run, found, store)] = None
    if not chosen:
        return run
    return replace(run, settings=replace(run.settings, numerics=replace(asked, **chosen)))


def _choice(run: Run, store: Store, keep: bool) -> dict[str, Any]:
    """What is kept, or measured now."""
    asked = run.settings.numerics
    about = {
        "torch": installed("torch"),
        "threads": asked.threads,
        "tokens": _tokens(run, asked),
        "model": run.architecture.identity(*run.model_shape),
    }
    machine = numerics.processor_model()
    if (found := _kept(store, about, machine)) is not None:
        return found
    if not keep:
        return dict(_measured(canonical(run.shape.linear), canonical(about), machine))
    with store.keeping():  # so that all who begin at once agree
        if (found := _kept(store, about, machine)) is None:
            found = dict(_measured(canonical(run.shape.linear), canonical(about), machine))
            store.put_result(KIND, digest(about | {"machine": machine})[:16], found | {"about": about})
    return found


def _kept(store: Store, about: dict[str, Any], machine: str) -> dict[str, Any] | None:
    if (own := store.get_result(KIND, digest(about | {"machine": machine})[:16])) is not None:
        return own
    every = (store.get_result(KIND, name) for name in sorted(store.results(KIND)))
    return next((each for each in every if each is not None and canonical(each["about"]) == canonical(about)), None)


def _tokens(run: Run, asked: NumericsSettings) -> int:
    """Of one pass of one process."""
    blocks = asked.micro_batch_size or run.settings.stream.global_batch_size // asked.world_size
    return blocks * run.settings.stream.sequence_length


@lru_cache(maxsize=256)
def _measured(linear: str, about: str, machine: str) -> Mapping[str, Any]:
    """Once a process, so that what plans and does not keep its choice plans alike."""
    from repro.models import matmul

    told = json.loads(about)
    ratio = matmul.speed(json.loads(linear), told["tokens"], told["threads"])
    choice = "onednn" if ratio > CLEARLY else "torch"
    return MappingProxyType({"matmul": choice, "speed": round(ratio, 3), "machine": machine})


def _line(run: Run, found: dict[str, Any], store: Store) -> str:
    count = run.settings.numerics.threads
    threads = f"{count} thread{'s' if count > 1 else ''}"
    model = architecture(run.settings.model).size
    return (
        f"numerics.matmul={AUTO} is {found['matmul']} for model {model} on {threads}: "
        f"oneDNN's products take {1 / found['speed']:.2f} of the time of torch's own "
        f"(measured on {found['machine']}; a choice is kept in store.path={store.root})"
    )

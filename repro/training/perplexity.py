"""Measures a version: its loss on every version's held-out slice."""

import threading
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from repro.common.errors import Preempted
from repro.planning.runs import Run
from repro.recipes.trajectory import Key
from repro.results import measures
from repro.store.store import Store
from repro.training.parallel import ALONE, Processes


@torch.no_grad()
def measure(
    run: Run,
    key: Key,
    model: PreTrainedModel,
    store: Store,
    stop: threading.Event,
    processes: Processes = ALONE,
) -> None:
    """Measure checkpoint `key`, held by `model`, on what it was not measured on before, and keep the results. Several
    processes take the batches in turn.

    Raises:
        Preempted: `stop` was set, in whichever process. It is measured from the beginning another time.
    """
    every = measures.result_keys(run, key)
    known = processes.on_rank_zero(lambda: [name for name in every if store.get_result(measures.KIND, name)])
    training = model.training
    model.eval()
    for name in (name for name in every if name not in known):
        result = {"key": key, "slices": _slices(run, every[name], model, stop, processes)}
        processes.on_rank_zero(partial(store.put_result, measures.KIND, name, result))
    model.train(training)


def _slices(
    run: Run, versions: list[int], model: PreTrainedModel, stop: threading.Event, processes: Processes
) -> list[dict[str, Any]]:
    stream = run.stream
    device = next(model.parameters()).device
    slices = []
    for version in versions:
        heldout = stream.heldout(version)
        parts = torch.split(torch.from_numpy(heldout.blocks), run.settings.evaluation.batch_size)
        nll, tokens = 0.0, 0
        for first in range(0, len(parts), processes.size):
            (asked,) = processes.sum(stop.is_set())
            if asked:
                raise Preempted
            # All make as many forward passes, since those of a sharded model take all of them.
            part = parts[min(first + processes.rank, len(parts) - 1)].to(device)
            logits = model(input_ids=part[:, :-1]).logits
            losses = functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            if first + processes.rank < len(parts):
                nll += losses.double().sum().item()
                tokens += losses.numel()
        nll, count = processes.sum(nll, tokens)
        slices.append({"slice": version, "nll": nll, "tokens": int(count), "bytes": heldout.target_bytes})
    return slices

"""Measures a version: its loss on every version's held-out slice."""

import threading

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
    """Measure checkpoint `key`, held by `model`, and keep the result. Several processes take the batches in turn.

    Raises:
        Preempted: `stop` was set, in whichever process. It is measured from the beginning another time.
    """
    stream = run.stream
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    slices = []
    for version in range(1, stream.versions + 1):
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
    model.train(training)
    result = {"key": key, "slices": slices}
    processes.on_rank_zero(lambda: store.put_result(measures.KIND, measures.result_key(run, key), result))

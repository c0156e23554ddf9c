"""Measures a version: its loss on every version's held-out slice."""

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from repro import measures
from repro.runs import Run
from repro.store import Store
from repro.stream import Stream
from repro.trajectory import Key


@torch.no_grad()
def measure(run: Run, key: Key, model: PreTrainedModel, store: Store) -> None:
    """Measure checkpoint `key`, held by `model`, and keep the result."""
    stream = run.stream
    assert isinstance(stream, Stream)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    slices = []
    for version in range(1, stream.versions + 1):
        heldout = stream.heldout(version)
        nll, tokens = 0.0, 0
        for part in torch.split(torch.from_numpy(heldout.blocks), run.settings.evaluation.batch_blocks):
            part = part.to(device)
            logits = model(input_ids=part[:, :-1]).logits
            losses = functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            nll += losses.double().sum().item()
            tokens += losses.numel()
        slices.append({"slice": version, "nll": nll, "tokens": tokens, "bytes": heldout.target_bytes})
    model.train(training)
    store.put_result(measures.KIND, measures.result_key(run, key), {"key": key, "slices": slices})

"""Loss of a version on every version's held-out slice. Kept in the store by what it was computed from."""

import hashlib
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from repro.runs import Run
from repro.store import Store
from repro.stream import Stream
from repro.trajectory import Key, canonical

KIND = "perplexity"


def result_key(run: Run, key: Key) -> str:
    """Where the store keeps the losses of checkpoint `key`: batch size and numerics can change the last bits."""
    s = run.settings
    content = [key, run.stream.fingerprint, s.stream.heldout_blocks, s.evaluation.batch_blocks, run.numerics]
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def find(run: Run, key: Key, store: Store) -> list[dict[str, Any]] | None:
    """The losses, if they are known: for each slice its `slice`, `nll` (nats), `tokens` and `bytes`."""
    result = store.get_result(KIND, result_key(run, key))
    return None if result is None else result["slices"]


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
        for part in torch.from_numpy(heldout.blocks).split(run.settings.evaluation.batch_blocks):
            part = part.to(device)
            logits = model(input_ids=part[:, :-1]).logits
            losses = functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            nll += losses.double().sum().item()
            tokens += losses.numel()
        slices.append({"slice": version, "nll": nll, "tokens": tokens, "bytes": heldout.target_bytes})
    model.train(training)
    store.put_result(KIND, result_key(run, key), {"key": key, "slices": slices})

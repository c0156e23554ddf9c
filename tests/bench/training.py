"""Training steps of the engine against peers on the same cores: python tests/bench/training.py [repeats=5]

Peers, on the same model, batches, dtype and threads: transformers' Trainer, and a bare eager loop over the model's own
loss. The limit: the float32 matrix-product peak of the same threads. All of them take turns in one process, and what is
reported are ratios of processor time, medians over repeats with the range, so that other load on the machine matters
little. Writes docs/benchmarks/training.csv with the machine described.
"""

import csv
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Trainer, TrainingArguments

from repro import models, numerics
from repro.engine import train_edge
from repro.runs import Run, run
from repro.store import Store
from repro.stream import Stream
from repro.sweeps import compose
from repro.tree import Node, Tree

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "training.csv"
SETUPS = {"quick": ["size=w64_l2"], "5 M parameters": ["size=w256_l6"]}
"""Quick and proxy train the same model on batches of the same shape."""
STEPS = {"quick": 60, "5 M parameters": 8}


def ours(r: Run, steps: int) -> float:
    """Seconds of a step: an edge of `steps` steps less an edge of one, so that start and saving are left out."""

    def edge(length: int) -> float:
        key = f"{length:064x}"
        trajectory = r.trajectories[0]
        assert length <= len(trajectory)
        tree = Tree([r], {key: Node(key, key, length, None, 0, 0, 1)}, [[key]])
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            with store.claim(key) as claim:
                assert claim is not None
                start = time.process_time()
                train_edge(tree, key, store, claim, threading.Event())
                return time.process_time() - start

    return (edge(steps + 1) - edge(1)) / steps


def bare(r: Run, steps: int) -> float:
    """A plain loop: the model's own loss, AdamW, clipping."""
    model, blocks = _model(r), _blocks(r, steps + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.process_time()
        ids = torch.from_numpy(blocks[step])
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return (time.process_time() - start) / steps


def trainer(r: Run, steps: int) -> float:
    """transformers' Trainer, less its own start."""

    class Blocks(Dataset[dict[str, torch.Tensor]]):
        def __init__(self, blocks: np.ndarray) -> None:
            self.blocks = torch.from_numpy(blocks).flatten(0, 1)

        def __len__(self) -> int:
            return len(self.blocks)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {"input_ids": self.blocks[index], "labels": self.blocks[index]}

    def train(length: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                max_steps=length,
                per_device_train_batch_size=r.settings.stream.batch_blocks,
                learning_rate=1e-3,
                weight_decay=0.1,
                max_grad_norm=1.0,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            )
            peer = Trainer(model=_model(r), args=arguments, train_dataset=Blocks(_blocks(r, length)))
            start = time.process_time()
            peer.train()
            return time.process_time() - start

    return (train(steps + 1) - train(1)) / steps


def peak() -> float:
    """float32 operations a second of processor time in a large matrix product, over all threads."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    a @ b
    start = time.process_time()
    for _ in range(8):
        a @ b
    return 8 * 2 * 1024**3 / (time.process_time() - start)


def _model(r: Run) -> PreTrainedModel:
    s = r.settings
    return models.build(s.model, r.stream.vocab_size, s.stream.block_tokens, seed=0).train()


def _blocks(r: Run, steps: int) -> np.ndarray:
    """Batches of `block_tokens` tokens: (steps, batch_blocks, block_tokens)."""
    assert isinstance(r.stream, Stream)
    batches = r.trajectories[0].order.batches(r.stream, 0, steps)
    return np.stack([r.stream.blocks(ids)[:, :-1] for ids in batches])


def main() -> None:
    """Measure, print and write the table."""
    repeats = int(dict(word.split("=") for word in sys.argv[1:]).get("repeats", "5"))
    rows = []
    for name, overrides in SETUPS.items():
        for threads in (1, 2):
            (settings,) = compose(["scale=quick", "paradigm=ptfs", f"numerics.threads={threads}", *overrides])
            r = run(settings)
            torch.set_num_threads(threads)
            measured: dict[str, list[float]] = {"ours": [], "bare loop": [], "Trainer": [], "peak": []}
            contenders: dict[str, Callable[[Run, int], float]] = {"ours": ours, "bare loop": bare, "Trainer": trainer}
            for _ in range(repeats):
                for contender, measure in contenders.items():
                    measured[contender].append(measure(r, STEPS[name]))
                measured["peak"].append(peak())
            own = measured["ours"]
            ratios = {
                "speed over bare loop": [b / a for a, b in zip(own, measured["bare loop"], strict=True)],
                "speed over Trainer": [b / a for a, b in zip(own, measured["Trainer"], strict=True)],
                "share of matrix-product peak": [
                    r.step_flops / a / b for a, b in zip(own, measured["peak"], strict=True)
                ],
            }
            for ratio, values in ratios.items():
                low, middle, high = min(values), statistics.median(values), max(values)
                rows.append([name, threads, ratio, f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}", repeats])
                print(f"{name}, {threads} thread(s): {ratio} {middle:.2f} [{low:.2f}, {high:.2f}]")
    machine = numerics.describe(settings)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with OUTPUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["setup", "threads", "ratio", "median", "lowest", "highest", "repeats", "machine"])
        where = f"{machine['processor']}, {os.cpu_count()} cores, torch {machine['torch']}"
        writer.writerows([*row, where] for row in rows)


if __name__ == "__main__":
    main()

"""Training steps of the engine against peers on the same cores: python -m tests.bench.training

Peers, on the same model, batches, dtype and threads: transformers' Trainer, a bare eager loop over the model's own
loss, and the engine with torch's own matrix products in place of oneDNN's (also with both held to AVX2, as on older
processors). The limit: the float32 matrix-product peak of the same threads. Each in a process of its own, one after the
other; medians with the range over repeats. For a machine that does nothing else. Settings: `repeats`, `setup` (one of
the setups alone), and `output`, the table that is written.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Trainer, TrainingArguments

from repro.config.settings import NumericsSettings
from repro.data.stream import Stream
from repro.models import matmul, numerics
from repro.models.architectures.architecture import architecture
from repro.planning.runs import Run, run
from repro.planning.sweeps import compose
from repro.planning.tree import Node, Tree
from repro.store.store import Store
from repro.training.engine import train_edge
from tests.scripts import options

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "training.csv"
SETUPS = {
    "quick": ["size=w64_l2"],
    "proxy": ["size=w64_l2", "numerics.compile=true"],
    "5 M parameters": ["size=w256_l6", "numerics.compile=true"],
}
"""Quick and proxy train the same model on batches of the same shape; proxy compiles."""
STEPS = {"quick": 60, "proxy": 60, "5 M parameters": 8}


def ours(r: Run, steps: int) -> float:
    """Seconds of a step: an edge of `steps` steps less an edge of one, so that start and saving are left out.

    Compiling is left out too: edges that follow one another in a process share it.
    """

    def edge(length: int) -> float:
        key = f"{length:064x}"
        trajectory = r.trajectories[0]
        assert length <= len(trajectory)
        tree = Tree([r], {key: Node(key, key, length, (), 0, r, 1, trajectory)}, [[key]])
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            with store.lease(key) as lease:
                assert lease is not None
                start = time.perf_counter()
                train_edge(tree, key, store, lease, threading.Event())
                return time.perf_counter() - start

    edge(1)
    return (edge(steps + 1) - edge(1)) / steps


def bare(r: Run, steps: int) -> float:
    """A plain loop: the model's own loss, AdamW, clipping."""
    model, blocks = _model(r), _blocks(r, steps + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()
        ids = torch.from_numpy(blocks[step])
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return (time.perf_counter() - start) / steps


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
                per_device_train_batch_size=r.settings.stream.global_batch_size,
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
            start = time.perf_counter()
            peer.train()
            return time.perf_counter() - start

    return (train(steps + 1) - train(1)) / steps


def peak(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> float:
    """float32 operations a second in a large matrix product."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    multiply(a, b)
    start = time.perf_counter()
    for _ in range(8):
        multiply(a, b)
    return 8 * 2 * 1024**3 / (time.perf_counter() - start)


def fastest() -> float:
    """The peak by torch's own products or oneDNN's, whichever is higher."""
    has_onednn = numerics.onednn(NumericsSettings(matmul="onednn"))
    return max(peak(torch.matmul), peak(matmul.product) if has_onednn else 0.0)


def machine() -> str:
    """The machine, in words."""
    (settings,) = compose(["scale=quick"])
    about = numerics.describe(settings)
    return f"{about['processor']}, {os.cpu_count()} cores, torch {about['torch']}"


def _model(r: Run) -> PreTrainedModel:
    return architecture(r.settings.model).build(*r.model_shape, seed=0).train()


def _blocks(r: Run, steps: int) -> np.ndarray:
    """Batches of `sequence_length` tokens: (steps, batch_size, sequence_length)."""
    assert isinstance(r.stream, Stream)
    batches = r.trajectories[0].order.batches(r.stream, 0, steps)
    return np.stack([r.stream.blocks(ids)[:, :-1] for ids in batches])


OWN = "ours with torch's own products"

CONTENDERS: dict[str, Callable[[Run, int], float]] = {
    "ours": ours,
    OWN: ours,
    "bare loop": bare,
    "Trainer": trainer,
    "matrix-product peak": lambda r, steps: fastest(),
    "peak of torch's own products": lambda r, steps: peak(torch.matmul),
}


AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def measured(contender: str, setup: str, threads: int, repeats: int, environment: Mapping[str, str]) -> list[float]:
    """Repeats by a contender in a process of its own, so that none profits from how another set up its process."""
    words = [f"contender={contender}", f"setup={setup}", f"threads={threads}", f"repeats={repeats}"]
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.training", *words],
        check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
    ).stdout  # fmt: skip
    return [float(value) for value in said.splitlines()[-1].split()]


def prepared(setup: str, threads: int, *more: str) -> Run:
    (settings,) = compose(["scale=quick", "paradigm=ptfs", f"numerics.threads={threads}", *SETUPS[setup], *more])
    torch.set_num_threads(threads)
    return run(settings)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write the table."""
    defaults = {"repeats": "5", "setup": "", "output": str(OUTPUT), "contender": "", "threads": "1"}
    chosen = options(__doc__, arguments, defaults)
    repeats = int(chosen["repeats"])
    if chosen["contender"]:
        setup = chosen["setup"]
        contender = chosen["contender"]
        more = ["numerics.matmul=torch"] if contender == OWN else []
        r, measure = prepared(setup, int(chosen["threads"]), *more), CONTENDERS[contender]
        print(*(measure(r, STEPS[setup]) for _ in range(repeats)))
        return
    rows = []
    for setup in [chosen["setup"]] if chosen["setup"] else SETUPS:
        for threads in (1, 2):
            flops = prepared(setup, threads).step_flops
            found = {contender: measured(contender, setup, threads, repeats, {}) for contender in CONTENDERS}
            older = {contender: measured(contender, setup, threads, repeats, AVX2) for contender in ("ours", OWN)}
            ratios = {
                f"speed over {peer}": [b / a for a, b in zip(found["ours"], found[peer], strict=True)]
                for peer in ("bare loop", "Trainer", OWN)
            }
            ratios[f"speed over {OWN}, AVX2 alone"] = [b / a for a, b in zip(older["ours"], older[OWN], strict=True)]
            for limit in ("matrix-product peak", "peak of torch's own products"):
                ratios[f"share of {limit}"] = [flops / a / b for a, b in zip(found["ours"], found[limit], strict=True)]
            for ratio, values in ratios.items():
                low, middle, high = min(values), statistics.median(values), max(values)
                rows.append([setup, threads, ratio, f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}", repeats, machine()])
                print(f"{setup}, {threads} thread(s): {ratio} {middle:.2f} [{low:.2f}, {high:.2f}]", flush=True)
    with Path(chosen["output"]).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["setup", "threads", "ratio", "median", "lowest", "highest", "repeats", "machine"])
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])

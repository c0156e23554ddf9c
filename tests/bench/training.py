"""Training steps of the engine against peers on the same cores: python -m tests.bench.training

Peers, on the same model, batches, dtype and threads: transformers' Trainer, a bare eager loop over the model's own
loss, and the engine with torch's own matrix products in place of those that `auto` chooses (also with both held to
AVX2, as on older processors). The limit: the float32 matrix-product peak of the same threads. Each has a process of its
own, and they take turns; medians of each round's ratios, with their range. Rows of other machines stay in the table.

On a GPU (`setup=gpu_small threads=1`), in bfloat16, it is the engine compiled against itself eager and under CUDA
graphs as well, and the limit is the bfloat16 peak.

Settings: `repeats`, `setup` (one of the setups alone), `threads`, `clock` (`wall`, for a machine that does nothing
else; `cpu` counts what each process computed, with one thread), `note` (said of the machine: "shared with other work"),
and `output`, the table that is written.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Trainer, TrainingArguments

from repro.common.packages import installed
from repro.data.stream import Stream
from repro.models import matmul, numerics
from repro.models.architectures.architecture import architecture
from repro.planning import choices
from repro.planning.runs import Run, run
from repro.planning.sweeps import compose
from repro.planning.tree import Node, Tree
from repro.store.store import Store
from repro.training import parallel
from repro.training.engine import train_edge
from tests.bench import tables
from tests.scripts import options

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "training.csv"
GPU = "gpu_small"
SETUPS = {
    "quick, eager": ["scale=quick", "size=w64_l2", "numerics.compile=false"],
    "quick and proxy": ["scale=quick", "size=w64_l2", "numerics.compile=true"],
    "5 M parameters": ["scale=quick", "size=w256_l6", "numerics.compile=true"],
    GPU: ["scale=gpu_small", "corpus.megabytes=64", "stream.steps_per_version=40", "schedule.warmup_steps=4"],
}
"""Quick and proxy train the same model on batches of the same shape, and compile where there is a compiler."""
STEPS = {"quick, eager": 60, "quick and proxy": 60, "5 M parameters": 8, GPU: 30}


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Clock:
    """What seconds are read from: the wall, or what the process itself computed, which other work hardly changes."""

    read: Callable[[], float] = time.perf_counter


CLOCK = Clock()


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
                start = CLOCK.read()
                train_edge(tree, key, store, lease, threading.Event())
                return CLOCK.read() - start

    edge(1)
    return (edge(steps + 1) - edge(1)) / steps


def bare(r: Run, steps: int) -> float:
    """A plain loop: the model's own loss, AdamW, clipping."""
    model, blocks = _model(r), _blocks(r, steps + 1)
    asked = r.settings.numerics
    model.to(asked.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = _finished()
        ids = torch.from_numpy(blocks[step]).to(asked.device)
        with parallel.autocast(asked):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return (_finished() - start) / steps


def _finished() -> float:
    """The time, once the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return CLOCK.read()


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
                use_cpu=r.settings.numerics.device == "cpu",
                bf16=r.settings.numerics.dtype == "bfloat16",
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            )
            peer = Trainer(model=_model(r), args=arguments, train_dataset=Blocks(_blocks(r, length)))
            start = CLOCK.read()
            peer.train()
            return CLOCK.read() - start

    return (train(steps + 1) - train(1)) / steps


def peak(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], r: Run) -> float:
    """Operations a second in a large matrix product, float32 on a CPU, in the run's own type on a GPU."""
    asked = r.settings.numerics
    size, dtype = (1024, torch.float32) if asked.device == "cpu" else (8192, getattr(torch, asked.dtype))
    a, b = (torch.randn(size, size, dtype=dtype, device=asked.device) for _ in "ab")
    multiply(a, b)
    start = _finished()
    for _ in range(8):
        multiply(a, b)
    return 8 * 2 * size**3 / (_finished() - start)


def fastest(r: Run, steps: int) -> float:
    """The peak by torch's own products or oneDNN's, whichever is higher."""
    has_onednn = numerics.choosable(r.settings.numerics)
    return max(peak(torch.matmul, r), peak(matmul.product, r) if has_onednn else 0.0)


def machine(note: str = "", *, gpu: bool = False) -> str:
    """The machine, in words, and what else is to be known of it."""
    words = [torch.cuda.get_device_name()] if gpu else [numerics.processor_model(), f"{os.cpu_count()} cores"]
    words += [f"torch {installed('torch')}", note]
    return ", ".join(word for word in words if word)


def _model(r: Run) -> PreTrainedModel:
    return architecture(r.settings.model).build(*r.model_shape, seed=0).train()


def _blocks(r: Run, steps: int) -> np.ndarray:
    """Batches of `sequence_length` tokens: (steps, batch_size, sequence_length)."""
    assert isinstance(r.stream, Stream)
    batches = r.trajectories[0].order.batches(r.stream, 0, steps)
    return np.stack([r.stream.blocks(ids)[:, :-1] for ids in batches])


OWN = "ours with torch's own products"
EAGER, GRAPHED = "ours, not compiled", "ours, CUDA graphs"
MORE = {
    OWN: ["numerics.matmul=torch"],
    EAGER: ["numerics.compile=false"],
    GRAPHED: ["numerics.compile=graphs"],
}
"""What contenders set besides."""

PEERS = ("bare loop", "Trainer")
LIMITS = ("matrix-product peak", "peak of torch's own products")
CONTENDERS: dict[str, Callable[[Run, int], float]] = {
    "ours": ours,
    OWN: ours,
    EAGER: ours,
    GRAPHED: ours,
    "bare loop": bare,
    "Trainer": trainer,
    LIMITS[0]: fastest,
    LIMITS[1]: lambda r, steps: peak(torch.matmul, r),
}


AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
OLDER = ", AVX2 alone"
COLUMNS = ("setup", "threads", "ratio", "median", "lowest", "highest", "repeats", "clock", "machine")


def prepared(setup: str, threads: int, *more: str) -> Run:
    given = ["paradigm=ptfs", f"numerics.threads={threads}", *SETUPS[setup], *more]
    torch.set_num_threads(threads)
    return choices.resolved([run(each) for each in compose(given)], Store(Path("/nowhere")), keep=False)[0][0]


def contend(contender: str, setup: str, threads: int) -> None:
    """One contender's process: measures once for each line it is sent."""
    r = prepared(setup, threads, *MORE.get(contender, []))
    answers, sys.stdout = sys.stdout, sys.stderr  # Trainer prints as well
    for _ in sys.stdin:
        print(CONTENDERS[contender](r, STEPS[setup]), file=answers, flush=True)


class Contest:
    """Contenders in processes of their own, so that none profits from how another set up its process. They take turns,
    round after round, so that what else happens on the machine meets all of them."""

    def __init__(self, stack: ExitStack, setup: str, threads: int, clock: str) -> None:
        on_gpu = setup == GPU
        absent = {OWN, LIMITS[1]} if on_gpu else {EAGER, GRAPHED}
        every: dict[str, tuple[str, dict[str, str]]] = {name: (name, {}) for name in CONTENDERS if name not in absent}
        if not on_gpu:
            every |= {f"{name}{OLDER}": (name, AVX2) for name in ("ours", OWN)}
        words = [f"setup={setup}", f"threads={threads}", f"clock={clock}"]
        self._started = {
            label: stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.bench.training", f"contender={name}", *words],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
                )
            )
            for label, (name, environment) in every.items()
        }  # fmt: skip

    def round(self) -> dict[str, float]:
        """A measurement of each."""
        found = {}
        for label, process in self._started.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            found[label] = float(process.stdout.readline())
        return found


def ratios(found: dict[str, float], flops: int) -> dict[str, float]:
    """What one round says."""
    others = [name for name in (*PEERS, OWN, EAGER, GRAPHED) if name in found]
    speeds = {f"speed over {other}": found[other] / found["ours"] for other in others}
    if OWN in found:
        speeds |= {f"speed over {peer} with torch's own products": found[peer] / found[OWN] for peer in PEERS}
        speeds[f"speed over {OWN}{OLDER}"] = found[f"{OWN}{OLDER}"] / found[f"ours{OLDER}"]
    return speeds | {f"share of {limit}": flops / found["ours"] / found[limit] for limit in LIMITS if limit in found}


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write the table."""
    defaults = {"repeats": "5", "setup": "", "threads": "1,2", "clock": "wall", "note": "", "output": str(OUTPUT)}
    chosen = options(__doc__, arguments, defaults | {"contender": ""})
    CLOCK.read = CLOCKS[chosen["clock"]]
    if chosen["contender"]:
        contend(chosen["contender"], chosen["setup"], int(chosen["threads"]))
        return
    rows = []
    for setup in [chosen["setup"]] if chosen["setup"] else [name for name in SETUPS if name != GPU]:
        where = machine(chosen["note"], gpu=setup == GPU)
        for threads in map(int, chosen["threads"].split(",")):
            flops = prepared(setup, threads).step_flops
            rounds: list[dict[str, float]] = []
            with ExitStack() as stack:
                contest = Contest(stack, setup, threads, chosen["clock"])
                contest.round()  # compiles
                rounds += (ratios(contest.round(), flops) for _ in range(int(chosen["repeats"])))
            for ratio in rounds[0]:
                values = [each[ratio] for each in rounds]
                spread = [f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))]
                rows.append(
                    [
                        setup,
                        threads,
                        ratio,
                        *spread,
                        len(values),
                        chosen["clock"],
                        where,
                    ]
                )
                print(f"{setup}, {threads} thread(s): {ratio} {spread[0]} [{spread[1]}, {spread[2]}]", flush=True)
    tables.add(Path(chosen["output"]), COLUMNS, rows, told_apart_by=("setup", "threads", "ratio", "clock", "machine"))


if __name__ == "__main__":
    main(sys.argv[1:])

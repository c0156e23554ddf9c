"""What tests/training/test_parallel.py has several processes do.

    torchrun tests/together.py STORES CASE,CASE... OVERRIDES...

Trains each case into a store of its own, STORES/<case>.
"""

import sys
import threading
from pathlib import Path

from stops import StopAfter

from repro.common.errors import Preempted
from repro.planning.planner import make
from repro.planning.sweeps import compose
from repro.store.store import Store
from repro.training import parallel
from repro.training.worker import Worker

GPT2 = Path(__file__).parent / "models" / "gpt2.json"
CASES = {
    "ddp": ["numerics.parallel=ddp"],
    "fsdp": ["numerics.parallel=fsdp"],
    "ddp_parts": ["numerics.parallel=ddp", "numerics.micro_batch_size=1"],
    "fsdp_parts": ["numerics.parallel=fsdp", "numerics.micro_batch_size=1"],
    "fsdp_bfloat16": ["numerics.parallel=fsdp", "numerics.dtype=bfloat16"],
    "fsdp_again": ["numerics.parallel=fsdp", "numerics.activation_checkpointing=true"],
    "ddp_muon": ["numerics.parallel=ddp", "optimizer=muon"],
    "fsdp_schedule_free": ["numerics.parallel=fsdp", "optimizer=schedule_free"],
    "fsdp_gpt2": ["numerics.parallel=fsdp", "model=hf_config", f"model.config={GPT2}"],
    "fsdp_compiled": ["numerics.parallel=fsdp", "numerics.compile=true"],
    "fsdp_stopped": ["numerics.parallel=fsdp"],
}


def main() -> None:
    stores, cases, overrides = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
    processes = parallel.join()
    for case in cases:
        tree = make(compose([*overrides, *CASES[case], f"store.path={stores / case}"])).tree
        store = Store(stores / case)
        if case == "fsdp_stopped":
            # One process is asked to stop, and all do.
            try:
                Worker(tree, 0, store, StopAfter(13) if processes.rank == 1 else threading.Event(), processes).work()
                raise AssertionError("went on")
            except Preempted:
                pass
        Worker(tree, 0, store, threading.Event(), processes).work()


if __name__ == "__main__":
    main()

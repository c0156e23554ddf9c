"""Trains one edge of the tree, from the node before it to its end.

Learning rate and batch are pure functions of the trajectory and the step: they are set at every step and never come
from a checkpoint. What does is the state (`repro.training.state`). Nothing in a step draws random numbers.
"""

import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from repro.common.canonical import canonical
from repro.common.errors import Preempted, UserError
from repro.data.blocks import Tokens
from repro.data.stream import VersionStream
from repro.planning.runs import Run
from repro.planning.tree import Node, Tree
from repro.recipes.trajectory import Key, Trajectory
from repro.store.layout import Contents, Damaged
from repro.store.leases import Lease
from repro.store.store import Store
from repro.training import parallel
from repro.training.parallel import ALONE, Processes
from repro.training.state import State, fresh, stored_state

Save: TypeAlias = Callable[[str, int, dict[str, Contents], dict[str, Any]], None]


class Diverged(UserError):
    """The loss is no longer a number. Everything before the edge is kept."""

    everywhere = True


def train_edge(
    tree: Tree, key: Key, store: Store, lease: Lease | None, stop: threading.Event, processes: Processes = ALONE
) -> State:
    """Train the edge that ends in node `key` and keep its end in the store.

    The caller (of several processes: rank 0) holds the lease on `key`, and the node's parent is in the store.

    Raises:
        Damaged: the parent's checkpoint turned out damaged; it has been quarantined and must be trained again.
        Diverged: NaN or infinite loss.
        Preempted: `stop` was set, in whichever process.
    """
    node = tree.nodes[key]
    run, trajectory = node.run, node.product
    assert isinstance(trajectory, Trajectory), "derived weights take no step"
    stream = run.stream
    device = torch.device(run.settings.numerics.device)
    run.check_unchanged()
    configure(run)

    state, start = _resume(run, node, store, processes)
    state.sessions.append(start)
    rates, resets, origin = trajectory.learning_rates, trajectory.resets, trajectory.origin
    batches = trajectory.batches(stream, start, node.step)
    log = np.concatenate([state.log[: start - origin], np.zeros((node.step - start, 2), np.float32)])
    parameters = list(state.model.parameters())
    settings = run.settings
    mine = read(stream, batches[:, processes.share(settings.stream.global_batch_size)])
    save_next = time.monotonic() + settings.store.save_seconds
    about = _about(node, state)

    def keep(save: Save, step: int) -> None:
        state.rule.release(state.optimizer)
        with parallel.written(state.tensors(), store, processes) as contents:
            processes.on_rank_zero(lambda: save(node.key, step, contents, about))

    state.rule.resume(state.optimizer)
    for step, blocks in zip(range(start, node.step), mine, strict=True):
        at = step - origin
        state.prepare(float(rates[at]), reset=bool(resets[at]))
        total = _gradients(state, torch.from_numpy(blocks).to(device), settings.numerics.micro_batch_size)
        total, asked, due = processes.mean(total, stop.is_set(), time.monotonic() >= save_next)
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.optimizer.clip_norm).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise _diverged(node, step, float(rates[at]), total, norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        log[at] = total, norm

        if lease is not None:
            lease.beat({"key": node.key, "step": step + 1})
        if (asked or due) and step + 1 < node.step:
            state.log = log[: at + 1]
            keep(store.save_partial, step + 1)
            save_next = time.monotonic() + settings.store.save_seconds
            if asked:
                raise Preempted
            state.rule.resume(state.optimizer)
    state.log = log
    keep(store.save, node.step)
    return state


def _gradients(state: State, tokens: torch.Tensor, micro: int | None) -> float:
    """Accumulate the gradients of a batch's mean loss, in nats per token, and return that loss.

    Args:
        tokens: this process's share, (blocks, L + 1).
        micro: blocks in one forward pass; None: all.
    """
    total = 0.0
    parts = torch.split(tokens, micro or len(tokens))
    for index, part in enumerate(parts, start=1):
        with parallel.accumulating(state.forward, last=index == len(parts)):
            # Normalised by the tokens of the whole share, so that splitting it changes only roundings.
            loss = state.loss(part[:, :-1], part[:, 1:]) / (tokens.shape[0] * (tokens.shape[1] - 1))
            loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def _diverged(node: Node, step: int, rate: float, loss: float, norm: float) -> Diverged:
    schedule = node.run.settings.schedule
    return Diverged(
        f"run {node.run.name}, version {node.version}: the loss is {loss} at step {step} (gradient norm {norm:g}, "
        f"learning rate {rate:g}). Everything up to step {node.parent_step} is kept. schedule.max_lr below "
        f"{schedule.max_lr:g} or warmup_steps above {schedule.warmup_steps} may help."
    )


READ_TOKENS = 2**16
"""How many are read at once, about: on small batches, a call for each step costs 1 % of it."""


def read(stream: VersionStream, batches: NDArray[np.int64]) -> Iterator[Tokens]:
    """The blocks of each step's batch, (blocks, L + 1).

    Args:
        batches: (steps, blocks) block ids.
    """
    steps, blocks = batches.shape
    at_once = max(1, READ_TOKENS // (blocks * stream.sequence_length))
    for start in range(0, steps, at_once):
        ids = batches[start : start + at_once]
        yield from stream.blocks(ids.ravel()).reshape(*ids.shape, -1)


def configure(run: Run) -> None:
    """Make this process compute as the run's numerics say."""
    torch.set_num_threads(run.settings.numerics.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing reads what it has not written; having all new memory filled costs a small model up to a tenth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    # Inductor does not tell apart by instruction set what it keeps for later processes; run elsewhere, it is wrong.
    torch.compiler.config.cache_key_tag = canonical(run.numerics)
    keep_compiled()
    keep_memory()


def keep_compiled() -> None:
    """Have what is compiled outlive a restart of the machine, for all workers: PyTorch's own place is the folder for
    temporary files. A user's own folder and not the store, which others may share: what it holds is executed."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    above = next((each for each in (home / "repro", home, home.parent) if _is_there(each)), None)
    if home.is_absolute() and above is not None and os.access(above, os.W_OK | os.X_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home / "repro" / "inductor"))


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except PermissionError:  # as of another user's home; PyTorch's own place serves then
        return False


def keep_memory() -> None:
    """Have glibc keep freed memory for the next step: giving it back and faulting it in again costs a tenth of one."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            trim_threshold, mmap_threshold = -1, -3  # of malloc.h
            mallopt(trim_threshold, 2**31 - 1)
            mallopt(mmap_threshold, 32 * 2**20)  # the most there is


def _resume(run: Run, node: Node, store: Store, processes: Processes) -> tuple[State, int]:
    """The deepest state on the edge that is kept, and its step."""
    for step in reversed(processes.on_rank_zero(lambda: store.partial_steps(node.key))):
        if node.parent_step < step < node.step:
            try:
                return stored_state(run, store, node.key, processes, step), step
            except Damaged:
                continue
    if not node.parents:
        return fresh(run), 0
    (parent,) = node.parents
    state = stored_state(run, store, parent, processes)
    state.sessions = []
    return state, node.parent_step


def _about(node: Node, state: State) -> dict[str, Any]:
    about = describe(node) | {"parent": node.parents[0] if node.parents else None, "sessions": state.sessions}
    return about | ({"adopted": state.adopted} if state.adopted else {})


def describe(node: Node) -> dict[str, Any]:
    """What the manifest of any node says."""
    run = node.run
    return {
        "identity_key": node.identity_key,
        "identity": run.identity,
        "numerics": run.numerics,
        "stream": run.stream.fingerprint,
        "name": run.name,
        "version": node.version,
        "vocab_size": run.stream.vocab_size,
    }

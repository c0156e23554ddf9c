"""Trains one edge of the tree, from the node before it to its end.

Learning rate and batch are pure functions of the trajectory and the step: they are set at every step and never come
from a checkpoint. A checkpoint holds what they cannot give: weights, AdamW's moments and step count, and the log
(loss and gradient norm of every step since the initialization, random or derived). Nothing in a step draws random
numbers.
"""

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from repro.common.canonical import canonical
from repro.common.errors import Preempted, UserError
from repro.config.settings import NumericsSettings
from repro.data.stream import Tokens, VersionStream
from repro.models import architectures
from repro.models.loss import cross_entropy
from repro.models.optimizers import AdamW
from repro.planning.runs import Run
from repro.planning.tree import Node, Tree
from repro.recipes.trajectory import Key, Trajectory
from repro.store.store import Contents, Damaged, Lease, Store, Tensors
from repro.training import parallel
from repro.training.parallel import ALONE, Processes

Save: TypeAlias = Callable[[str, int, dict[str, Contents], dict[str, Any]], None]

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOG = "trace"
"""The training log's file, and the tensor in it, as checkpoints have called them since the first one."""
FILES = ("model", "optimizer", LOG)
"""Of a checkpoint."""


class Diverged(UserError):
    """The loss is no longer a number. Everything before the edge is kept."""


@dataclass
class State:
    """A model under training."""

    model: PreTrainedModel
    forward: Callable[..., Any]
    """What to call for a forward pass: the model, or what is wrapped around it."""
    optimizer: torch.optim.AdamW
    loss: Loss
    log: np.ndarray
    """(steps, 2) float32: loss in nats a token and gradient norm before clipping, of each step so far."""
    sessions: list[int] = field(default_factory=list)
    """Steps at which training of the edge began and went on again: a kept step is never trained a second time."""
    adopted: list[dict[str, Any]] = field(default_factory=list)
    """Checkpoints of other numerics that were used, on request, on the way here (repro.adopt)."""


def train_edge(
    tree: Tree, key: Key, store: Store, lease: Lease | None, stop: threading.Event, processes: Processes = ALONE
) -> State:
    """Train the edge that ends in node `key` and keep its end in the store.

    The caller (of several processes: the leader) holds the lease on `key`, and the node's parent is in the store.

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
    configure(run)

    state, start = _resume(run, node, store, processes)
    state.sessions.append(start)
    rates, resets, origin = trajectory.learning_rates, trajectory.resets, trajectory.origin
    batches = trajectory.batches(stream, start, node.step)
    log = np.concatenate([state.log[: start - origin], np.zeros((node.step - start, 2), np.float32)])
    parameters = list(state.model.parameters())
    settings = run.settings
    mine = read(stream, batches[:, processes.share(settings.stream.global_batch_size)])
    micro = settings.numerics.micro_batch_size or settings.stream.global_batch_size
    save_next = time.monotonic() + settings.store.save_seconds
    about = _about(node, state)

    def keep(save: Save, step: int) -> None:
        with parallel.written(_tensors(state), store, processes) as contents:
            processes.on_rank_zero(lambda: save(node.key, step, contents, about))

    for step, blocks in zip(range(start, node.step), mine, strict=True):
        at = step - origin
        if resets[at]:
            state.optimizer.state.clear()
        for group in state.optimizer.param_groups:
            group["lr"] = float(rates[at])
        tokens = torch.from_numpy(blocks).to(device)
        total = 0.0
        parts = torch.split(tokens, micro)
        for index, part in enumerate(parts, start=1):
            with parallel.accumulating(state.forward, last=index == len(parts)):
                # Normalised by the tokens of the whole share, so that splitting it changes only roundings.
                loss = state.loss(part[:, :-1], part[:, 1:]) / (tokens.shape[0] * (tokens.shape[1] - 1))
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        total, asked, due = processes.mean(total, stop.is_set(), time.monotonic() >= save_next)
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.optimizer.clip_norm)
        if not (math.isfinite(total) and math.isfinite(norm.item())):
            raise Diverged(
                f"run {run.name}, version {node.version}: the loss is {total} at step {step} (gradient norm "
                f"{norm.item():g}, learning rate "
                f"{rates[at]:g}). Everything up to step {node.parent_step} is kept. schedule.max_lr below "
                f"{settings.schedule.max_lr:g} or warmup_steps above {settings.schedule.warmup_steps} may help."
            )
        state.optimizer.step()
        state.optimizer.zero_grad()
        log[at] = total, norm.item()

        if lease is not None:
            lease.beat({"key": node.key, "step": step + 1})
        if (asked or due) and step + 1 < node.step:
            state.log = log[: at + 1]
            keep(store.save_partial, step + 1)
            save_next = time.monotonic() + settings.store.save_seconds
            if asked:
                raise Preempted
    state.log = log
    keep(store.save, node.step)
    return state


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
    keep_memory()


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


def stored_state(run: Run, store: Store, key: Key, processes: Processes = ALONE, partial: int | None = None) -> State:
    """The state that checkpoint `key` holds, or at step `partial` one where the edge to it can be resumed.

    Raises:
        Damaged: it is gone or altered, and has been quarantined.
    """
    if processes.size > 1:
        folder, manifest = processes.on_rank_zero(lambda: store.verified(key, partial))
        state = _read_state(run, folder, files_of(manifest), processes)
    elif partial is None:
        manifest = store.manifest(key)
        state = load_state(run, store.load(key, *files_of(manifest)))
    else:
        state = load_state(run, store.load_partial(key, partial, *FILES))
        manifest = store.partial_manifest(key, partial)
    state.sessions, state.adopted = manifest.get("sessions", []), manifest.get("adopted", [])
    return state


def files_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The files of a checkpoint: derived weights may come without an optimizer's state, and have no log."""
    return tuple(manifest["operation"]["files"]) if "operation" in manifest else FILES


def fresh(run: Run) -> State:
    """The random initialization."""
    s = run.settings
    model = architectures.build(s.model, run.stream.vocab_size, s.stream.sequence_length, s.seed)
    # Among several processes, layers are compiled one by one (repro.training.parallel).
    if s.numerics.compile and s.numerics.world_size == 1:
        model, forward, loss = _compiled(model, s.numerics)
    else:
        forward = parallel.distribute(model, s.numerics)
        loss = _loss_function(forward, s.numerics)
    return State(model, forward, _optimizer(run, model), loss, np.zeros((0, 2), np.float32))


COMPILED_KEPT = {"cpu": 4, "cuda": 1}
"""Models that a process keeps compiled: a study's sizes take turns, but a GPU's memory is for one."""

_compiled_models: dict[str, tuple[PreTrainedModel, Callable[..., Any], Loss]] = {}
"""By shape and numerics: model, forward pass, loss."""


def _compiled(model: PreTrainedModel, numerics: NumericsSettings) -> tuple[PreTrainedModel, Callable[..., Any], Loss]:
    """A compiled loss, with the weights of `model` in it.

    Compiling takes as long as hundreds of small steps. Edges that follow one another in a process mostly train the
    same model, so what was compiled is used again: the state of an edge before is then overwritten.
    """
    key = f"{model.config.to_json_string()} {numerics}"
    if key not in _compiled_models:
        if len(_compiled_models) >= COMPILED_KEPT[torch.device(numerics.device).type]:
            _compiled_models.clear()
            torch.compiler.reset()  # past a number of models under one function, dynamo would no longer compile
        forward = parallel.distribute(model, numerics)
        # Static shapes: else the code, and with it the bits, would depend on what else was compiled before.
        loss = torch.compile(_loss_function(forward, numerics), dynamic=False, fullgraph=True)
        _compiled_models[key] = model, forward, loss
    kept, forward, loss = _compiled_models[key]
    if kept is not model:
        kept.load_state_dict(model.state_dict())
        kept.zero_grad()
        kept.train()
    return kept, forward, loss


def _optimizer(run: Run, model: PreTrainedModel) -> torch.optim.AdamW:
    s = run.settings.optimizer
    assert isinstance(s, AdamW)
    # Norms and biases are not decayed, as is usual.
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": s.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(s.beta1, s.beta2), eps=s.eps, fused=True)


def _loss_function(forward: Callable[..., Any], numerics: NumericsSettings) -> Loss:
    """Summed cross-entropy of (blocks, tokens) inputs and targets."""

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with parallel.autocast(numerics):
            logits = forward(input_ids=inputs).logits
        return cross_entropy(logits, targets)

    return loss


def _tensors(state: State) -> dict[str, Tensors]:
    model = {name: p.detach().contiguous() for name, p in state.model.named_parameters()}
    moments: Tensors = {}
    for name, parameter in state.model.named_parameters():
        for part, value in state.optimizer.state.get(parameter, {}).items():
            moments[f"{name}.{part}"] = value
    return {"model": model, "optimizer": moments, LOG: {LOG: torch.from_numpy(state.log.copy())}}


def load_state(run: Run, tensors: dict[str, Tensors]) -> State:
    """The state that a checkpoint's files `model`, `optimizer` and `trace` (the log) hold; without the latter two, the
    optimizer is fresh and the log is empty."""
    state = fresh(run)
    with torch.no_grad():
        for name, parameter in state.model.named_parameters():
            parameter.copy_(tensors["model"][name])
    moments = tensors.get("optimizer", {})
    for name, parameter in state.model.named_parameters():
        parts = {
            part: moments[f"{name}.{part}"] for part in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{part}" in moments
        }
        if parts:
            state.optimizer.state[parameter] = {part: value.to(parameter.device) for part, value in parts.items()}
    if LOG in tensors:
        state.log = tensors[LOG][LOG].numpy()
    return state


def _read_state(run: Run, folder: Path, files: Sequence[str], processes: Processes) -> State:
    """As `load_state`, from the files of a checkpoint, by several processes: each reads what it is to hold."""
    from safetensors.torch import load_file

    from repro.store import shards

    state = fresh(run)
    for parameter in state.model.parameters() if "optimizer" in files else ():
        moments = {part: torch.zeros_like(parameter.detach()) for part in ("exp_avg", "exp_avg_sq")}
        state.optimizer.state[parameter] = {"step": torch.zeros((), device=parameter.device)} | moments
    contents = _tensors(state)
    shards.read_into(contents["model"] | contents["optimizer"], folder, processes.group)
    if LOG in files:
        state.log = load_file(folder / f"{LOG}.safetensors")[LOG].numpy()
    return state


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

"""A model under training: how it begins, what of it is kept, and how it comes back.

A checkpoint holds what learning rates and batches cannot give: weights (those to evaluate), the optimizer's state, and
the log (loss and gradient norm of every step since the initialization).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from transformers import PreTrainedModel

from repro.config.settings import GRAPHS, NumericsSettings
from repro.models import weights
from repro.models.loss import cross_entropy
from repro.models.optimizers.optimizer import Optimizer, Updates, optimizer
from repro.planning.runs import Run
from repro.recipes.trajectory import Key
from repro.store.layout import FILES, LOG, Tensors, files_of
from repro.store.store import Store
from repro.training import parallel
from repro.training.parallel import ALONE, Processes

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

GROUPS = "param_groups"
"""Begins the names of what the optimizer's parameter groups keep: param_groups.<number>.<name>."""


@dataclass
class State:
    """A model under training. Unless steps are taken, its weights are those to evaluate."""

    model: PreTrainedModel
    forward: Callable[..., Any]
    """What to call for a forward pass: the model, or what is wrapped around it."""
    rule: Optimizer
    optimizer: Updates
    loss: Loss
    log: np.ndarray
    """(steps, 2) float32: loss in nats per token and gradient norm before clipping, of each step so far."""
    sessions: list[int] = field(default_factory=list)
    """Steps at which training of the edge began and went on again: a kept step is never trained a second time."""
    adopted: list[dict[str, Any]] = field(default_factory=list)
    """Checkpoints of other numerics that were used, on request, on the way here (repro.adopt)."""

    def prepare(self, rate: float, *, reset: bool) -> None:
        """For the next step: its learning rate, which nothing else sets, and whether the optimizer begins anew."""
        if reset:
            self.rule.reset(self.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def tensors(self) -> dict[str, Tensors]:
        """What a checkpoint's files hold."""
        model = {name: tensor.contiguous() for name, tensor in weights.of(self.model).items()}
        return {
            "model": model,
            "optimizer": _optimizer_tensors(self),
            LOG: {LOG: torch.from_numpy(self.log.copy())},
        }


def fresh(run: Run) -> State:
    """The initialization: random, or the weights that `model.init` names."""
    return _state(run, run.initialize())


def _unfilled(run: Run) -> State:
    """A state whose weights are about to be replaced."""
    return _state(run, run.architecture.build(*run.model_shape, run.settings.seed))


def _state(run: Run, model: PreTrainedModel) -> State:
    numerics, rule = run.settings.numerics, optimizer(run.settings)
    # Among several processes, layers are compiled one by one (repro.training.parallel).
    if numerics.compile and numerics.world_size == 1:
        model, forward, loss = COMPILED.loss(model, numerics)
    else:
        forward = parallel.distribute(model, numerics)
        loss = _loss_function(forward, numerics)
    return State(model, forward, rule, rule.build(model), loss, np.zeros((0, 2), np.float32))


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


def load_state(run: Run, tensors: dict[str, Tensors]) -> State:
    """The state that a checkpoint's files `model`, `optimizer` and `trace` (the log) hold; without the latter two, the
    optimizer is fresh and the log is empty."""
    state = _unfilled(run)
    weights.load(state.model, tensors["model"])
    _load_optimizer(state, tensors.get("optimizer", {}))
    if LOG in tensors:
        state.log = tensors[LOG][LOG].numpy()
    return state


def _read_state(run: Run, folder: Path, files: Sequence[str], processes: Processes) -> State:
    """As `load_state`, from the files of a checkpoint, by several processes: each reads what it is to hold."""
    from safetensors.torch import load_file

    from repro.store import shards

    state = _unfilled(run)
    parameters = dict(state.model.named_parameters())
    known = {*weights.of(state.model), LOG}
    blank: Tensors = {}
    for name, (size, dtype) in shards.layout(folder).items():
        if name in known:
            continue
        owner = parameters.get(name.rpartition(".")[0])
        like = owner.detach() if owner is not None and owner.shape == size else None
        device = "cpu" if owner is None else owner.device
        blank[name] = torch.zeros(size, dtype=dtype, device=device) if like is None else torch.zeros_like(like)
    shards.read_into(weights.of(state.model) | blank, folder, processes.group)
    _load_optimizer(state, blank)
    if LOG in files:
        state.log = load_file(folder / f"{LOG}.safetensors")[LOG].numpy()
    return state


def _optimizer_tensors(state: State) -> Tensors:
    """The optimizer's state: <parameter>.<part> and, for rules that have any, param_groups.<number>.<name>."""
    tensors: Tensors = {}
    for name, parameter in state.model.named_parameters():
        for part, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"{name}.{part}"] = _packed(value)
    for number, group in enumerate(state.optimizer.param_groups):
        for name in state.rule.group_state:
            tensors[f"{GROUPS}.{number}.{name}"] = _packed(group[name])
    return tensors


def _load_optimizer(state: State, tensors: Tensors) -> None:
    parameters = dict(state.model.named_parameters())
    for key, value in tensors.items():
        owner, _, part = key.rpartition(".")
        if owner in parameters:
            parameter = parameters[owner]
            state.optimizer.state[parameter][part] = _unpacked(value.to(parameter.device))
        else:
            state.optimizer.param_groups[int(owner.removeprefix(f"{GROUPS}."))][part] = _unpacked(value)


_NUMBERS = {bool: torch.bool, int: torch.int64, float: torch.float64}
"""How a number of Python is kept; torch's own step counts are float32 tensors."""


def _packed(value: torch.Tensor | float) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=_NUMBERS[type(value)])


def _unpacked(value: torch.Tensor) -> torch.Tensor | float:
    return value.item() if value.ndim == 0 and value.dtype in _NUMBERS.values() else value


def _loss_function(forward: Callable[..., Any], numerics: NumericsSettings) -> Loss:
    """Summed cross-entropy of (blocks, tokens) inputs and targets."""

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with parallel.autocast(numerics):
            logits = forward(input_ids=inputs).logits
        return cross_entropy(logits, targets)

    return loss


def _compiled(loss: Loss, numerics: NumericsSettings) -> Loss:
    # Static shapes: else the code, and with it the bits, would depend on what else was compiled before.
    if numerics.compile != GRAPHS:
        return torch.compile(loss, dynamic=False, fullgraph=True)
    replayed = torch.compile(loss, dynamic=False, fullgraph=True, mode="reduce-overhead")

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        # What a graph returns lies where its next replay writes.
        return replayed(inputs, targets).clone()

    return step


class CompiledModels:
    """Compiled losses, by the model's shape and numerics.

    Compiling takes as long as hundreds of small steps. Edges that follow one another in a process mostly train the
    same model, so what was compiled is used again: the state of an edge before is then overwritten.
    """

    MOST = {"cpu": 4, "cuda": 1}  # noqa: RUF012
    """How many are kept: a study's sizes take turns, but a GPU's memory is for one."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[PreTrainedModel, Callable[..., Any], Loss]] = {}
        """Model, forward pass, loss."""

    def loss(
        self, model: PreTrainedModel, numerics: NumericsSettings
    ) -> tuple[PreTrainedModel, Callable[..., Any], Loss]:
        """A compiled loss, with the weights of `model` in it."""
        key = f"{model.config.to_json_string()} {numerics}"
        if key not in self._kept:
            if len(self._kept) >= self.MOST[torch.device(numerics.device).type]:
                self._kept.clear()
                torch.compiler.reset()  # past a number of models under one function, dynamo would no longer compile
            forward = parallel.distribute(model, numerics)
            self._kept[key] = model, forward, _compiled(_loss_function(forward, numerics), numerics)
        kept, forward, loss = self._kept[key]
        if kept is not model:
            kept.load_state_dict(model.state_dict())
            kept.zero_grad()
            kept.train()
        return kept, forward, loss


COMPILED = CompiledModels()
"""This process's."""

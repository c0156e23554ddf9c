"""Several processes that train one run together.

Each computes its equal share of every batch and normalises loss and gradients by its own tokens; the mean over the
processes is then what one process would compute from the whole batch, up to roundings. `ddp` keeps a whole model in
each process, `fsdp` shards weights, gradients and moments. Rank 0 polls the store and decides;
`Processes.on_rank_zero` tells the other ranks what came out of it, errors included, so that all of them do the same.

Who belongs together is what torchrun says in the environment: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from repro.common import disk
from repro.common.errors import UserError
from repro.config.settings import NumericsSettings

if TYPE_CHECKING:
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh
    from transformers import PreTrainedModel

    from repro.store.layout import Contents, Tensors
    from repro.store.store import Store

T = TypeVar("T")

PATIENCE = timedelta(days=365)
"""How long the other ranks wait for rank 0, which may itself wait for what other workers train."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together, and this one's place among them."""

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None
    """For what they agree on: over gloo, on the CPU. None where there is one process."""

    def on_rank_zero(self, act: Callable[[], T]) -> T:
        """What `act` returns or raises on rank 0, in every process; the other ranks do not call it."""
        if self.group is None:
            return act()
        import torch.distributed as dist

        box: list[Any] = [None, None]
        if self.rank == 0:
            try:
                box[0] = act()
            except Exception as error:
                box[1] = error
        dist.broadcast_object_list(box, src=0, group=self.group)
        if box[1] is not None:
            raise box[1]
        result: T = box[0]
        return result

    def mean(self, *values: float) -> tuple[float, ...]:
        """Means over the processes, the same bits in each of them."""
        return tuple(value / self.size for value in self.sum(*values))

    def sum(self, *values: float) -> tuple[float, ...]:
        """Sums over the processes, the same bits in each of them."""
        if self.group is None:
            return values
        import torch
        import torch.distributed as dist

        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self.group)
        return tuple(total.tolist())

    def share(self, count: int) -> slice:
        """This process's of `count` blocks."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)


ALONE = Processes()


@lru_cache
def join() -> Processes:
    """The processes that torchrun started together with this one; `ALONE` where it did not, or only one.

    Raises:
        UserError: the environment says that there are others, but not how to find them.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if absent := [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise UserError(
            f"WORLD_SIZE={size} is set in the environment, but not {', '.join(absent)}; torchrun sets them all, and "
            "without WORLD_SIZE one process trains alone."
        )
    import atexit

    import torch
    import torch.distributed as dist

    if (device := int(os.environ["LOCAL_RANK"])) < torch.cuda.device_count():  # else they train on the CPU
        torch.cuda.set_device(device)
    dist.init_process_group()
    atexit.register(dist.destroy_process_group)
    return Processes(dist.get_rank(), size, dist.new_group(backend="gloo", timeout=PATIENCE))


def check(settings: Sequence[NumericsSettings], processes: Processes) -> None:
    """Refuse runs that are not for as many processes as there are, or for more GPUs.

    Raises:
        UserError
    """
    for numerics in settings:
        if numerics.world_size != processes.size:
            raise UserError(
                f"numerics.world_size={numerics.world_size}, but {processes.size} processes were started: "
                f"torchrun --nproc-per-node={numerics.world_size} -m repro.train ... starts as many on one machine."
            )
        if numerics.device.startswith("cuda") and processes.size > 1:
            import torch

            if (place := int(os.environ["LOCAL_RANK"])) >= (count := torch.cuda.device_count()):
                raise UserError(
                    f"torchrun started process {place} (of 0, 1, ...) on a machine with {count} GPUs; "
                    f"--nproc-per-node={count} would work."
                )


def distribute(model: PreTrainedModel, numerics: NumericsSettings) -> Callable[..., Any]:
    """Move a model, whole on the CPU, to where this process trains it.

    Returns:
        What to call for a forward pass. The model itself stays what holds the parameters.
    """
    import torch

    from repro.models import matmul

    forward: Callable[..., Any] = model
    if numerics.activation_checkpointing:
        # Called gradient_checkpointing_enable in older versions of transformers.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False, "preserve_rng_state": False})
    matmul.install(model, numerics)
    model.train()
    if numerics.world_size == 1:
        model.to(numerics.device)
        return forward
    # Transformers' own word for the modules that a model repeats: its layers.
    whole = set(model._no_split_modules or ())
    layers = [module for module in model.modules() if type(module).__name__ in whole]
    if numerics.compile:
        _compile_anew(f"{model.config.to_json_string()} {numerics}")
        for layer in layers:
            layer.compile(dynamic=False)  # as repro.training.state does, so that bits depend on no shape before
    if numerics.parallel == "ddp":
        model.to(numerics.device)
        return torch.nn.parallel.DistributedDataParallel(model)

    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = _mesh(torch.device(numerics.device).type, numerics.world_size)
    dtype = torch.bfloat16 if numerics.dtype == "bfloat16" else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for module in (*layers, model):  # layer by layer, so that no device ever holds the whole model
        fully_shard(module, mesh=mesh, mp_policy=policy)
    model.to(numerics.device)  # buffers
    return forward


@lru_cache(maxsize=1)
def _compile_anew(shape: str) -> None:
    """Forget what was compiled for another shape: past a number of graphs, dynamo would silently compile no more."""
    import torch

    torch.compiler.reset()


@lru_cache
def _mesh(device: str, size: int) -> DeviceMesh:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device, (size,))


def autocast(numerics: NumericsSettings) -> contextlib.AbstractContextManager[Any]:
    """What a forward pass runs under. Under `fsdp`, the shards themselves are gathered in bfloat16."""
    import torch

    sharded = numerics.parallel == "fsdp" and numerics.world_size > 1
    enabled = numerics.dtype == "bfloat16" and not sharded
    return torch.autocast(torch.device(numerics.device).type, torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def accumulating(forward: Callable[..., Any], last: bool) -> Iterator[None]:
    """Around forward and backward pass of a part of a batch: gradients are exchanged once, with those of the last."""
    wrapped: Any = forward  # in DistributedDataParallel, or by fully_shard, or not at all
    if hasattr(forward, "set_requires_gradient_sync"):
        wrapped.set_requires_gradient_sync(last)
    with wrapped.no_sync() if not last and hasattr(forward, "no_sync") else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def written(contents: dict[str, Tensors], store: Store, processes: Processes) -> Iterator[dict[str, Contents]]:
    """A checkpoint's contents as rank 0 can hand them to the store: what is sharded is in files already.

    Raises:
        UserError: in all processes, when one of them could not write.
    """
    if not any(_sharded(tensors) for tensors in contents.values()):
        yield dict(contents)
        return
    from torch.distributed.checkpoint.api import CheckpointException

    from repro.store import shards

    with contextlib.ExitStack() as stack:
        folder = processes.on_rank_zero(lambda: stack.enter_context(store.scratch()))
        assert processes.group is not None
        try:
            yield {
                name: shards.write(tensors, folder, name, processes.group) if _sharded(tensors) else tensors
                for name, tensors in contents.items()
            }
        except CheckpointException as error:
            reason = next(iter(error.failures.values()))[0]
            full = getattr(reason, "errno", None) in (None, *disk.FULL)
            raise disk.refused(store.root, str(reason), full=full) from error


def _sharded(tensors: Tensors) -> bool:
    return any(hasattr(tensor, "placements") for tensor in tensors.values())

"""Tensors that several processes hold in shards, on disk: PyTorch's distributed checkpoints in their safetensors form.

Each process writes what it holds, side by side with the others, so that no one ever holds all of it; a shard's header
says where it belongs. Reading fits whatever is asked for (other shards, or whole tensors) out of whatever is there
(shards, or one ordinary file), so that a checkpoint does not care how many processes made it. The format has no
metadata file and no pickle, unlike `torch.distributed.checkpoint`'s own.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save


def write(tensors: dict[str, torch.Tensor], folder: Path, name: str, group: "dist.ProcessGroup") -> list[Path]:
    """Write each process's shards to a folder of their own; called by all processes of `group`.

    Returns:
        The files, named `<name>.<i>-of-<n>.safetensors`, once all are written.

    Raises:
        torch.distributed.checkpoint.CheckpointException: on all processes, when one of them could not write.
    """
    place = folder / name
    # Consolidating them to one file would write everything twice, from one process, and loses scalars (torch 2.13).
    writer = HuggingFaceStorageWriter(str(place), save_distributed=True)
    save(dict(tensors), storage_writer=writer, process_group=group)
    if dist.get_rank() == 0:
        files = sorted(place.glob("*.safetensors"))
        for index, path in enumerate(files, start=1):
            path.rename(folder / f"{name}.{index}-of-{len(files)}.safetensors")
        place.rmdir()
    dist.barrier(group)
    return sorted(folder.glob(f"{name}.*.safetensors"))


def read_into(tensors: dict[str, torch.Tensor], folder: Path, group: "dist.ProcessGroup | None" = None) -> None:
    """Fill tensors, whole or sharded, with what a folder's safetensors files hold under their names.

    Args:
        group: the processes that read together; None: this one alone.
    """
    reader = HuggingFaceStorageReader(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that one process reads is meant
        load(dict(tensors), storage_reader=reader, process_group=group, no_dist=group is None)


def layout(folder: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Size and type of every tensor that a folder's safetensors files hold, whole or in shards."""
    return {
        name: (form.size, form.properties.dtype)
        for name, form in HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata.items()
        if isinstance(form, TensorStorageMetadata)
    }


def read(folder: Path, files: Sequence[str]) -> dict[str, torch.Tensor]:
    """Whole tensors: all that some of a folder's files hold shards of."""
    from safetensors import safe_open

    names = set()
    for file in files:
        with safe_open(folder / file, framework="pt") as shard:
            names |= set(shard.keys())
    known = layout(folder)
    tensors = {}
    for name in sorted(names):
        size, dtype = known[name]
        tensors[name] = torch.empty(size, dtype=dtype)
    read_into(tensors, folder)
    return tensors

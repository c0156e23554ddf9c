"""Weights to begin with: a folder as `save_pretrained` or `repro.export` writes it. Safetensors alone, no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.canonical import digest
from repro.common.disk import sha256
from repro.common.errors import Gone, UserError
from repro.common.memory import is_gone
from repro.models.architectures import configurations

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TOKENIZER = "tokenizer.json"


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights, in the order of their names.

    Raises:
        Gone: there is no such folder.
        UserError: they are missing, or not safetensors.
    """
    check_there(folder)
    try:
        if (folder / SINGLE).is_file():
            return [folder / SINGLE]
        names = sorted(set(json.loads((folder / INDEX).read_bytes())["weight_map"].values()))
        files = [folder / name for name in names]
        if files and all(file.is_file() for file in files):
            return files
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(
        f"model.init={folder}: it lacks {SINGLE} (or {INDEX} and the files that it names). A folder that repro.export "
        "or save_pretrained wrote works; other formats than safetensors do not."
    )


def check_there(folder: Path) -> None:
    """
    Raises:
        Gone: there is no such folder.
    """
    if is_gone(folder):
        raise Gone(
            f"model.init={folder} does not exist: it lacks {SINGLE}.",
            "A folder that repro.export or save_pretrained wrote works; one with the same weights and configuration "
            "has the same keys, wherever it lies.",
        )


def weights_sha256(folder: Path) -> str:
    """What a folder's weights are, however the folder is called. How they are computed with is the configuration's.

    Raises:
        UserError: see `weight_files`.
    """
    hashes = []
    for file in weight_files(folder):
        status = file.stat()
        hashes.append(_file_sha256(file, status.st_size, status.st_mtime_ns))
    return digest(hashes)


@lru_cache
def _file_sha256(file: Path, size: int, changed: int) -> str:
    """Of a file's content, read once by a process while its size and time of change stay."""
    return sha256(file)


def tokenizer_file(folder: Path) -> Path:
    """The tokenizer that a folder's model was trained with.

    Raises:
        UserError: there is none that the `tokenizers` library reads.
    """
    file = folder / TOKENIZER
    if not file.is_file():
        raise UserError(f"{folder} has no {TOKENIZER}: save_pretrained of a fast tokenizer writes it.")
    return file


def check(folder: Path, config: PretrainedConfig, tokenizer: Path | None) -> None:
    """Refuse weights that a model of this configuration cannot begin with, before anything is trained.

    Args:
        tokenizer: the stream's, once it is prepared: it must be the folder's.

    Raises:
        UserError
    """
    ours = configurations.computation(config)
    own = configurations.read(folder, f"model.init={folder}")
    configurations.without_chance(own)
    theirs = configurations.computation(own)
    longest = {config.attribute_map.get(name, name) for name in ("max_position_embeddings", "is_decoder")}
    differing = [
        f"{name} (its {theirs.get(name)}, ours {ours.get(name)})"
        for name in sorted((ours.keys() | theirs.keys()) - longest - {"use_bidirectional_attention"})
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise UserError(
            f"model.init={folder} is another model: {', '.join(differing)}. model=hf_config takes the shape from the "
            "folder itself."
        )
    _pretrained(folder, config, device_map="meta")
    if tokenizer is not None:
        _check_tokenizer(folder, tokenizer)


def _check_tokenizer(folder: Path, tokenizer: Path) -> None:
    from tokenizers import Tokenizer

    theirs, ours = (Tokenizer.from_file(str(file)).get_vocab() for file in (tokenizer_file(folder), tokenizer))
    if theirs != ours:
        raise UserError(
            f"model.init={folder}: its tokenizer has {len(theirs):,} entries, the stream's {len(ours):,}, and they "
            f"differ. stream.tokenizer={folder} cuts the stream by the model's own."
        )


def load(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """A model with a folder's weights, in float32.

    Raises:
        UserError: they do not fit the configuration.
    """
    return _pretrained(folder, config)


def _pretrained(folder: Path, config: PretrainedConfig, **more: Any) -> PreTrainedModel:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    weight_files(folder)
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **more,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"model.init={folder}: transformers cannot load it: {' '.join(str(error).split())}") from None
    for kind, what in (("missing", "lacks"), ("mismatched", "has in another shape"), ("unexpected", "has besides")):
        if names := sorted(map(str, found[f"{kind}_keys"])):
            raise UserError(
                f"model.init={folder}: for this {type(model).__name__} it {what} {', '.join(names[:3])}"
                f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}; model=hf_config has its own shape."
            )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and reports: what is wrong is said by us."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

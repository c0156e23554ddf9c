"""A version as a folder that transformers 4.57 and 5.x, and the `lm_eval` command, load as the same model."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.disk import Flaw, clear_errors, open_as, read
from repro.downstream.loading import load_model
from repro.planning.runs import Run
from repro.recipes.trajectory import Key
from repro.store.layout import Tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ORIGIN = "checkpoint.json"
"""In an exported folder: the key of what it was made from."""

DTYPES = ("float32", "bfloat16", "float16")
"""Of exported weights."""


def folder_name(name: str) -> str:
    """A run's name as that of a folder: what could lead elsewhere, or nowhere, is replaced, and its hash added."""
    plain = "".join(each if each.isalnum() or each in "._-" else "_" for each in name).lstrip(".")
    if plain == name and len(name.encode()) <= 200:
        return name
    return f"{plain.encode()[:180].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def origin(folder: Path) -> str | None:
    """The key of the checkpoint that was exported to a folder; empty if nobody knows, None if nothing is there."""
    try:
        return str(json.loads(read(folder / ORIGIN))["key"])
    except (Flaw, ValueError, KeyError, TypeError):
        return "" if folder.is_dir() and any(folder.iterdir()) else None


def write(folder: Path, run: Run, key: Key, weights: Tensors, dtype: str = "float32") -> "PreTrainedModel":
    """Write a checkpoint's model and tokenizer; returns the model.

    Args:
        weights: as `Store.load_weights` gives them.
        dtype: one of DTYPES.

    Raises:
        UserError: the disk refuses.
    """
    import torch

    model, tokenizer = load_model(run, weights, "cpu")
    model = model.to(getattr(torch, dtype))
    model.config.use_cache = True
    if model.generation_config is not None:
        model.generation_config.use_cache = True
    with clear_errors(folder, setting="output"):
        folder.mkdir(parents=True, exist_ok=True)
        # First of all: an export that was cut short can be repeated.
        (folder / ORIGIN).write_text(json.dumps({"key": key, "run": run.name}))
        with _without_progress():
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _edit(folder / "config.json", _both_spellings)
        _edit(folder / "tokenizer_config.json", _file_decides)
        follow_umask(folder)
    return model


def follow_umask(folder: Path) -> None:
    """Let others read the weights as far as the umask lets them: safetensors writes for its owner alone."""
    for path in folder.glob("*.safetensors"):
        open_as(path, folder / ORIGIN)


def _both_spellings(config: dict[str, Any]) -> None:
    """Add what transformers 4 calls otherwise: it would ignore 5's names, and compute something else."""
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters") or {}
    if "rope_theta" in rope:
        config["rope_theta"] = rope["rope_theta"]
        # With its base inside: 5 takes all of it, where there is any, in place of what it wrote itself.
        config["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else dict(rope)
        if "partial_rotary_factor" in rope:
            config |= dict.fromkeys(("partial_rotary_factor", "rotary_pct"), rope["partial_rotary_factor"])
            config["rotary_emb_base"] = rope["rope_theta"]


def _file_decides(config: dict[str, Any]) -> None:
    """Have every version of transformers cut text as tokenizer.json says.

    4 does not know 5's class of tokenizers. From 5.8 on, AutoTokenizer replaces whatever class stands here by the one
    that it has for a model's type, and Qwen2's brings a pre-tokenizer of its own (transformers#45920), unless it is
    told that the file can be trusted. No code is run: there is none in the folder.
    """
    config.pop("backend", None)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["trust_remote_code"] = True


def _edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _without_progress() -> Iterator[None]:
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()

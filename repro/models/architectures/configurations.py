"""Configurations of transformers, read from disk: JSON alone, never Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common import disk
from repro.common.errors import UserError
from repro.common.registry import suggestion

if TYPE_CHECKING:
    from transformers import PretrainedConfig

NAME = "config.json"

WITHOUT_EFFECT = frozenset(
    (
        *("transformers_version", "architectures", "auto_map", "dtype", "torch_dtype", "_name_or_path", "use_cache"),
        *("output_hidden_states", "output_attentions", "return_dict", "bos_token_id", "eos_token_id", "pad_token_id"),
        *("id2label", "label2id", "problem_type", "finetuning_task", "task_specific_params", "_attn_implementation"),
    )
)
"""Fields that change nothing in training: labels, what classifiers have, and the tokens that generation uses."""


UNFIT = {
    "phimoe": "draws its routes at random in training, whatever its configuration says: nothing could be resumed",
    "xlm": "computes nothing without a padding token",
    "xlnet": "reads in an order of its own, and has no longest sequence that can be set",
}
"""Causal language models of transformers that cannot be trained here, and why."""


def read(path: Path, setting: str) -> PretrainedConfig:
    """The configuration of a causal language model: of a multimodal one, its language model's.

    Args:
        path: a folder with config.json, or a JSON file.
        setting: as it was given, for messages.

    Raises:
        UserError: there is none, or it is not one.
    """
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

    content = _content(path, setting)
    kind = content.pop("model_type", None)
    if not isinstance(kind, str):
        raise UserError(f"{setting}: it has no model_type; transformers' own configurations have one, such as gpt2.")
    if kind not in CONFIG_MAPPING:
        near = suggestion(kind, list(CONFIG_MAPPING))
        raise UserError(f"{setting}: transformers knows no model_type {kind!r}; {near}its own code is all that is run.")
    if kind in UNFIT:
        raise UserError(f"{setting}: model_type {kind} {UNFIT[kind]}; gpt2, gemma, olmo2 work.")
    if "quantization_config" in content:
        raise UserError(f"{setting}: it is quantized (quantization_config); training needs the model as it was before.")
    try:
        whole = CONFIG_MAPPING[kind].from_dict(content)
    except Exception as error:  # each configuration checks its fields with errors of its own
        raise UserError(f"{setting}: transformers refuses it: {' '.join(str(error).split())}") from None
    config = whole.get_text_config(decoder=True)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or getattr(config, "is_encoder_decoder", False):
        raise UserError(f"{setting}: model_type {kind} is not a causal language model; gpt2, gemma, olmo2 are.")
    for needed in ("vocab_size", "hidden_size", "num_hidden_layers"):
        if not isinstance(getattr(config, needed, None), int):
            raise UserError(f"{setting}: model_type {kind} states no {needed}, from which vocabulary and FLOPs follow.")
    return config


def file(path: Path) -> Path:
    """A folder's configuration, or what is one itself."""
    return path / NAME if path.is_dir() else path


def _content(path: Path, setting: str) -> dict[str, Any]:
    try:
        content = json.loads(disk.read(file(path)))
    except UserError as error:
        raise UserError(f"{setting}: {error}") from None
    except (disk.Flaw, ValueError, RecursionError) as reason:
        raise UserError(
            f"{setting}: {reason}. A folder with {NAME}, as save_pretrained writes it, or such a file works."
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{setting}: its JSON is no object, as a configuration of transformers is.")
    return content


def computation(config: PretrainedConfig) -> dict[str, Any]:
    """What a configuration says of the computation, in JSON's own types."""
    fields: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {name: value for name, value in fields.items() if name not in WITHOUT_EFFECT}


def without_chance(config: PretrainedConfig) -> None:
    """Nothing in a training step draws random numbers: every probability of dropping something, and what routers are
    jittered by, becomes 0."""
    for name, value in config.to_dict().items():
        if ("drop" in name or "jitter" in name) and isinstance(value, float):
            setattr(config, name, 0.0)


def context(config: PretrainedConfig) -> int | None:
    """The longest sequence, where a configuration states one."""
    longest = getattr(config, "max_position_embeddings", None)
    return longest if isinstance(longest, int) else None

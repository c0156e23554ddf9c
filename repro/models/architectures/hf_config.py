"""Any causal language model that transformers builds from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.errors import UserError
from repro.config.checks import path
from repro.config.registries import ARCHITECTURES
from repro.config.settings import Settings
from repro.models.architectures import configurations
from repro.models.architectures.architecture import Architecture

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@ARCHITECTURES.register("hf_config")
@dataclass(frozen=True, kw_only=True)
class HfConfig(Architecture):
    """The shape is a configuration's, given as `config`, or `init`'s own.

    What is set whatever the configuration says: no dropout, no cache, no padding token (its embedding would not be
    trained), causal attention where a family knows both. Of a `config`, also vocab_size and the longest sequence (the
    stream's), and the tokens that begin and end a text (0, as the stream's tokenizer has them). `init` keeps its own,
    which have to be large enough for the stream. Code in the folder is never run.
    """

    label = "transformers' configuration"

    config: str | None = path(None)
    """A folder with config.json, or such a file."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.config is None and self.init is None:
            yield "model.config is missing: a folder with transformers' config.json, or such a file (or model.init)."
        if self.config is not None and self.init is not None:
            yield f"model.config={self.config} and model.init={self.init} each bring a configuration; leave one out."

    @property
    def size(self) -> str:
        """What the folder, or the file, is called: the `size` group is for other architectures."""
        place = Path(self.config or self.init or "")
        place = (place.parent if place.name == configurations.NAME else place).resolve()
        return place.stem if place.suffix == ".json" else place.name  # a folder's name may hold a dot: Llama-3.2-1B

    def configuration(self, vocab_size: int, sequence_length: int) -> PretrainedConfig:
        own = self.init if self.config is None else self.config
        setting = f"model.{'init' if self.config is None else 'config'}={own}"
        config = configurations.read(Path(own or ""), setting)
        longest = configurations.context(config)
        if self.init is None:
            config.vocab_size = vocab_size
            config.bos_token_id = config.eos_token_id = 0
            if longest is not None:
                config.max_position_embeddings = sequence_length
        elif config.vocab_size < vocab_size:
            raise UserError(
                f"{setting}: its vocabulary has {config.vocab_size:,} entries, the stream's {vocab_size:,}; the stream "
                "has to be cut by the tokenizer that the model was trained with."
            )
        elif longest is not None and longest < sequence_length:
            raise UserError(
                f"stream.sequence_length={sequence_length}: {setting} was made for {longest} tokens at most; "
                f"stream.sequence_length={longest} would work."
            )
        config.pad_token_id = None
        config.use_cache = False
        if hasattr(config, "is_decoder"):
            config.is_decoder = True
        if hasattr(config, "use_bidirectional_attention"):
            config.use_bidirectional_attention = False
        configurations.without_chance(config)
        return config

    def identity(self, vocab_size: int, sequence_length: int) -> dict[str, Any]:
        config = configurations.computation(self.configuration(vocab_size, sequence_length))
        return {"architecture": self.architecture, "config": config, "block_tokens": sequence_length}

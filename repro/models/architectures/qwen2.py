"""Qwen2, from transformers' own class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.config.registries import ARCHITECTURES
from repro.models.architectures.llama import Llama

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@ARCHITECTURES.register("qwen2")
@dataclass(frozen=True, kw_only=True)
class Qwen2(Llama):
    """Qwen2ForCausalLM: LLaMA's shape, with biases on the query, key and value projections."""

    label = "Qwen2"

    def configuration(self, vocab_size: int, sequence_length: int) -> PretrainedConfig:
        from transformers import Qwen2Config

        return Qwen2Config(**self._config(vocab_size, sequence_length))

    def _layer_parameters(self) -> int:
        return super()._layer_parameters() + self.hidden_size + 2 * self._kv_size

"""LLaMA, from transformers' own class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.config.checks import divisors, within
from repro.config.registries import ARCHITECTURES
from repro.config.settings import Settings
from repro.models.architectures.architecture import Architecture, Shape

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@ARCHITECTURES.register("llama")
@dataclass(frozen=True, kw_only=True)
class Llama(Architecture):
    """LlamaForCausalLM."""

    label = "LLaMA"

    hidden_size: int = within(1, 10**6)
    """A multiple of `heads`."""
    layers: int = within(1, 10**4)
    heads: int = within(1, 10**6)
    kv_heads: int = within(1, 10**6)
    """Key/value heads; divides `heads`."""
    intermediate_size: int = within(1, 10**6)
    """Inner width of the gated MLP."""
    tie_embeddings: bool = False
    rope_theta: float = within(1.0, 1e12, 10000.0)

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.hidden_size % self.heads:
            yield (
                f"model.heads={self.heads} does not divide model.hidden_size={self.hidden_size}; "
                f"{divisors(self.hidden_size)} heads would work."
            )
        elif (self.hidden_size // self.heads) % 2:
            yield (
                f"model.hidden_size={self.hidden_size} over model.heads={self.heads} gives heads of odd size "
                f"{self.hidden_size // self.heads}; rotary embeddings need an even one."
            )
        if self.heads % self.kv_heads:
            yield (
                f"model.kv_heads={self.kv_heads} does not divide model.heads={self.heads}; "
                f"{divisors(self.heads)} would work."
            )

    def configuration(self, vocab_size: int, sequence_length: int) -> PretrainedConfig:
        from transformers import LlamaConfig

        return LlamaConfig(**self._config(vocab_size, sequence_length))

    def _config(self, vocab_size: int, sequence_length: int) -> dict[str, Any]:
        return {
            "vocab_size": vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": sequence_length,
            "tie_word_embeddings": self.tie_embeddings,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "attn_implementation": "sdpa",
            "use_cache": False,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }

    def identity(self, vocab_size: int, sequence_length: int) -> dict[str, Any]:
        # In the words that keys began with.
        return {
            "architecture": self.architecture,
            "width": self.hidden_size,
            "layers": self.layers,
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "ffn_width": self.intermediate_size,
            "tie_embeddings": self.tie_embeddings,
            "rope_theta": self.rope_theta,
            "vocab_size": vocab_size,
            "block_tokens": sequence_length,
        }

    def shape(self, vocab_size: int, sequence_length: int) -> Shape:
        """By arithmetic, since the plan of a finished sweep need not wait for transformers' import.

        A test compares it with the meta device for every size.
        """
        embeddings = vocab_size * self.hidden_size
        tied = self.tie_embeddings
        hidden, inner = self.hidden_size, self.intermediate_size
        per_layer = [(hidden, hidden)] * 2 + [(self._kv_size, hidden)] * 2 + [(inner, hidden)] * 2 + [(hidden, inner)]
        return Shape(
            parameters=embeddings * (1 if tied else 2) + self.layers * self._layer_parameters() + self.hidden_size,
            lookups=0 if tied else embeddings,
            layers=self.layers,
            hidden_size=hidden,
            linear=dict(Counter(f"{out} x {into}" for out, into in [*per_layer * self.layers, (vocab_size, hidden)])),
        )

    @property
    def _kv_size(self) -> int:
        return self.hidden_size // self.heads * self.kv_heads

    def _layer_parameters(self) -> int:
        """Attention, MLP and two norms."""
        attention = self.hidden_size * (2 * self.hidden_size + 2 * self._kv_size)
        return attention + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size

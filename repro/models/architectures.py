"""LLaMA and Qwen2 from transformers' own classes, and what follows from their shape: parameters, FLOPs, identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from repro.config.checks import divisors, within
from repro.config.registries import ARCHITECTURES
from repro.config.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@ARCHITECTURES.register("llama")
@dataclass(frozen=True, kw_only=True)
class Llama(ModelSettings):
    """LlamaForCausalLM."""

    hidden_size: int = within(1, 10**6)
    """A multiple of `heads`."""
    layers: int = within(1, 10**6)
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


@ARCHITECTURES.register("qwen2")
@dataclass(frozen=True, kw_only=True)
class Qwen2(Llama):
    """Qwen2ForCausalLM: biases in attention."""


def config(model: ModelSettings, vocab_size: int, sequence_length: int) -> PretrainedConfig:
    """The transformers configuration."""
    from transformers import LlamaConfig, Qwen2Config

    assert isinstance(model, Llama)
    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}[model.architecture]
    return kind(
        vocab_size=vocab_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.intermediate_size,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.kv_heads,
        max_position_embeddings=sequence_length,
        tie_word_embeddings=model.tie_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": model.rope_theta},
        attn_implementation="sdpa",
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
    )


def build(model: ModelSettings, vocab_size: int, sequence_length: int, seed: int) -> PreTrainedModel:
    """A model under transformers' own random initialization; the CPU's global random state is left as it was."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config(model, vocab_size, sequence_length), dtype=torch.float32)


def build_meta(model: ModelSettings, vocab_size: int, sequence_length: int) -> PreTrainedModel:
    """The model without memory for its weights: enough to check its shape and count its parameters."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config(model, vocab_size, sequence_length), dtype=torch.float32)


@lru_cache(maxsize=256)
def parameters(model: ModelSettings, vocab_size: int) -> int:
    """Number of parameters, by arithmetic (a test compares it with the model itself)."""
    assert isinstance(model, Llama)
    head_width = model.hidden_size // model.heads
    queries, keys = model.heads * head_width, model.kv_heads * head_width
    attention = model.hidden_size * (2 * queries + 2 * keys)
    if model.architecture == "qwen2":
        attention += queries + 2 * keys  # biases of the query, key and value projections
    layer = attention + 3 * model.hidden_size * model.intermediate_size + 2 * model.hidden_size
    embeddings = vocab_size * model.hidden_size * (1 if model.tie_embeddings else 2)
    return embeddings + model.layers * layer + model.hidden_size


def flops_per_token(model: ModelSettings, vocab_size: int, sequence_length: int) -> int:
    """Floating-point operations of one forward and backward pass, a token.

    6 for each parameter that multiplies (the input embedding does not), plus attention's 12 x layers x width x
    sequence_length (PaLM's appendix B; causal masking not subtracted).
    """
    assert isinstance(model, Llama)
    lookup = 0 if model.tie_embeddings else vocab_size * model.hidden_size
    return 6 * (parameters(model, vocab_size) - lookup) + 12 * model.layers * model.hidden_size * sequence_length


def identity(model: ModelSettings, vocab_size: int, sequence_length: int) -> dict[str, Any]:
    """What of the model decides its initialization and its computation, in the words that keys began with."""
    assert isinstance(model, Llama)
    return {
        "architecture": model.architecture,
        "width": model.hidden_size,
        "layers": model.layers,
        "heads": model.heads,
        "kv_heads": model.kv_heads,
        "ffn_width": model.intermediate_size,
        "tie_embeddings": model.tie_embeddings,
        "rope_theta": model.rope_theta,
        "vocab_size": vocab_size,
        "block_tokens": sequence_length,
    }

"""GPT-2, from transformers' own class: learned positions, layer norms, GELU, biases, tied embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.config.checks import divisors, within
from repro.config.registries import ARCHITECTURES
from repro.config.settings import Settings
from repro.models.architectures.architecture import Architecture

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@ARCHITECTURES.register("gpt2")
@dataclass(frozen=True, kw_only=True)
class Gpt2(Architecture):
    """GPT2LMHeadModel."""

    label = "GPT-2"

    hidden_size: int = within(1, 10**6)
    """A multiple of `heads`."""
    layers: int = within(1, 10**4)
    heads: int = within(1, 10**6)

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.hidden_size % self.heads:
            yield (
                f"model.heads={self.heads} does not divide model.hidden_size={self.hidden_size}; "
                f"{divisors(self.hidden_size)} heads would work."
            )

    def configuration(self, vocab_size: int, sequence_length: int) -> PretrainedConfig:
        from transformers import GPT2Config

        return GPT2Config(
            vocab_size=vocab_size,
            n_positions=sequence_length,
            n_embd=self.hidden_size,
            n_layer=self.layers,
            n_head=self.heads,
            resid_pdrop=0.0,  # nothing in a step draws random numbers
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            attn_implementation="sdpa",
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )

    def identity(self, vocab_size: int, sequence_length: int) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "hidden_size": self.hidden_size,
            "layers": self.layers,
            "heads": self.heads,
            "vocab_size": vocab_size,
            "sequence_length": sequence_length,
        }

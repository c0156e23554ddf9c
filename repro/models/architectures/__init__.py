"""Causal language models: one file per architecture. Importing the package fills the registry."""

from repro.models.architectures import gpt2, hf_config, llama, qwen2

__all__ = ["gpt2", "hf_config", "llama", "qwen2"]

"""Causal language models: one file per architecture. Importing the package fills the registry."""

from repro.models.architectures import hf_config, llama, qwen2

__all__ = ["hf_config", "llama", "qwen2"]

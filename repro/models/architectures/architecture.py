"""What every architecture has to say: its transformers configuration and its identity.

The rest follows from those: the model itself, its parameters (counted on the meta device) and its FLOPs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from repro.common.canonical import canonical
from repro.common.errors import UserError
from repro.config.settings import ModelSettings
from repro.models.architectures import initial

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Shape:
    """What parameter counts and FLOPs follow from."""

    parameters: int
    lookups: int
    """Those of them that are only looked up: embeddings that no product uses."""
    layers: int
    hidden_size: int
    linear: dict[str, int]
    """Linear layers: how many there are of each size, "out x in"."""

    def flops_per_token(self, sequence_length: int) -> int:
        """Floating-point operations of one forward and backward pass, per token.

        6 for each parameter that multiplies (embeddings do not, unless they are the output's too), plus attention's
        12 x layers x hidden size x sequence length (PaLM's appendix B; causal masking not subtracted). Every expert of
        a mixture counts, whether a token reaches it or not.
        """
        attention = 12 * self.layers * self.hidden_size * sequence_length
        return 6 * (self.parameters - self.lookups) + attention


@dataclass(frozen=True, kw_only=True)
class Architecture(ModelSettings):
    """An architecture, with its own settings as fields; it adds itself to the registry."""

    label: ClassVar[str]
    """What readers call it."""

    def configuration(self, vocab_size: int, sequence_length: int) -> PretrainedConfig:
        """The transformers configuration, without dropout: nothing in a step draws random numbers.

        Raises:
            UserError: there is none that works.
        """
        raise NotImplementedError

    def identity(self, vocab_size: int, sequence_length: int) -> dict[str, Any]:
        """What of the model decides its random initialization and its computation."""
        raise NotImplementedError

    @property
    def size(self) -> str:
        """What tables call this size."""
        return self.name

    def initialization(self, vocab_size: int, sequence_length: int, seed: int, weights: str | None) -> dict[str, Any]:
        """What decides the weights at step 0, and what is computed with them: part of every key.

        Args:
            weights: hash of those of `init`; then the seed decides nothing here.
        """
        model = self.identity(vocab_size, sequence_length)
        return {"model": model, "seed": seed} if weights is None else {"model": model | {"init": weights}}

    def initialize(self, vocab_size: int, sequence_length: int, seed: int) -> PreTrainedModel:
        """The model at step 0: with the weights of `init`, or random ones."""
        if self.init is None:
            return self.build(vocab_size, sequence_length, seed)
        return initial.load(Path(self.init), self.configuration(vocab_size, sequence_length))

    def build(self, vocab_size: int, sequence_length: int, seed: int) -> PreTrainedModel:
        """A model under transformers' own random initialization; the CPU's global random state is left as it was."""
        import torch
        from transformers import AutoModelForCausalLM

        config = self.configuration(vocab_size, sequence_length)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32)

    def build_meta(self, vocab_size: int, sequence_length: int) -> PreTrainedModel:
        """The model without memory for its weights: enough to check its shape and count its parameters."""
        import torch
        from transformers import AutoModelForCausalLM

        config = self.configuration(vocab_size, sequence_length)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32)

    def check_weights(self) -> None:
        """
        Raises:
            Gone: the weights of `init` are.
        """
        if self.init is not None:
            initial.check_there(Path(self.init))

    def check(self, vocab_size: int, sequence_length: int, tokenizer: Path | None) -> None:
        """Refuse what can be built and cannot begin with the weights of `init`.

        Args:
            tokenizer: the stream's, once it is prepared.

        Raises:
            UserError
        """
        self.check_weights()
        if self.init is not None:
            initial.check(Path(self.init), self.configuration(vocab_size, sequence_length), tokenizer)

    def check_built(self, vocab_size: int, sequence_length: int) -> None:
        """Refuse what transformers cannot build, having it try on the meta device."""
        with self._refusing():
            self.build_meta(vocab_size, sequence_length)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, RuntimeError, TypeError, AttributeError, ZeroDivisionError, KeyError) as error:
            raise UserError(f"model={self.size}: transformers cannot build it: {error}") from None

    def shape(self, vocab_size: int, sequence_length: int) -> Shape:
        """Counted on the meta device, once for each shape."""
        content = canonical(self.identity(vocab_size, sequence_length))
        with self._refusing():
            return _counted(_Content(self, content), vocab_size, sequence_length)

    def parameters(self, vocab_size: int, sequence_length: int) -> int:
        """How many there are; tied ones count once."""
        return self.shape(vocab_size, sequence_length).parameters


def architecture(settings: ModelSettings) -> Architecture:
    """The architecture that settings choose."""
    assert isinstance(settings, Architecture)
    return settings


@dataclass(frozen=True)
class _Content:
    """An architecture and what is in it: a configuration's file may change while its path stays."""

    architecture: Architecture
    identity: str


@lru_cache(maxsize=256)
def _counted(of: _Content, vocab_size: int, sequence_length: int) -> Shape:
    from torch import nn

    model = of.architecture.build_meta(vocab_size, sequence_length)
    output = model.get_output_embeddings()
    embeddings = {id(module.weight): module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    if output is not None:
        embeddings.pop(id(output.weight), None)
    return Shape(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        lookups=sum(weight.numel() for weight in embeddings.values()),
        layers=model.config.num_hidden_layers,
        hidden_size=model.config.hidden_size,
        linear=dict(Counter(f"{m.out_features} x {m.in_features}" for m in model.modules() if type(m) is nn.Linear)),
    )

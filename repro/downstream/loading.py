"""A version's weights as a model in memory, with its tokenizer."""

from typing import TYPE_CHECKING

from repro.data.tokenizer import END_OF_TEXT
from repro.models import weights as state
from repro.planning.runs import Run
from repro.store.layout import Tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_model(
    run: Run, weights: Tensors, device: str | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """A version's model, in evaluation mode, and its tokenizer.

    An exported folder loads as the same, but for what makes its matrix products (repro.models.matmul).

    Args:
        weights: as `Store.load_weights` gives them.
        device: where the model is put; None: where it was trained.
    """
    from transformers import PreTrainedTokenizerFast

    from repro.models import matmul

    s = run.settings
    model = run.architecture.build(*run.model_shape, seed=0)
    state.load(model, weights)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(run.stream.tokenizer_file),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=s.stream.sequence_length,
        clean_up_tokenization_spaces=False,
    )
    if s.model.init is None:  # a configuration is made before anybody knows the stream's tokenizer
        for each in filter(None, (model.config, model.generation_config)):
            each.bos_token_id = each.eos_token_id = tokenizer.eos_token_id
    matmul.install(model, s.numerics)
    return model.eval().to(device or s.numerics.device), tokenizer

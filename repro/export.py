"""Any version as a folder that transformers and the `lm_eval` command load:

    python -m repro.export study=headline scale=quick output=models
    python -m repro.export paradigm=cpt scale=quick version=4 output=models

Writes `output`/<run>-v<version>/ for each trained version of each run, or for one `version`.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro import models
from repro import plan as plans
from repro.errors import UserError, refusals
from repro.runs import Run
from repro.store import Store, Tensors
from repro.stream import END_OF_TEXT, Stream

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_model(run: Run, weights: Tensors) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """A version's model, in evaluation mode, and its tokenizer: what an exported folder loads as.

    Args:
        weights: as `Store.load_weights` gives them.
    """
    import torch
    from transformers import PreTrainedTokenizerFast

    assert isinstance(run.stream, Stream)
    s = run.settings
    model = models.build(s.model, run.stream.vocab_size, s.stream.block_tokens, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(run.stream.tokenizer_file),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=s.stream.block_tokens,
        clean_up_tokenization_spaces=False,
    )
    return model.eval().to(s.numerics.device), tokenizer


def folder_name(name: str) -> str:
    """A run's name as that of a folder: what could lead elsewhere, or nowhere, is replaced, and its hash added."""
    plain = "".join(each if each.isalnum() or each in "._-" else "_" for each in name).lstrip(".")
    if plain == name and len(name.encode()) <= 200:
        return name
    return f"{plain.encode()[:180].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        given = list(sys.argv[1:] if arguments is None else arguments)
        if any(argument in ("-h", "--help") for argument in given):
            print(__doc__)
            return
        output, given = plans.take(given, "output", "models")
        version, given = plans.take(given, "version", "")
        if version and not version.isdigit():
            raise UserError(f"version={version} is no version; a number such as 4 works.")
        plan = plans.make(plans.compose(given))
        store = Store(Path(plan.tree.runs[0].settings.store.path))
        written = []
        for run, ends in zip(plan.tree.runs, plan.tree.ends, strict=True):
            for number, key in enumerate(ends, start=1):
                if key in plan.stored and version in ("", str(number)):
                    folder = Path(output) / folder_name(f"{run.name}-v{number}")
                    model, tokenizer = load_model(run, store.load_weights(key))
                    model.save_pretrained(folder)
                    tokenizer.save_pretrained(folder)
                    written.append(folder)
        if not written:
            raise UserError(
                f"nothing to export: store.path={store.root} holds no "
                f"{f'version {version}' if version else 'version'} of these runs; train them first."
            )
    for folder in written:
        print(folder)


if __name__ == "__main__":
    main()

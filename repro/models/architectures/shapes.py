"""Shapes of models, counted once on a machine and kept: building even an empty model imports all of transformers."""

import contextlib
from dataclasses import asdict
from pathlib import Path

from repro.common.canonical import digest
from repro.common.disk import Flaw, read_document, write_document
from repro.common.errors import UserError
from repro.common.packages import installed
from repro.models.architectures.architecture import Architecture, Shape


def known(of: Architecture, vocab_size: int, sequence_length: int, data_path: Path) -> Shape:
    """A model's shape; that it is known says that these versions of torch and transformers can build it.

    Raises:
        UserError: they cannot.
    """
    content = [of.identity(vocab_size, sequence_length), installed("torch"), installed("transformers")]
    path = data_path / "shapes" / f"{digest(content)[:32]}.json"
    with contextlib.suppress(Flaw, UserError, TypeError):  # one that cannot be read is counted again
        if (before := read_document(path)) is not None:
            return Shape(**before)
    of.check_built(vocab_size, sequence_length)
    shape = of.shape(vocab_size, sequence_length)
    with contextlib.suppress(UserError):  # a place that is read-only is as good to read from
        write_document(path, asdict(shape))
    return shape

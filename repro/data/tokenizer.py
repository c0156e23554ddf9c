"""A byte-level BPE: trained on some text and then frozen, or given; and texts made tokens with it."""

import itertools
import json
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from repro.common.disk import Flaw, expanded, read, sha256
from repro.common.errors import Gone, UserError
from repro.common.memory import is_gone
from repro.data.blocks import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
"""Follows every piece of text; no text encodes to it, even if it is written there."""

TOKENIZER_BYTES = 2**30
"""Text that the tokenizer is trained on, at most: enough for any vocabulary, and what memory holds easily."""

FILE = "tokenizer.json"
"""The tokenizers library's format."""


def train(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def verified(setting: str, known: str) -> "Tokenizer":
    """The tokenizer that `stream.tokenizer` names, if it is still the one that `known` stands for in keys.

    Raises:
        UserError: it is another one by now, or cannot be loaded; as `given`, too.
    """
    path, found = given(setting)
    try:
        tokenizer = load(path)
    except UserError as error:
        raise UserError(f"stream.tokenizer={setting}: {error}") from None
    if not known == found == sha256(path):
        raise UserError(f"stream.tokenizer={setting}: {path} changed while this ran; the same command takes it anew.")
    return tokenizer


def load(path: Path) -> "Tokenizer":
    """A tokenizer that encodes all of a text and nothing else, whatever it was last used for.

    Raises:
        UserError: it is none, or of another version of the library.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare one
        raise UserError(
            f"{path} cannot be loaded by tokenizers {metadata.version('tokenizers')}: {error}; one that this version "
            "wrote works."
        ) from None
    tokenizer.no_truncation()  # calls that cut or pad leave their settings in the file
    tokenizer.no_padding()
    return tokenizer


def write_tokens(tokenizer: "Tokenizer", texts: Iterable[str], path: Path, dtype: str) -> int:
    """Write the texts' tokens, each text followed by end-of-text. Returns how many there are."""
    # A text that spells out the special token is text: it must not end a document.
    tokenizer.encode_special_tokens = True
    end = tokenizer.token_to_id(END_OF_TEXT)
    count = 0
    with path.open("wb") as file:
        texts = iter(texts)
        while batch := list(itertools.islice(texts, 512)):
            ids = [[*encoding.ids, end] for encoding in tokenizer.encode_batch_fast(batch)]
            tokens = np.fromiter(itertools.chain.from_iterable(ids), dtype=dtype)
            file.write(tokens.tobytes())
            count += len(tokens)
    return count


def dtype_of(tokenizer: "Tokenizer") -> str:
    """The smallest type that holds its ids."""
    return "<u2" if tokenizer.get_vocab_size() <= 2**16 else "<u4"


def token_bytes(path: Path, vocab_size: int) -> Tokens:
    """(vocab,): bytes each token stands for. In a byte-level vocabulary a character is a byte; a token that was added
    is spelled as it is, and stands for nothing where it is special, since no text encodes to it."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    lengths = np.zeros(vocab_size, dtype=np.int64)
    for token, index in tokenizer["model"]["vocab"].items():
        lengths[index] = len(token)
    for added in tokenizer["added_tokens"]:
        lengths[added["id"]] = 0 if added.get("special", True) else len(added["content"].encode())
    return lengths


def given(setting: str) -> tuple[Path, str]:
    """The tokenizer that `stream.tokenizer` names: its file, and the hash that stands for it in keys.

    Raises:
        Gone: there is nothing.
        UserError: there is none, or one whose bytes could not be counted or whose texts would not end.
    """
    path = expanded(setting)
    path = path / FILE if path.is_dir() else path
    start = f"stream.tokenizer={setting}"
    try:
        content = json.loads(read(path))
        decoder, vocabulary = json.dumps(content["decoder"]), content["model"]["vocab"]
        added = {each["content"]: each["id"] for each in content["added_tokens"]}
    except Flaw as flaw:
        if is_gone(path):
            raise Gone(
                f"{start}: {path} {flaw}.",
                f"A folder with {FILE}, or such a file, works; the same one has the same keys, wherever it lies.",
            ) from None
        raise UserError(f"{start}: {path} {flaw}; a folder with {FILE} works.") from None
    except UserError as error:
        raise UserError(f"{start}: {error}") from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{start}: {path} is no {FILE} of the tokenizers library: {error!r}.") from None
    if "ByteLevel" not in decoder or not isinstance(vocabulary, dict):
        raise UserError(f"{start}: its vocabulary is not of bytes; a byte-level BPE works (GPT-2, LLaMA 3, Qwen).")
    if END_OF_TEXT not in added:
        raise UserError(f"{start}: it has no {END_OF_TEXT}, which ends every text; add that token to it.")
    ids = {*vocabulary.values(), *added.values()}
    if ids != set(range(len(ids))):
        missing = min(set(range(len(ids))) - ids)
        raise UserError(f"{start}: no token has the number {missing}; a vocabulary numbered without gaps works.")
    return path, sha256(path)

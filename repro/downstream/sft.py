"""Supervised fine-tuning of a causal language model on (prompt, answer) pairs, in place.

The loss is the mean negative log-likelihood over a batch's answer tokens; prompt tokens and padding count for nothing.
A pair is cut into tokens as lm-eval cuts it (the whole text encoded once, the answer being what follows the prompt's
own tokens), so that training and evaluation see the same token at the same place. Nothing here reads or changes the
global random state, so that the same model, examples, settings and seed give the same weights, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from repro.common.errors import UserError
from repro.config.settings import FinetuneSettings

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.0
CLIP_NORM = 1.0

IGNORED = -100
"""Label of a token that counts for nothing; PyTorch's own default."""

Progress = Callable[[int, int, float], None]
"""Called after each optimizer step with (steps done, steps in all, loss)."""


@dataclass(frozen=True)
class Encoded:
    """One example as token ids; at least one of each."""

    prompt: list[int]
    answer: list[int]


def finetune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[tuple[str, str]],
    settings: FinetuneSettings,
    seed: int,
    progress: Progress | None = None,
    *,
    dtype: str = "float32",
    micro_batch: int | None = None,
) -> list[float]:
    """Train `model` in place, on the device it is on, and leave it in evaluation mode.

    Args:
        examples: (prompt, answer); the answer carries its leading delimiter, as lm-eval would append it.
        seed: decides the order of the examples, an own permutation each epoch.
        dtype: `float32`, or `bfloat16` for autocast over float32 master weights.
        micro_batch: examples in one forward pass; None: the whole batch. Gradients are normalised by the whole
            batch's answer tokens, whatever the split.

    Returns:
        The loss of each optimizer step, in nats an answer token.

    Raises:
        UserError: there are no examples, or the loss stopped being a number.
    """
    if not examples:
        raise UserError("There is nothing to fine-tune on: no task of `tasks.names` has a training split.")
    encoded = encode(tokenizer, examples, min(settings.max_tokens, window(model) or settings.max_tokens))
    check_window(model, max(len(example.prompt) + len(example.answer) for example in encoded) - 1)
    total = settings.epochs * math.ceil(len(encoded) / settings.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.max_lr, betas=BETAS, weight_decay=WEIGHT_DECAY)
    device = model.device
    order = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    plain = _has_plain_head(model)

    # Dropout, where a model has it, draws from the global state: give it one of its own for the time being.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.train()
        for _ in range(settings.epochs):
            permutation = torch.randperm(len(encoded), generator=order).tolist()
            for start in range(0, len(encoded), settings.batch_size):
                batch = [encoded[i] for i in permutation[start : start + settings.batch_size]]
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(settings, len(losses), total)
                loss = _backward(model, batch, micro_batch or len(batch), dtype, plain)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM).item()
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    what = f"loss became {loss}" if not math.isfinite(loss) else f"gradient's norm became {norm}"
                    raise UserError(
                        f"finetune.max_lr={settings.max_lr:g}: the {what} at step {len(losses) + 1} of {total}; a "
                        "lower finetune.max_lr or a higher finetune.warmup_share would work."
                    )
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss)
                if progress is not None:
                    progress(len(losses), total, loss)
    model.eval()
    return losses


def window(model: PreTrainedModel) -> int | None:
    """Tokens that a model with learned positions has positions for, as GPT-2 has; None: positions are computed."""
    learned = (
        name.endswith("wpe") or "pos" in name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
    )
    longest: int | None = getattr(model.config, "max_position_embeddings", None)
    return longest if any(learned) else None


def check_window(model: PreTrainedModel, tokens: int) -> None:
    """
    Args:
        tokens: that the model reads at once.

    Raises:
        UserError: an answer alone is longer than a model with learned positions can read.
    """
    longest = window(model)
    if longest is not None and tokens > longest:
        raise UserError(
            f"stream.sequence_length={longest}: a task has an answer of {tokens} tokens, and this model has {longest} "
            f"learned positions; a model trained with at least {tokens} would work, or other tasks."
        )


def learning_rate(settings: FinetuneSettings, step: int, total: int) -> float:
    """Linear warm-up to the maximum, then half a cosine that would reach zero at `total`; `step` counts from 0."""
    warmup = math.ceil(settings.warmup_share * total)
    if step < warmup:
        return settings.max_lr * (step + 1) / warmup
    return settings.max_lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def encode(tokenizer: PreTrainedTokenizerBase, examples: Sequence[tuple[str, str]], max_tokens: int) -> list[Encoded]:
    """Token ids of each example, at most `max_tokens` together; cut into prompt and answer as lm-eval does.

    White space at a prompt's end belongs to the answer. An empty prompt is the token that texts begin with. A long
    prompt loses its beginning. An answer is never cut: one that leaves no room keeps its prompt's last token.

    Raises:
        UserError: an answer has no tokens of its own.
    """
    wholes = tokenizer([prompt + answer for prompt, answer in examples], verbose=False)["input_ids"]
    prompts = tokenizer([prompt.rstrip() for prompt, _ in examples], verbose=False)["input_ids"]
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    encoded = []
    for (text, wanted), prompt, whole in zip(examples, prompts, wholes, strict=True):
        answer = whole[len(prompt) :]
        if not answer:
            raise UserError(
                f"a task has the answer {wanted!r} to {text[-40:]!r}, which adds no token to it; doc_to_target has to "
                "give some text."
            )
        prompt = prompt or [first]
        encoded.append(Encoded(prompt[-max(1, max_tokens - len(answer)) :], answer))
    return encoded


def collate(batch: Sequence[Encoded], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, labels), both (examples, longest - 1) int64: labels are the next tokens of answers, IGNORED elsewhere.

    Padding stands on the right, where causal attention keeps it out of sight: no mask is needed.
    """
    width = max(len(example.prompt) + len(example.answer) for example in batch) - 1
    inputs = torch.zeros(len(batch), width, dtype=torch.int64)
    labels = torch.full((len(batch), width), IGNORED, dtype=torch.int64)
    for row, example in enumerate(batch):
        ids = torch.tensor(example.prompt + example.answer)
        inputs[row, : len(ids) - 1] = ids[:-1]
        labels[row, len(example.prompt) - 1 : len(ids) - 1] = ids[len(example.prompt) :]
    return inputs.to(device), labels.to(device)


@torch.no_grad()
def _has_plain_head(model: PreTrainedModel) -> bool:
    """Whether logits are what the output layer makes of the last hidden states, without a scale or a cap."""
    head = model.get_output_embeddings()
    if head is None:
        return False
    inputs = torch.zeros(1, 2, dtype=torch.int64, device=model.device)
    hidden = model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
    return torch.equal(head(hidden), model(input_ids=inputs, use_cache=False).logits)


def _backward(model: PreTrainedModel, batch: Sequence[Encoded], micro_batch: int, dtype: str, plain: bool) -> float:
    """Accumulate the gradients of the batch's mean loss an answer token, and return that loss.

    Args:
        plain: whether the output layer makes the logits alone; then it makes those of the tokens that count, since over
            a whole vocabulary they are much of a small model's work.
    """
    tokens = sum(len(example.answer) for example in batch)
    autocast = torch.autocast(model.device.type, torch.bfloat16) if dtype == "bfloat16" else nullcontext()
    loss = 0.0
    for start in range(0, len(batch), micro_batch):
        inputs, labels = collate(batch[start : start + micro_batch], model.device)
        counted = labels != IGNORED
        with autocast:
            if plain:
                hidden = model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
                logits = model.get_output_embeddings()(hidden[counted])
            else:
                logits = model(input_ids=inputs, use_cache=False).logits[counted]
        part = F.cross_entropy(logits.float(), labels[counted], reduction="sum") / tokens
        part.backward()  # type: ignore[no-untyped-call]
        loss += part.item()
    return loss

"""lm-eval over a model in memory: one row per task, with what is needed to read its score.

A thin layer over lm-eval's Python interface. It pins what changes scores (batch size, seeds, no few-shot examples
unless the task file asks for them), and adds what lm-eval does not report: the chance level, and the bits per byte of
the right answers, which tell small models apart where accuracy stays at chance. The model and the global random state
are left as they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from repro.common.packages import installed
from repro.config.settings import TaskSettings
from repro.downstream import sft, tasks

# huggingface_hub prints complaints about its own circular imports while lm_eval is being imported.
with contextlib.redirect_stdout(io.StringIO()):
    import lm_eval.evaluator
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM

SEED = 1234
"""lm-eval's own default."""

BOOTSTRAPS = 100
"""For metrics without a formula for their standard error; accuracies have one."""


class Score(TypedDict):
    """One task's score."""

    task: str
    metric: str
    """The first one that the task file lists."""
    value: float
    stderr: float | None
    """None: a single item."""
    chance: float
    """What guessing scores: the mean of 1 / number of choices; 0 for free answers."""
    items: int
    gold_bits_per_byte: float | None
    """Of the right answers with their delimiter, given the prompt, over all items; None for free answers."""
    lm_eval: str
    """lm-eval's version."""
    task_hash: str
    """Over the items, prompts and answers, as lm-eval computes its own."""


class WindowedLM(HFLM):  # type: ignore[misc]
    """lm-eval's model with fine-tuning's rule for long texts: a prompt loses its beginning, an answer loses nothing.

    An answer longer than the model's window would stop lm-eval; here it is scored whole, after its prompt's last token.
    """

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        window = self.max_length
        fitted = [(pair, prompt[-max(1, window + 1 - len(answer)) :], answer) for pair, prompt, answer in requests]
        self._max_length = max(window, *(len(answer) for _, _, answer in requests))
        sft.check_window(self.model, self._max_length)
        try:
            scores: list[tuple[float, bool]] = super()._loglikelihood_tokens(fitted, disable_tqdm, override_bs)
            return scores
        finally:
            self._max_length = window


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TaskSettings,
    data_path: Path,
    batch: int,
    limit: int | None = None,
    *,
    dtype: str = "float32",
) -> list[Score]:
    """Score `model`, on the device it is on, on the tasks of `settings.names`, in that order.

    Args:
        batch: texts in one forward pass; it can change the last bits of a score.
        limit: items of each task (of each subject, in a task that is a group of subjects), at most: the first ones.
        dtype: `float32`, or `bfloat16` for autocast.

    Raises:
        UserError: see `tasks.load`.
    """
    loaded = tasks.load(settings, data_path)
    training = model.training
    try:
        with tasks.quiet(), _own_random_state(model.device):
            for task in loaded["tasks"].values():
                if task.get_config("num_fewshot") is None:
                    task.set_config(key="num_fewshot", value=0)
                task.set_fewshot_seed(SEED)
            lm = WindowedLM(
                pretrained=model,
                tokenizer=tokenizer,
                batch_size=batch,
                max_length=getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length,
                mixed_precision_dtype="bfloat16" if dtype == "bfloat16" else None,
            )
            results = lm_eval.evaluator.evaluate(lm, loaded, limit=limit, bootstrap_iters=BOOTSTRAPS, log_samples=True)
            return [_row(name, tasks.leaves(loaded, name), results) for name in settings.names]
    finally:
        model.train(training)


def _row(name: str, leaves: list[Task], results: dict[str, Any]) -> Score:
    """The row of a task, or of a group of them: an average over all their items."""
    counts, values, errors, chances, hashes = [], [], [], [], []
    bits, size = 0.0, 0
    for task in leaves:
        scores, samples = results["results"][task.task_name], results["samples"][task.task_name]
        metric = next(iter(task.aggregation()))
        key = next(each for each in scores if each.startswith(f"{metric},"))
        first = [sample for sample in samples if sample["filter"] == key.partition(",")[2]]
        counts.append(len(first))
        values.append(scores[key])
        errors.append(scores[key.replace(",", "_stderr,", 1)])
        chances.append(0.0)
        if task.OUTPUT_TYPE == "multiple_choice":
            chances[-1] = math.fsum(1 / len(task.doc_to_choice(sample["doc"])) for sample in first) / len(first)
            for sample in first:
                gold = tasks.gold_index(task, sample["doc"])
                bits -= float(sample["resps"][gold][0][0]) / math.log(2)
                size += len(sample["arguments"][gold][1].encode())
        hashes += [sample[f"{part}_hash"] for sample in samples for part in ("doc", "prompt", "target")]
    items = sum(counts)
    known = "N/A" not in errors
    return Score(
        task=name,
        metric=metric,
        value=math.fsum(n * value for n, value in zip(counts, values, strict=True)) / items,
        stderr=math.hypot(*(n * error for n, error in zip(counts, errors, strict=True))) / items if known else None,
        chance=math.fsum(n * chance for n, chance in zip(counts, chances, strict=True)) / items,
        items=items,
        gold_bits_per_byte=bits / size if size else None,
        lm_eval=installed("lm_eval"),
        task_hash=hashlib.sha256("".join(hashes).encode()).hexdigest(),
    )


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Seed every generator for the body, and put each back as it was."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - lm-eval draws from the global one
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        random.seed(SEED)
        np.random.seed(SEED)  # noqa: NPY002
        torch.manual_seed(SEED)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002

"""A model card: what a hub reads (YAML between dashes) and what people read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from repro.data.corpora.corpus import Corpus, corpus
from repro.models.optimizers.optimizer import optimizer
from repro.planning import again
from repro.planning.runs import Run
from repro.recipes.recipe import recipe
from repro.recipes.schedules import schedule
from repro.results.measures import SO_FAR

HUB_LICENCES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "odc-by", "bsd-3-clause")
"""Names that hubs know, of those that corpora have."""

OF_EXPORT = ("version", "what", "step", "dtype")
"""Options of repro.export that repro.train does not have."""


def exported_by(words: Sequence[str]) -> list[str]:
    """The commands that make an export.

    Args:
        words: those that repro.export was given.
    """
    trained = [word for word in words if word.partition("=")[0] not in OF_EXPORT]
    return [again.published("repro.train", trained), again.published("repro.export", words)]


def text(
    run: Run,
    parameters: int,
    *,
    what: str,
    step: int,
    perplexity: float | None,
    dtype: str,
    commands: Sequence[str],
    more: Mapping[str, str] = MappingProxyType({}),
    after: str = "",
) -> str:
    """The card.

    Args:
        parameters: how many the model has.
        what: `version 4`, `trunk at step 400`, or `release 2026-02`.
        step: steps from the initialization.
        perplexity: on the held-out text of the version and those before; None: not measured.
        commands: that made it.
        more: facts to add to the table, or in place of its own.
        after: what follows the table.
    """
    chosen = corpus(run.settings.corpus)
    header = yaml.safe_dump(_header(chosen, run), sort_keys=False, allow_unicode=True)
    facts = dict(_facts(run, parameters, what, step, perplexity, dtype)) | dict(more)
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    lines = "\n".join(commands)
    made_by = recipe(run.settings)
    return f"""---
{header}---
# {run.name}, {what}

A language model from a study of learning-rate paradigms for version updates. {made_by.mechanism}

| | |
|---|---|
{rows}
{after}
Made by

```bash
{lines}
```

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("THIS_FOLDER")
tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
```

{_limits(run)}

Text of the training data: {chosen.licence or "no licence is known"}.
"""


def _limits(run: Run) -> str:
    length, given = run.settings.stream.sequence_length, run.settings.model.init
    if given is None:
        return (
            f"Its context is {length} tokens; positions beyond it were never trained. It began with\nrandom weights "
            "and was trained on text alone: it follows no\ninstructions, and nothing was filtered for safety."
        )
    return (
        f"It began with given weights (`{Path(given).name}`), whose licence and limits hold for it, too. Here it was "
        f"trained\non text alone, {length} tokens at a time: what it does beyond those, it owes to the given weights "
        "alone. Nothing was\nfiltered for safety."
    )


GIVEN = {"license": "other", "license_name": "that-of-the-given-weights-and-of-the-data"}
"""Of a model that began with weights whose licence nobody told us."""


def _header(chosen: Corpus, run: Run) -> dict[str, Any]:
    languages = {"language": chosen.language} if chosen.language else {}
    return {
        **(_licence(chosen.licence) if run.settings.model.init is None else GIVEN),
        **languages,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["pre-training", "learning-rate-schedule", run.settings.paradigm.kind, run.settings.model.architecture],
    }


def _licence(words: str) -> dict[str, str]:
    if not words:
        return {"license": "unknown"}
    if words.lower() in HUB_LICENCES:
        return {"license": words.lower()}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")}


def _facts(
    run: Run, parameters: int, what: str, step: int, perplexity: float | None, dtype: str
) -> list[tuple[str, str]]:
    s = run.settings
    return [
        ("what", what),
        ("recipe", f"{recipe(s).label} (`{recipe(s).run_name}`)"),
        ("schedule", f"{schedule(s).label}, maximum {s.schedule.max_lr:g}, minimum {s.schedule.floor_lr:g}"),
        ("optimizer", optimizer(s).label),
        ("steps", f"{step:,} of {s.stream.global_batch_size} x {s.stream.sequence_length} tokens"),
        ("parameters", f"{parameters:,}, {dtype}"),
        ("context", f"{s.stream.sequence_length} tokens"),
        ("vocabulary", f"{run.stream.vocab_size:,}, byte-level BPE"),
        ("seed", str(s.seed) + (f", of the order of the data {s.order_seed}" if s.order_seed != s.seed else "")),
        ("data", corpus(s.corpus).label),
        ("data fingerprint", f"`{run.stream.fingerprint}`"),
        ("perplexity", "not measured" if perplexity is None else f"{perplexity:.4g} {SO_FAR}"),
    ]

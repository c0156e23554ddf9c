"""The ledger's files and their columns: the one definition, for those who write and those who read."""

import re
from math import isinf

from repro.common.errors import UserError
from repro.config.exact import fraction
from repro.config.settings import StreamSettings
from repro.recipes.two_stage import ENDLESS

TEXT = {
    "studies": ("study", "run"),
    "runs": (
        *("run", "name", "paradigm", "schedule", "order", "alpha", "first_cycle", "second_cycle", "settings"),
        *("carry_optimizer", "architecture", "size", "corpus", "stream", "conditions", "numerics"),
        *("split_seed", "uncut_conditions", "optimizer", "data_seed"),
    ),
    "versions": ("run", "key"),
    "perplexity": ("run",),
    "curves": ("run",),
    "paths": ("run", "segment", "kind"),
    "downstream": ("run", "task", "metric", "lm_eval"),
    "numerics": ("numerics", "setting", "value"),
}
"""Columns that hold text; every other one holds numbers."""

COLUMNS = {
    "studies": ["study", "run"],
    "runs": [
        *("run", "name", "paradigm", "schedule", "order", "alpha", "first_cycle", "second_cycle", "carry_optimizer"),
        *("seed", "architecture", "size", "parameters", "corpus", "stream", "versions", "steps_per_version"),
        *("tokens_per_step", "max_lr", "min_lr", "warmup_steps", "conditions", "numerics"),
        *("logical_steps", "unique_steps", "relative_cost", "flops", "settings", "split_seed", "uncut_conditions"),
        *("optimizer", "data_seed"),
    ],
    "versions": ["run", "version", "key", "steps", "unique_steps", "relative_cost"],
    "perplexity": ["run", "version", "slice", "nll", "tokens", "bytes"],
    "curves": ["run", "version", "step", "lr", "loss"],
    "paths": ["run", "version", "segment", "kind", "from_step", "to_step"],
    "downstream": [
        *("run", "version", "finetune_seed", "task", "metric", "value", "stderr", "chance", "items"),
        *("gold_bits_per_byte", "lm_eval"),
    ],
    "numerics": ["numerics", "setting", "value"],
}
"""Each file's columns, as written."""

LATER = ("settings", "split_seed", "uncut_conditions", "optimizer", "data_seed")
"""Last columns of `runs` that old ledgers lack, in the order in which they came."""

MAY_BE_EMPTY = frozenset({"loss", "finetune_seed", "stderr", "chance", "items", "gold_bits_per_byte", "flops"})
"""Columns of numbers in which a cell may say nothing."""

COUNTS = ("version", "versions", "slice")
"""Columns that count versions."""
MOST_VERSIONS = int(StreamSettings.__dataclass_fields__["versions"].metadata["high"])

OWN = ("order", "alpha", "first_cycle", "second_cycle")
"""Settings of the paper's recipes that had columns of their own before `settings` told those of any recipe."""
TUNING = "update"
"""In `settings`, how versions were fine-tuned: of it their training knows nothing."""
SHARES = ("alpha", "first_cycle", "second_cycle")
"""Columns of shares of T, as written."""
NUMBER = re.compile(r"nan|[-+]?(inf|([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?)", re.IGNORECASE)
LENGTHS = re.compile("[0-9]{1,9}( [0-9]{1,9})+")
"""T of versions of unequal lengths."""


def flaw(table: str, column: str, cell: str) -> str:
    """Why no run of this suite has such a cell; empty: it is sound."""
    if cell == "" and column not in TEXT[table] and column not in MAY_BE_EMPTY:
        return "an entry is empty"
    return "" if cell == "" or _is_sound(table, column, cell) else f"no run has {cell!r}"


def _is_sound(table: str, column: str, cell: str) -> bool:
    if column in TEXT[table]:
        return column not in SHARES or cell == ENDLESS or _is_share(cell)
    if column == "steps_per_version" and LENGTHS.fullmatch(cell):
        return True
    if column in COUNTS:  # whoever counted or drew up to more might never end
        least = 0 if table == "downstream" else 1  # there, version 0 is the model before any training
        return bool(re.fullmatch("[0-9]{1,9}", cell)) and least <= int(cell) <= MOST_VERSIONS
    if column == "seed":
        return bool(re.fullmatch("[0-9]+", cell))
    return bool(NUMBER.fullmatch(cell)) and not (table == "runs" and isinf(float(cell)))


def _is_share(cell: str) -> bool:
    try:
        fraction("", cell)
    except UserError:
        return False
    return True


def settings_text(own: dict[str, str]) -> str:
    """The settings that tell runs apart, in one cell: `alpha=0.6`, and a schedule's own: `schedule.decay_share=0.2`."""
    return " ".join(f"{name}={value}" for name, value in own.items() if value)


def settings_of(text: str) -> dict[str, str]:
    """What `settings_text` wrote, by name."""
    return dict(pair.partition("=")[::2] for pair in text.split())


def settings_of_training(text: str) -> str:
    """The settings in one cell, but for how versions were fine-tuned."""
    return settings_text({name: value for name, value in settings_of(text).items() if name != TUNING})


def settings_of_old(row: dict[str, str]) -> str:
    """The same for a run that was written before there was such a column: a branch was a whole cycle then."""
    cycle = {"branch": "cycle"} if row["paradigm"] == "path_switching" else {}
    return settings_text({name: row[name] for name in OWN} | cycle)

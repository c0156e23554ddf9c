"""What can be chosen by name, with the class whose fields are that choice's own settings.

The rooms above fill these: `repro.recipes`, `repro.data.corpora`, `repro.models`, and users' extensions.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from repro.common.errors import UserError
from repro.common.registry import Registry
from repro.config import settings as schema

SCHEDULES: Registry[type[schema.ScheduleSettings]] = Registry("schedule.kind")
RECIPES: Registry[type[schema.ParadigmSettings]] = Registry("paradigm.kind")
CORPORA: Registry[type[schema.CorpusSettings]] = Registry("corpus.kind")
ARCHITECTURES: Registry[type[schema.ModelSettings]] = Registry("model.architecture")
OPTIMIZERS: Registry[type[schema.OptimizerSettings]] = Registry("optimizer.kind")

OPEN: dict[str, Registry[Any]] = {
    "schedule": SCHEDULES,
    "paradigm": RECIPES,
    "corpus": CORPORA,
    "model": ARCHITECTURES,
    "optimizer": OPTIMIZERS,
}
"""The registry of each group of settings whose fields depend on what was chosen."""


def chooser(group: str) -> str:
    """The field of an open group that chooses: `kind`, or `architecture`."""
    return OPEN[group].setting.partition(".")[2]


def load(extensions: Iterable[str]) -> None:
    """Import the modules that users add to the registries with.

    Raises:
        UserError: one cannot be imported.
    """
    for module in extensions:
        try:
            importlib.import_module(module)
        except UserError:
            raise
        except Exception as error:  # whatever a user's module raises
            raise UserError(
                f"extensions=[{module}] cannot be imported: {type(error).__name__}: {error}. It is looked for where "
                "Python looks for modules: PYTHONPATH=FOLDER adds a folder."
            ) from error

"""What may be swept: a whole sweep is kept in one place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.common.errors import UserError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

PLACEMENT = ("store", "data", "ledger", "tracker", "estimate", "extensions")
"""Settings of where and how a sweep is run: one value for all of it."""


def check_swept(overrides: Sequence["Override"]) -> None:
    """Refuse to sweep what says where a sweep is kept: its parts would be in several places, and whole in none. And a
    `glob` among other values, which Hydra takes for a value.

    Raises:
        UserError
    """
    from hydra.core.override_parser.types import ChoiceSweep, Glob

    for each in overrides:
        if isinstance(choices := each.value() if each.is_sweep_override() else None, ChoiceSweep):
            names = [name for one in choices.list for name in (one.include if isinstance(one, Glob) else [str(one)])]
            if any(isinstance(one, Glob) for one in choices.list):
                together = f"glob([{','.join(names)}])"
                raise UserError(
                    f"{each.input_line}: a glob stands alone; {each.key_or_group}='{together}' matches all of these.",
                    works={each.key_or_group: together},
                )
        if each.is_sweep_override() and each.is_hydra_override():
            raise UserError(
                f"{each.input_line}: Hydra sweeps none of its own settings; one value works.",
                works={each.key_or_group: None},
            )
        if each.key_or_group.partition(".")[0] in PLACEMENT and each.is_sweep_override():
            setting = each.key_or_group
            raise UserError(
                f"{each.input_line}: {setting} cannot be swept, it says where or how a whole sweep is run. Give one "
                f"value, and start the command once for each; a comma that belongs to it stands in quotes within "
                f"quotes: '{setting}=\"A,B\"'."
            )

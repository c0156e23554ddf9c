"""What may be swept: a whole sweep is kept in one place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.common.errors import UserError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

PLACEMENT = ("store", "data", "ledger", "tracker", "estimate", "extensions")
"""Settings of where and how a sweep is run: one value for all of it."""


def check_swept(overrides: Sequence["Override"]) -> None:
    """Refuse to sweep what says where a sweep is kept: its parts would be in several places, and whole in none.

    Raises:
        UserError
    """
    for each in overrides:
        if each.key_or_group.partition(".")[0] in PLACEMENT and each.is_sweep_override():
            setting = each.key_or_group
            raise UserError(
                f"{each.input_line}: {setting} cannot be swept, it says where or how a whole sweep is run. Give one "
                f"value, and start the command once for each; a comma that belongs to it stands in quotes within "
                f"quotes: '{setting}=\"A,B\"'."
            )

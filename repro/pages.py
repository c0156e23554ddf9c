"""Write the page of all recipes, made from the registry, with its figures: python -m repro.pages

`output=docs/recipes.md` says where; figures go to a folder `figures/recipes` beside it.
"""

from collections.abc import Sequence
from pathlib import Path

from repro.common.disk import clear_errors
from repro.common.errors import UserError, refusals
from repro.planning import recipe_page
from repro.planning.arguments import CommandLine


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = Path(line.take("output", "docs/recipes.md"))
        if line.words():
            raise UserError(f"{line.words()[0]} is no option of repro.pages; there is output=FILE.")
        with clear_errors(output, setting="output"):
            recipe_page.draw(output.parent / "figures" / "recipes")
            output.write_text(recipe_page.page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Write the page of all recipes, made from the registry, with its figures: python -m repro.pages

`output=docs/recipes.md` says where; figures go to a folder `figures/recipes` beside it.
"""

from collections.abc import Sequence
from pathlib import Path

from repro.common.disk import clear_errors
from repro.common.errors import refusals
from repro.common.options import Options
from repro.planning import recipe_page


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = Options(__doc__, arguments)
        output = Path(line.take("output", "docs/recipes.md"))
        line.end()
        with clear_errors(output, setting="output"):
            recipe_page.draw(output.parent / "figures" / "recipes")
            output.write_text(recipe_page.page(), encoding="utf-8")


if __name__ == "__main__":
    main()

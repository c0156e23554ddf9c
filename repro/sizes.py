"""Print the table of model sizes, in Markdown: python -m repro.sizes

`output=docs/models.md` writes it into that document instead, in place of the table there.
"""

from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from repro.common.disk import clear_errors
from repro.common.errors import UserError, refusals
from repro.common.options import Options
from repro.config.places import CONF
from repro.models.architectures.llama import Llama
from repro.planning import sweeps

VOCABULARIES = (1_024, 32_000)


def table() -> str:
    """Shapes and parameter counts of the `size` group, in Markdown, smallest first."""
    rows = []
    for path in (CONF / "size").glob("*.yaml"):
        llama, qwen = (sweeps.compose([f"size={path.stem}", f"model={name}"])[0].model for name in ("llama", "qwen"))
        assert isinstance(llama, Llama)
        assert isinstance(qwen, Llama)
        counts = [model.parameters(size, sequence_length=1) for size in VOCABULARIES for model in (llama, qwen)]
        shape = (llama.hidden_size, llama.layers, llama.heads, llama.kv_heads, llama.intermediate_size)
        rows.append((counts[0], [path.stem, *map(str, shape), *(f"{count:,}" for count in counts)]))
    names = ["size", "hidden size", "layers", "heads", "kv heads", "intermediate size"]
    names += [f"{name}, vocabulary {size:,}" for size in VOCABULARIES for name in ("LLaMA", "Qwen2")]
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *(cells for _, cells in sorted(rows))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def rewrite(document: Path) -> None:
    """Put the table in place of a document's own.

    Raises:
        UserError: the document cannot be read or written, or has no such table.
    """
    with clear_errors(document, setting="output"):
        before, head, old = document.read_text(encoding="utf-8").partition("| size |")
        if not head:
            raise UserError(f"output={document}: that document has no table of sizes; docs/models.md has one.")
        after = dropwhile(lambda line: line.startswith("|"), old.splitlines(keepends=True)[1:])
        document.write_text(before + table() + "".join(after), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = Options(__doc__, arguments)
        output = line.take("output")
        line.end()
        if output:
            rewrite(Path(output))
        else:
            print(table(), end="")


if __name__ == "__main__":
    main()

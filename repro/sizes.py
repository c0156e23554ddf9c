"""The table of model sizes in docs/models.md: python -m repro.sizes rewrites it."""

from pathlib import Path

from repro.models import architectures
from repro.models.architectures import Llama
from repro.planning import sweeps

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "models.md"
VOCABULARIES = (1_024, 32_000)


def table() -> str:
    """Shapes and parameter counts of the `size` group, in Markdown, smallest first."""
    rows = []
    for path in (sweeps.CONF / "size").glob("*.yaml"):
        llama, qwen = (sweeps.compose([f"size={path.stem}", f"model={name}"])[0].model for name in ("llama", "qwen"))
        assert isinstance(llama, Llama)
        counts = [architectures.parameters(model, size) for size in VOCABULARIES for model in (llama, qwen)]
        shape = (llama.hidden_size, llama.layers, llama.heads, llama.kv_heads, llama.intermediate_size)
        rows.append((counts[0], [path.stem, *map(str, shape), *(f"{count:,}" for count in counts)]))
    names = ["size", "hidden size", "layers", "heads", "kv heads", "intermediate size"]
    names += [f"{name}, vocabulary {size:,}" for size in VOCABULARIES for name in ("LLaMA", "Qwen2")]
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *(cells for _, cells in sorted(rows))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Rewrite the document's table."""
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(text[: text.index("| size |")] + table())


if __name__ == "__main__":
    main()

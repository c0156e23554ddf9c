"""What a report was made from and what it is made of, with hashes: manifest.json."""

import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import provenance
from analysis.formats import text
from analysis.frames import Ledger
from repro.common.disk import Flaw, read, sha256

NAME = "manifest.json"


def describe(ledger: Ledger, outputs: dict[str, Path], made_by: Mapping[str, str], command: str) -> dict[str, Any]:
    """What went in, what came out, with which packages, and by which commands.

    Args:
        outputs: files by the names they have in the report's folder.
        made_by: the command that made the runs behind a file, by its name without ending; of others, all do.
        command: what makes the report.
    """
    folder = ledger.folder.parent
    runs = ledger.runs
    with (ledger.folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        written = next(csv.reader(file))
    columns = [c for c in written if c not in ("run", "name", "seed", "data_seed", "numerics", "flops")]
    columns = [c for c in columns if not c.endswith("_steps") or c == "warmup_steps"]
    numerics: dict[str, dict[str, str]] = {}
    for row in ledger.numerics.to_dict("records"):
        numerics.setdefault(str(row["numerics"]), {})[str(row["setting"])] = str(row["value"])
    return {
        "scale": ledger.scale,
        "inputs": {path.relative_to(folder).as_posix(): sha256(path) for path in ledger.files},
        "outputs": {name: sha256(path) for name, path in sorted(outputs.items())},
        "commands": {
            name: " && ".join(filter(None, [made_by.get(name.rpartition(".")[0], ""), command])) for name in outputs
        },
        "packages": dict(provenance.packages()),
        "code": dict(provenance.code()),
        "python": ".".join(map(str, sys.version_info[:3])),
        "seeds": sorted({int(seed) for seed in runs["seed"]}),
        "settings": {c: sorted({text(v) for v in runs[c]} - {"", "nan"}) for c in columns},
        "numerics": numerics,
    }


def listed(folder: Path) -> set[Path]:
    """Files an earlier report wrote here, so that none of them outlives its data."""
    try:
        names = list(json.loads(read(folder / NAME))["outputs"])
    except (Flaw, ValueError, KeyError, TypeError):  # none was written, or something else lies there
        return set()
    inside = [folder / name for name in ("tables", "figures", "claims", "recipes")]
    paths = (folder / str(name) for name in names)
    return {path for path in paths if path.parent in inside}

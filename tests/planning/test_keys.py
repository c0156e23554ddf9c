"""Keys of every study at scale smoke, recorded before modules moved and settings were renamed.

A key that changes disowns every stored checkpoint. Where a change of what is computed is meant, CHANGELOG names it, and
`python tests/planning/test_keys.py` records anew.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repro.downstream import jobs
from repro.models import numerics
from repro.planning import sweeps
from repro.planning.runs import run
from repro.planning.tree import merge
from repro.results import measures, rows

RECORDED = Path(__file__).parent / "recorded_keys.json"
MACHINE = {"cpu": {"processor": "pinned"}, "c++": {"compiler": "pinned"}, "onednn": {"matmul": "onednn pinned"}}
STUDIES = (
    *("alpha", "architecture", "data_scale", "downstream", "first_stage", "headline", "main", "max_lr", "model_size"),
    *("pilot", "second_stage"),
)
CASES = {name: [f"study={name}"] for name in STUDIES} | {
    # Recorded when a branch was read as a whole cycle; the ledger's names of those runs are newer.
    "main": ["study=main", "paradigm.branch=cycle"],
    "downstream": [
        "study=downstream",
        "paradigm=ptfs,cpt,path_switching",
        "paradigm.branch=cycle",
        "finetune.versions=[1,2,3,4]",
    ],
    # And before these two followed each T with their warm-up, and had GPT-2.
    "data_scale": ["study=data_scale", "schedule.warmup_steps=5"],
    "architecture": ["study=architecture", "model=llama,qwen"],
    "chronological": ["study=headline", "stream=chronological"],
    "reset": ["paradigm=path_switching,cpt,two_stage", "paradigm.carry_optimizer=false"],
    "arrival": ["paradigm=ptfs", "paradigm.order=arrival", "schedule=knee,constant"],
    "onednn": ["numerics.matmul=onednn", "numerics.micro_batch_size=2", "model=qwen"],
    "merge": ["paradigm=merge", "paradigm.weights=uniform,decay", "schedule=cosine,linear"],
    "replay": ["paradigm=cpt,path_switching", "paradigm.replay=0.25,0.5"],
    "means": ["paradigm=soup,branch_average"],
    "grow": ["paradigm=grow", "model.layers=2", "paradigm.grow_at=2,3"],
    "optimizers": ["paradigm=cpt,path_switching", "optimizer=muon,schedule_free"],
    "schedule_free": ["paradigm=schedule_free"],
    "recipes": ["paradigm=trunk,wsd,wsd_s,infinite,falling_cosine"],
    "updated": ["paradigm=updated", "paradigm.of=path_switching,merge"],
}


def keys(case: str, data_path: Path) -> dict[str, object]:
    """What the store and the ledger call the runs of a sweep: the first half of each hash."""
    sweep = sweeps.compose([*CASES[case], "scale=smoke", f"data.path={data_path}"], multirun=True)
    tree = merge([replace(run(settings), machine=MACHINE) for settings in sweep])
    downstream: dict[int, list[str]] = {}
    for job in jobs.jobs_of(tree):
        downstream.setdefault(job.run, []).extend([job.weights[:32], job.result[:32]])
    runs = {
        f"{index} {r.name}": {
            "ends": [key[:32] for key in tree.ends[index]],
            "without numerics": [tree.nodes[key].identity_key[:32] for key in tree.ends[index]],
            "ledger": rows.run_id(tree, index),
            "measures": next(iter(measures.result_keys(r, tree.ends[index][-1])))[:32],
            "downstream": downstream.get(index, []),
        }
        for index, r in enumerate(tree.runs)
    }
    return {"nodes": len(tree.nodes), "steps": tree.unique_steps, "runs": runs}


@pytest.mark.parametrize("case", CASES)
def test_keys_are_what_they_were(case: str, data_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "installed", lambda package: "pinned")
    assert keys(case, data_path) == json.loads(RECORDED.read_text())[case]


if __name__ == "__main__":
    numerics.installed = lambda package: "pinned"  # type: ignore[assignment]
    RECORDED.write_text(json.dumps({case: keys(case, Path(sys.argv[1])) for case in CASES}, indent=1) + "\n")

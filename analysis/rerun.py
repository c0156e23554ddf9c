"""The commands that make what is missing, and what a claim leaves out."""

import yaml

from analysis import lengths, plans
from analysis.frames import View
from analysis.registries import STUDIES, Claim, pooled
from repro.config.places import CONF


def command(study: str, scale: str, view: View | None = None) -> str:
    """What makes a study's results, in the view's setting where that is another stream, with the seeds it is planned
    with or has there, and with torch's own products where it has those: they are no longer the default on a CPU."""
    more = f" {view.label}" if view and list(view.differs) == ["stream"] else ""
    ran = sorted(set(view.runs(study)["seed"])) if view else []
    seeds = ",".join(map(str, plans.seeds(scale, study) or ran))
    path = CONF / "scale" / f"{scale}.yaml"
    if seeds and path.is_file() and seeds != str(yaml.safe_load(path.read_text())["sweep"]["seed"]):
        more += f" seed={seeds}"
    if view and _own_products(view, study):
        more += " numerics.matmul=torch"
    verbs = STUDIES[study].verbs if study in STUDIES else ("train",)
    return " && ".join(f"python -m repro.{verb} study={study} scale={scale}{more}" for verb in verbs)


def studies_of(claim: Claim) -> tuple[str, ...]:
    """Studies whose runs a claim is judged on: its own, or all of the main comparison's."""
    return pooled() if claim.study in pooled() else (claim.study,)


def left_out(claim: Claim, view: View) -> list[str]:
    """What a claim that speaks of equal versions says of the runs over others that it is not judged on."""
    if not claim.equal_versions:
        return []
    count = int(lengths.unequal(view.runs(*studies_of(claim))).sum())
    return [f"judged on equal versions only: {count} runs of unequal versions left out"] if count else []


def _own_products(view: View, study: str) -> bool:
    """Whether all of a study, or all there is if it was not run, was run on CPUs with torch's own products."""
    rows = view.ledger.numerics
    runs = view.runs(study)
    used = set((runs if len(runs) else view.runs(*view.ledger.reported))["numerics"])
    on_cpu = set(rows[(rows["setting"] == "device") & (rows["value"] == "cpu")]["numerics"])
    otherwise = set(rows[rows["setting"] == "matmul"]["numerics"])
    return bool(used) and used <= on_cpu - otherwise

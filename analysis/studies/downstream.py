"""Fine-tuning on nine tasks."""

from analysis.figures.downstream import DOWNSTREAM
from analysis.findings import downstream
from analysis.registries import Sentences, Study
from analysis.studies.shared import SCORES

STUDY = Study(
    name="downstream",
    question="Does the gain survive fine-tuning?",
    pooled=True,
    verbs=("train", "finetune", "evaluate"),
    shows=(SCORES, DOWNSTREAM, Sentences("downstream_findings", make=downstream.downstream)),
)

"""Fine-tuning on nine tasks."""

from analysis.figures.downstream import DOWNSTREAM
from analysis.findings import downstream
from analysis.registries import Sentences, Study
from analysis.studies.shared import SCORES
from analysis.tables.tasks import TASKS

STUDY = Study(
    name="downstream",
    question="Does the gain survive fine-tuning?",
    pooled=True,
    verbs=("train", "finetune", "evaluate"),
    shows=(SCORES, TASKS, DOWNSTREAM, Sentences("downstream_findings", make=downstream.downstream)),
)

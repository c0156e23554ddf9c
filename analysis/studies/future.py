"""Updating the fine-tuned model, which the paper's authors name as future work."""

from analysis.figures.future import FUTURE as FUTURE_PLOT
from analysis.findings.future import FINDINGS
from analysis.registries import Study
from analysis.tables.future import FUTURE, FUTURE_PAIRED

STUDY = Study(
    name="future",
    question="How should the fine-tuned model follow a new version: anew, going on, or taken over?",
    sweeps=("update",),
    optional=True,  # best in a ledger of its own: versions that it fine-tunes anew would enter D1
    verbs=("train", "finetune", "evaluate"),
    shows=(FUTURE, FUTURE_PAIRED, FUTURE_PLOT, FINDINGS),
)

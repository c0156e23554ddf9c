"""The first stage: its cycle is varied, cut at T."""

from analysis.figures.stages import FIRST_STAGE
from analysis.findings import stages
from analysis.registries import Sentences, Study
from analysis.tables.stages import stages_of

STUDY = Study(
    name="first_stage",
    question="How should the checkpoint be prepared?",
    seeds="judged_seeds",
    sweeps=("first_cycle",),
    gaps=stages.gaps_of("first_stage"),
    shows=(stages_of("first_stage"), FIRST_STAGE, Sentences("first_stage_findings", make=stages.first_stage)),
)

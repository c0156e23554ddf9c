"""The second stage: its cycle is varied, cut at T."""

from analysis.figures.stages import SECOND_STAGE
from analysis.findings import stages
from analysis.registries import Sentences, Study
from analysis.tables.stages import stages_of

STUDY = Study(
    name="second_stage",
    question="How should training go on from that checkpoint?",
    seeds="judged_seeds",
    sweeps=("second_cycle",),
    gaps=stages.gaps_of("second_stage"),
    shows=(stages_of("second_stage"), SECOND_STAGE, Sentences("second_stage_findings", make=stages.second_stage)),
)

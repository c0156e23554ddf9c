"""What a longer branch buys."""

from analysis.figures.alpha import ALPHA
from analysis.figures.costs import PARETO
from analysis.findings import alpha as findings
from analysis.registries import Sentences, Study, TableOf
from analysis.tables.alpha import alpha

STUDY = Study(
    name="alpha",
    question="How long should a branch be?",
    seeds="judged_seeds",
    sweeps=("alpha",),
    gaps=findings.gaps,
    shows=(
        TableOf("alpha", make=alpha, per_setting=True), ALPHA,
        Sentences("alpha_findings", make=findings.alpha, per_setting=True),
    ),
    also=(PARETO,),
)  # fmt: skip

"""One file per study: its question, what it sweeps, and what the report shows of it. Runs are in conf/study/NAME.yaml.

Importing the package fills the registry, in the report's order. A user's module registers its own:
`STUDIES.add("mine", Study(name="mine", question=...))`.
"""

import analysis.claims  # noqa: F401  (the scorecard's order: the paper's comparison before its generality)
from analysis.registries import CLAIMS, STUDIES
from analysis.studies import (
    alpha,
    architecture,
    branch,
    chronological,
    components,
    data_scale,
    downstream,
    first_stage,
    frontier,
    future,
    grow,
    headline,
    ladder,
    main,
    max_lr,
    model_size,
    orders,
    pilot,
    pilot_for_advice,
    plasticity,
    rates,
    second_stage,
    unequal,
    versions,
)

GENERAL = (architecture, ladder, data_scale, max_lr)
PAPER = (headline, pilot, first_stage, second_stage, main, alpha, *GENERAL, downstream)
ELSEWHERE = (model_size, versions, unequal, chronological)
BEYOND = (*ELSEWHERE, frontier, plasticity, rates, components, orders, branch, grow, future, pilot_for_advice)
for module in (*PAPER, *BEYOND):
    STUDIES.add(module.STUDY.name, module.STUDY)
for general in GENERAL:
    for claim in general.CLAIMS:
        CLAIMS.add(claim.id, claim)

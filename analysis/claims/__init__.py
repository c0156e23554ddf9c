"""The paper's claims, one file for those that belong together: where each comes from, its estimator and its margin.

Importing the package fills the registry, in the scorecard's order; those on generality stand with their studies.
"""

from analysis.claims import alpha, cost, downstream, main, pilot, stages
from analysis.registries import CLAIMS

for module in (pilot, stages, main, alpha, cost, downstream):
    for claim in module.CLAIMS:
        CLAIMS.add(claim.id, claim)

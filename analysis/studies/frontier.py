"""Every recipe there is: PPL by version, cost, what none beats, regret by slice."""

from analysis.figures.frontier import BY_VERSION, FRONTIER_PLOT
from analysis.figures.frontier import REGRET as REGRET_PLOT
from analysis.findings.frontier import FINDINGS
from analysis.registries import Study
from analysis.tables.comparison import by_version_of
from analysis.tables.frontier import REGRET

STUDY = Study(
    name="frontier",
    question="Which recipe for which budget, and which does worst on no version's data?",
    shows=(by_version_of("frontier"), REGRET, FRONTIER_PLOT, BY_VERSION, REGRET_PLOT, FINDINGS),
)

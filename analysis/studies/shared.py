"""What several studies can show: it stands with the first that was run of those it belongs to."""

from analysis.findings import comparison
from analysis.registries import Sentences, TableOf
from analysis.tables.comparison import recovered
from analysis.tables.cost import cost
from analysis.tables.downstream import downstream
from analysis.tables.slices import forgetting, paired

COST = TableOf("cost", make=cost)
RECOVERY = TableOf("recovery", make=recovered, per_setting=True)
SLICES = TableOf("forgetting", make=forgetting)
SLICES_PAIRED = TableOf("forgetting_paired", make=paired, per_setting=True)
SCORES = TableOf("downstream", make=downstream)
MAIN_FINDINGS = Sentences("main_findings", make=comparison.main, per_setting=True)

"""Tables, figures, findings and verdicts, from a ledger's CSV files alone.

report <- pages <- studies <- tables, figures, findings <- claims <- verdicts, contrasts <- frames <- names, formats,
stats. Importing any of them fills the registries of studies and claims.
"""

import analysis.studies  # noqa: F401

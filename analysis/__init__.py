"""Tables, figures, findings and verdicts, from a ledger's CSV files alone.

What imports what: docs/design.md. Importing any module of it fills the registries of studies and claims.
"""

import analysis.studies  # noqa: F401

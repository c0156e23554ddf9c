"""From the ledger's CSV files to tables, figures, verdicts and a report. Trains and evaluates nothing."""

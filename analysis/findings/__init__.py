"""Sentences of the report, generated from the ledger."""

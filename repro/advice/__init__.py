"""Turns a ledger into advice: laws of the learning rate fitted to it, recipes planned, priced and predicted by them."""

"""Hours of faults, for `make torture`: what the test suite shows once, here at random and many times over.

Each script takes `rounds=` and `seed=`, prints both, and ends with a table and an exit status.
"""

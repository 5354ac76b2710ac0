"""What must hold for every registered loss.

`test_*.py` walk the registry, so a new loss needs no new test.
"""

"""What SymPy proves of a loss. The pages say "proved" of nothing else; tests/test_proofs.py runs it."""

from __future__ import annotations

from typing import Any


def proved(loss: Any) -> frozenset[str]:
    """Return which of the numbers of `loss` are proved."""
    return frozenset()

"""What the checks of losses as JAX functions share: data, and words for what is promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SLOW: set[str] = set()
_rng = np.random.default_rng(0)
INPUTS, SLOPES = _rng.normal(size=(10, 3)), _rng.normal(size=3)
TARGETS, WEIGHTS = _rng.normal(size=10), _rng.random(10)
MASK = np.array([1, 1, 0, 1, 1, 0, 0, 1, 0, 0], bool)
CLASSES, LOGITS = _rng.integers(0, 4, 6), _rng.normal(size=(6, 4))


def slow(check: Callable[[], None]) -> Callable[[], None]:
    """Mark what takes seconds to compile."""
    SLOW.add(check.__name__)
    return check


def function(loss: Any, **params: Any) -> Any:
    import losskit.jax

    return losskit.jax.function(loss, **params)


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


def raises(kind: type[Exception], match: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=match):
        call()

"""Derivatives of losses over classes, where one pass of a compiled kernel tells both."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.formula.expr import Unsupported


def gradient_and_hessian(loss: Any, y: Array, f: Array, weight: Any) -> tuple[Array, Array]:
    """Return w·ℓ′ and w·ℓ″ (n, K) of targets, codes (n,) or shares (n, K), and raw scores (n, K).

    Slopes of a softmax are p − e_y and its curvatures p(1 − p): where the loss's are, found by
    trial, the second needs no pass of its own, which for the formula takes 20 times as long.
    """
    options = {"raw": True, "reduction": "sum"}
    if np.ndim(y) != 1 or not _is_softmax(loss):
        return loss.gradient_and_hessian(y, f, **options, sample_weight=weight)
    w = None if weight is None else np.asarray(weight, f.dtype)[:, None]
    gradient = loss.gradient(y, f, **options, mask=None if w is None else w[:, 0] > 0)
    hessian = _curvature_of_softmax(gradient)
    if w is not None:
        gradient *= w
        hessian *= w
    return gradient, hessian


def _curvature_of_softmax(gradient: Array) -> Array:
    """Return p(1 − p) of p − e_y, whose size is p, or 1 − p of the class that it is."""
    size = np.abs(gradient)
    made: Array = 1 - size
    made *= size
    return made


@lru_cache(maxsize=64)
def _is_softmax(loss: Any) -> bool:
    """Whether both derivatives of a loss are those of the softmax, at random scores."""
    rng = np.random.default_rng(0)
    f, y = rng.normal(scale=2, size=(64, 4)), rng.integers(0, 4, 64)
    try:
        gradient, hessian = loss.gradient_and_hessian(y, f, raw=True, reduction="none")
    except (Unsupported, ValueError):  # as of parameters for another number of classes
        return False
    found = _curvature_of_softmax(gradient)
    return loss.link.name == "softmax" and np.allclose(found, hessian, rtol=1e-9, atol=1e-14)

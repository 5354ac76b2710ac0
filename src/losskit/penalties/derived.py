"""What follows from a penalty's value and proximal step: shape, conjugate, optimality, strength.

All take arrays of single numbers: the weights, or the lengths of blocks.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache

import numpy as np

from losskit.arrays import Array
from losskit.penalties.formulas import Definition, function

Numbers = tuple[float, ...]


def nearest(
    definition: Definition, numbers: Numbers, w: Array, slope: Array, alpha: float
) -> Array:
    """Return, of the slopes that the penalty has at w, the one nearest to `slope`.

    Where w is not allowed there is none, and infinity stands for it.
    """
    low, high, value = _slopes(definition, numbers, w, alpha)
    with np.errstate(invalid="ignore"):
        ends = np.where(np.abs(slope - low) <= np.abs(slope - high), low, high)
        inside = np.minimum(np.maximum(slope, low), high)
    # At a corner that points up the two sides' slopes are limits, and nothing between them is.
    return np.where(value < math.inf, np.where(low <= high, inside, ends), math.inf)


def distance(definition: Definition, numbers: Numbers, w: Array, g: Array, alpha: float) -> Array:
    """Return the distance of −g from the slopes at w."""
    return np.abs(nearest(definition, numbers, w, -g, alpha) + g)


def alpha_max(definition: Definition, numbers: Numbers, g: Array) -> float:
    """Return the least alpha for which −g is among the slopes at 0."""

    def stays(alpha: float) -> bool:
        return not distance(definition, numbers, np.zeros_like(g), g, alpha).any()

    if stays(0.0):
        return 0.0
    low, high = 0, _LARGEST  # the bits of floats ≥ 0 are in the floats' order
    near = _bits(_proportional(definition, numbers, g))
    if not stays(_float(max(near - _NEAR, 0))) and stays(_float(min(near + _NEAR, high))):
        low, high = max(near - _NEAR, 0), min(near + _NEAR, high)
    elif not stays(_float(high)):
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if stays(_float(middle)) else (middle, high)
    return _float(high)


def _proportional(definition: Definition, numbers: Numbers, g: Array) -> float:
    """Return the least alpha if slopes at 0 are in proportion to it, as they mostly are."""
    low, high, _ = _slopes(definition, numbers, np.zeros(1), 1.0)
    with np.errstate(all="ignore"):
        needed = np.fmax(np.max(-g, initial=0.0) / high[0], np.max(g, initial=0.0) / -low[0])
    return float(needed) if np.isfinite(needed) else 0.0


def conjugate(definition: Definition, numbers: Numbers, z: Array, alpha: float) -> float:
    """Return the sum over z of the largest z·w − value(w).

    The proximal step from t·z with step t makes w²/(2t) − z·w + value(w) least, whose first term
    vanishes as t grows; a supremum that is still growing then is infinite.
    """
    value, prox = function(definition, "value"), function(definition, "prox")

    def reached(log_t: int) -> Array:
        t = np.ldexp(1.0, log_t - np.maximum(np.frexp(z)[1], 0))
        (w,) = prox(t * z, t, alpha, *numbers)
        (cost,) = value(w, alpha, *numbers)
        (at_zero,) = value(np.zeros_like(z), alpha, *numbers)
        # At w = 0 the sum is value(0), and at the step it is no larger: a bound without
        # cancellation where z·w and value(w) are nearly equal.
        return np.asarray(np.fmax(z * w - cost, (w / t) * w / 2 - at_zero))

    with np.errstate(all="ignore"):
        near, far = reached(400), reached(800)
    return float(np.where(far > 2 * np.abs(near), math.inf, far).sum())


@lru_cache(maxsize=256)
def is_convex(definition: Definition, numbers: Numbers) -> bool:
    """Say whether slopes never fall, on a grid and at several strengths."""
    for alpha in _STRENGTHS:
        low, high, value = _slopes(definition, numbers, _GRID, alpha)
        allowed = np.flatnonzero(value < math.inf)
        if allowed.size and np.ptp(allowed) >= allowed.size:
            return False
        low, high = low[allowed], high[allowed]
        rounding = 1e-10 * np.minimum(np.abs(high[:-1]), np.abs(low[1:]))
        if (low > high).any() or (high[:-1] > low[1:] + rounding).any():
            return False
    return True


@lru_cache(maxsize=256)
def is_even(definition: Definition, numbers: Numbers) -> bool:
    """Say whether w and −w cost the same."""
    value = function(definition, "value")
    with np.errstate(all="ignore"):
        return all(
            np.array_equal(value(_GRID, a, *numbers)[0], value(-_GRID, a, *numbers)[0])
            for a in _STRENGTHS
        )


def _slopes(
    definition: Definition, numbers: Numbers, w: Array, alpha: float
) -> tuple[Array, Array, Array]:
    """Return the slopes to the left and right of w, and the values; infinite at an edge."""
    with np.errstate(all="ignore"):
        beside = np.nextafter(w, -np.inf), np.nextafter(w, np.inf)
        made = function(definition, "slopes")(w, *beside, alpha, *numbers)
    low, high, value, left, right = (np.broadcast_to(m, w.shape) for m in made)
    return (
        np.where(left < math.inf, low, -math.inf),
        np.where(right < math.inf, high, math.inf),
        value,
    )


def _bits(number: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def _float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


_LARGEST = _bits(np.finfo(np.float64).max)
_NEAR = 4  # floats, by which rounding may miss
_SIDE = np.concatenate(
    [np.logspace(-12, 4, 1601), np.linspace(1e-3, 40, 4001), 10.0 ** np.arange(5, 101, 5)]
)
_GRID = np.unique(np.concatenate([-_SIDE, [0.0], _SIDE]))
_STRENGTHS = (0.01, 1.0, 100.0)

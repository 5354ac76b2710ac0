"""The steps of a generated kernel that are the same for every loss, compiled once per process.

A kernel works on spans of `SPAN` elements, a span in blocks of `BLOCK`; see `kernel_source`.  Sums
are kept in `LANES` independent lanes, each a float64 pair (sum, error), so that the loop is vectors
and the order of additions depends neither on the machine nor on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from losskit.backends.simd_intrinsics import add_vectors, as_width_of, own_width, select

BLOCK = 512  # of y, f, the gradient and the values, in float64: a third of a 48 KiB cache
SPAN = 64 * BLOCK
LANES = 32  # of `add_vectors`

# Flags of a kernel's answer.
BAD = 1
INFINITE = 2

_compiled = njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)


@_compiled
def clear(lanes):
    """Start the lanes at zero."""
    for j in range(2 * LANES):
        lanes[j] = 0.0


@_compiled
def add_values(values, lanes):
    """Add values to the lanes, without loss where they are float64."""
    whole = values.shape[0] - values.shape[0] % LANES
    add_vectors(values, whole, lanes)
    for j in range(values.shape[0] - whole):
        x = np.float64(values[whole + j])
        total = lanes[j] + x
        part = total - lanes[j]
        lanes[LANES + j] += (lanes[j] - (total - part)) + (x - part)
        lanes[j] = total


@_compiled
def fold(highs, lows):
    """Add pairs in their order and give the sum as a pair (high, low)."""
    high = 0.0
    low = 0.0
    for j in range(highs.shape[0]):
        x = highs[j]
        total = high + x
        part = total - high
        low += ((high - (total - part)) + (x - part)) + lows[j]
        high = total
    total = high + low
    if not np.isfinite(total):
        return high, 0.0  # the error terms of an infinite sum are NaN
    return total, low - (total - high)


@_compiled
def weigh_values(values, weights):
    """Multiply in place; a weight of 0 gives 0 whatever the value, NaN included."""
    for i in range(values.shape[0]):
        product = weights[i] * values[i]
        live = weights[i] != as_width_of(0.0, weights)
        values[i] = select(live, product, as_width_of(0.0, product))


@_compiled
def weigh_derivatives(derivatives, weights, scale):
    """Multiply the (n, k) derivatives, passed flat, in place by weight and scale."""
    n = weights.shape[0]
    factor = as_width_of(scale, weights)
    if derivatives.shape[0] == n:
        for i in range(n):
            product = (weights[i] * factor) * derivatives[i]
            live = weights[i] != as_width_of(0.0, weights)
            derivatives[i] = select(live, product, as_width_of(0.0, product))
    elif n:
        k = derivatives.shape[0] // n
        for i in range(n):
            weight = weights[i] * factor
            live = weights[i] != as_width_of(0.0, weights)
            for j in range(i * k, (i + 1) * k):
                product = weight * derivatives[j]
                derivatives[j] = select(live, product, as_width_of(0.0, product))


@_compiled
def negative_or_nan(weights):
    """Tell whether any weight is negative or NaN."""
    found = False
    for i in range(weights.shape[0]):
        found = found | (not (weights[i] >= as_width_of(0.0, weights)))
    return found


@_compiled
def classify(y, f, weights, weighted, limits):
    """Give the flags of a block that a kernel's quick test found suspicious.

    `limits` starts with lo, hi, discrete, hole, flo_0, fhi_0, flo_1, … in float64.  Elements of
    weight 0 are not looked at.
    """
    lo = limits[0]
    hi = limits[1]
    discrete = limits[2] != 0.0
    hole = limits[3]
    k = f.shape[0] // y.shape[0]
    bad = False
    infinite = False
    for i in range(y.shape[0]):
        if weighted and weights[i] == 0:
            continue
        c = np.float64(own_width(y[i]))
        bad |= not ((c >= lo) & (c <= hi))
        bad |= discrete & (c != lo) & (c != hi)
        bad |= c == hole
        for j in range(k):
            x = np.float64(f[i * k + j])
            bad |= not ((x >= limits[4 + 2 * j]) & (x <= limits[5 + 2 * j]))
            infinite |= abs(x) == np.inf
    return BAD * bad + INFINITE * infinite

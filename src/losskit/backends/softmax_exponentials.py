"""Exponentials of z - max z with no more error than the exponential's own, for the softmax kernels.

z - m is rounded to its own last place, which at 40 costs e**(z - m) 16 ulp.  So k, the multiple of
ln 2 to take off, comes from the rounded difference, and the remainder from z itself, reduced by the
multiple that belongs to z, less the remainder of m: both are small and all but exact.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from losskit.backends import simd_float32, simd_float64
from losskit.backends.simd_intrinsics import bits, fma, interleave_loops, select, view
from losskit.backends.softmax_vectors import PIECE, compiled, inlined, prefetch

_AHEAD = 128  # classes worked on between two requests for the next row


def _of_width(own: Any, large: float) -> SimpleNamespace:
    T = own.T
    NEAR = -own.SUBNORMAL
    LARGE = large
    INF = float("inf")

    @inlined
    def split(top):
        """Give the multiple of ln 2 nearest to `top`, and what is left but for its low part."""
        shifted = fma(top, T(own.LOG2_E), T(own.ROUND))
        lead = shifted - T(own.ROUND)
        return lead, fma(-lead, T(own.LN2_HI), top)

    @inlined
    def _exp_near(x, top, lead, low):
        """Give e**(x - top) for top - x below `NEAR`."""
        shifted = fma(x - top, T(own.LOG2_E), T(own.ROUND))
        k = shifted - T(own.ROUND)
        r = fma(-(k + lead), T(own.LN2_HI), x) - low
        return own.exp_reduced(fma(-k, T(own.LN2_LO), r), bits(shifted), False)

    @inlined
    def _exp_far(x, top, lead, low):
        d = x - top
        gone = d < T(own.ZERO)
        shifted = fma(select(gone, T(own.ZERO), d), T(own.LOG2_E), T(own.ROUND))
        k = shifted - T(own.ROUND)
        r = fma(-(k + lead), T(own.LN2_HI), x) - low
        r = select(gone, T(0.0), fma(-k, T(own.LN2_LO), r))
        return own.exp_reduced(r, bits(shifted), d < T(own.SUBNORMAL))

    @compiled
    def near_column(x, top, lead, low):
        for i in range(x.shape[0]):
            x[i] = _exp_near(x[i], top[i], lead[i], low[i])
        interleave_loops(4)

    @compiled
    def far_column(x, top, lead, low):
        for i in range(x.shape[0]):
            x[i] = _exp_far(x[i], top[i], lead[i], low[i])

    @compiled
    def _near_row(x, e, top, lead, low):
        for i in range(x.shape[0]):
            e[i] = _exp_near(x[i], top, lead, low)
        interleave_loops(4)

    @compiled
    def _far_row(x, e, top, lead, low):
        for i in range(x.shape[0]):
            e[i] = _exp_far(x[i], top, lead, low)

    @compiled
    def exponentials(x, e, top, near, f, ahead):
        """Fill e with e**(x - top), in whole vectors: the last may do some elements again.

        Meanwhile f[ahead:] comes into the cache.
        """
        lead, low = split(top)
        k = x.shape[0]
        whole = k - k % PIECE
        for start in range(0, whole, _AHEAD):
            m = min(_AHEAD, whole - start)
            prefetch(f, ahead + start, m)
            if near:
                _near_row(view(x, start, m), view(e, start, m), top, lead, low)
            else:
                _far_row(view(x, start, m), view(e, start, m), top, lead, low)
        if whole < k:
            start = max(0, k - PIECE)
            if near:
                _near_row(view(x, start, k - start), view(e, start, k - start), top, lead, low)
            else:
                _far_row(view(x, start, k - start), view(e, start, k - start), top, lead, low)

    @compiled
    def examine(top, bottom, peak):
        """Tell whether all rows are narrow, all finite, some large; note the maxima as float64."""
        near = True
        finite = True
        small = True
        for i in range(top.shape[0]):
            width = top[i] - bottom[i]
            near &= width < T(NEAR)
            finite &= width < T(INF)
            small &= abs(top[i]) <= T(LARGE)
            peak[i] = top[i]
        return near, finite, not small

    @compiled
    def subtract_large(x, top):
        for i in range(x.shape[0]):
            x[i] -= select(abs(top[i]) > T(LARGE), top[i], T(0.0))

    return SimpleNamespace(
        T=T,
        NEAR=NEAR,
        LARGE=LARGE,
        split=split,
        exponentials=exponentials,
        near_column=near_column,
        far_column=far_column,
        examine=examine,
        subtract_large=subtract_large,
    )


# `NEAR`: a row this wide or less needs no care for underflow.  `LARGE`: of a maximum beyond, the
# difference is exact wherever the exponential is not 0; up to it, the multiples of ln 2 are exact.
float64 = _of_width(simd_float64, 65536.0)
float32 = _of_width(simd_float32, 1024.0)

"""Steps of the softmax kernels that do not ask for the logits' width: loops over rows or classes.

A block's columns lie `height` + `WIDTH` elements apart: those a power of two apart would share
cache sets.
"""

from __future__ import annotations

import numpy as np

from losskit.backends.simd_intrinsics import as_width_of, fma, select, view
from losskit.backends.softmax_vectors import WIDTH, compiled, inlined, put, transpose


@compiled
def load_rows(labels, weights, m, k, weight, marks):
    """Fill in weights and targets of a block, and tell whether they will do.

    Rows from m on weigh nothing.  There are no labels where targets are soft, and no weights where
    all are 1.
    """
    fine = True
    for i in range(weight.shape[0]):
        weight[i] = 1.0 if i < m else 0.0
        marks[i] = 0
    for i in range(weights.shape[0]):
        weight[i] = weights[i]
        fine &= weights[i] >= 0.0
    for i in range(labels.shape[0]):
        label = labels[i]
        fits = (label >= 0) & (label < k)
        fine &= fits | (weight[i] == 0.0)
        marks[i] = select(fits, label, 0)
    return fine


@compiled
def slopes(e, rate, less):
    """Turn a row's exponentials into derivatives, but for the target's."""
    for i in range(e.shape[0]):
        e[i] = fma(e[i], rate, -less)


@compiled
def slopes_column(e, rate, less):
    """Turn a class's exponentials into derivatives, but for the target's."""
    for i in range(e.shape[0]):
        e[i] = fma(e[i], rate[i], -less[i])


@compiled
def soft_slopes(e, q, rate, keep, less, total, drop, limit):
    """Turn a row's exponentials into derivatives; e == limit is its largest."""
    for i in range(e.shape[0]):
        e[i] = _soft_slope(e[i], q[i], rate, keep, less, total, drop, limit)


@compiled
def soft_slopes_column(e, q, rate, keep, less, total, drop, limit):
    """Turn a class's exponentials into derivatives; e == limit is a row's largest."""
    for i in range(e.shape[0]):
        e[i] = _soft_slope(e[i], q[i], rate[i], keep[i], less[i], total[i], drop[i], limit[i])


@inlined
def target_slope(e, tail, lift, share, smoothing, k):
    """Give the derivative at the target: p - 1, the z-loss's part and the smoothing's."""
    less = select((e == 1.0) & (tail < 1.0), -tail * share, e * share - 1.0)
    return less + lift * e * share + smoothing * (1.0 - 1.0 / k)


@inlined
def shortfall(tail, total, lift, share):
    """Give by how much (total + lift) p misses total where p is the largest of its row."""
    return (total + lift) * tail * share - lift


@compiled
def zero(out):
    """Fill with zeros."""
    for i in range(out.shape[0]):
        out[i] = 0.0


@compiled
def divide(x, out, divisor):
    """Fill out with x / divisor."""
    for i in range(x.shape[0]):
        out[i] = x[i] / divisor


@compiled
def subtract(x, out, top):
    """Fill out with x - top."""
    for i in range(x.shape[0]):
        out[i] = x[i] - top


@compiled
def write_gaps(x, out, top):
    """Fill out with top - x."""
    for i in range(x.shape[0]):
        out[i] = top - x[i]


@compiled
def write_soft_gaps(x, q, out, top):
    """Fill out with q (top - x); where q is 0, x may be -inf."""
    for i in range(x.shape[0]):
        gap = q[i] * (top - x[i])
        out[i] = select(q[i] == 0.0, as_width_of(0.0, gap), gap)


@compiled
def add_gaps(x, top, gaps):
    """Add a class's top - x."""
    for i in range(x.shape[0]):
        gaps[i] += np.float64(top[i] - x[i])


@compiled
def add_soft_gaps(x, q, top, cross, totals):
    """Add q (top - x) and q of a class; tell whether no q is negative."""
    fine = True
    for i in range(x.shape[0]):
        gap = np.float64(q[i]) * np.float64(top[i] - x[i])
        cross[i] += select(q[i] == 0.0, 0.0, gap)
        totals[i] += np.float64(q[i])
        fine &= q[i] >= 0.0
    return fine


@compiled
def to_columns(source, m, k, weight, scratch, offset, height):
    """Copy m rows of k into columns; zeros in rows of weight 0 and beyond m."""
    pitch = height + WIDTH
    # A vector of 8 starting in a row of fewer reads into the next rows, so the last are copied
    # one by one.
    whole = m - m % WIDTH if k >= WIDTH else max(0, (m - WIDTH) // WIDTH * WIDTH)
    for i in range(0, whole, WIDTH):
        for start in range(0, k, WIDTH):
            c = max(0, min(start, k - WIDTH))
            transpose(source, i * k + c, k, scratch, offset + c * pitch + i, pitch)
    for i in range(whole, m):
        for c in range(k):
            scratch[offset + c * pitch + i] = source[i * k + c]
    for i in range(height):
        if weight[i] == 0.0:
            for c in range(k):
                scratch[offset + c * pitch + i] = 0.0


@compiled
def to_rows(scratch, target, m, k, height):
    """Copy columns into m rows of k."""
    pitch = height + WIDTH
    whole = m - m % WIDTH if k >= WIDTH else max(0, (m - WIDTH) // WIDTH * WIDTH)
    for i in range(0, whole, WIDTH):
        for start in range(0, k, WIDTH):
            c = max(0, min(start, k - WIDTH))
            transpose(scratch, c * pitch + i, pitch, target, i * k + c, k)
    for i in range(whole, m):
        for c in range(k):
            target[i * k + c] = scratch[c * pitch + i]


@compiled
def put_rows(scratch, gradient, i, place, k, past_caches):
    """Write the rows up to i, of which the scratch holds place + 1, into the gradient."""
    size = (place + 1) * k
    put(view(scratch, k, size), view(gradient, (i + 1) * k - size, size), past_caches)


@inlined
def _soft_slope(e, q, rate, keep, less, total, drop, limit):
    share = fma(q, keep, less)
    return select(e == limit, (total - share) - drop, fma(e, rate, -share))

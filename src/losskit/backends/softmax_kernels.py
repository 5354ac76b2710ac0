"""Softmax cross-entropy, value and gradient in one pass over the logits, for float64.

`softmax` runs the text of this module: as it stands, and with `simd_float32` and other targets put
in, so nothing here is imported by anybody but tools and tests.

A span of rows is what a thread is handed and what is summed on its own.  With few classes a block
of rows is transposed into a scratch of K x rows that stays in the cache, and every step is a loop
over rows; with many, every step is a loop over one row's classes, and the gradient's row holds the
exponentials meanwhile.  Either way a logit comes from memory once.

Method, for one row of z = f / temperature: m = max z; e_k = e**(z_k - m); `tail`, the sum of the
e_k without one maximum; the log-sum-exp is m + log1p(tail), and the loss is
sum q_k (m - z_k) + (sum q_k) log1p(tail) + z_loss lse**2: terms that are not negative, so nothing
cancels.  A target's p - 1 is -tail / (1 + tail) where it is the maximum.  z - m is carried with
its rounding error (`_exp_near`), or e**(z - m) would be wrong by |z - m| / 2 ulp.
"""

from __future__ import annotations

import numpy as np
from numba import njit

import losskit.backends.simd_float64 as own
from losskit.backends.kernel_parts import BAD, INFINITE, LANES, add_values, clear, fold
from losskit.backends.simd_float64 import log1p
from losskit.backends.simd_intrinsics import bits, fma, interleave_loops, select, view
from losskit.backends.softmax_vectors import (
    PIECE,
    WIDTH,
    column_extremes,
    column_sums_and_ones,
    extremes,
    fence,
    prefetch,
    put,
    sum_and_ones,
    transpose,
)

SOFT = False  # targets are rows of shares rather than indices

T = own.T
_NEAR = -own.SUBNORMAL  # a row this wide or less needs no care for underflow
_LARGE = 65536.0 if own.ZERO < -700.0 else 1024.0  # beyond, f - m is exact wherever e**(f-m) > 0
_AHEAD = 512  # classes worked on between two requests for the next row

# Bits of the argument `what`: see `softmax`.
_WRITE_VALUE, _WRITE_GRADIENT, _PAST_CACHES, _WEIGHTED, _FOLD = 1, 2, 4, 8, 32
# A block's numbers by row, in float64: where each kind starts, in heights.
_WEIGHT, _LOSS, _PEAK, _TAIL, _ONES, _CROSS, _TOTAL, _GAPS, _TARGET, _LIFT, _DOUBLES = range(11)
# And in the kernel's own width.
_TOP, _BOTTOM, _LEAD, _LOW, _RATE, _LESS, _DROP, _LIMIT, _SINGLES = range(9)

_compiled = njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)
_inline = njit(error_model="numpy", forceinline=True, no_cfunc_wrapper=True)


@_compiled
def kernel(
    labels, shares, f, weights, value, gradient, numbers, sizes, what, first, last, sums
):
    """Work on spans `first` to `last`; see `softmax.run` for the arguments."""
    n, k, rows, height, few = sizes
    by_classes = few == 0
    weighted = (what & _WEIGHTED) != 0
    past_caches = (what & _PAST_CACHES) != 0
    lanes = np.empty(2 * LANES)
    weight_lanes = np.empty(2 * LANES)
    # A pitch of a little more than the block: columns a power of two apart share cache sets.
    pitch = height + WIDTH
    size = 2 * k if by_classes else (1 + SOFT) * max(k, WIDTH) * pitch + height * k
    scratch = np.empty(size if last > first else 0, f.dtype)
    own_rows = np.empty(_SINGLES * height, f.dtype)
    all_rows = np.empty(_DOUBLES * height)
    marks = np.empty(height, np.int64)
    for span in range(first, last):
        flag = 0
        clear(lanes)
        clear(weight_lanes)
        end = min(n, (span + 1) * rows)
        for start in range(span * rows, end, height):
            m = min(height, end - start)
            y = view(labels, 0 if SOFT else start, 0 if SOFT else m)
            w = view(weights, start if weighted else 0, m if weighted else 0)
            flag |= _load_rows(y, w, m, k, height, all_rows, marks)
            q = view(shares, start * k if SOFT else 0, m * k if SOFT else 0)
            x = view(f, start * k, m * k)
            g = view(gradient, 0, 0)
            if (what & _WRITE_GRADIENT) != 0:
                g = view(gradient, start * k, m * k)
            if by_classes:
                fine = _by_classes(q, x, g, past_caches, numbers, m, k, height, scratch, all_rows, marks)
            else:
                fine = _by_rows(
                    q, x, g, past_caches, numbers, m, k, height, scratch, own_rows, all_rows, marks
                )
            if not fine:
                flag |= _classify(q, x, m, k, numbers[4], all_rows)
            losses = view(all_rows, _LOSS * height, m)
            if (what & _WRITE_VALUE) != 0:
                v = view(value, start, m)
                for i in range(m):
                    v[i] = T(losses[i])
            add_values(losses, lanes)
            if weighted:
                add_values(view(all_rows, _WEIGHT * height, m), weight_lanes)
        sums[0, span], sums[1, span] = fold(lanes[:LANES], lanes[LANES:])
        sums[2, span], sums[3, span] = fold(weight_lanes[:LANES], weight_lanes[LANES:])
        sums[4, span] = flag
    if past_caches:
        fence()
    if (what & _FOLD) == 0:
        return 0.0, 0.0, 0.0, 0.0, 0
    flag = 0
    for span in range(sums.shape[1]):
        flag |= int(sums[4, span])
    high, low = fold(sums[0], sums[1])
    weight_high, weight_low = fold(sums[2], sums[3])
    if not weighted:
        weight_high = float(n)
    return high, low, weight_high, weight_low, flag


@_compiled
def _load_rows(labels, weights, m, k, height, all_rows, marks):
    """Fill in weights and targets of a block and flag them; rows from m on weigh nothing."""
    weight = view(all_rows, _WEIGHT * height, height)
    bad = False
    for i in range(height):
        weight[i] = 1.0 if i < m else 0.0
    for i in range(weights.shape[0]):
        weight[i] = weights[i]
        bad |= not (weights[i] >= 0.0)
    for i in range(height):
        marks[i] = 0
    for i in range(labels.shape[0]):
        label = np.int64(labels[i])
        fits = (label >= 0) & (label < k)
        bad |= (not fits) & (weight[i] != 0.0)
        marks[i] = label if fits else 0
    return BAD * bad


@_compiled
def _classify(shares, f, m, k, tolerance, all_rows):
    """Give the flags of a block that looked suspicious; rows of weight 0 are not looked at."""
    bad = False
    infinite = False
    for i in range(m):
        if all_rows[_WEIGHT * (all_rows.shape[0] // _DOUBLES) + i] == 0.0:
            continue
        total = 0.0
        for j in range(i * k, (i + 1) * k):
            bad |= f[j] != f[j]
            infinite |= abs(f[j]) == np.inf
            if SOFT:
                bad |= not (shares[j] >= 0.0)
                total += shares[j]
        if SOFT:
            bad |= not (abs(total - 1.0) <= tolerance)
    return BAD * bad + INFINITE * infinite


@_compiled
def _by_classes(shares, f, gradient, past_caches, numbers, m, k, height, scratch, all_rows, marks):
    """Compute a block row by row, each step a loop over classes; tell whether all looked well."""
    scale, smoothing, z_loss, temperature, tolerance = numbers
    weight = view(all_rows, _WEIGHT * height, m)
    peak = view(all_rows, _PEAK * height, m)
    tails = view(all_rows, _TAIL * height, m)
    cross = view(all_rows, _CROSS * height, m)
    totals = view(all_rows, _TOTAL * height, m)
    copy = view(scratch, 0, k)
    e = view(scratch, k, k)
    fine = True
    for i in range(m):
        peak[i] = 0.0
        tails[i] = 0.0
        cross[i] = 0.0
        totals[i] = 0.0
        if weight[i] == 0.0:
            if gradient.shape[0]:
                _clear(view(gradient, i * k, k))
            continue
        x = view(f, i * k, k)
        if temperature != 1.0:
            _divide(x, copy, T(temperature))
            x = copy
        top, bottom = extremes(x)
        if not (np.float64(top) - bottom < np.inf):
            fine = False
        peak[i] = top
        if abs(top) > T(_LARGE):
            _subtract(x, copy, top)
            x = copy
            top = T(0.0)
            bottom -= T(peak[i])
        total = 1.0
        if SOFT:
            q = view(shares, i * k, k)
            total, ones = sum_and_ones(q)
            total += ones
            _, least = extremes(q)
            fine &= (least >= 0.0) & (abs(total - 1.0) <= tolerance)
            _soft_gaps(x, q, e, top)
            rest, ones = sum_and_ones(e)
            cross[i] = (1.0 - smoothing) * (rest + ones)
        else:
            cross[i] = (1.0 - smoothing) * (np.float64(top) - x[marks[i]])
        if smoothing != 0.0:
            _gaps(x, e, top)
            rest, ones = sum_and_ones(e)
            cross[i] += smoothing / k * (rest + ones)
        total = (1.0 - smoothing) * total + smoothing
        totals[i] = total

        _exponentials(x, e, top, top - bottom < T(_NEAR), f, (i + 1) * k)
        rest, ones = sum_and_ones(e)
        tail = rest + (ones - 1.0)
        tails[i] = tail
        fine &= tail == tail
        if gradient.shape[0]:
            lift = 0.0
            if z_loss != 0.0:
                lift = 2.0 * z_loss * (peak[i] + log1p(tail))
            factor = weight[i] * scale / temperature
            share = 1.0 / (1.0 + tail)
            rate = T((total + lift) * share * factor)
            less = T(smoothing / k * factor)
            if SOFT:
                drop = T(_drop(tail, total, lift, share) * factor)
                keep = T((1.0 - smoothing) * factor)
                limit = T(1.0 if tail < 1.0 else 2.0)
                _soft_slopes(e, q, rate, keep, less, T(total * factor), drop, limit)
            else:
                slope = _target_slope(np.float64(e[marks[i]]), tail, lift, share, smoothing, k)
                _slopes(e, rate, less)
                e[marks[i]] = T(slope * factor)
            put(e, view(gradient, i * k, k), past_caches)
    _finish(z_loss, m, height, all_rows)
    return fine


@_compiled
def _by_rows(shares, f, gradient, past_caches, numbers, m, k, height, scratch, own_rows, all_rows, marks):
    """Compute a block class by class, each step a loop over rows; tell whether all looked well."""
    scale, smoothing, z_loss, temperature, tolerance = numbers
    pitch = height + WIDTH
    weight = view(all_rows, _WEIGHT * height, height)
    peak = view(all_rows, _PEAK * height, height)
    cross = view(all_rows, _CROSS * height, height)
    totals = view(all_rows, _TOTAL * height, height)
    tails = view(all_rows, _TAIL * height, height)
    ones = view(all_rows, _ONES * height, height)
    gaps = view(all_rows, _GAPS * height, height)
    targets = view(all_rows, _TARGET * height, height)
    top = view(own_rows, _TOP * height, height)
    bottom = view(own_rows, _BOTTOM * height, height)
    lead = view(own_rows, _LEAD * height, height)
    low = view(own_rows, _LOW * height, height)
    second = max(k, WIDTH) * pitch

    _to_columns(f, m, k, weight, scratch, 0, height)
    if temperature != 1.0:
        _divide(scratch, scratch, T(temperature))
    column_extremes(scratch, k, pitch, top, bottom)
    near, finite, large = _examine(top, bottom, peak)
    fine = finite
    if large:
        for c in range(k):
            _subtract_large(view(scratch, c * pitch, height), top)
        for i in range(height):
            top[i] = select(abs(top[i]) > T(_LARGE), T(0.0), top[i])

    for i in range(height):
        cross[i] = 0.0
        totals[i] = 1.0
        gaps[i] = 0.0
    if SOFT:
        _to_columns(shares, m, k, weight, scratch, second, height)
        for i in range(height):
            totals[i] = 0.0
        for c in range(k):
            q = view(scratch, second + c * pitch, height)
            fine &= _add_soft_gaps(view(scratch, c * pitch, height), q, top, cross, totals)
        for i in range(m):
            fine &= (weight[i] == 0.0) | (abs(totals[i] - 1.0) <= tolerance)
    else:
        for i in range(m):
            cross[i] = np.float64(top[i]) - scratch[marks[i] * pitch + i]
    if smoothing != 0.0:
        for c in range(k):
            x = view(scratch, c * pitch, height)
            _add_gaps(x, top, gaps)
        for i in range(height):
            cross[i] = (1.0 - smoothing) * cross[i] + smoothing / k * gaps[i]
            totals[i] = (1.0 - smoothing) * totals[i] + smoothing

    for i in range(height):
        lead[i], low[i] = _split(top[i])
    for c in range(k):
        e = view(scratch, c * pitch, height)
        prefetch(f, m * k + c * m, m)
        if near:
            _near_column(e, top, lead, low)
        else:
            _far_column(e, top, lead, low)
    column_sums_and_ones(scratch, k, pitch, tails, ones)
    for i in range(height):
        tails[i] += ones[i] - 1.0
    _finish(z_loss, height, height, all_rows)
    for i in range(m):
        fine &= tails[i] == tails[i]
    if gradient.shape[0] == 0:
        return fine

    lift = view(all_rows, _LIFT * height, height)
    rate = view(own_rows, _RATE * height, height)
    less = view(own_rows, _LESS * height, height)
    if not SOFT:
        for i in range(m):
            targets[i] = scratch[marks[i] * pitch + i]
    for i in range(height):
        factor = weight[i] * scale / temperature
        share = 1.0 / (1.0 + tails[i])
        rate[i] = T((totals[i] + lift[i]) * share * factor)
        less[i] = T(smoothing / k * factor)
        if SOFT:
            own_rows[_TOP * height + i] = T((1.0 - smoothing) * factor)
            own_rows[_LEAD * height + i] = T(totals[i] * factor)
            own_rows[_DROP * height + i] = T(_drop(tails[i], totals[i], lift[i], share) * factor)
            own_rows[_LIMIT * height + i] = select(tails[i] < 1.0, T(1.0), T(2.0))
        else:
            slope = _target_slope(targets[i], tails[i], lift[i], share, smoothing, k)
            targets[i] = slope * factor
    for c in range(k):
        e = view(scratch, c * pitch, height)
        if SOFT:
            q = view(scratch, second + c * pitch, height)
            drop = view(own_rows, _DROP * height, height)
            limit = view(own_rows, _LIMIT * height, height)
            _soft_slopes_column(e, q, rate, top, less, lead, drop, limit)
        else:
            _slopes_column(e, rate, less)
    if not SOFT:
        for i in range(m):
            scratch[marks[i] * pitch + i] = T(targets[i])
    if past_caches:
        flat = view(scratch, (1 + SOFT) * max(k, WIDTH) * pitch, m * k)
        _to_rows(scratch, flat, m, k, height)
        put(flat, gradient, past_caches)
    else:
        _to_rows(scratch, gradient, m, k, height)
    return fine


@_compiled
def _finish(z_loss, m, height, all_rows):
    """Put losses, and how much z-loss lifts the weight of the probabilities, together."""
    weight = view(all_rows, _WEIGHT * height, m)
    peak = view(all_rows, _PEAK * height, m)
    tails = view(all_rows, _TAIL * height, m)
    cross = view(all_rows, _CROSS * height, m)
    totals = view(all_rows, _TOTAL * height, m)
    losses = view(all_rows, _LOSS * height, m)
    lift = view(all_rows, _LIFT * height, m)
    for i in range(m):
        log_tail = log1p(tails[i])
        whole = peak[i] + log_tail
        loss = cross[i] + totals[i] * log_tail + z_loss * whole * whole
        losses[i] = select(weight[i] == 0.0, 0.0, weight[i] * loss)
        lift[i] = 2.0 * z_loss * whole


@_inline
def _target_slope(e, tail, lift, share, smoothing, k):
    """Give the derivative at the target: p - 1, the z-loss's part and the smoothing's."""
    less = select((e == 1.0) & (tail < 1.0), -tail * share, e * share - 1.0)
    return less + lift * e * share + smoothing * (1.0 - 1.0 / k)


@_inline
def _drop(tail, total, lift, share):
    """Give by how much (total + lift) p misses total where p is the largest of its row."""
    return (total + lift) * tail * share - lift


@_inline
def _split(top):
    """Give the multiple of ln 2 nearest to `top`, and what is left but for its low part."""
    shifted = fma(top, T(own.LOG2_E), T(own.ROUND))
    lead = shifted - T(own.ROUND)
    return lead, fma(-lead, T(own.LN2_HI), top)


@_inline
def _exp_near(x, top, lead, low):
    """Give e**(x - top) for top - x below `_NEAR`; subtracting after reduction rounds nothing."""
    shifted = fma(x - top, T(own.LOG2_E), T(own.ROUND))
    k = shifted - T(own.ROUND)
    r = fma(-(k + lead), T(own.LN2_HI), x) - low
    return own.exp_reduced(fma(-k, T(own.LN2_LO), r), bits(shifted), False)


@_inline
def _exp_far(x, top, lead, low):
    d = x - top
    gone = d < T(own.ZERO)
    shifted = fma(select(gone, T(own.ZERO), d), T(own.LOG2_E), T(own.ROUND))
    k = shifted - T(own.ROUND)
    r = fma(-(k + lead), T(own.LN2_HI), x) - low
    r = select(gone, T(0.0), fma(-k, T(own.LN2_LO), r))
    return own.exp_reduced(r, bits(shifted), d < T(own.SUBNORMAL))


@_compiled
def _near_column(x, top, lead, low):
    for i in range(x.shape[0]):
        x[i] = _exp_near(x[i], top[i], lead[i], low[i])
    interleave_loops(4)


@_compiled
def _far_column(x, top, lead, low):
    for i in range(x.shape[0]):
        x[i] = _exp_far(x[i], top[i], lead[i], low[i])


@_compiled
def _near_row(x, e, top, lead, low):
    for i in range(x.shape[0]):
        e[i] = _exp_near(x[i], top, lead, low)
    interleave_loops(4)


@_compiled
def _far_row(x, e, top, lead, low):
    for i in range(x.shape[0]):
        e[i] = _exp_far(x[i], top, lead, low)


@_compiled
def _exponentials(x, e, top, near, f, ahead):
    """Fill e with e**(x - top), in whole vectors: the last may do some elements again.

    Meanwhile f[ahead:] comes into the cache.
    """
    lead, low = _split(top)
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
        _far_row(view(x, start, k - start), view(e, start, k - start), top, lead, low)


@_compiled
def _gaps(x, out, top):
    for i in range(x.shape[0]):
        out[i] = top - x[i]


@_compiled
def _soft_gaps(x, q, out, top):
    for i in range(x.shape[0]):
        out[i] = select(q[i] == T(0.0), T(0.0), q[i] * (top - x[i]))


@_compiled
def _add_gaps(x, top, gaps):
    for i in range(x.shape[0]):
        gaps[i] += np.float64(top[i] - x[i])


@_compiled
def _add_soft_gaps(x, q, top, cross, totals):
    """Add q (top - x) and q of a class; tell whether no q is negative."""
    fine = True
    for i in range(x.shape[0]):
        gap = select(q[i] == T(0.0), T(0.0), top[i] - x[i])
        cross[i] += np.float64(q[i]) * np.float64(gap)
        totals[i] += np.float64(q[i])
        fine &= q[i] >= T(0.0)
    return fine


@_compiled
def _examine(top, bottom, peak):
    """Tell whether all rows are narrow, all finite, some large; note the maxima as float64."""
    near = True
    finite = True
    small = True
    for i in range(top.shape[0]):
        width = top[i] - bottom[i]
        near &= width < T(_NEAR)
        finite &= width < T(np.inf)
        small &= abs(top[i]) <= T(_LARGE)
        peak[i] = top[i]
    return near, finite, not small


@_compiled
def _divide(x, out, divisor):
    for i in range(x.shape[0]):
        out[i] = x[i] / divisor


@_compiled
def _subtract(x, out, top):
    for i in range(x.shape[0]):
        out[i] = x[i] - top


@_compiled
def _subtract_large(x, top):
    for i in range(x.shape[0]):
        x[i] -= select(abs(top[i]) > T(_LARGE), top[i], T(0.0))


@_compiled
def _clear(out):
    for i in range(out.shape[0]):
        out[i] = 0.0


@_compiled
def _slopes(e, rate, less):
    for i in range(e.shape[0]):
        e[i] = fma(e[i], rate, -less)


@_compiled
def _slopes_column(e, rate, less):
    for i in range(e.shape[0]):
        e[i] = fma(e[i], rate[i], -less[i])


@_inline
def _soft_slope(e, q, rate, keep, less, total, drop, limit):
    share = fma(q, keep, less)
    return select(e == limit, (total - share) - drop, fma(e, rate, -share))


@_compiled
def _soft_slopes(e, q, rate, keep, less, total, drop, limit):
    for i in range(e.shape[0]):
        e[i] = _soft_slope(e[i], q[i], rate, keep, less, total, drop, limit)


@_compiled
def _soft_slopes_column(e, q, rate, keep, less, total, drop, limit):
    for i in range(e.shape[0]):
        e[i] = _soft_slope(
            e[i], q[i], rate[i], keep[i], less[i], total[i], drop[i], limit[i]
        )


@_compiled
def _to_columns(source, m, k, weight, scratch, offset, height):
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


@_compiled
def _to_rows(scratch, target, m, k, height):
    pitch = height + WIDTH
    whole = m - m % WIDTH if k >= WIDTH else max(0, (m - WIDTH) // WIDTH * WIDTH)
    for i in range(0, whole, WIDTH):
        for start in range(0, k, WIDTH):
            c = max(0, min(start, k - WIDTH))
            transpose(scratch, c * pitch + i, pitch, target, i * k + c, k)
    for i in range(whole, m):
        for c in range(k):
            target[i * k + c] = scratch[c * pitch + i]

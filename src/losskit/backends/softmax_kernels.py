"""Softmax cross-entropy, value and gradient in one pass over the logits, for float64.

`softmax` runs the text of this module: as it stands, and with the other width and the other kind of
targets put in.

A span of rows is what a thread is handed and what is summed on its own.  With few classes a block
of rows is transposed into a scratch that stays in the cache, and every step is a loop over rows;
with many, every step is a loop over one row's classes.  Either way a logit comes from memory once,
asked for while its predecessors are worked on, and a gradient larger than caches is written past
them (`put`): without the first, memory idles for half the time.

Method, for one row of z = f / temperature: m = max z; e_k = e**(z_k - m) (`softmax_exponentials`);
`tail`, the sum of the e_k but for one maximum's; the log-sum-exp is m + log1p(tail), and the loss
sum q_k (m - z_k) + (sum q_k) log1p(tail) + z_loss lse**2: terms that are not negative, so nothing
cancels.  A target's p - 1 is -tail / (1 + tail) where it is the maximum.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from losskit.backends.kernel_parts import BAD, INFINITE, LANES, add_values, clear, fold
from losskit.backends.simd_float64 import log1p
from losskit.backends.simd_intrinsics import select, view
from losskit.backends.softmax_exponentials import float64 as own
from losskit.backends.softmax_steps import (
    add_gaps,
    add_soft_gaps,
    divide,
    load_rows,
    put_rows,
    shortfall,
    slopes,
    slopes_column,
    soft_slopes,
    soft_slopes_column,
    subtract,
    target_slope,
    to_columns,
    to_rows,
    write_gaps,
    write_soft_gaps,
    zero,
)
from losskit.backends.softmax_vectors import (
    PIECE,
    WIDTH,
    column_extremes,
    column_sums_and_ones,
    compiled,
    extremes,
    fence,
    prefetch,
    put,
    sum_and_ones,
)

SOFT = False  # targets are rows of shares rather than indices

T, NEAR, LARGE = own.T, own.NEAR, own.LARGE
split, examine, subtract_large = own.split, own.examine, own.subtract_large
exponentials, near_column, far_column = own.exponentials, own.near_column, own.far_column
_BUFFER = 2048  # elements of gradient written at a time

# Bits of the argument `what`: see `softmax`.
_WRITE_VALUE, _WRITE_GRADIENT, _PAST_CACHES, _WEIGHTED, _FOLD = 1, 2, 4, 8, 32
_ROWS = 512  # in a block at most; a constant, so that LLVM sees that no two kinds overlap
# A block's numbers by row, in float64: where each kind starts.
_DOUBLES = 10 * _ROWS
_WEIGHT, _LOSS, _PEAK, _TAIL, _ONES, _CROSS, _TOTAL, _GAPS, _TARGET, _LIFT = range(
    0, _DOUBLES, _ROWS
)
# And in the kernel's own width.
_SINGLES = 8 * _ROWS
_TOP, _BOTTOM, _LEAD, _LOW, _RATE, _LESS, _DROP, _LIMIT = range(0, _SINGLES, _ROWS)


@njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)
def kernel(labels, shares, f, weights, value, gradient, numbers, sizes, what, first, last, sums):
    """Work on spans `first` to `last`; see `softmax.run` for the arguments."""
    n, k, rows, height, few = sizes
    by_classes = few == 0
    weighted = (what & _WEIGHTED) != 0
    past_caches = (what & _PAST_CACHES) != 0
    lanes = np.empty(2 * LANES)
    weight_lanes = np.empty(2 * LANES)
    pitch = height + WIDTH
    size = (
        k + max(k, _BUFFER) + PIECE
        if by_classes
        else (1 + SOFT) * max(k, WIDTH) * pitch + height * k
    )
    scratch = np.empty(size if last > first else 0, f.dtype)
    own_rows = np.empty(_SINGLES, f.dtype)
    all_rows = np.empty(_DOUBLES)
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
            weight = view(all_rows, _WEIGHT, height)
            if not load_rows(y, w, m, k, weight, marks):
                flag |= BAD
            q = view(shares, start * k if SOFT else 0, m * k if SOFT else 0)
            x = view(f, start * k, m * k)
            g = view(gradient, 0, 0)
            if (what & _WRITE_GRADIENT) != 0:
                g = view(gradient, start * k, m * k)
            if by_classes:
                fine = _by_classes(
                    q, x, g, past_caches, numbers, m, k, height, scratch, all_rows, marks
                )
            else:
                fine = _by_rows(
                    q, x, g, past_caches, numbers, m, k, height, scratch, own_rows, all_rows, marks
                )
            if not fine:
                flag |= _classify(q, x, m, k, numbers, all_rows)
            losses = view(all_rows, _LOSS, m)
            if (what & _WRITE_VALUE) != 0:
                v = view(value, start, m)
                for i in range(m):
                    v[i] = T(losses[i])
            add_values(losses, lanes)
            if weighted:
                add_values(view(all_rows, _WEIGHT, m), weight_lanes)
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


@compiled
def _classify(shares, f, m, k, numbers, all_rows):
    """Give the flags of a block that looked suspicious; rows of weight 0 are not looked at."""
    temperature = T(numbers[3])
    tolerance = numbers[4]
    bad = False
    infinite = False
    for i in range(m):
        if all_rows[_WEIGHT + i] == 0.0:
            continue
        total = 0.0
        for j in range(i * k, (i + 1) * k):
            bad |= f[j] != f[j]
            infinite |= abs(f[j] / temperature) == np.inf
            if SOFT:
                bad |= not (shares[j] >= 0.0)
                total += shares[j]
        if SOFT:
            bad |= not (abs(total - 1.0) <= tolerance)
    return BAD * bad + INFINITE * infinite


@compiled
def _by_classes(shares, f, gradient, past_caches, numbers, m, k, height, scratch, all_rows, marks):
    """Compute a block row by row, each step a loop over classes; tell whether all looked well."""
    scale, smoothing, z_loss, temperature, tolerance = numbers
    pull = scale / temperature
    even = smoothing / k
    weight = view(all_rows, _WEIGHT, m)
    peak = view(all_rows, _PEAK, m)
    tails = view(all_rows, _TAIL, m)
    cross = view(all_rows, _CROSS, m)
    totals = view(all_rows, _TOTAL, m)
    copy = view(scratch, 0, k)
    padded = -(-k // PIECE) * PIECE
    together = max(1, _BUFFER // k)
    fine = True
    for i in range(m):
        place = i % together
        e = view(scratch, (1 + place) * k, k)
        full = gradient.shape[0] != 0 and (place == together - 1 or i == m - 1)
        peak[i] = 0.0
        tails[i] = 0.0
        cross[i] = 0.0
        totals[i] = 0.0
        if weight[i] == 0.0:
            zero(e)
            if full:
                put_rows(scratch, gradient, i, place, k, past_caches)
            continue
        x = view(f, i * k, k)
        if temperature != 1.0:
            divide(x, copy, T(temperature))
            x = copy
        top, bottom = extremes(x)
        if not (np.float64(top) - bottom < np.inf):
            fine = False
        peak[i] = top
        if abs(top) > T(LARGE):
            subtract(x, copy, top)
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
            write_soft_gaps(x, q, e, top)
            rest, ones = sum_and_ones(e)
            cross[i] = (1.0 - smoothing) * (rest + ones)
        else:
            cross[i] = (1.0 - smoothing) * (np.float64(top) - x[marks[i]])
        if smoothing != 0.0:
            write_gaps(x, e, top)
            rest, ones = sum_and_ones(e)
            cross[i] += even * (rest + ones)
        total = (1.0 - smoothing) * total + smoothing
        totals[i] = total

        exponentials(x, e, top, top - bottom < T(NEAR), f, (i + 1) * k)
        wide = view(e, 0, padded)  # the next row's place: free, or slack
        zero(view(e, k, padded - k))
        rest, ones = sum_and_ones(wide)
        tail = rest + (ones - 1.0)
        tails[i] = tail
        fine &= tail == tail
        if gradient.shape[0]:
            lift = 0.0
            if z_loss != 0.0:
                lift = 2.0 * z_loss * (peak[i] + log1p(tail))
            factor = weight[i] * pull
            share = 1.0 / (1.0 + tail)
            rate = T((total + lift) * share * factor)
            less = T(even * factor)
            if SOFT:
                drop = T(shortfall(tail, total, lift, share) * factor)
                keep = T((1.0 - smoothing) * factor)
                limit = T(1.0 if tail < 1.0 else 2.0)
                soft_slopes(e, q, rate, keep, less, T(total * factor), drop, limit)
            else:
                slope = target_slope(np.float64(e[marks[i]]), tail, lift, share, smoothing, k)
                slopes(wide, rate, less)
                e[marks[i]] = T(slope * factor)
            if full:
                put_rows(scratch, gradient, i, place, k, past_caches)
    _finish(z_loss, m, all_rows)
    return fine


@compiled
def _by_rows(
    shares, f, gradient, past_caches, numbers, m, k, height, scratch, own_rows, all_rows, marks
):
    """Compute a block class by class, each step a loop over rows; tell whether all looked well."""
    scale, smoothing, z_loss, temperature, tolerance = numbers
    pull = scale / temperature
    even = smoothing / k
    pitch = height + WIDTH
    weight = view(all_rows, _WEIGHT, height)
    peak = view(all_rows, _PEAK, height)
    cross = view(all_rows, _CROSS, height)
    totals = view(all_rows, _TOTAL, height)
    tails = view(all_rows, _TAIL, height)
    ones = view(all_rows, _ONES, height)
    gaps = view(all_rows, _GAPS, height)
    targets = view(all_rows, _TARGET, height)
    top = view(own_rows, _TOP, height)
    bottom = view(own_rows, _BOTTOM, height)
    lead = view(own_rows, _LEAD, height)
    low = view(own_rows, _LOW, height)
    second = max(k, WIDTH) * pitch

    to_columns(f, m, k, weight, scratch, 0, height)
    if temperature != 1.0:
        divide(scratch, scratch, T(temperature))
    column_extremes(scratch, k, pitch, top, bottom)
    near, finite, large = examine(top, bottom, peak)
    fine = finite
    if large:
        for c in range(k):
            subtract_large(view(scratch, c * pitch, height), top)
        for i in range(height):
            top[i] = select(abs(top[i]) > T(LARGE), T(0.0), top[i])

    for i in range(height):
        cross[i] = 0.0
        totals[i] = 1.0
        gaps[i] = 0.0
    if SOFT:
        to_columns(shares, m, k, weight, scratch, second, height)
        for i in range(height):
            totals[i] = 0.0
        for c in range(k):
            q = view(scratch, second + c * pitch, height)
            fine &= add_soft_gaps(view(scratch, c * pitch, height), q, top, cross, totals)
        for i in range(m):
            fine &= (weight[i] == 0.0) | (abs(totals[i] - 1.0) <= tolerance)
    else:
        for i in range(m):
            cross[i] = np.float64(top[i]) - scratch[marks[i] * pitch + i]
    if smoothing != 0.0:
        for c in range(k):
            x = view(scratch, c * pitch, height)
            add_gaps(x, top, gaps)
        for i in range(height):
            cross[i] = (1.0 - smoothing) * cross[i] + even * gaps[i]
            totals[i] = (1.0 - smoothing) * totals[i] + smoothing

    for i in range(height):
        lead[i], low[i] = split(top[i])
    for c in range(k):
        e = view(scratch, c * pitch, height)
        prefetch(f, m * k + c * m, m)
        if near:
            near_column(e, top, lead, low)
        else:
            far_column(e, top, lead, low)
    column_sums_and_ones(scratch, k, pitch, tails, ones)
    for i in range(height):
        tails[i] += ones[i] - 1.0
    _finish(z_loss, height, all_rows)
    for i in range(m):
        fine &= tails[i] == tails[i]
    if gradient.shape[0] == 0:
        return fine

    lift = view(all_rows, _LIFT, height)
    rate = view(own_rows, _RATE, height)
    less = view(own_rows, _LESS, height)
    if not SOFT:
        for i in range(m):
            targets[i] = scratch[marks[i] * pitch + i]
    # Soft targets: `top` and `lead`, done with, hold what multiplies q and the sum of a row's q.
    for i in range(height):
        factor = weight[i] * pull
        share = 1.0 / (1.0 + tails[i])
        rate[i] = T((totals[i] + lift[i]) * share * factor)
        less[i] = T(even * factor)
        if SOFT:
            own_rows[_TOP + i] = T((1.0 - smoothing) * factor)
            own_rows[_LEAD + i] = T(totals[i] * factor)
            own_rows[_DROP + i] = T(shortfall(tails[i], totals[i], lift[i], share) * factor)
            own_rows[_LIMIT + i] = select(tails[i] < 1.0, T(1.0), T(2.0))
        else:
            slope = target_slope(targets[i], tails[i], lift[i], share, smoothing, k)
            targets[i] = slope * factor
    for c in range(k):
        e = view(scratch, c * pitch, height)
        if SOFT:
            q = view(scratch, second + c * pitch, height)
            drop = view(own_rows, _DROP, height)
            limit = view(own_rows, _LIMIT, height)
            soft_slopes_column(e, q, rate, top, less, lead, drop, limit)
        else:
            slopes_column(e, rate, less)
    if not SOFT:
        for i in range(m):
            scratch[marks[i] * pitch + i] = T(targets[i])
    if past_caches:
        flat = view(scratch, (1 + SOFT) * max(k, WIDTH) * pitch, m * k)
        to_rows(scratch, flat, m, k, height)
        put(flat, gradient, past_caches)
    else:
        to_rows(scratch, gradient, m, k, height)
    return fine


@compiled
def _finish(z_loss, m, all_rows):
    """Put losses, and how much z-loss lifts the weight of the probabilities, together."""
    weight = view(all_rows, _WEIGHT, m)
    peak = view(all_rows, _PEAK, m)
    tails = view(all_rows, _TAIL, m)
    cross = view(all_rows, _CROSS, m)
    totals = view(all_rows, _TOTAL, m)
    losses = view(all_rows, _LOSS, m)
    lift = view(all_rows, _LIFT, m)
    for i in range(m):
        log_tail = log1p(tails[i])
        whole = peak[i] + log_tail
        loss = cross[i] + totals[i] * log_tail + z_loss * whole * whole
        losses[i] = select(weight[i] == 0.0, 0.0, weight[i] * loss)
        lift[i] = 2.0 * z_loss * whole

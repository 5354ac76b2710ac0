"""Running sums within each of many segments of an array: of lists of unequal length."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array


def running(ufunc: Any, x: Array, starts: Array, lengths: Array, *, reverse: bool = False) -> Array:
    """Return the accumulation of `ufunc` over each segment of `x`, its own element included.

    Segments of similar length become the rows of one matrix, at most twice as large as they are.
    Thus a segment's sums hold nothing of other segments, which they would lose digits to.
    """
    made = np.empty(x.shape, x.dtype)
    widths = 1 << np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    for width in np.unique(widths[lengths > 0]):
        chosen = np.flatnonzero((widths == width) & (lengths > 0))
        step = np.arange(width)
        inside = step < lengths[chosen, None]
        if reverse:
            place = (starts + lengths - 1)[chosen, None] - step
        else:
            place = starts[chosen, None] + step
        # What is beyond a segment's end comes last, so it changes nothing that is kept.
        place = np.where(inside, place, starts[chosen, None])
        made[place[inside]] = ufunc.accumulate(x[place], axis=1)[inside]
    return made


def starts_of(*keys: Array) -> Array:
    """Return where a new segment begins: where any of `keys`, of equal length, changes."""
    changes = np.zeros(len(keys[0]), bool)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def lengths_of(starts: Array, size: int) -> Array:
    """Return the lengths of adjoining segments of `size` elements."""
    return np.diff(np.append(starts, size))

"""Arrow arrays as NumPy's, without a copy where nothing is missing."""

from __future__ import annotations

from typing import Any

import numpy as np


def valid(child: Any) -> np.ndarray | None:
    """Return the validity of an array as booleans, None where everything is valid."""
    bitmap = np.frombuffer(child.buffers[0], np.uint8)
    if not len(bitmap):
        return None
    bits = np.unpackbits(bitmap, bitorder="little")
    found = bits[child.offset : child.offset + len(child)].view(bool)
    return None if found.all() else found


def floats(child: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an array of DOUBLE with NaN where it is null, and the mask of those, if any."""
    values = np.frombuffer(child.buffers[1], np.float64)[child.offset : child.offset + len(child)]
    known = valid(child)
    if known is None:
        return values, None
    return np.where(known, values, np.nan), ~known


def codes(child: Any, table: np.ndarray | None, blank: int) -> np.ndarray:
    """Return an array of INTEGER, each looked up in `table` if there is one, `blank` for null."""
    raw = np.frombuffer(child.buffers[1], np.int32)[child.offset : child.offset + len(child)]
    known = valid(child)
    if known is None:
        return raw if table is None else table[raw]
    found = np.full(len(raw), blank, dtype=np.intp)
    found[known] = raw[known] if table is None else table[raw[known]]
    return found


def vectors(child: Any, size: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return an array of DOUBLE[] as (rows, size), the mask of rows that are null or hold a null,
    and the lengths of all rows if some row has another length; such a row is all NaN.
    """
    n = len(child)
    offsets = np.frombuffer(child.buffers[1], np.int32)[child.offset : child.offset + n + 1]
    whole = child.child(0)
    values, absent = floats(whole)
    known = valid(child)
    lengths = np.diff(offsets)
    fits = lengths == size
    if fits.all():
        made = values[offsets[0] : offsets[-1]].reshape(n, size)
    else:
        made = np.full((n, size), np.nan)
        made[fits] = values[offsets[:-1][fits, None] + np.arange(size)]
    missing = np.zeros(n, bool) if known is None else ~known
    if absent is not None:
        ends = np.append(absent[: offsets[-1]], False)  # an empty row may begin at the very end
        missing |= np.logical_or.reduceat(ends, offsets[:-1]) & (lengths > 0)
    if known is not None:
        lengths = np.where(known, lengths, size)
    return made, missing if missing.any() else None, None if (lengths == size).all() else lengths

"""Softmax on a block of logits in place: what the fused linear cross-entropy does between products.

A block is (tokens, classes) of raw logits, all classes or a slice of them.  `scan` turns logits
into scores (bias, softcap, temperature) and merges what they say about each token into `stats`;
`slope` turns scores into derivatives by the raw logits.  Each exists compiled and, for small blocks
or without Numba, in NumPy.  `others` leaves the token's own class out, so that the derivative there
is −Σ of the other probabilities and never p − 1, which cancels for a confident prediction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.backends import kernel_cache
from losskit.backends.kernel_source import parts_digest
from losskit.backends.threads import over_ranges

Array = np.ndarray[Any, np.dtype[Any]]

# Columns of `stats`, float64, a row for each token: the largest score; Σ exp(score − largest) of
# the other classes; the own class's score; Σ of finite scores and their number; 1 where a logit is
# not finite.
LARGEST, OTHERS, OWN, TOTAL, COUNT, BAD = range(6)

# Columns of `slopes`, float64, a row for each token: with p = exp(score − LARGEST), the derivative
# by a score is FACTOR·p − SHIFT, and AT by the own class's.
FACTOR, SHIFT, AT = range(3)

#: Below so many logits in a call the NumPy form takes about a millisecond, for which nobody should
#: wait for a compiler.
CROSSOVER = 1 << 16


@dataclass(frozen=True)
class Scale:
    """From logits to scores: softcap·tanh(logit/softcap) (0: no cap), divided by `temperature`."""

    softcap: float = 0.0
    temperature: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether scores are the logits themselves."""
        return self.softcap == 0.0 and self.temperature == 1.0


@dataclass(frozen=True)
class Steps:
    """The two steps of one tier; z is a C-contiguous block of logits, changed in place.

    ``scan(z, bias, labels, stats, scale, smooth)`` needs an empty or a (classes,) bias, labels that
    count from the block's first class (others mean: not in this block), and fills TOTAL and COUNT
    only for `smooth`.  ``slope(z, bias, labels, stats, slopes, scale, raw)`` takes scores, or for
    `raw` logits once more.
    """

    scan: Callable[..., None]
    slope: Callable[..., None]


def steps(dtype: np.dtype[Any], logits: int) -> Steps:
    """Return the compiled steps for float32 or float64, or NumPy's for few logits in all."""
    from losskit.backends.numba import available

    if logits < CROSSOVER or not available():
        return NUMPY
    return _compiled_steps(dtype.name)


def new_stats(tokens: int) -> Array:
    """Return `stats` before the first block."""
    stats = np.zeros((tokens, 6))
    stats[:, (LARGEST, OWN)] = -np.inf
    return stats


@np.errstate(invalid="ignore")  # ∞ − ∞ after an overflow
def _scan(z: Array, bias: Array, labels: Array, stats: Array, scale: Scale, smooth: bool) -> None:
    for i in range(len(z)):  # token by token, as whole-block temporaries would double the memory
        row, label, row_stats = z[i], labels[i], stats[i]
        if not np.isfinite(row).all():
            row_stats[BAD] = 1.0
            continue
        _to_scores(row, bias, scale)
        if smooth:
            allowed = row > -np.inf
            row_stats[TOTAL] += np.sum(row, where=allowed, dtype=np.float64)
            row_stats[COUNT] += np.count_nonzero(allowed)
        largest = float(row.max())
        if 0 <= label < len(row):
            row_stats[OWN] = row[label]
            row[label] = -np.inf
        if largest > -np.inf:
            _merge(row_stats, largest, float(np.exp(row - largest).sum(dtype=np.float64)))


def _merge(row_stats: Array, largest: float, others: float) -> None:
    before = row_stats[LARGEST]
    if largest > before:
        row_stats[OTHERS] = row_stats[OTHERS] * np.exp(before - largest) + others
        row_stats[LARGEST] = largest
    else:
        row_stats[OTHERS] += others * np.exp(largest - before)


def _slope(
    z: Array, bias: Array, labels: Array, stats: Array, slopes: Array, scale: Scale, raw: bool
) -> None:
    for i in range(len(z)):
        row, label = z[i], labels[i]
        if raw:
            _to_scores(row, bias, scale)
        p = np.exp(row - row.dtype.type(stats[i, LARGEST]))
        p *= float(slopes[i, FACTOR])
        p -= np.where(row > -np.inf, row.dtype.type(slopes[i, SHIFT]), 0)
        if 0 <= label < len(row):
            row[label] = stats[i, OWN]
            p[label] = slopes[i, AT]
        if scale.softcap:
            t = row * (scale.temperature / scale.softcap)
            p *= (1 - t) * (1 + t)
        row[:] = p


@np.errstate(over="ignore")  # an infinite score is found by its infinite or undefined loss
def _to_scores(row: Array, bias: Array, scale: Scale) -> None:
    if bias.size:
        row += bias
    if scale.plain:
        return
    if scale.softcap:
        row /= scale.softcap
        np.tanh(row, out=row)
    row *= (scale.softcap or 1.0) / scale.temperature


NUMPY = Steps(_scan, _slope)


@lru_cache
def _compiled_steps(dtype: str) -> Steps:
    entry = _compile(dtype)
    empty = np.empty((0, 3))

    def numbers(scale: Scale) -> tuple[float, float, float]:
        if scale.softcap:
            return 1 / scale.softcap, scale.softcap / scale.temperature, float(not scale.plain)
        return 0.0, 1 / scale.temperature, float(not scale.plain)

    def run(z: Array, bias: Array, labels: Array, *rest: Any) -> None:
        def work(first: int, last: int) -> None:
            entry(z.reshape(-1), bias, labels, *rest, first, last)

        over_ranges(work, len(z))

    def scan(
        z: Array, bias: Array, labels: Array, stats: Array, scale: Scale, smooth: bool
    ) -> None:
        run(z, bias, labels, stats, empty, *numbers(scale), _SMOOTH * smooth)

    def slope(
        z: Array, bias: Array, labels: Array, stats: Array, slopes: Array, scale: Scale, raw: bool
    ) -> None:
        run(z, bias, labels, stats, slopes, *numbers(scale), _SLOPE | _RAW * raw)

    return Steps(scan, slope)


def _compile(dtype: str) -> Callable[..., None]:
    from numba import from_dtype, types

    def array(kind: Any, ndim: int = 1) -> Any:
        return types.Array(from_dtype(np.dtype(kind)), ndim, "C")

    own, table, real = array(dtype), array(np.float64, 2), types.float64
    signature = (own, own, array(np.int64), table, table, real, real, real, *(types.int64,) * 3)
    with kernel_cache.COMPILING:
        stamps = "\n".join((*kernel_cache.toolchain(), f"parts {parts_digest()}"))
        dispatcher = kernel_cache.load(_SOURCE.format(dtype=dtype, stamps=stamps)).kernel
        dispatcher.compile(signature)
        return dispatcher.get_overload(signature)


_SMOOTH, _SLOPE, _RAW = 1, 2, 4  # bits of the kernel's argument `what`

# Each pass over a token runs in blocks of 512 that stay in the first-level cache; one token's
# logits stay in the second-level cache between the passes.  The running maximum is kept for each
# place in a block, as LLVM vectorises no float maximum across a loop without being told that NaN
# cannot occur.  Sums are those of `kernel_parts`: 32 lanes, compensated in float64.
_SOURCE = '''\
"""Fused linear cross-entropy, {dtype}: written by losskit.

{stamps}
"""

import numpy as _np
from numba import {dtype} as _T, njit as _njit

from losskit.backends.kernel_parts import (
    BLOCK as _BLOCK,
    LANES as _LANES,
    add_values as _add_values,
    clear as _clear,
    fold as _fold,
)
from losskit.backends.simd_intrinsics import (
    bits as _bits,
    fma as _fma,
    interleave_loops as _interleave_loops,
    select as _select,
    shift_left as _shift_left,
    shift_right as _shift_right,
    view as _view,
)
from losskit.backends.simd_{dtype} import I as _I, exp as _exp, expm1 as _expm1

_LOWEST = _T(-_np.inf)
_INFINITE = _I(_np.array(_np.inf, "{dtype}").view("int" + "{dtype}"[5:]))
_compiled = _njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)


@_compiled
def _not_finite(z):
    worst = _I(0)
    for j in range(z.shape[0]):
        size = _shift_right(_shift_left(_bits(z[j]), _I(1)), _I(1))
        worst = _select(size > worst, size, worst)
    return worst >= _INFINITE


@_compiled
def _to_scores(z, bias, inward, outward, scaled):
    if bias.shape[0]:
        for j in range(z.shape[0]):
            z[j] += bias[j]
    if inward != 0.0:
        shrink = _T(inward + inward)
        grow = _T(outward)
        for j in range(z.shape[0]):
            x = z[j] * shrink
            x = _select(x < _T(-60.0), _T(-60.0), _select(x > _T(60.0), _T(60.0), x))
            e = _expm1(x)  # tanh(x/2) = expm1(x)/(expm1(x) + 2)
            z[j] = grow * (e / (e + _T(2.0)))
    elif scaled != 0.0:
        grow = _T(outward)
        for j in range(z.shape[0]):
            z[j] *= grow


@_compiled
def _raise_to(best, z):
    for j in range(z.shape[0]):
        best[j] = _select(z[j] > best[j], z[j], best[j])


@_compiled
def _largest(best):
    width = _BLOCK
    while width > 16:
        width //= 2
        _raise_to(_view(best, 0, width), _view(best, width, width))
    m = best[0]
    for j in range(1, width):
        m = max(m, best[j])
    return m


@_compiled
def _finite(z, out):
    count = 0
    for j in range(z.shape[0]):
        live = z[j] > _LOWEST
        out[j] = _select(live, z[j], _T(0.0))
        count += live
    return count


@_compiled
def _powers(z, m, out):
    for j in range(z.shape[0]):
        out[j] = _exp(z[j] - m)
    _interleave_loops(4)


@_compiled
def _slopes(z, m, factor, shift):
    for j in range(z.shape[0]):
        s = _select(z[j] > _LOWEST, shift, _T(0.0))
        z[j] = _fma(factor, _exp(z[j] - m), -s)
    _interleave_loops(4)


@_compiled
def _capped_slopes(z, m, factor, shift, shrink):
    for j in range(z.shape[0]):
        t = z[j] * shrink
        slope = _fma(factor, _exp(z[j] - m), -shift)
        z[j] = slope * ((_T(1.0) - t) * (_T(1.0) + t))
    _interleave_loops(4)


@_compiled
def _scan(row, bias, label, stats, inward, outward, scaled, smooth, lanes, scratch, best):
    n = row.shape[0]
    total = 0.0
    count = 0
    _clear(lanes)
    for j in range(_BLOCK):
        best[j] = _LOWEST
    for start in range(0, n, _BLOCK):
        m = min(_BLOCK, n - start)
        z = _view(row, start, m)
        if _not_finite(z):
            stats[5] = 1.0
            return
        b = _view(bias, start if bias.shape[0] else 0, m if bias.shape[0] else 0)
        _to_scores(z, b, inward, outward, scaled)
        _raise_to(_view(best, 0, m), z)
        if smooth:
            count += _finite(z, _view(scratch, 0, m))
            _add_values(_view(scratch, 0, m), lanes)
    if smooth:
        high, low = _fold(lanes[:_LANES], lanes[_LANES:])
        stats[3] += high
        stats[4] += count
        _clear(lanes)
    largest = _largest(best)
    if 0 <= label < n:
        stats[2] = row[label]
        row[label] = _LOWEST
    if largest == _LOWEST:
        return
    for start in range(0, n, _BLOCK):
        m = min(_BLOCK, n - start)
        _powers(_view(row, start, m), largest, _view(scratch, 0, m))
        _add_values(_view(scratch, 0, m), lanes)
    others, low = _fold(lanes[:_LANES], lanes[_LANES:])
    before = stats[0]
    if largest > before:
        stats[1] = stats[1] * _np.exp(before - largest) + others
        stats[0] = largest
    else:
        stats[1] += others * _np.exp(largest - before)


@_compiled
def _slope(row, bias, label, stats, slopes, inward, outward, scaled, raw):
    n = row.shape[0]
    largest = _T(stats[0])
    factor = _T(slopes[0])
    shift = _T(slopes[1])
    shrink = _T(1.0 / outward)
    for start in range(0, n, _BLOCK):
        m = min(_BLOCK, n - start)
        z = _view(row, start, m)
        if raw:
            b = _view(bias, start if bias.shape[0] else 0, m if bias.shape[0] else 0)
            _to_scores(z, b, inward, outward, scaled)
        if inward != 0.0:
            _capped_slopes(z, largest, factor, shift, shrink)
        else:
            _slopes(z, largest, factor, shift)
    if 0 <= label < n:
        slope = slopes[2]
        if inward != 0.0:
            t = stats[2] / outward
            slope *= (1.0 - t) * (1.0 + t)
        row[label] = slope


@_compiled
def kernel(
    z, bias, labels, stats, slopes, inward, outward, scaled, what, first, last
):
    n = z.shape[0] // max(1, labels.shape[0])
    lanes = _np.empty(2 * _LANES)
    scratch = _np.empty(_BLOCK, z.dtype)
    best = _np.empty(_BLOCK, z.dtype)
    for i in range(first, last):
        row = _view(z, i * n, n)
        if what & 2:
            _slope(
                row, bias, labels[i], stats[i], slopes[i], inward, outward, scaled, what & 4
            )
        else:
            _scan(
                row, bias, labels[i], stats[i], inward, outward, scaled, what & 1,
                lanes, scratch, best,
            )
'''

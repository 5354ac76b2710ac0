"""Heads of the coordinate-descent texts: loops over one row or column, for Numba and for Python.

The functions of the two heads have the same names and do the same; what they call `middle` is
subtracted from a column's numbers, `rows` are the rows of a sparse column's numbers.
"""

COMPILED = '''\
"""Coordinate descent ({title}): written by losskit.

{stamps}
"""

import math

import numpy as _np
from numba import njit as _njit

from losskit.backends.simd_intrinsics import view as _view

_compiled = _njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)
_any_order = _njit(
    error_model="numpy", nogil=True, no_cfunc_wrapper=True, fastmath={{"reassoc", "contract"}}
)


@_compiled
def _add(total, factor, row):
    for k in range(total.shape[0]):
        total[k] += factor * row[k]


@_any_order
def _dot(x, middle, r):
    total = 0.0
    for k in range(x.shape[0]):
        total += (x[k] - middle) * r[k]
    return total


@_any_order
def _spread(x, middle, h):
    total = 0.0
    for k in range(x.shape[0]):
        total += h[k] * ((x[k] - middle) * (x[k] - middle))
    return total


@_compiled
def _pull(r, factor, h, x, middle):
    for k in range(r.shape[0]):
        r[k] += (factor * h[k]) * (x[k] - middle)


@_compiled
def _shift(t, factor, x, middle):
    for k in range(t.shape[0]):
        t[k] += factor * (x[k] - middle)


@_any_order
def _dot_at(x, rows, r):
    total = 0.0
    for k in range(x.shape[0]):
        total += x[k] * r[rows[k]]
    return total


@_any_order
def _spread_at(x, rows, middle, h):
    total = 0.0
    weight = 0.0
    for k in range(x.shape[0]):
        total += h[rows[k]] * ((x[k] - middle) * (x[k] - middle))
        weight += h[rows[k]]
    return total, weight


@_compiled
def _pull_at(r, rows, factor, h, x):
    for k in range(rows.shape[0]):
        r[rows[k]] += (factor * h[rows[k]]) * x[k]


@_compiled
def _shift_at(t, rows, factor, x):
    for k in range(rows.shape[0]):
        t[rows[k]] += factor * x[k]


'''

PLAIN = '''\
"""Coordinate descent ({title}): written by losskit for plain Python."""

import math

import numpy as _np


def _compiled(function):
    return function


def _view(array, start, count):
    return array[start : start + count]


def _add(total, factor, row):
    total += factor * row


def _dot(x, middle, r):
    return float(_np.dot(x - middle, r))


def _spread(x, middle, h):
    return float(_np.dot(h, _np.square(x - middle)))


def _pull(r, factor, h, x, middle):
    r += (factor * h) * (x - middle)


def _shift(t, factor, x, middle):
    t += factor * (x - middle)


def _dot_at(x, rows, r):
    return float(_np.dot(x, r[rows]))


def _spread_at(x, rows, middle, h):
    return float(_np.dot(h[rows], _np.square(x - middle))), float(h[rows].sum())


def _pull_at(r, rows, factor, h, x):
    r[rows] += (factor * h[rows]) * x


def _shift_at(t, rows, factor, x):
    t[rows] += factor * x


'''

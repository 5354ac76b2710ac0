"""Coordinate descent on the compiled CPU tier: the inner loops of penalised fits.

`quadratic` minimises a quadratic given by its matrix plus any separable penalty, `columns` goes
through the columns of the data themselves.  A penalty is here a `Prox`: the text of a scalar
function, which is put into the loops and compiled once for a machine.  Without Numba the same text
runs in Python, a hundred times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from losskit.backends import kernel_cache
from losskit.backends.descent_heads import COMPILED, PLAIN
from losskit.backends.descent_source import source

Array = np.ndarray[Any, np.dtype[Any]]

_SWEEPS = 10_000


@dataclass(frozen=True)
class Prox:
    """A separable penalty as coordinate descent sees it.

    `text` defines ``prox(v, step, alpha, *parameters)``, the u with the least (u − v)²/(2 step) +
    value(u), in Python over floats with `math`; `parameters` are the numbers of this penalty, which
    need no new compilation.
    """

    text: str
    parameters: tuple[float, ...] = ()


class Descent(NamedTuple):
    """Where coordinate descent came to."""

    weights: Array  # (A,)
    slope: Array  # (A,) derivative of the quadratic there, gradient + matrix·(change of weights)
    sweeps: int
    largest: float  # of the last sweep's moves, each times the root of its curvature


def quadratic(
    matrix: Array,
    gradient: Array,
    weights: Array,
    prox: Prox,
    alpha: Array | float,
    *,
    free: Array | None = None,
    tol: float,
    max_sweeps: int = _SWEEPS,
) -> Descent:
    """Minimise ½(u − w)ᵀH(u − w) + g·(u − w) + Σ penalty_j(u_j) over u, from w.

    `matrix` is H, (A, A), symmetric and semidefinite, C-contiguous float64 or float32; `gradient`
    is g and `weights` w, (A,); `alpha` the strength of the penalty, a number or (A,); `free` (A,)
    is True where there is none (an intercept).  It ends when no coordinate moves by more than
    tol/√H_jj in a sweep, or after `max_sweeps`: compare `largest` with `tol`.  A column of zeros
    goes to the penalty's minimum; where there is no minimum a coordinate stays.

    Raises:
        FloatingPointError: a number that is not finite came in or out.
    """
    size = len(weights)
    if matrix.shape != (size, size) or matrix.dtype not in _FLOATS or not matrix.flags.c_contiguous:
        raise TypeError(
            f"descent: matrix has dtype {matrix.dtype} and shape {matrix.shape}; needed: a "
            f"C-contiguous float64 or float32 array of shape {(size, size)}"
        )
    q = np.array(gradient, dtype=np.float64)
    u = np.array(weights, dtype=np.float64)
    strength = _strengths(alpha, free, size)
    if not q.shape == u.shape == (size,):
        raise TypeError(
            f"descent: gradient and weights have shapes {q.shape} and {u.shape}; needed: {(size,)}"
        )
    _check("was given", gradient=q, weights=u)
    run = _kernel("dense matrix", prox.text, len(prox.parameters), matrix.dtype.name, "")
    numbers = np.array(prox.parameters, dtype=np.float64)
    sweeps, largest = run(matrix.reshape(-1), q, u, strength, numbers, float(tol), int(max_sweeps))
    _check("came to", weights=u, slope=q)
    return Descent(u, q, sweeps, largest)


class ColumnsDescent(NamedTuple):
    """Where coordinate descent on columns came to."""

    weights: Array  # (A,)
    intercept: float  # its change
    scores: Array  # (n,) change of the scores: intercept + Σ (column − centre)·(change of weights)
    sweeps: int
    largest: float  # of the last sweep's moves, each times the root of its curvature


def columns(
    matrix: Any,
    slope: Array,
    curvature: Array,
    weights: Array,
    prox: Prox,
    alpha: Array | float,
    *,
    total: float,
    free: Array | None = None,
    chosen: Array | None = None,
    centre: Array | None = None,
    intercept: bool = False,
    tol: float,
    max_sweeps: int = _SWEEPS,
) -> ColumnsDescent:
    """Minimise Σ_i [g_i t_i + ½ h_i t_i²]/total + Σ penalty_j(u_j) over u and a free intercept b.

    t = b + Σ_j (x_j − centre_j)(u_j − w_j) is the change of the scores, over the columns `chosen`
    (all by default) of `matrix`: a Fortran-ordered array (n, d), or a SciPy CSC matrix without
    duplicate entries, of float64 or float32.  `slope` is g and `curvature` h ≥ 0, (n,), both
    weighted; `total` is the sum of the weights; `weights` w and `centre` are (A,), one for each
    chosen column; `alpha`, `free` and the end are those of `quadratic`.  Nothing is made dense, and
    a sweep costs two passes over the columns that move and one over those that do not.

    Raises:
        FloatingPointError: a number that is not finite came in or out.
    """
    kind, values, rows, starts = _parts(matrix)
    n, d = matrix.shape
    which = np.arange(d) if chosen is None else np.asarray(chosen)
    which = np.ascontiguousarray(which, dtype=np.int64)
    if which.size and not (0 <= which.min() and which.max() < d):
        raise IndexError(f"descent: columns {which.min()} to {which.max()}; the matrix has {d}")
    size = which.size
    given = np.zeros(size) if centre is None else np.array(centre, dtype=np.float64)
    middle, u = given.copy(), np.array(weights, dtype=np.float64)
    g = np.ascontiguousarray(slope, dtype=np.float64)
    h = np.ascontiguousarray(curvature, dtype=np.float64)
    strength = _strengths(alpha, free, size)
    shapes = [one.shape for one in (g, h, u, given)]
    if shapes != [(n,), (n,), (size,), (size,)]:
        raise TypeError(
            f"descent: slope, curvature, weights, centre have shapes {shapes}; needed: {(n,)} "
            f"twice, then {(size,)}"
        )
    _check("was given", slope=g, curvature=h, weights=u, centre=given)
    run = _kernel(kind, prox.text, len(prox.parameters), values.dtype.name, starts.dtype.name)
    t = np.empty(n)
    sweeps, largest, shift = run(
        values, rows, starts, which, middle, g, h, float(total), bool(intercept), u, strength,
        np.array(prox.parameters, dtype=np.float64), float(tol), int(max_sweeps), t,
    )  # fmt: skip
    _check("came to", weights=u, scores=t)
    moved = float((given - middle) @ (u - np.asarray(weights)))
    return ColumnsDescent(u, shift + moved, t, sweeps, largest)


_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def _strengths(alpha: Array | float, free: Array | None, size: int) -> Array:
    """Return the strengths (A,), −1 where there is no penalty."""
    strengths = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (size,))
    if not (strengths >= 0).all():
        at = int(np.argmin(strengths >= 0))
        raise ValueError(f"descent: alpha[{at}] is {strengths[at]}; needed: a number of at least 0")
    return np.array(strengths) if free is None else np.where(free, -1.0, strengths)


def _parts(matrix: Any) -> tuple[str, Array, Array, Array]:
    """Return the kind of kernel and flat arrays: values; of CSC rows and where columns start."""
    none = np.empty(0, np.int64)
    if isinstance(matrix, np.ndarray):
        if matrix.ndim == 2 and matrix.flags.f_contiguous and matrix.dtype in _FLOATS:
            return "dense columns", matrix.T.reshape(-1), none, none
        said = f"an array of dtype {matrix.dtype} and shape {matrix.shape}"
    elif getattr(matrix, "format", "") == "csc" and matrix.dtype in _FLOATS:
        starts = np.ascontiguousarray(matrix.indptr)
        rows = np.ascontiguousarray(matrix.indices, dtype=starts.dtype)
        return "sparse columns", np.ascontiguousarray(matrix.data), rows, starts
    else:
        said = f"{type(matrix).__name__} of dtype {getattr(matrix, 'dtype', None)}"
    raise TypeError(
        f"descent: was given {said}; needed: a Fortran-contiguous (n, d) array or a CSC matrix, of "
        "float64 or float32"
    )


def _check(how: str, **arrays: Array) -> None:
    for name, array in arrays.items():
        finite = np.isfinite(array)
        if not finite.all():
            at = int(np.argmin(finite))
            raise FloatingPointError(
                f"descent: {how} {name}[{at}] = {array[at]}; needed: finite numbers"
                + (", which the objective gives if it has a minimum" if how == "came to" else "")
            )


@lru_cache(maxsize=64)
def _kernel(kind: str, text: str, parameters: int, dtype: str, index: str) -> Callable[..., Any]:
    from losskit.backends.numba import available

    if not available():
        made = source(kind, text, parameters, head=PLAIN)
        space: dict[str, Any] = {}
        # The text is our own, with a prox that `penalties` printed from its table.
        exec(compile(made, f"<losskit descent {kind}>", "exec"), space)
        return space["kernel"]
    from numba import from_dtype, types

    from losskit.backends.kernel_source import parts_digest

    def array(one: Any) -> Any:
        return types.Array(from_dtype(np.dtype(one)), 1, "C")

    matrix, numbers, real, whole = array(dtype), array(np.float64), types.float64, types.int64
    if kind == "dense matrix":
        signature: tuple[Any, ...] = (matrix, numbers, numbers, numbers, numbers, real, whole)
    else:
        places = array(index)
        signature = (
            matrix, places, places, array(np.int64), numbers, numbers, numbers, real,
            types.boolean, numbers, numbers, numbers, real, whole, numbers,
        )  # fmt: skip
    with kernel_cache.COMPILING:
        stamps = (*kernel_cache.toolchain(), f"parts {parts_digest()}")
        made = source(kind, text, parameters, head=COMPILED, stamps=stamps)
        dispatcher = kernel_cache.load(made).kernel
        dispatcher.compile(signature)
        # The bare entry point: the types are checked, and it accepts read-only arrays.
        return dispatcher.get_overload(signature)

"""Softmax cross-entropy on the compiled CPU tier: value and gradient in one pass over the logits.

`run` checks shapes and types and hands spans of rows to threads; `softmax_kernels` does the work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from losskit.backends import kernel_cache
from losskit.backends.kernel_source import parts_digest
from losskit.backends.numba import BAD, INFINITE, Sums, available
from losskit.backends.threads import over_ranges

__all__ = ["BAD", "INFINITE", "Sums", "available", "run"]


def run(
    f: np.ndarray[Any, Any],
    y: np.ndarray[Any, Any],
    *,
    weight: np.ndarray[Any, Any] | None = None,
    scale: float = 1.0,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    temperature: float = 1.0,
    value: np.ndarray[Any, Any] | None = None,
    gradient: np.ndarray[Any, Any] | None = None,
) -> Sums:
    """Compute sums of softmax cross-entropy, and fill the arrays given: w*loss, w*gradient*scale.

    With z = f / temperature and q = (1 - label_smoothing) y + label_smoothing / K, a row's loss is
    -sum q log softmax(z) + z_loss logsumexp(z)**2; the gradient is by f.

    `f` and `gradient` are C-contiguous (n, K), `value` is (n,), all of float32 or all of float64;
    `gradient` must not overlap `f`.  `y` is (n,) of any integer dtype, a class from 0 each, or
    (n, K) of float32 or float64, rows of shares that sum to 1.  `weight` is (n,) of float32 or
    float64.  Rows of weight 0 give exactly 0, whatever f and y hold.

    The answer's flag has `BAD` for a row of weight other than 0 with a NaN logit, a label outside
    0..K-1, a negative share or shares whose sum is not 1 within the root of eps, and for a weight
    that is negative or NaN; and `INFINITE` for an infinite z.  What was computed then is of use
    only where no z is +inf, nor a whole row -inf, and nothing is smoothed: it is the limit.

    Sums and arrays are bit-equal for any number of threads.  Values and gradients are within a few
    ulp, those of confident rows too; where the temperature is no power of two, z is rounded first.

    >>> import numpy as np
    >>> f, gradient = np.array([[2.0, 0.0, -1.0]]), np.empty((1, 3))
    >>> round(run(f, np.array([0]), gradient=gradient).value_high, 6)
    0.169846
    >>> gradient.round(3)
    array([[-0.156,  0.114,  0.042]])
    """
    soft = y.ndim == 2
    n, k = _check(f, y, weight, value, gradient)
    for name, number, fine in (
        ("scale", scale, True),
        ("label_smoothing", label_smoothing, 0 <= label_smoothing <= 1),
        ("z_loss", z_loss, z_loss >= 0),
        ("temperature", temperature, f.dtype.type(temperature) > 0),
    ):
        if not (fine and np.isfinite(number)):
            raise ValueError(
                f"softmax: {name} is {number!r}; needed: a finite number" + _RANGES.get(name, "")
            )
    tolerance = max(np.finfo(one.dtype).eps for one in (f, y) if one.dtype.kind == "f") ** 0.5
    # One kernel for all types of targets; a uint64 too large is < 0, a share too large is infinite.
    with np.errstate(over="ignore"):
        y = np.ascontiguousarray(y, f.dtype if soft else np.int64)
    empty = np.empty(0, f.dtype)
    what = 0
    if value is None:
        value = empty
    else:
        what |= _VALUE
    if gradient is None:
        gradient = empty
    else:
        what |= _GRADIENT
        if gradient.nbytes >= _LARGE:
            what |= _PAST_CACHES
    if weight is None:
        weight = _NO_WEIGHTS
    else:
        weight = np.ascontiguousarray(weight, np.float64)
        what |= _WEIGHTED
    entry = _entry(f.dtype.char, soft)
    by_classes = k > _FEW_CLASSES
    rows = max(1, _SPAN // k)
    height = min(rows, 64) if by_classes else _height(k)
    rows = -(-rows // height) * height
    spans = -(-n // rows)
    sums = np.empty((5, spans))
    labels, shares = (_NO_LABELS, y.reshape(-1)) if soft else (y, empty)
    arrays = (labels, shares, f.reshape(-1), weight, value, gradient.reshape(-1))
    options = (scale, label_smoothing, z_loss, temperature, tolerance)
    numbers = tuple(map(float, options))
    sizes = (n, k, rows, height, int(not by_classes))

    def work(first: int, last: int) -> None:
        entry(*arrays, numbers, sizes, what, first, last, sums)

    over_ranges(work, spans)
    return Sums(*entry(*arrays, numbers, sizes, what | _FOLD, 0, 0, sums))


_VALUE, _GRADIENT, _PAST_CACHES, _WEIGHTED, _FOLD = 1, 2, 4, 8, 32  # bits of `what`
_FEW_CLASSES = 96  # up to here a block of rows is transposed; measured, see benchmarks/softmax.py
_SPAN = 65536  # logits
_LARGE = 1 << 24  # bytes of a gradient that no cache would hold until it is used
_BLOCK = 2048  # logits of a transposed block
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_NO_LABELS = np.empty(0, np.int64)
_NO_WEIGHTS = np.empty(0)
_RANGES = {
    "label_smoothing": " from 0 to 1",
    "z_loss": " of at least 0",
    "temperature": " above 0",
}


def _height(k: int) -> int:
    """Give the rows of a transposed block: a multiple of the 32 that loops do at a time."""
    return min(512, max(32, _BLOCK // k // 32 * 32))


_entries: dict[tuple[str, bool], Callable[..., Any]] = {}


def _entry(dtype: str, soft: bool) -> Callable[..., Any]:
    """Give the kernel for logits of a width and a kind of targets."""
    entry = _entries.get((dtype, soft))
    if entry is None:
        with kernel_cache.COMPILING:
            dispatcher = _dispatcher(dtype, soft)
            signature = _signature(dtype)
            dispatcher.compile(signature)
            # The bare entry point: `run` has checked the types, and it accepts read-only arrays.
            entry = _entries[dtype, soft] = dispatcher.get_overload(signature)
    return entry


@cache
def _dispatcher(dtype: str, soft: bool) -> Any:
    """Run the kernels' text for a width and a kind of targets."""
    package = resources.files(__package__)
    text = package.joinpath("softmax_kernels.py").read_text("utf-8")
    if dtype == "f":
        text = text.replace("import float64 as own", "import float32 as own")
    if soft:
        text = text.replace("\nSOFT = False", "\nSOFT = True")
    imported = hashlib.sha256(parts_digest().encode())
    for name in ("softmax_exponentials", "softmax_steps", "softmax_vectors"):
        imported.update(package.joinpath(f"{name}.py").read_bytes())
    stamps = (*kernel_cache.toolchain(), f"imported {imported.hexdigest()}")
    return kernel_cache.load("\n# ".join((text, *stamps))).kernel


def _signature(dtype: str) -> tuple[Any, ...]:
    from numba import from_dtype, types

    def array(char: str, ndim: int = 1) -> Any:
        return types.Array(from_dtype(np.dtype(char)), ndim, "C")

    own, whole = array(dtype), types.int64
    return (
        *(array("q"), own, own, array("d"), own, own),
        *(types.UniTuple(types.float64, 5), types.UniTuple(whole, 5)),
        *(whole, whole, whole, array("d", 2)),
    )


def _check(
    f: np.ndarray[Any, Any],
    y: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any] | None,
    value: np.ndarray[Any, Any] | None,
    gradient: np.ndarray[Any, Any] | None,
) -> tuple[int, int]:
    """Make sure of everything the bare entry point takes on trust, and give n and K."""
    if f.ndim != 2 or f.dtype not in _FLOATS or f.shape[1] == 0:
        raise TypeError(
            f"softmax: f has dtype {f.dtype} and shape {f.shape}; needed: (n, K), K at least 1, "
            "of float32 or float64"
        )
    n, k = f.shape
    if y.ndim == 2 and y.dtype in _FLOATS:
        needed: tuple[int, ...] = (n, k)
    elif y.dtype.kind in "iu":
        needed = (n,)
    else:
        raise TypeError(
            f"softmax: y has dtype {y.dtype} and shape {y.shape}; needed: {(n,)} of an integer "
            f"type, or {(n, k)} of float32 or float64"
        )
    for name, array, shape, dtypes, outgoing in (
        ("f", f, (n, k), (f.dtype,), False),
        ("y", y, needed, (y.dtype,), False),
        ("weight", weight, (n,), _FLOATS, False),
        ("value", value, (n,), (f.dtype,), True),
        ("gradient", gradient, (n, k), (f.dtype,), True),
    ):
        if array is None:
            continue
        flags = array.flags
        if (
            array.shape != shape
            or array.dtype not in dtypes
            or not flags.c_contiguous
            or not flags.aligned
            or not array.dtype.isnative
            or (outgoing and not flags.writeable)
        ):
            raise TypeError(
                f"softmax: {name} has dtype {array.dtype} and shape {array.shape}; needed: a "
                f"C-contiguous, aligned array of shape {shape} and dtype "
                f"{' or '.join(map(str, dtypes))}" + (", writeable" if outgoing else "")
            )
    if gradient is not None and np.shares_memory(f, gradient):
        raise ValueError("softmax: gradient overlaps f; needed: memory of its own")
    return n, k

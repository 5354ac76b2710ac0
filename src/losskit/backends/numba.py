"""The compiled CPU tier: one fused, vectorised, threaded pass over the data for each loss.

`compile_kernel` takes a loss's straight-line program, printed with `TABLE` and `constant`; `run`
applies it to arrays.  Numba is imported on the first call, not with this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from losskit.backends import kernel_cache
from losskit.backends.kernel_source import TABLE, constant, kernel_source, parts_digest
from losskit.backends.threads import get_num_threads, over_ranges, set_num_threads
from losskit.formula.emit import Printer, emit
from losskit.formula.expr import Expr, Unsupported

__all__ = [
    "BAD",
    "INFINITE",
    "TABLE",
    "Bounds",
    "Kernel",
    "Sums",
    "available",
    "compile_kernel",
    "constant",
    "get_num_threads",
    "run",
    "set_num_threads",
]

BAD = 1  # flag: an element of weight other than 0 is outside the bounds or NaN, or a weight is
INFINITE = 2  # flag: a raw output of an element of weight other than 0 is infinite


@dataclass(frozen=True)
class Bounds:
    """What targets and raw outputs must satisfy; the default forbids NaN alone.

    `discrete` allows no target but `lo` and `hi`; `hole` is one forbidden target (NaN: none); `raw`
    has one closed interval for each raw output, empty for no limits.  Bounds are closed: an open
    one is written as the next float64.
    """

    lo: float = -math.inf
    hi: float = math.inf
    discrete: bool = False
    hole: float = math.nan
    raw: tuple[tuple[float, float], ...] = ()
    _numbers: dict[Any, tuple[float, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )


class Sums(NamedTuple):
    """What a pass over the data gives besides the arrays: two sums, each as a pair, and the flag.

    `value_high + value_low` is the sum of w times the loss, to about twice float64's precision;
    likewise the weights (their number where there are none).  `flag` ors `BAD` and `INFINITE`.
    """

    value_high: float
    value_low: float
    weight_high: float
    weight_low: float
    flag: int


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled loss for one float type; compiled again for each type of targets and weights."""

    name: str
    outputs: tuple[str, ...]
    n_outputs: int
    parameters: tuple[str, ...]
    dtype: np.dtype[Any]
    source: str
    _dispatcher: Any = field(repr=False)
    _entries: dict[tuple[str, str], Callable[..., Any]] = field(default_factory=dict, repr=False)

    @property
    def stats(self) -> Any:
        """Give Numba's counts: `cache_hits` found on disk, `cache_misses` compiled."""
        return self._dispatcher.stats

    def prepare(self, target: Any = None, weight: Any = None) -> Callable[..., Any]:
        """Compile for these dtypes of targets and weights (default: the kernel's own), or load."""
        target = self.dtype if target is None else np.dtype(target)
        weight = self.dtype if weight is None else np.dtype(weight)
        key = (target.char, weight.char)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._compile(target, weight)
        return entry

    def _compile(self, target: np.dtype[Any], weight: np.dtype[Any]) -> Callable[..., Any]:
        from numba import from_dtype, types

        def array(dtype: Any, ndim: int = 1) -> Any:
            return types.Array(from_dtype(np.dtype(dtype)), ndim, "C")

        own = array(self.dtype)
        numbers = array(np.float64)
        signature: tuple[Any, ...] = (array(target), own, array(weight), own, own, own, numbers)
        signature += (types.int64, types.int64, types.int64, array(np.float64, 2))
        with kernel_cache.COMPILING:
            self._dispatcher.compile(signature)
            # The bare entry point: `run` has checked the types, and it accepts read-only arrays.
            return self._dispatcher.get_overload(signature)


def available() -> bool:
    """Tell whether compiled kernels can be used here (Numba is installed and not switched off)."""
    try:
        from numba import config
    except ImportError:
        return False
    return not config.DISABLE_JIT


def compile_kernel(
    name: str,
    statements: Sequence[tuple[str, str]],
    results: Sequence[str],
    *,
    outputs: Sequence[str],
    n_outputs: int,
    parameters: Sequence[str],
    dtype: Any,
) -> Kernel:
    """Make the kernel of a straight-line program for `run`; machine code follows on the first run.

    `statements` are pairs of a name and an expression printed with `TABLE` and `constant`, over the
    names y, f (or f0, f1, … when `n_outputs` > 1) and `parameters`; `results` name, in the order of
    `outputs` (some of value, gradient, hessian), the value and one derivative per raw output.
    The same program gives the same kernel.
    """
    with kernel_cache.COMPILING:
        text = kernel_source(
            name,
            statements,
            results,
            outputs=outputs,
            n_outputs=n_outputs,
            parameters=parameters,
            dtype=np.dtype(dtype).name,
            stamps=_stamps(),
        )
        kernel = _kernels.get(text)
        if kernel is None:
            kernel = _kernels[text] = Kernel(
                name,
                tuple(outputs),
                n_outputs,
                tuple(parameters),
                np.dtype(dtype),
                text,
                kernel_cache.load(text).kernel,
            )
        return kernel


def run(
    kernel: Kernel,
    y: np.ndarray[Any, Any],
    f: np.ndarray[Any, Any],
    params: Mapping[str, float] | Sequence[float] = (),
    *,
    weight: np.ndarray[Any, Any] | None = None,
    scale: float = 1.0,
    bounds: Bounds | None = None,
    value: np.ndarray[Any, Any] | None = None,
    gradient: np.ndarray[Any, Any] | None = None,
    hessian: np.ndarray[Any, Any] | None = None,
) -> Sums:
    """Compute sums, and fill the arrays given: w*loss, w*gradient*scale, w*hessian*scale.

    `y` is (n,) of any real dtype; `f`, `gradient`, `hessian` are C-contiguous (n,) or (n, k) and
    `value` (n,) of the kernel's dtype; `weight` is (n,) of float32 or float64.  Elements of weight
    0 give exactly 0, whatever y and f hold.  `bounds=None` validates nothing, weights included.

    Sums and arrays are bit-equal for any number of threads.
    """
    n = _check(kernel, y, f, weight, value, gradient, hessian)
    if bounds is None:
        what = 0
        limits = _NO_LIMITS + _NO_RAW_LIMITS * kernel.n_outputs
    else:
        what = _CHECK
        limits = _limits(bounds, kernel, y.dtype)
    if isinstance(params, Mapping):
        params = [params[one] for one in kernel.parameters]
    elif len(params) != len(kernel.parameters):
        raise TypeError(
            f"kernel {kernel.name}: {len(params)} parameters; needed: {kernel.parameters}"
        )
    numbers = np.array((*limits, scale, *params), np.float64)
    empty = _EMPTY[kernel.dtype.char]
    if value is None:
        value = empty
    else:
        what |= _VALUE
    if gradient is None:
        gradient = empty
    else:
        gradient = gradient.reshape(-1)
        what |= _GRADIENT
    if hessian is None:
        hessian = empty
    else:
        hessian = hessian.reshape(-1)
        what |= _HESSIAN
    if weight is None:
        weight = empty
    else:
        what |= _WEIGHTED
    if f.ndim != 1:
        f = f.reshape(-1)

    entry = kernel._entries.get((y.dtype.char, weight.dtype.char))
    if entry is None:
        entry = kernel.prepare(y.dtype, weight.dtype)
    spans = -(-n // _SPAN)
    sums = np.empty((5, spans))
    if spans <= 1:
        answer = entry(
            y, f, weight, value, gradient, hessian, numbers, what | _FOLD, 0, spans, sums
        )
    else:

        def work(first: int, last: int) -> None:
            entry(y, f, weight, value, gradient, hessian, numbers, what, first, last, sums)

        over_ranges(work, spans)
        answer = entry(y, f, weight, value, gradient, hessian, numbers, what | _FOLD, 0, 0, sums)
    return Sums(*answer)


def kernel_of(
    name: str,
    symbols: Sequence[str],
    outputs: Sequence[Expr],
    wanted: Sequence[str],
    dtype: Any,
) -> Kernel:
    """Return the kernel of traced `outputs`; `symbols` are y, the raw outputs, the parameters."""
    program, raw = emit(outputs, PRINTER), [s for s in symbols if _RAW.fullmatch(s)]
    return compile_kernel(
        name,
        program.statements,
        program.results,
        outputs=wanted,
        n_outputs=len(raw),
        parameters=symbols[1 + len(raw) :],
        dtype=dtype,
    )


def loss_source(loss: Any) -> str:
    """Return the text of a loss's compiled kernel: value and gradient on the raw scale, float64."""
    if loss.kind == "rows":
        kernel = loss.definition.kernel
        raise Unsupported(
            f"{loss.name} has no generated kernel: "
            + (f"it runs losskit.backends.{kernel}" if kernel else "NumPy runs it")
        )
    graph = loss.form(raw=True).graph
    wanted = graph.orders[:2]
    return kernel_of(graph.name, graph.symbols, graph.select(wanted), wanted, np.float64).source


def loss_to(loss: Any) -> Callable[..., Any]:
    """Return the loss as a function of (y_true, y_pred) that always runs this backend."""
    return partial(loss, tier="numba")


PRINTER = Printer("numba", TABLE, constant, every_step=True)
_RAW = re.compile(r"f\d*")

# Bits of a kernel's argument `what`, and its SPAN: see `kernel_source` and `kernel_parts`, which
# cannot be imported here since they import Numba.
_VALUE, _GRADIENT, _HESSIAN, _WEIGHTED, _CHECK, _FOLD = 1, 2, 4, 8, 16, 32
_SPAN = 32768

_NO_LIMITS = (-math.inf, math.inf, 0.0, math.nan)
_NO_RAW_LIMITS = (-math.inf, math.inf)
_EMPTY = {np.dtype(one).char: np.empty(0, one) for one in (np.float32, np.float64)}
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_kernels: dict[str, Kernel] = {}
_stamps_of_this_process: tuple[str, ...] = ()


def _stamps() -> tuple[str, ...]:
    global _stamps_of_this_process
    if not _stamps_of_this_process:
        _stamps_of_this_process = (*kernel_cache.toolchain(), f"parts {parts_digest()}")
    return _stamps_of_this_process


def _limits(bounds: Bounds, kernel: Kernel, target: np.dtype[Any]) -> tuple[float, ...]:
    key = (kernel.dtype.char, target.char, kernel.n_outputs)
    found = bounds._numbers.get(key)
    if found is not None:
        return found
    raw = bounds.raw or ((-math.inf, math.inf),) * kernel.n_outputs
    if len(raw) != kernel.n_outputs:
        raise ValueError(
            f"kernel {kernel.name}: bounds for {len(raw)} raw outputs; needed: {kernel.n_outputs}"
        )
    own = target if target in _FLOATS else np.dtype(np.float64)
    hole = bounds.hole if own.type(bounds.hole) == bounds.hole else math.nan
    numbers = [_up(bounds.lo, own), _down(bounds.hi, own), float(bounds.discrete), hole]
    for low, high in raw:
        numbers += [_up(low, kernel.dtype), _down(high, kernel.dtype)]
    bounds._numbers[key] = tuple(numbers)
    return bounds._numbers[key]


def _up(limit: float, dtype: np.dtype[Any]) -> float:
    """Round up, so that comparing at the narrower width gives the same answer."""
    with np.errstate(over="ignore"):
        near = dtype.type(limit)
        return float(np.nextafter(near, dtype.type(np.inf)) if float(near) < limit else near)


def _down(limit: float, dtype: np.dtype[Any]) -> float:
    return -_up(-limit, dtype)


def _check(
    kernel: Kernel,
    y: np.ndarray[Any, Any],
    f: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any] | None,
    value: np.ndarray[Any, Any] | None,
    gradient: np.ndarray[Any, Any] | None,
    hessian: np.ndarray[Any, Any] | None,
) -> int:
    """Make sure of everything the bare entry point takes on trust, and give n."""
    n: int = y.shape[0] if y.ndim == 1 else -1
    k = kernel.n_outputs
    shape = (n,) if f.ndim == 1 and k == 1 else (n, k)
    if y.ndim != 1 or y.dtype.kind not in "biuf" or y.dtype.char in "eg":
        raise TypeError(
            f"kernel {kernel.name}: y has dtype {y.dtype} and shape {y.shape}; needed: (n,) of "
            "bool, an integer type, float32 or float64"
        )
    for name, array, needed, dtypes, outgoing in (
        ("y", y, (n,), (y.dtype,), False),
        ("f", f, shape, (kernel.dtype,), False),
        ("weight", weight, (n,), _FLOATS, False),
        ("value", value, (n,), (kernel.dtype,), True),
        ("gradient", gradient, shape, (kernel.dtype,), True),
        ("hessian", hessian, shape, (kernel.dtype,), True),
    ):
        if array is None:
            continue
        flags = array.flags
        if (
            array.shape != needed
            or array.dtype not in dtypes
            or not flags.c_contiguous
            or not flags.aligned
            or not array.dtype.isnative
            or (outgoing and not (flags.writeable and name in kernel.outputs))
        ):
            raise TypeError(
                f"kernel {kernel.name}: {name} has dtype {array.dtype} and shape {array.shape}; "
                f"needed: a C-contiguous, aligned array of shape {needed} and dtype "
                f"{' or '.join(map(str, dtypes))}"
                + (f", writeable, for one of {kernel.outputs}" if outgoing else "")
            )
    return n

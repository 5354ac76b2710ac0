"""From what users pass to flat NumPy arrays, with errors that say which argument is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Batch:
    """Checked data of one call: contiguous, flat over elements, the last axis being outputs."""

    y: Array  # (n,), its own dtype
    f: Array  # (n,) or (n, outputs), the dtype computed in
    weight: Array | None  # (n,), float64 or float32; 0 where masked
    shape: tuple[int, ...]  # of the target
    dtype: np.dtype[Any]  # of the results
    outputs: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.y.size)


def batch(
    y_true: Any, y_pred: Any, outputs: int, sample_weight: Any = None, mask: Any = None
) -> Batch:
    """Return the arguments of a call as one `Batch`, or raise TypeError or ValueError."""
    check_index(y_true, y_pred, sample_weight, mask)
    y, f = numeric("y_true", y_true), numeric("y_pred", y_pred)
    wanted = y.shape if outputs == 1 else (*y.shape, outputs)
    if f.shape != wanted:
        raise ValueError(shape_message(y.shape, f.shape, wanted, outputs))
    dtype = _FLOAT64
    if f.dtype.kind == "V":  # bfloat16, from JAX's ml_dtypes
        dtype = f.dtype
    elif f.dtype.kind == "f":
        dtype = f.dtype if f.dtype.isnative else f.dtype.newbyteorder("=")
    compute = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    if y.dtype.kind in "fV" and y.dtype.itemsize == 2:
        y = y.astype(np.float32)
    weight = weights(sample_weight, mask, y.shape)
    if compute.itemsize < y.dtype.itemsize and y.dtype.kind == "f":
        _check_range(y, compute, weight)
    flat = f.reshape(-1) if outputs == 1 else f.reshape(-1, outputs)
    return Batch(
        plain(y.reshape(-1), y.dtype),
        plain(flat, compute),
        weight,
        y.shape,
        dtype,
        outputs,
    )


def eps(dtype: np.dtype[Any]) -> float:
    """Return the distance that probabilities of this type keep from 0 and 1."""
    return 2.0**-7 if dtype.kind == "V" else float(np.finfo(dtype).eps)  # V: bfloat16


def sum_tolerance(dtype: np.dtype[Any]) -> float:
    """Return how far from 1 probabilities of this type may add up."""
    return 2.0**-4 if dtype.itemsize == 2 else math.sqrt(eps(dtype))


def look_like_probabilities(scores: Array, of_classes: bool) -> bool:
    """Whether what should be raw scores looks like probabilities, which cannot be proved.

    They lie in [0, 1], and are enough of them to be there by no accident; those `of_classes` add up
    to 1 along the last axis, as nearly as half precision has it.
    """
    if scores.size < 20 or not 0 <= scores.min() < scores.max() <= 1:
        return False
    return not of_classes or np.allclose(scores.sum(axis=-1), 1, rtol=0, atol=1e-3)


def _check_range(y: Array, compute: np.dtype[Any], weight: Array | None) -> None:
    """Refuse targets that become infinite in the type of the predictions."""
    beyond = np.isfinite(y) & (np.abs(y) > np.finfo(compute).max)
    if weight is not None:
        beyond &= (weight != 0).reshape(y.shape)
    if beyond.any():
        place = [int(i[0]) for i in np.nonzero(beyond)]
        raise ValueError(
            f"y_true{place or ''} = {y[beyond][0]:g} is beyond {compute}, the type of y_pred; pass "
            "y_pred as float64"
        )


def plain(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return a contiguous, aligned array in the machine's byte order."""
    if array.dtype == dtype and array.dtype.isnative and array.flags.c_contiguous:
        if array.flags.aligned:
            return array
    return np.array(array, dtype.newbyteorder("="), order="C")


# The modules of tensors, and what the framework is called in `Loss.to`.
_FRAMEWORKS = {"torch": "torch", "jax": "jax", "jaxlib": "jax"}


def numeric(name: str, data: Any) -> Array:
    """Return `data` as an array of real numbers, or raise TypeError naming it."""
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass its data, and mask=~{name}.mask")
    try:
        array = np.asarray(data)
    except Exception as error:
        framework = _FRAMEWORKS.get(type(data).__module__.partition(".")[0])
        why = f": {error}"
        if framework:
            why = f"; in training give loss.to({framework!r}), or in Keras loss.to('keras')"
        raise TypeError(f"{name} is a {type(data).__name__} that NumPy cannot read{why}") from None
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":
        return array
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} has {_describe(array)}; needed are real numbers: {_cure(array)}")
    return array


def _describe(array: Array) -> str:
    if array.dtype == object and array.size:
        first = next((x for x in array.flat if not isinstance(x, (int, float))), array.flat[0])
        return f"dtype object, holding a {type(first).__name__} ({first!r:.40})"
    return f"dtype {array.dtype}"


def _cure(array: Array) -> str:
    if array.dtype.kind == "f":
        return "convert it with .astype('float64')"
    if array.dtype == object and all(isinstance(x, int) for x in array.flat):
        return "pass these integers, which exceed 64 bits, as floats"
    if array.dtype == object and any(isinstance(x, str) for x in array.flat):
        return "encode them as numbers first"
    if array.dtype == object:
        return "convert it with .astype('float64'), after replacing what is missing by NaN"
    return "encode them as numbers first"


def shape_message(
    y: tuple[int, ...], f: tuple[int, ...], wanted: tuple[int, ...], outputs: int
) -> str:
    """Say that predictions do not have the shape that is wanted, and what to do."""
    what = "the same shape" if outputs == 1 else f"a last axis of {outputs}, one for each output"
    advice = ""
    if outputs == 1 and f == (*y, 1):
        advice = "; pass y_pred[..., 0]"
    elif outputs == 1 and y == (*f, 1):
        advice = "; pass y_true[..., 0]"
    return (
        f"y_true has shape {y} and y_pred {f}; needed is {what} (y_pred {wanted}), as nothing is "
        f"broadcast{advice}"
    )


def weights(sample_weight: Any, mask: Any, shape: tuple[int, ...]) -> Array | None:
    """Return one flat weight for each element, 0 where masked, or None where all count alike."""
    weight = None
    if sample_weight is not None:
        w = numeric("sample_weight", sample_weight)
        weight = spread("sample_weight", w.astype(np.float64, copy=False), shape)
    if mask is not None:
        m = np.asarray(mask)
        if m.dtype != np.bool_:
            raise TypeError(
                f"mask has dtype {m.dtype}; needed are booleans, True where an element counts"
            )
        counts = spread("mask", m, shape)
        weight = np.where(counts, 1.0 if weight is None else weight, 0.0)
    return weight


def check_weight(name: str, weight: Array, place: Callable[[int], str]) -> None:
    """Raise ValueError at the first weight that is negative or not finite."""
    wrong = np.flatnonzero(~(weight >= 0) | np.isinf(weight))
    if wrong.size:
        raise ValueError(
            f"{name}: sample_weight of {place(int(wrong[0]))} is {weight[wrong[0]]:g}; needed is "
            "finite and not negative"
        )


def result_type(arrays: Sequence[Array]) -> np.dtype[Any]:
    """Return the type of what is computed from these: their own, float64 where one is no float."""
    floats = [a.dtype for a in arrays if a.dtype.kind in "fV"]
    if len(floats) < len(arrays):
        return _FLOAT64
    if all(d == floats[0] for d in floats):
        return floats[0] if floats[0].isnative else floats[0].newbyteorder("=")
    return np.result_type(*(np.float32 if d.kind == "V" else d for d in floats))  # V: bfloat16


def missing(array: Array) -> Array:
    """Return which elements are NaN, NaT, None or pandas.NA."""
    if array.dtype.kind in "fcMm":
        return np.not_equal(array, array)
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":
        return np.isnan(array.astype(np.float32))
    if array.dtype.kind not in "OT":
        return np.zeros(array.shape, bool)
    try:
        return np.asarray(np.not_equal(array, array) | np.equal(array, np.array(None)), bool)
    except (TypeError, ValueError):  # slower, as where NA is among them
        found = np.fromiter(map(_is_missing, array.flat), bool, array.size)
        return found.reshape(array.shape)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):
        return True  # NA != NA is NA, which is neither true nor false


def grouped(name: str, keys: Array) -> tuple[Array, Array]:
    """Return where each value first stands, in that order, and of each element which value it has.

    Values of `keys`, one axis that holds nothing missing, are of any type: equal or not. Raises
    TypeError for one that cannot be told to be equal to another, as a list.
    """
    if keys.dtype.kind in "OT":  # of mixed types, which cannot be sorted
        table: dict[Any, int] = {}
        try:
            group = np.fromiter((table.setdefault(x, len(table)) for x in keys), np.int64)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; needed are numbers, text or tuples") from None
        return np.unique(group, return_index=True)[1], group
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    appearance = np.argsort(first, kind="stable")
    rank = np.empty(len(first), np.int64)
    rank[appearance] = np.arange(len(first))
    return first[appearance], rank[inverse.reshape(-1)]


def spread(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    """Return `array`, of the leading axes of `shape`, repeated over the others, flat."""
    if array.shape != shape[: array.ndim]:
        raise ValueError(
            f"{name} has shape {array.shape}, which does not match the leading axes of {shape}, "
            "the shape of the examples"
        )
    padded = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
    return np.ascontiguousarray(np.broadcast_to(padded, shape)).reshape(-1)


def check_index(*data: Any) -> None:
    """Frames go by position: the same labels of rows, or of columns, in another order are a
    mistake.
    """
    frames = [d for d in data if hasattr(d, "index") and hasattr(d, "to_numpy")]
    for what in ("index", "columns"):
        labels = [getattr(frame, what) for frame in frames if hasattr(frame, what)]
        for other in labels[1:]:
            first = labels[0]
            if len(first) != len(other) or first.equals(other) or Counter(first) != Counter(other):
                continue
            raise ValueError(
                f"the {'indexes' if what == 'index' else what} of the inputs hold the same labels "
                "in another order; losskit goes by position: reindex one of them, or pass "
                ".to_numpy()"
            )

"""What callers pass, as tensors of Keras's back end that hold the same numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from losskit.arrays import eps, numeric, plain, sum_tolerance
from losskit.keras.messages import told_as_in_keras

HALVES = ("float16", "bfloat16")

_DTYPES = {
    "bfloat16": np.dtype("V2"),  # NumPy has no name for it
    **{name: np.dtype(name) for name in ("float16", "float32", "float64")},
}


def given(name: str, data: Any) -> Any:
    """Return a tensor as it is and other data as an array, or raise TypeError for no numbers."""
    if isinstance(data, keras.KerasTensor):
        raise TypeError(
            f"{name} is a symbolic KerasTensor, which holds no numbers: pass the loss to "
            "model.compile(loss=…)"
        )
    if isinstance(data, list | tuple) and any(map(ops.is_tensor, data)):
        data = ops.stack(data)
    if not isinstance(data, keras.Variable) and not ops.is_tensor(data):
        array = told_as_in_keras(numeric, name, data)
        return plain(array, array.dtype)
    if "complex" in type_name(data):
        raise TypeError(f"{name} has dtype {type_name(data)}; needed are real numbers")
    return data


def numbers(data: Any, dtype: str) -> Any:
    """Return a tensor of this type.

    NumPy casts its arrays: JAX would wrap integers beyond 32 bits before, and Keras leaves
    bfloat16 as it is on PyTorch.
    """
    if isinstance(data, np.ndarray):
        with np.errstate(over="ignore"):  # infinite numbers are found where values are checked
            data = data.astype(dtype)
    return ops.convert_to_tensor(data, dtype=dtype)


def indexes(data: Any) -> Any:
    """Return a tensor of class indexes, in the type they came in.

    Integers beyond 32 bits are no classes, and floats show it: JAX would wrap them to others.
    """
    if isinstance(data, np.ndarray) and data.dtype.kind in "iu" and data.dtype.itemsize == 8:
        fit = np.array_equal(data, data.astype(np.int32))
        data = data.astype(np.int32 if fit else np.float64)
    return ops.convert_to_tensor(data)


def coarseness(data: Any, computed: Any) -> float | None:
    """Return the eps of what came in a type of fewer digits than it is computed in, else None."""
    came, made = (_DTYPES.get(type_name(x)) for x in (data, computed))
    if came is None or made is None or eps(came) <= eps(made):
        return None
    return eps(came)


def summing_to_one(shares: Any, came: Any) -> Any:
    """Return rows of probabilities over their sums, which the type they came in moved away from 1.

    Rows whose sum no rounding moved so far stay as they are: values are checked later, and 0 / 0
    has the derivative NaN, in rows that do not count too.
    """
    tolerance = sum_tolerance(_DTYPES[type_name(came)])
    sums = ops.sum(shares, axis=-1, keepdims=True)
    return shares / ops.where(ops.abs(sums - 1) <= tolerance, sums, 1)


def type_name(data: Any) -> str:
    """Return the type of a tensor's or array's numbers, as Keras names it."""
    return str(data.dtype).removeprefix("torch.")

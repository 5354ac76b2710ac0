"""From what users pass to the arrays that terms take; shapes and types are judged while tracing.

Nothing is broadcast. Functions return None for what does not fit; `checks.refuse` then says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from losskit.arrays import numeric, plain
from losskit.formula.inputs import Input
from losskit.jax.rows import Places

Array = Any


@dataclass(frozen=True, eq=False)
class Inputs:
    """Arrays of one call in the type computed in, and what their examples count."""

    arrays: tuple[Array, ...]
    weight: Array | None
    counts: Array | None
    shape: tuple[int, ...]  # of the examples: elements, rows or lists
    places: Places
    of_items: tuple[Array, Array] = (None, None)  # ids and validity, see `Axis`


def as_array(name: str, key: str, data: Any) -> Array:
    """Return `data` as a JAX array of real numbers or truths of 8 to 64 bits."""
    if not isinstance(data, jax.Array):
        data = numeric(key, data)
        return jnp.asarray(_kept_whole(plain(data, data.dtype)))
    if data.dtype == jnp.bfloat16 or getattr(data.dtype, "kind", "") in "fiub":
        return data
    raise TypeError(
        f"{name}: {key} has dtype {data.dtype}; needed are real numbers of 8 to 64 bits, such as "
        ".astype('float32') makes of real ones"
    )


def _kept_whole(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return integers that JAX would cut to 32 bits, another number silently, as floats."""
    taken = jax.dtypes.canonicalize_dtype(data.dtype)
    if data.dtype.kind in "iu" and taken != data.dtype and data.size:
        limits = np.iinfo(taken)
        if data.min() < limits.min or data.max() > limits.max:
            return data.astype(np.float64)
    return data


def trained(loss: Any) -> list[str]:
    """Return which of `loss.inputs` decide the type of results."""
    return ["y_pred"] if loss.kind == "pointwise" else list(loss.outputs)


def result_type(arrays: list[Array]) -> Any:
    """Return the type of results: the predictions' own, JAX's default float for integers."""
    if not all(jnp.issubdtype(a.dtype, jnp.floating) for a in arrays):
        return jnp.zeros(()).dtype
    return jnp.result_type(*(a.dtype for a in arrays))


def computed_in(dtype: Any) -> Any:
    """Return the type computed in: float32 for shorter ones."""
    return jnp.dtype(jnp.float32) if jnp.dtype(dtype).itemsize == 2 else jnp.dtype(dtype)


def pointwise_inputs(loss: Any, given: Mapping[str, Array], compute: Any) -> Inputs | None:
    """Return the target and the outputs of a loss of one number."""
    y, f = (given[key].astype(compute) for key in loss.inputs)
    outputs = len(loss.outputs)
    weighed = weights(given, y.shape, compute)
    if f.shape != (y.shape if outputs == 1 else (*y.shape, outputs)) or weighed is None:
        return None
    columns = (f,) if outputs == 1 else tuple(f[..., i] for i in range(outputs))
    return Inputs((y, *columns), *weighed, y.shape, Places(0))


def row_inputs(loss: Any, given: Mapping[str, Array], compute: Any) -> Inputs | None:
    """Return the inputs of a loss over classes, labels or features."""
    kinds = [one for _, one in loss.definition.inputs]
    data = [
        _classes(given[key]) if one.classes else given[key] for key, one in loss.definition.inputs
    ]
    one, whole = next((k, x.shape) for k, x in zip(kinds, data, strict=True) if k.trained)
    if one.rank == 2 and (not whole or not whole[-1]):
        return None
    shape, columns = (whole[:-1], whole[-1]) if one.rank == 2 else (whole, 1)
    arrays = [_row_input(k, x, shape, columns, compute) for k, x in zip(kinds, data, strict=True)]
    weighed = weights(given, shape, compute)
    if weighed is None or any(a is None for a in arrays):
        return None
    for k, x, made in zip(kinds, data, arrays, strict=True):
        if k.classes and weighed is not None:
            weighed = _class_weights(loss, k, x, made, columns, *weighed)
    return None if weighed is None else Inputs(tuple(arrays), *weighed, shape, Places(columns))


def weights(
    given: Mapping[str, Array], shape: tuple[int, ...], compute: Any
) -> tuple[Array, Array] | None:
    """Return weight and mask spread over `shape`, each None where there is none."""
    weight, mask = given.get("sample_weight"), given.get("mask")
    if any(a is not None and a.shape != shape[: a.ndim] for a in (weight, mask)):
        return None
    if mask is not None and mask.dtype != jnp.bool_:
        return None
    if weight is not None:
        # In float64 if they are: 1e-50 is no weight of 0, nor 1e50 an infinite one.
        weight = _spread(weight.astype(jnp.promote_types(weight.dtype, compute)), shape)
        weight = jnp.where((weight >= 0) & (weight < jnp.inf), weight, jnp.nan)
    return weight, None if mask is None else _spread(mask, shape)


def _spread(x: Array, shape: tuple[int, ...]) -> Array:
    return jnp.broadcast_to(x.reshape(x.shape + (1,) * (len(shape) - x.ndim)), shape)


def _classes(x: Array) -> Array:
    """Return `x` in a type of 32 bits at least, for short ones cannot tell classes apart.

    The class 300 is 44 in uint8, where −100 is 156; 2049 is 2048 in float16.
    """
    if x.dtype.itemsize >= 4:
        return x
    return x.astype(jnp.float32 if jnp.issubdtype(x.dtype, jnp.floating) else jnp.int32)


def _ignored(x: Array, number: int) -> Array:
    """Say which classes are `number`, which an unsigned type may not hold."""
    if jnp.issubdtype(x.dtype, jnp.unsignedinteger) and number < 0:
        return jnp.zeros(x.shape, bool)
    return x == number


def _row_input(one: Input, x: Array, shape: Any, columns: int, compute: Any) -> Array | None:
    """Return one input as the formula takes it, NaN for what is no class."""
    if one.rank == 2 and x.shape == (*shape, columns):
        return x.astype(compute)
    if one.classes and x.shape == shape:
        classes = columns + (one.classes == "level")
        known = (x >= 0) & (x < classes)
        if jnp.issubdtype(x.dtype, jnp.floating):
            known &= x == jnp.floor(x)
        if one.rank == 1:
            return jnp.where(known, x.astype(compute), jnp.nan)
        one_hot = x[..., None] == jnp.arange(classes)
        return jnp.where(known[..., None], one_hot.astype(compute), jnp.nan)
    whole = x.shape == shape if one.trained else x.shape == shape[: x.ndim]
    if one.rank == 1 and not one.classes and whole:
        return _spread(x.astype(compute), shape)
    return None


def _class_weights(
    loss: Any, one: Input, x: Array, made: Array, columns: int, weight: Array, counts: Array
) -> tuple[Array, Array] | None:
    """Return the weights and what counts, as `rows.checks.class_weights` has them."""
    ignored, per_class = loss.params.get("ignore_index"), loss.params.get("class_weight")
    mixture = one.rank == 2 and x.shape == made.shape
    if ignored is not None and mixture and ignored >= 0:
        return None
    if ignored is not None and not mixture:
        kept = ~_ignored(x, ignored)
        counts = kept if counts is None else counts & kept
    if per_class is None:
        return weight, counts
    classes = columns + (one.classes == "level")
    if np.ndim(per_class) and len(per_class) != classes:
        return None
    table = jnp.broadcast_to(jnp.asarray(per_class, made.dtype), (classes,))
    if mixture:
        own = (made * table).sum(axis=-1)  # no product of matrices: on a GPU TF32 may do that
        if weight is not None:  # what does not count may be NaN
            own = jnp.where((weight == 0) & jnp.isnan(own), 0, own)
    else:  # what is no class has any weight: its loss is NaN
        own = table[jnp.clip(jnp.nan_to_num(x), 0, classes - 1).astype(jnp.int32)]
    return (own if weight is None else weight * own), counts

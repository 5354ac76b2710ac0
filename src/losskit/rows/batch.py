"""Checked data of one call of a loss over an axis: flat rows with weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from losskit.arrays import Array, check_index, numeric, plain, result_type, spread, weights
from losskit.formula.inputs import Input
from losskit.links import Link
from losskit.lists import Lists, lists_of


@dataclass(frozen=True, eq=False)
class RowBatch:
    """Rows of one call; `values` are (rows, columns) or (rows,), or flat over lists' items."""

    inputs: Mapping[str, Input]
    values: Mapping[str, Array]
    weight: Array | None  # (rows,), float64; 0 where a row does not count
    shape: tuple[int, ...]  # of what a row has once
    columns: int  # 0 for lists
    lists: Lists | None
    dtype: np.dtype[Any]  # of the results
    compute: np.dtype[Any]  # computed in
    halves: frozenset[str] = frozenset()  # inputs given in half precision, whose sums stray

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return math.prod(self.shape)

    def excludes(self, link: Link) -> bool:
        """Whether a score of −∞ excludes a class; elsewhere it is a limit like +∞."""
        return link.name != "logit" and any(one.classes for one in self.inputs.values())

    def place(self, row: int) -> str:
        """Return how a user finds a row: an index, or the query."""
        if self.lists is not None:
            return f"query {self.lists.names[row]!s}"
        index = [int(i) for i in np.unravel_index(row, self.shape)] if self.shape else []
        return f"row {index[0] if len(index) == 1 else tuple(index)}" if index else "the row"


def row_batch(
    name: str,
    inputs: Mapping[str, Input],
    data: tuple[Any, ...],
    options: Mapping[str, Any],
    axis: str,
) -> RowBatch:
    """Return the arguments of a call as rows, or raise TypeError or ValueError."""
    check_index(*data, options["sample_weight"], options["mask"], options["query"])
    arrays = {key: numeric(key, one) for key, one in zip(inputs, data, strict=True)}
    dtype = result_type([arrays[key] for key, one in inputs.items() if one.trained])
    compute = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    if axis == "item":
        return _list_batch(name, inputs, arrays, options, dtype, compute)
    if options["query"] is not None:
        raise TypeError(f"{name}: query= groups the items of lists; this loss has a {axis} axis")
    shape, columns = _shapes(name, inputs, arrays, axis)
    weight = weights(options["sample_weight"], options["mask"], shape)
    values = {
        key: _flat(name, key, arrays[key], one, shape, columns, axis) for key, one in inputs.items()
    }
    halves = frozenset(
        k for k, a in arrays.items() if a.dtype.itemsize == 2 and a.dtype.kind in "fV"
    )
    return RowBatch(inputs, values, weight, shape, columns, None, dtype, compute, halves)


def _shapes(
    name: str, inputs: Mapping[str, Input], arrays: Mapping[str, Array], axis: str
) -> tuple[tuple[int, ...], int]:
    """Return the rows' shape and the number of columns, which the trained inputs decide."""
    first, one = next((key, one) for key, one in inputs.items() if one.trained)
    array = arrays[first]
    if one.rank == 1:
        return array.shape, 1
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(
            f"{name}: {first} has shape {array.shape}; needed is a last axis of at least one {axis}"
        )
    for key, other in inputs.items():
        if other.trained and other.rank == 2 and arrays[key].shape != array.shape:
            raise ValueError(
                f"{name}: {first} has shape {array.shape} and {key} {arrays[key].shape}; needed "
                "are equal shapes, as nothing is broadcast"
            )
    return array.shape[:-1], array.shape[-1]


def _flat(
    name: str,
    key: str,
    array: Array,
    one: Input,
    shape: tuple[int, ...],
    columns: int,
    axis: str,
) -> Array:
    whole = (*shape, columns)
    if array.dtype.kind in "V" or array.dtype == np.float16:
        array = array.astype(np.float32)
    if one.rank == 2 and array.shape == whole:
        return plain(array, array.dtype).reshape(-1, columns)
    if one.classes and array.shape == shape:
        return plain(array, array.dtype).reshape(-1)
    if one.rank == 1 and not one.classes and not one.trained:
        return spread(f"{name}: {key}", array, shape)
    if one.rank == 1 and not one.classes and array.shape == shape:
        return plain(array, array.dtype).reshape(-1)
    needed = f"{shape}" if one.rank == 1 else f"{whole}, its last axis the {axis}"
    if one.classes and one.rank == 2:
        needed = f"{shape} of class indexes, or {whole} of one-hot or class probabilities"
    advice = f"; pass {key}[..., 0]" if array.shape == (*shape, 1) else ""
    raise ValueError(f"{name}: {key} has shape {array.shape}; needed is {needed}{advice}")


def _list_batch(
    name: str,
    inputs: Mapping[str, Input],
    arrays: Mapping[str, Array],
    options: Mapping[str, Any],
    dtype: np.dtype[Any],
    compute: np.dtype[Any],
) -> RowBatch:
    shapes = {a.shape for a in arrays.values()}
    if len(shapes) > 1:
        said = " and ".join(f"{key} {a.shape}" for key, a in arrays.items())
        raise ValueError(f"{name}: the shapes differ, {said}; needed is one number for each item")
    lists = lists_of(name, shapes.pop(), options)
    values = {
        key: lists.take(a.astype(np.float32) if dtype.itemsize == 2 else a)
        for key, a in arrays.items()
    }
    return RowBatch(inputs, values, lists.weight, (len(lists.starts),), 0, lists, dtype, compute)

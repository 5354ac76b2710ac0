"""What an algorithm gets of a call's data, and how its results get back to users' shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from losskit.arrays import (
    Array,
    check_weight,
    grouped,
    missing,
    result_type,
    weights,
)
from losskit.formula.inputs import Input
from losskit.lists import lists_of
from losskit.reduction import weight_exponent
from losskit.written.definition import Examples


class RowFrame:
    """Data whose first axis is the batch; rows that do not count are left out."""

    example = "example"
    may_lack_value = False

    def __init__(self, loss: Any, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> None:
        if options["query"] is not None:
            raise TypeError(f"{loss.name}: query= groups the items of lists; this loss takes rows")
        kinds = dict(loss.definition.inputs)
        first, n = next((key, len(a) if a.ndim else 0) for key, a in arrays.items())
        for key, a in arrays.items():
            needed = 2 if kinds[key].rank == 2 else 1
            if a.ndim != needed or len(a) != n:
                also = f" with as many rows as {first}, {n}" if key != first else ""
                raise ValueError(
                    f"{loss.name}: {key} has shape {a.shape}; needed is "
                    f"({'rows, features' if needed == 2 else 'rows,'}){also}"
                )
        weight = weights(options["sample_weight"], options["mask"], (n,))
        if weight is not None:
            check_weight(loss.name, weight, lambda i: f"row {i}")
        self.counts = np.ones(n, bool) if weight is None else weight != 0
        kept, self.propagates = _valid(loss.name, arrays, kinds, self.counts, options["nan"], str)
        self.places = np.flatnonzero(kept)
        self.counted = len(self.places) > 0
        self.exponent = weight_exponent(weight)
        self.weight = None if weight is None else np.ldexp(weight[self.places], -self.exponent)
        self.n, self.dtype, self.compute = n, *_types(arrays, kinds)
        self.data = [
            _taken(key, a[self.places], kinds[key], self.compute) for key, a in arrays.items()
        ]

    def examples(self, loss: Any) -> Examples:
        """Return what the algorithm makes of the data."""
        if not self.counted:
            return replace(_nothing(loss, self), rows=True)
        return loss.definition.function(*self.data, weight=self.weight, **loss.params)

    def item(self, index: int) -> str:
        """Return the user's index of what the algorithm got at `index`."""
        return str(self.places[index])

    def place(self, example: int) -> str:
        """Return how a user finds an example."""
        return f"row {self.item(example)}"

    def any(self, bad: Array) -> Array:
        """Return the examples of which any number is bad."""
        return _any(bad)

    def propagated(self, values: Array) -> Array:
        """Return the examples' values, NaN where a NaN is to show."""
        return np.full_like(values, np.nan) if self.propagates else values

    def whole(self, array: Array) -> Array:
        """Return what the data's rows or items have in the shape of the data, 0 for others."""
        made = np.zeros((self.n, *array.shape[1:]), self.dtype)
        if self.propagates:
            made[self.counts] = np.nan  # each row's result depends on all others
        else:
            made[self.places] = array
        return made

    def per_example(self, values: Array) -> Array:
        """Return the examples' values in the shape of `reduction="none"`."""
        return values.astype(self.dtype)


class ItemFrame:
    """Scores of the items of lists."""

    example = "list"
    may_lack_value = True

    def __init__(self, loss: Any, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> None:
        kinds = dict(loss.definition.inputs)
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) > 1:
            said = " and ".join(f"{key} {a.shape}" for key, a in arrays.items())
            raise ValueError(f"{loss.name}: the shapes differ, {said}; needed is one for each item")
        lists = lists_of(loss.name, shapes.pop(), options)
        weight = np.ones(len(lists.starts)) if lists.weight is None else lists.weight
        check_weight(loss.name, weight, lambda i: f"query {lists.names[i]}")
        flat = {key: a.reshape(-1) for key, a in arrays.items()}
        counts = np.zeros(math.prod(lists.shape), bool)
        counts[lists.order] = np.repeat(weight != 0, lists.lengths)
        self.lists = lists
        kept, self.propagates = _valid(loss.name, flat, kinds, counts, options["nan"], self._index)
        # A list with a NaN is left out as a whole, as a row is, or its result is to show it.
        unknown = np.zeros(len(lists.starts), bool)
        if (kept != counts).any():
            unknown = np.maximum.reduceat(lists.take(counts & ~kept), lists.starts)
        if not self.propagates and unknown.any():
            weight = np.where(unknown, 0.0, weight)
        self.exponent = weight_exponent(weight)
        self.weight = np.ldexp(weight, -self.exponent)
        self.counted = bool((weight > 0).any())
        if lists.weight is not None or unknown.any():
            self.lists = replace(lists, weight=self.weight)
        self.unknown = unknown & self.propagates
        self.dtype, self.compute = _types(arrays, kinds)
        held = lists.take(kept)
        self.data = [
            np.where(held, lists.take(a), 0).astype(self.compute if kinds[key].trained else float)
            for key, a in arrays.items()
        ]

    def examples(self, loss: Any) -> Examples:
        """Return what the algorithm makes of the data."""
        if not len(self.lists.starts):
            return _nothing(loss, self)
        made = loss.definition.function(*self.data, lists=self.lists, **loss.params)
        if not self.propagates:
            return made
        values = np.where(self.unknown, 0.0, made.values)
        unweighed = self.unknown & (made.weights == 0)
        return replace(made, values=values, weights=np.where(unweighed, self.weight, made.weights))

    def item(self, index: int) -> str:
        """Return the user's index of what the algorithm got at `index`."""
        return self._index(int(self.lists.order[index]))

    def place(self, example: int) -> str:
        """Return how a user finds an example."""
        return f"query {self.lists.names[example]}"

    def any(self, bad: Array) -> Array:
        """Return the examples of which any number is bad."""
        return np.maximum.reduceat(bad, self.lists.starts) & ~self.unknown if bad.size else bad

    def propagated(self, values: Array) -> Array:
        """Return the examples' values, NaN where a NaN is to show."""
        return np.where(self.unknown, np.nan, values)

    def whole(self, array: Array) -> Array:
        """Return what the data's rows or items have in the shape of the data, 0 for others."""
        hidden = np.repeat(self.unknown, self.lists.lengths)
        return self.lists.scatter(np.where(hidden, np.nan, array).astype(self.dtype))

    def per_example(self, values: Array) -> Array:
        """Return the examples' values in the shape of `reduction="none"`."""
        return self.lists.per_list(values.astype(self.dtype))

    def _index(self, flat: int) -> str:
        return ", ".join(str(int(j)) for j in np.unravel_index(flat, self.lists.shape))


def _any(bad: Array) -> Array:
    """Return the rows of which any number is bad."""
    return np.asarray(bad.reshape(len(bad), math.prod(bad.shape[1:])).any(axis=1))


def _nothing(loss: Any, frame: Any) -> Examples:
    """Return what any algorithm makes of no data at all: no example, or one that shows a NaN."""
    kinds = (kind for _, kind in loss.definition.inputs)
    trained = tuple(a for a, kind in zip(frame.data, kinds, strict=True) if kind.trained)
    shown = np.ones(int(frame.propagates))
    return Examples(shown, shown, lambda _: trained, lambda _: trained)


def _valid(
    name: str,
    arrays: Mapping[str, Array],
    kinds: Mapping[str, Input],
    counts: Array,
    nan: str,
    place: Callable[[Any], str],
) -> tuple[Array, bool]:
    """Return the rows that count and hold numbers, and whether a NaN is to show in the result."""
    propagates = False
    for key, a in arrays.items():
        rows = _any(missing(a)) & counts
        if rows.any():
            if nan == "raise":
                what = "holds NaN" if a.dtype.kind in "fV" else "is missing"
                raise ValueError(
                    f"{name}: {key}[{place(int(np.flatnonzero(rows)[0]))}] {what}; remove it, "
                    "or pass nan='omit' or nan='propagate'"
                )
            propagates |= nan == "propagate"
            counts = counts & ~rows
        if kinds[key].classes != "key":
            _check_domain(name, key, a, kinds[key], counts, place)
    return counts, propagates


def _check_domain(
    name: str, key: str, a: Array, kind: Input, counts: Array, place: Callable[[Any], str]
) -> None:
    inside = kind.domain.contains(a.astype(np.float32) if a.dtype.kind == "V" else a)
    wrong = _any(~inside) & counts
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        value = np.ravel(a[i])[~np.ravel(inside[i])][0]
        raise ValueError(f"{name}: {key}[{place(i)}] holds {value:g}; needed is {kind.domain}")


def _types(
    arrays: Mapping[str, Array], kinds: Mapping[str, Input]
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    dtype = result_type([a for key, a in arrays.items() if kinds[key].trained])
    return dtype, np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _taken(key: str, a: Array, kind: Input, compute: np.dtype[Any]) -> Array:
    if kind.classes == "key":
        return grouped(key, a)[1]
    return np.ascontiguousarray(a, compute)
